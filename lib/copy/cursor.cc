#include "lib/copy/cursor.h"

#include <algorithm>

#include "lib/base/bytes.h"
#include "lib/copy/kernel.h"

namespace lmcd::copy {
namespace {

uint32_t share_of(uint32_t run_bytes) {
  uint32_t shares = run_bytes / kFragmentBytes + (run_bytes % kFragmentBytes != 0);
  uint32_t share = run_bytes / shares + (run_bytes % shares != 0);
  return static_cast<uint32_t>(std::min<uint64_t>(round_up(share, kLineBytes), run_bytes));
}

}  // namespace

Cursor::Cursor(const Layout& layout, std::span<const Item> items, std::span<const uint64_t> starts,
               uint64_t begin, uint64_t end)
    : layout_(layout), items_(items), at_(begin), end_(std::min(end, starts.back())) {
  if (at_ >= end_) return;
  auto above = std::upper_bound(starts.begin(), starts.end(), begin);
  item_ = static_cast<std::size_t>(above - starts.begin()) - 1;
  const Item& item = items_[item_];
  uint64_t offset = begin - starts[item_];
  flat_ = item.extent + offset;

  const std::vector<Layout::Plane>& planes = layout_.planes();
  std::size_t blocks = item.block_ids.size();
  auto later = std::partition_point(planes.begin(), planes.end(), [&](const Layout::Plane& plane) {
    return plane.bytes_before * blocks <= offset;
  });
  plane_ = static_cast<std::size_t>(later - planes.begin()) - 1;
  enter_plane();
  const Layout::Plane& plane = planes[plane_];
  offset -= plane.bytes_before * blocks;
  block_ = offset / plane.block_bytes;
  enter_block();
  offset %= plane.block_bytes;
  if (item.block_ids[block_] == kNoBlock) {
    flat_ -= offset;
    at_ -= offset;
    pass_over_blocks();
    return;
  }
  run_ = static_cast<uint32_t>(offset / plane.run_bytes);
  run_address_ += run_ * plane.run_stride;

  // On to where a fragment begins.
  uint32_t in_run = static_cast<uint32_t>(offset % plane.run_bytes);
  uint64_t share_begin = (uint64_t{in_run} + share_bytes_ - 1) / share_bytes_ * share_bytes_;
  in_run_ = static_cast<uint32_t>(std::min<uint64_t>(share_begin, plane.run_bytes));
  at_ += in_run_ - in_run;
  flat_ += in_run_ - in_run;
  if (in_run_ == plane.run_bytes) finish_run();
}

bool Cursor::next(Fragment* out) {
  if (at_ >= end_) return false;
  uint32_t run_bytes = layout_.planes()[plane_].run_bytes;
  uint32_t bytes = std::min(share_bytes_, run_bytes - in_run_);
  *out = {run_address_ + in_run_, flat_, bytes, static_cast<uint32_t>(item_)};
  at_ += bytes;
  flat_ += bytes;
  in_run_ += bytes;
  if (in_run_ == run_bytes) finish_run();
  return true;
}

void Cursor::enter_plane() { share_bytes_ = share_of(layout_.planes()[plane_].run_bytes); }

void Cursor::enter_block() {
  const Layout::Plane& plane = layout_.planes()[plane_];
  const uint32_t block = items_[item_].block_ids[block_];
  if (block != kNoBlock) run_address_ = plane.address + block * plane.block_stride;
}

// Goes to the next run, of the next block, page or item where this one has no more.
void Cursor::finish_run() {
  const Layout::Plane& plane = layout_.planes()[plane_];
  in_run_ = 0;
  if (++run_ < plane.run_count) {
    run_address_ += plane.run_stride;
    return;
  }
  run_ = 0;
  if (next_block()) pass_over_blocks();
}

// Returns false when there is none: at_ has reached the total.
bool Cursor::next_block() {
  if (++block_ == items_[item_].block_ids.size()) {
    block_ = 0;
    if (++plane_ == layout_.planes().size()) {
      plane_ = 0;
      if (++item_ == items_.size()) return false;
      flat_ = items_[item_].extent;
    }
    enter_plane();
  }
  enter_block();
  return true;
}

// Goes from the beginning of a block on to the first that is to be copied.
void Cursor::pass_over_blocks() {
  while (items_[item_].block_ids[block_] == kNoBlock) {
    const uint64_t bytes = layout_.planes()[plane_].block_bytes;
    at_ += bytes;
    flat_ += bytes;
    if (!next_block()) return;
  }
}

}  // namespace lmcd::copy
