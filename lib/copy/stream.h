// The body of every streaming kernel, written once for vectors of 16, 32 and 64 bytes.
//
// Included by the kernel_*.cc files alone. Each is compiled for its own instruction set, so
// nothing here may have external linkage: the linker would be free to keep the copy that
// other CPUs cannot run.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "lib/copy/kernel.h"

namespace lmcd::copy {
namespace {

// How far ahead of the loads, measured: less leaves reads waiting, more evicts its own lines.
constexpr std::size_t kAheadBytes = 512;

[[maybe_unused]] void fence() { _mm_sfence(); }

// The way a round of lanes goes.
enum class Way { kForward, kBackward };

// Copies the lines of all lanes that come [begin, end) on their way over `bytes`. What is
// prefetched stands kAheadBytes on in the same lane, or at `next` plus the position where that is
// given. Nothing here may lie in memory, but for the lanes: a load from the stack would wait for
// each store whose address has the same low 12 bits.
// Vector: Register, load(address), store(address, register).
template <class Vector, uint32_t kLanes, bool kChecksum, Way kWay>
[[gnu::always_inline]] inline void stream_lines(std::byte* const* to, const std::byte* const* from,
                                                const uintptr_t* next, std::size_t begin,
                                                std::size_t end, std::size_t bytes,
                                                [[maybe_unused]] uint64_t* states) {
  using Register = typename Vector::Register;
  constexpr std::size_t kParts = kLineBytes / sizeof(Register);
  constexpr std::size_t kAhead = kWay == Way::kForward ? kAheadBytes : -kAheadBytes;
  for (std::size_t done = begin; done < end; done += kLineBytes) {
    const std::size_t at = kWay == Way::kForward ? done : bytes - kLineBytes - done;
    Register line[kLanes][kParts];
#pragma GCC unroll 8
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      uintptr_t ahead =
          next ? next[lane] + at : reinterpret_cast<uintptr_t>(from[lane]) + at + kAhead;
      _mm_prefetch(reinterpret_cast<const char*>(ahead), _MM_HINT_NTA);
#pragma GCC unroll 4
      for (std::size_t part = 0; part < kParts; ++part)
        line[lane][part] = Vector::load(from[lane] + at + part * sizeof(Register));
    }
#if defined(__SSE4_2__)
    // From the first-level cache, behind the wait for memory; a word of each lane in turn, since
    // the instruction takes three cycles and a new one can begin in each.
    if constexpr (kChecksum) {
#pragma GCC unroll 8
      for (std::size_t word = 0; word < kLineBytes; word += 8) {
#pragma GCC unroll 8
        for (uint32_t lane = 0; lane < kLanes; ++lane) {
          uint64_t value;
          __builtin_memcpy(&value, from[lane] + at + word, sizeof value);
          states[lane] = _mm_crc32_u64(states[lane], value);
        }
      }
    }
#endif
#pragma GCC unroll 8
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
#pragma GCC unroll 4
      for (std::size_t part = 0; part < kParts; ++part)
        Vector::store(to[lane] + at + part * sizeof(Register), line[lane][part]);
    }
  }
}

template <class Vector, uint32_t kLanes, bool kChecksum, Way kWay>
void stream_lanes(const Lane* lanes, std::size_t bytes, uint32_t* crcs) {
  const std::size_t seam = bytes > kAheadBytes ? bytes - kAheadBytes : 0;
  std::byte* to[kLanes];
  const std::byte* from[kLanes];
  uintptr_t next[kLanes];
  uint64_t states[kLanes];
  for (uint32_t lane = 0; lane < kLanes; ++lane) {
    to[lane] = lanes[lane].to;
    from[lane] = lanes[lane].from;
    next[lane] =
        reinterpret_cast<uintptr_t>(lanes[lane].next) + (kWay == Way::kForward ? -seam : seam);
    if constexpr (kChecksum) states[lane] = uint32_t{~crcs[lane]};
  }
  stream_lines<Vector, kLanes, kChecksum, kWay>(to, from, nullptr, 0, seam, bytes, states);
  stream_lines<Vector, kLanes, kChecksum, kWay>(to, from, next, seam, bytes, bytes, states);
  if constexpr (kChecksum) {
    for (uint32_t lane = 0; lane < kLanes; ++lane)
      crcs[lane] = ~static_cast<uint32_t>(states[lane]);
  }
}

template <class Vector, uint32_t kLanes>
void stream_either_way(const Lane* lanes, std::size_t bytes) {
  if (goes_backward(lanes[0]))
    stream_lanes<Vector, kLanes, false, Way::kBackward>(lanes, bytes, nullptr);
  else
    stream_lanes<Vector, kLanes, false, Way::kForward>(lanes, bytes, nullptr);
}

template <class Vector, uint32_t kLanes>
void stream(const Lane* lanes, uint32_t count, std::size_t bytes) {
  if (count == kLanes)
    stream_either_way<Vector, kLanes>(lanes, bytes);
  else
    stream_either_way<Vector, 1>(lanes, bytes);
}

#if defined(__SSE4_2__)
template <class Vector, uint32_t kLanes>
void stream_checksummed(const Lane* lanes, std::size_t bytes, uint32_t* crcs) {
  stream_lanes<Vector, kLanes, true, Way::kForward>(lanes, bytes, crcs);
}
#endif

}  // namespace
}  // namespace lmcd::copy
