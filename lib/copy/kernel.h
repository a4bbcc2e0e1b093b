// The innermost loops: bytes from here to there past the caches.
//
// A kernel copies several lanes at once, a line of each in turn, with stores that do not read
// the destination into the cache first. One thread's copy waits for memory, not for
// instructions; several far-apart streams keep more reads in flight than one. All lines of a
// step are loaded before the first is stored: a load that follows a store to an address with the
// same low 12 bits waits for it, and lanes mostly stand whole pages apart (measured on a Zen 3:
// 2.5 GB/s instead of 13 for eight lanes). For the same reason a lane whose destination stands, by
// these 12 bits, a little ahead of its source is copied from its end to its beginning: the stores
// then run away from the loads (2 GB/s, where they run into them, instead of 20). What comes next
// is prefetched across the seam, so that the next lanes' address translation is over when they
// begin.
//
// Streaming stores are not ordered with anything: who ran a kernel calls fence() on the same
// thread before it tells anybody.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lmcd::copy {

inline constexpr std::size_t kLineBytes = 64;
inline constexpr uint32_t kMaxLanes = 8;

struct Lane {
  std::byte* to;  // on a line boundary
  const std::byte* from;
  const std::byte* next;  // read after this lane: a hint
};

// Whether the kernels copy the lane from its end.
inline bool goes_backward(const Lane& lane) {
  constexpr uintptr_t kPage = 4096;
  constexpr uintptr_t kNear = 1024;  // stores that far behind are over when a load comes there
  const uintptr_t lead =
      (reinterpret_cast<uintptr_t>(lane.to) - reinterpret_cast<uintptr_t>(lane.from)) % kPage;
  return lead > 0 && lead < kNear;
}

struct Kernel {
  const char* name;
  uint32_t lanes;  // copied at once
  // Copies `bytes` of each lane. Requires: count is 1 or `lanes`; bytes is a multiple of
  // kLineBytes; all lanes go the same way.
  void (*stream)(const Lane* lanes, uint32_t count, std::size_t bytes);
  // Copies all `lanes` and extends crcs[i], a crc32c, over lane i. Null where the CPU has no
  // instruction for it. Requires: no lane goes backward, as a checksum cannot.
  void (*stream_checksummed)(const Lane* lanes, std::size_t bytes, uint32_t* crcs);
  // Makes this thread's streamed bytes visible before whatever it stores next.
  void (*fence)();
};

// Those that this CPU can run, the fastest first. Never empty.
std::vector<const Kernel*> usable_kernels();
const Kernel& fastest_kernel();

}  // namespace lmcd::copy
