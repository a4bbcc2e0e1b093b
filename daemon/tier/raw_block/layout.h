// How a raw_block log stands on its file or device. All in blocks of 4096 bytes, little-endian.
//
//   0            superblock: magic, version, identity (random), segment_bytes, segments, crc32c
//   kLogOffset   segment 0, segment 1, ...
//
//   segment      records one after the other from its start; at its end a mark and a summary
//   record       a block with the header of record.h and a stamp; the bytes, padded to a block
//   tombstone    a record without bytes: what was removed
//   mark         a block: which filling of the segment this is, and whether it is open or sealed;
//                sealed: how many entries the summary has, and its crc32c
//   summary      tenants, fingerprints, and an entry of 64 bytes for each record
//
// A stamp says which log, filling and place a record belongs to. Neither a record of an earlier
// filling nor one that lies within the bytes of another is taken for one of this: the identity is
// nowhere but in stamps, and nobody who fills records can know it. Any thread; no state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "daemon/tier/record.h"
#include "lib/base/bytes.h"

namespace lmcd::tier {

inline constexpr uint64_t kBlockBytes = 4096;
inline constexpr uint64_t kLogOffset = kMiB;

using Block = std::span<std::byte, kBlockBytes>;
using ConstBlock = std::span<const std::byte, kBlockBytes>;
using LogIdentity = std::array<uint8_t, 16>;

struct Superblock {
  LogIdentity identity;
  uint64_t segment_bytes;
  uint64_t segments;
};
void write_superblock(const Superblock& superblock, Block out);
std::optional<Superblock> read_superblock(ConstBlock block);

// Where and when a record was written.
struct Stamp {
  LogIdentity identity;
  uint64_t filling;  // grows with each segment that is begun
  uint64_t offset;   // of the header's block, in the file
};
enum class Kind : uint32_t { kRecord = 1, kTombstone = 2 };

struct Stamped {
  Header header;
  Stamp stamp;
  Kind kind;
};
// A tombstone's record has the name alone.
void write_stamped(const Stamped& stamped, Block out);
std::optional<Stamped> read_stamped(ConstBlock block, const LogIdentity& identity);

// What a record takes in the log.
constexpr uint64_t log_bytes(uint64_t length) {
  return kBlockBytes + round_up(length, kBlockBytes);
}

// One record of a summary.
struct Entry {
  lmcd_tier_record_t record;
  uint64_t offset;  // of its block, in the file
  Kind kind;
};
struct Mark {
  LogIdentity identity;
  uint64_t filling;
  bool sealed;
  uint64_t summary_bytes;  // sealed: what follows, in whole blocks
};
void write_mark(const Mark& mark, Block out);
std::optional<Mark> read_mark(ConstBlock block, const LogIdentity& identity);

// What a segment keeps free at its end: the mark, and room for the summary of as many records as
// may lie in it.
uint64_t summary_room(uint64_t segment_bytes);
// Mark and summary as they stand at the segment's end. Returns nothing, and the segment stays open,
// when there are more tenants and fingerprints than there is room for.
std::optional<std::vector<std::byte>> write_summary(const Mark& mark,
                                                    const std::vector<Entry>& entries,
                                                    uint64_t segment_bytes);
// Reads what follows the mark. Nothing when it is not whole.
std::optional<std::vector<Entry>> read_summary(ConstBlock mark, std::span<const std::byte> summary);

}  // namespace lmcd::tier
