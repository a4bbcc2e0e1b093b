// One thread's share of a transfer: takes fragments in extent order, copies them in lanes, and
// works out their checksums while the bytes are in the cache.
//
// Fragments wait until there are enough for two rounds of the kernel's lanes, so that each round
// knows what follows it; those that the kernel copies backward wait apart from the others. What is
// no whole line at the destination, the ends of a fragment, goes
// through memcpy.
//
// A stretch is what the pass has copied of one item without a gap. Its crc is moved to the item's
// end and added to the item's sum; since crc32c is linear, sums of stretches come to the crc of
// the whole in whatever order threads finish. One thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/crc32c.h"
#include "lib/copy/cursor.h"
#include "lib/copy/kernel.h"

namespace lmcd::copy {

enum class Direction {
  kGather,   // pages to extents
  kScatter,  // extents to pages
};

class Pass {
 public:
  // With `sums` (one per item, from 0) checksums are computed; else it is empty.
  // Lifetime: kernel, items and sums outlive the pass.
  Pass(const Kernel& kernel, Direction direction, std::span<const Item> items,
       std::span<std::atomic<uint32_t>> sums);

  void add(const Fragment& fragment);
  // Copies what still waits, delivers the sums and fences. The pass ends with it.
  void finish();

 private:
  bool checksums() const { return !sums_.empty(); }
  Lane lane_of(const Fragment& fragment) const;

  void drain();
  void copy_round(std::span<const Fragment> round, std::span<const Fragment> following);
  void stream_then_check(std::array<Lane, kMaxLanes> lanes, std::size_t bytes,
                         std::array<uint32_t, kMaxLanes>& crcs);
  void copy_alone(const Fragment& fragment);
  // Both return `crc` extended over the bytes, or as it is when there are no checksums.
  uint32_t stream_one(Lane lane, std::size_t bytes, uint32_t crc);
  uint32_t copy_plainly(const Lane& lane, std::size_t bytes, uint32_t crc);

  void open_stretch(const Fragment& fragment);
  void close_stretch();

  const Kernel& kernel_;
  const Direction direction_;
  std::span<const Item> items_;
  std::span<std::atomic<uint32_t>> sums_;
  const uint32_t lanes_;  // in a round

  struct Waiting {
    std::array<Fragment, 2 * kMaxLanes> fragments;
    std::size_t count = 0;
  };
  std::array<Waiting, 2> waiting_;  // those that go forward, those that go backward

  uint32_t stretch_item_ = 0;
  uint32_t stretch_crc_ = 0;
  const std::byte* stretch_end_ = nullptr;  // in the extent; null: no stretch is open
  Crc32cShift shift_{0};                    // of the length met last
};

}  // namespace lmcd::copy
