// How the lanes of one warp copy a few KiB: in the widest words that both addresses allow.
//
// Neighbouring lanes take neighbouring words, so each access of a warp is whole lines of memory;
// each lane has four loads on their way before it stores. Bytes before the first word and after
// the last are copied one by one. Loads and stores stream: neither side is read again soon. They
// are ordinary loads, not those of read-only memory, since an extent may change under a reader,
// who learns it from the lease.
//
// Compiles for the host, where the tests run the lanes one after the other. No state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define LMCD_DEVICE __host__ __device__
#else
#define LMCD_DEVICE
#endif

namespace lmcd::cuda {

inline constexpr uint32_t kLanes = 32;  // of a warp

struct alignas(16) Word16 {
  uint32_t x, y, z, w;
};

#ifdef __CUDA_ARCH__
__device__ inline Word16 load(const Word16* from) {
  const uint4 word = __ldcs(reinterpret_cast<const uint4*>(from));
  return {word.x, word.y, word.z, word.w};
}
__device__ inline void store(Word16* to, const Word16& word) {
  __stcs(reinterpret_cast<uint4*>(to), make_uint4(word.x, word.y, word.z, word.w));
}
template <typename Word>
__device__ inline Word load(const Word* from) {
  return __ldcs(from);
}
template <typename Word>
__device__ inline void store(Word* to, Word word) {
  __stcs(to, word);
}
#else
template <typename Word>
Word load(const Word* from) {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
template <typename Word>
void store(Word* to, const Word& word) {
  std::memcpy(to, &word, sizeof word);
}
#endif

// Requires: both are aligned to Word.
template <typename Word>
LMCD_DEVICE inline void copy_words(std::byte* to_bytes, const std::byte* from_bytes, uint32_t count,
                                   uint32_t lane) {
  auto* to = reinterpret_cast<Word*>(to_bytes);
  auto* from = reinterpret_cast<const Word*>(from_bytes);
  uint32_t at = lane;
  for (; at + 3 * kLanes < count; at += 4 * kLanes) {
    const Word a = load(from + at);
    const Word b = load(from + at + kLanes);
    const Word c = load(from + at + 2 * kLanes);
    const Word d = load(from + at + 3 * kLanes);
    store(to + at, a);
    store(to + at + kLanes, b);
    store(to + at + 2 * kLanes, c);
    store(to + at + 3 * kLanes, d);
  }
  for (; at < count; at += kLanes) store(to + at, load(from + at));
}

// Requires: the addresses differ by a multiple of Word's size.
template <typename Word>
LMCD_DEVICE inline void copy_around_words(std::byte* to, const std::byte* from, uint32_t bytes,
                                          uint32_t lane) {
  const auto misaligned = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(to) % sizeof(Word));
  uint32_t head = misaligned == 0 ? 0 : static_cast<uint32_t>(sizeof(Word)) - misaligned;
  if (head > bytes) head = bytes;
  const auto count = static_cast<uint32_t>((bytes - head) / sizeof(Word));
  const auto tail = static_cast<uint32_t>(head + count * sizeof(Word));
  using Byte = unsigned char;
  copy_words<Byte>(to, from, head, lane);
  copy_words<Word>(to + head, from + head, count, lane);
  copy_words<Byte>(to + tail, from + tail, bytes - tail, lane);
}

// Copies the share of `lane`. Requires: every lane below kLanes does its own.
LMCD_DEVICE inline void copy_bytes(std::byte* to, const std::byte* from, uint32_t bytes,
                                   uint32_t lane) {
  const uintptr_t apart = reinterpret_cast<uintptr_t>(to) ^ reinterpret_cast<uintptr_t>(from);
  if (apart % 16 == 0) return copy_around_words<Word16>(to, from, bytes, lane);
  if (apart % 8 == 0) return copy_around_words<unsigned long long>(to, from, bytes, lane);
  if (apart % 4 == 0) return copy_around_words<unsigned int>(to, from, bytes, lane);
  copy_words<unsigned char>(to, from, bytes, lane);
}

}  // namespace lmcd::cuda
