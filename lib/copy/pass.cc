#include "lib/copy/pass.h"

#include <algorithm>
#include <cstring>

#include "lib/base/bytes.h"

namespace lmcd::copy {
namespace {

// Whatever its alignment, this much has a whole line. Streaming wins even here, by far: it reads
// the next runs while it copies these.
constexpr std::size_t kStreamBytes = 2 * kLineBytes;

// What is streamed alone between two looks at the checksum: stays in a first-level cache.
constexpr std::size_t kCachedBytes = 16 * 1024;

std::size_t to_next_line(const std::byte* address) {
  return -reinterpret_cast<uintptr_t>(address) % kLineBytes;
}

Lane advanced(const Lane& lane, std::size_t bytes) {
  return {lane.to + bytes, lane.from + bytes, lane.next};
}

}  // namespace

Pass::Pass(const Kernel& kernel, Direction direction, std::span<const Item> items,
           std::span<std::atomic<uint32_t>> sums)
    : kernel_(kernel),
      direction_(direction),
      items_(items),
      sums_(sums),
      lanes_(checksums() && kernel.stream_checksummed == nullptr ? 1 : kernel.lanes) {}

void Pass::add(const Fragment& fragment) {
  if (fragment.bytes < kStreamBytes || lanes_ == 1) {
    drain();
    copy_alone(fragment);
    return;
  }
  Waiting& waiting = waiting_[goes_backward(lane_of(fragment))];
  waiting.fragments[waiting.count++] = fragment;
  if (waiting.count < 2 * lanes_) return;
  std::span<const Fragment> all(waiting.fragments);
  copy_round(all.first(lanes_), all.subspan(lanes_, lanes_));
  std::copy_n(waiting.fragments.begin() + lanes_, lanes_, waiting.fragments.begin());
  waiting.count = lanes_;
}

void Pass::finish() {
  drain();
  close_stretch();
  kernel_.fence();
}

void Pass::drain() {
  for (Waiting& waiting : waiting_) {
    std::span<const Fragment> left(waiting.fragments.data(), waiting.count);
    waiting.count = 0;
    if (left.size() >= lanes_) {
      copy_round(left.first(lanes_), left.subspan(lanes_));
      left = left.subspan(lanes_);
    }
    for (const Fragment& fragment : left) copy_alone(fragment);
  }
}

Lane Pass::lane_of(const Fragment& fragment) const {
  if (direction_ == Direction::kGather) return {fragment.flat, fragment.paged, fragment.paged};
  return {fragment.paged, fragment.flat, fragment.flat};
}

// Copies the whole lines that all fragments of the round have side by side, the rest of each
// alone: fragments of different lengths may meet in a round.
void Pass::copy_round(std::span<const Fragment> round, std::span<const Fragment> following) {
  std::array<Lane, kMaxLanes> lanes;
  std::array<std::size_t, kMaxLanes> left;
  std::array<uint32_t, kMaxLanes> crcs{};
  std::size_t shared = SIZE_MAX;
  for (std::size_t i = 0; i < round.size(); ++i) {
    Lane lane = lane_of(round[i]);
    if (i < following.size()) {
      lane.next = lane_of(following[i]).from;
      // Far ahead of its first use this has the address of the next extent bytes translated.
      // Measured: 2 to 4 % with runs of up to 32 KiB; the same for the pages gains nothing.
      __builtin_prefetch(following[i].flat);
    }
    std::size_t head = to_next_line(lane.to);
    crcs[i] = copy_plainly(lane, head, 0);
    lanes[i] = advanced(lane, head);
    left[i] = round[i].bytes - head;
    shared = std::min(shared, round_down(left[i], kLineBytes));
  }
  if (!checksums())
    kernel_.stream(lanes.data(), lanes_, shared);
  else if (goes_backward(lanes[0]))
    stream_then_check(lanes, shared, crcs);
  else
    kernel_.stream_checksummed(lanes.data(), shared, crcs.data());
  for (std::size_t i = 0; i < round.size(); ++i) {
    crcs[i] = stream_one(advanced(lanes[i], shared), left[i] - shared, crcs[i]);
    if (!checksums()) continue;
    if (shift_.length() != round[i].bytes) shift_ = Crc32cShift(round[i].bytes);
    open_stretch(round[i]);
    stretch_crc_ = shift_(stretch_crc_) ^ crcs[i];
  }
}

// For rounds that go backward: a step is streamed, then read again from the cache.
void Pass::stream_then_check(std::array<Lane, kMaxLanes> lanes, std::size_t bytes,
                             std::array<uint32_t, kMaxLanes>& crcs) {
  for (std::size_t step; bytes > 0; bytes -= step) {
    step = std::min(bytes, kCachedBytes);
    kernel_.stream(lanes.data(), lanes_, step);
    for (uint32_t lane = 0; lane < lanes_; ++lane) {
      crcs[lane] = crc32c_extend(crcs[lane], lanes[lane].from, step);
      lanes[lane] = advanced(lanes[lane], step);
    }
  }
}

void Pass::copy_alone(const Fragment& fragment) {
  if (checksums()) open_stretch(fragment);
  stretch_crc_ = stream_one(lane_of(fragment), fragment.bytes, stretch_crc_);
}

uint32_t Pass::stream_one(Lane lane, std::size_t bytes, uint32_t crc) {
  if (bytes < kStreamBytes) return copy_plainly(lane, bytes, crc);
  std::size_t head = to_next_line(lane.to);
  crc = copy_plainly(lane, head, crc);
  lane = advanced(lane, head);
  bytes -= head;
  std::size_t lines = round_down(bytes, kLineBytes);
  std::size_t tail = bytes - lines;
  while (lines > 0) {
    std::size_t step = checksums() ? std::min(lines, kCachedBytes) : lines;
    Lane part = lane;
    if (step < lines) part.next = lane.from + step;
    kernel_.stream(&part, 1, step);
    if (checksums()) crc = crc32c_extend(crc, lane.from, step);
    lane = advanced(lane, step);
    lines -= step;
  }
  return copy_plainly(lane, tail, crc);
}

uint32_t Pass::copy_plainly(const Lane& lane, std::size_t bytes, uint32_t crc) {
  if (bytes == 0) return crc;
  std::memcpy(lane.to, lane.from, bytes);
  return checksums() ? crc32c_extend(crc, lane.from, bytes) : crc;
}

void Pass::open_stretch(const Fragment& fragment) {
  if (stretch_end_ != fragment.flat || stretch_item_ != fragment.item) {
    close_stretch();
    stretch_item_ = fragment.item;
    stretch_crc_ = 0;
  }
  stretch_end_ = fragment.flat + fragment.bytes;
}

void Pass::close_stretch() {
  if (stretch_end_ == nullptr) return;
  const Item& item = items_[stretch_item_];
  auto behind = static_cast<uint64_t>(item.extent + item.length - stretch_end_);
  uint32_t share = behind == 0 ? stretch_crc_ : Crc32cShift(behind)(stretch_crc_);
  // Relaxed: whoever reads the sums has waited for this thread in other ways.
  sums_[stretch_item_].fetch_xor(share, std::memory_order_relaxed);
  stretch_end_ = nullptr;
}

}  // namespace lmcd::copy
