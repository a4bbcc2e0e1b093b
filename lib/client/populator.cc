#include "lib/client/populator.h"

#include <sys/mman.h>

#include <algorithm>
#include <ctime>
#include <system_error>

#include "lib/base/bytes.h"
#include "lib/base/huge_pages.h"
#include "lib/base/thread.h"

namespace lmcd::client {
namespace {

#ifndef MADV_POPULATE_READ
constexpr int MADV_POPULATE_READ = 22;  // Linux 5.14
constexpr int MADV_POPULATE_WRITE = 23;
#endif

constexpr uint64_t kPage = 4 * kKiB;
constexpr uint64_t kBackgroundStep = 16 * kMiB;  // between looks at the clock and at `stopping_`
constexpr std::size_t kJobsMax = 65536;
// From here on it pays to wake a thread for half of it.
constexpr uint64_t kWorthSharing = 8 * kMiB;

uint64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// What one read fault maps: the pages around it that exist, aligned (fault_around_bytes in the
// kernel's debugfs; its default).
constexpr uint64_t kFaultAround = 64 * kKiB;

}  // namespace

Populator::Populator(std::byte* address, uint64_t bytes)
    : address_(address),
      bytes_(bytes),
      taken_(std::make_unique<std::atomic<uint64_t>[]>(bytes / kStep / 64 + 1)) {}

Populator::~Populator() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  jobs_.clear();
  lock.unlock();
  if (thread_.joinable()) thread_.join();
}

bool Populator::taken(uint64_t step) const {
  return taken_[step / 64].load(std::memory_order_relaxed) >> step % 64 & 1;
}

bool Populator::take(uint64_t step) {
  const uint64_t bit = uint64_t{1} << step % 64;
  return !(taken_[step / 64].fetch_or(bit, std::memory_order_relaxed) & bit);
}

void Populator::map_existing(uint64_t offset, uint64_t length) {
  const auto start = reinterpret_cast<uintptr_t>(address_ + round_down(offset, kPage));
  const auto end = reinterpret_cast<uintptr_t>(address_ + std::min(offset + length, bytes_));
  for (uintptr_t at = start; at < end; at = round_down(at, kFaultAround) + kFaultAround)
    static_cast<void>(*reinterpret_cast<const volatile char*>(at));
}

// Fails before Linux 5.14, and where a page cannot be had: the copy then meets a fault, and is no
// less right.
void Populator::advise(uint64_t offset, uint64_t length, int advice) {
  const uint64_t start = round_down(offset, kPage);
  const uint64_t end = std::min(round_up(offset + length, kPage), bytes_);
  if (start < end) madvise(address_ + start, end - start, advice);
}

// Makes a huge page, or small ones where there are none to be had.
void Populator::make(uint64_t at) {
  bool new_to_us = false;
  for (uint64_t step = at / kStep; step < (at + kHugePageBytes) / kStep; ++step)
    new_to_us |= take(step);
  if (!new_to_us) return;
  make_huge_pages(address_ + at, kHugePageBytes);
  advise(at, kHugePageBytes, MADV_POPULATE_WRITE);
}

void Populator::populate(Range range, uint64_t frontier) {
  const uint64_t end = range.offset + range.length;
  const uint64_t exists = round_down(std::min(frontier, bytes_), kStep);
  for (uint64_t at = range.offset, next; at < end; at = next) {
    const uint64_t step = at / kStep;
    next = (step + 1) * kStep;
    if (next <= exists) {
      if (take(step)) map_existing(step * kStep, kStep);
      continue;
    }
    if (at % kHugePageBytes == 0 && end - at >= kHugePageBytes) {
      next = at + kHugePageBytes;
      make(at);
      continue;
    }
    // A step that is not all ours is not taken: its other pages are for others to make.
    const bool whole = at % kStep == 0 && next <= end;
    if (whole ? take(step) : !taken(step))
      advise(at, std::min(next, end) - at, MADV_POPULATE_WRITE);
  }
}

void Populator::populate_now(std::span<const Range> ranges, uint64_t frontier) {
  uint64_t steps = 0;
  for (const Range& range : ranges) steps += steps_left(range);
  if (steps * kStep >= kWorthSharing) share(ranges, steps - steps / 3, frontier);
  for (const Range& range : ranges) populate(range, frontier);
}

// Whole steps of the range that nobody took.
uint64_t Populator::steps_left(Range range) const {
  const uint64_t end = std::min(range.offset + range.length, bytes_);
  uint64_t left = 0;
  for (uint64_t step = range.offset / kStep; (step + 1) * kStep <= end; ++step)
    left += !taken(step);
  return left;
}

// Gives so many steps, the last ones, to the background thread.
void Populator::share(std::span<const Range> ranges, uint64_t steps, uint64_t frontier) {
  std::lock_guard lock(mutex_);
  for (std::size_t i = ranges.size(); i-- > 0 && steps > 0 && jobs_.size() < kJobsMax;) {
    Range rear = ranges[i];
    const uint64_t length = std::min(rear.length, steps * kStep);
    rear.offset += rear.length - length;
    rear.length = length;
    steps -= std::min(steps, steps_left(rear));
    jobs_.push_front({rear, frontier, true});
  }
  static_cast<void>(begin_work());  // without a thread the caller maps it all
}

Status Populator::queue(std::span<const Range> ranges, uint64_t frontier) {
  std::lock_guard lock(mutex_);
  if (ranges.size() > kJobsMax - std::min(jobs_.size(), kJobsMax)) {
    return fault(LMCD_E_LIMIT, "populate: %zu extents wait already, at most %zu may", jobs_.size(),
                 kJobsMax);
  }
  for (const Range& range : ranges) jobs_.push_back({range, frontier, false});
  return begin_work();
}

Status Populator::begin_work() {
  if (working_ || jobs_.empty()) return {};
  if (thread_.joinable()) thread_.join();  // it has left its loop and is about to end
  try {
    thread_ = start_thread("lmcd-populate", Priority::kNormal, [this] { work(); });
  } catch (const std::system_error& error) {
    jobs_.clear();
    return fault(LMCD_E_LIMIT, "populate: the system has no more threads: %s", error.what());
  }
  working_ = true;
  return {};
}

void Populator::work() {
  uint64_t accounted = 0;
  std::unique_lock lock(mutex_);
  while (!jobs_.empty() && !stopping_) {
    Job job = jobs_.front();
    if (job.range.length > kBackgroundStep) {
      jobs_.front().range.offset += kBackgroundStep;
      jobs_.front().range.length -= kBackgroundStep;
      job.range.length = kBackgroundStep;
    } else {
      jobs_.pop_front();
    }
    lock.unlock();
    populate(job.range, job.frontier);
    // Where nobody waits a second look makes sure of what a fault left out.
    if (!job.urgent && job.range.offset + job.range.length <= job.frontier)
      advise(job.range.offset, job.range.length, MADV_POPULATE_READ);
    const uint64_t now = thread_cpu_ns();
    cpu_ns_.fetch_add(now - accounted, std::memory_order_relaxed);
    accounted = now;
    lock.lock();
  }
  working_ = false;
  idle_.notify_all();
}

bool Populator::wait(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return idle_.wait_until(lock, deadline.time(), [&] { return !working_; });
}

}  // namespace lmcd::client
