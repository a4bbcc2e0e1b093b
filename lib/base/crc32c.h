// crc32c (Castagnoli): the checksum of extents and of records on media.
//
// Uses the CPU's crc32 instruction where there is one: three streams at once, since one
// stream waits three cycles for each result, joined by a carry-less multiplication. A table
// serves where there is none. Any thread; no state.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lmcd {

// Returns the crc of what `crc` stands for (0: of nothing) followed by these bytes.
uint32_t crc32c_extend(uint32_t crc, const void* bytes, std::size_t length);

inline uint32_t crc32c(const void* bytes, std::size_t length) {
  return crc32c_extend(0, bytes, length);
}

// The same from the table, on any CPU; the tests hold one against the other.
uint32_t crc32c_extend_portable(uint32_t crc, const void* bytes, std::size_t length);

// Moves a crc past `length` further bytes: crc(A B) = Crc32cShift(|B|)(crc(A)) ^ crc(B).
// Making one costs about a microsecond, using it tens of nanoseconds: keep it where many
// pieces have one length.
class Crc32cShift {
 public:
  explicit Crc32cShift(uint64_t length);
  uint64_t length() const { return length_; }
  uint32_t operator()(uint32_t crc) const;

 private:
  uint64_t length_;
  uint32_t power_;  // x to the 8 * length, modulo the polynomial
};

// Returns the crc of A followed by B from those of A and B.
inline uint32_t crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b) {
  return Crc32cShift(length_b)(crc_a) ^ crc_b;
}

}  // namespace lmcd
