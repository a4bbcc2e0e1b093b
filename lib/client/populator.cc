#include "lib/client/populator.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <system_error>

#include "lib/base/bytes.h"
#include "lib/base/thread.h"

namespace lmcd::client {
namespace {

#ifndef MADV_POPULATE_READ
constexpr int MADV_POPULATE_READ = 22;  // Linux 5.14
#endif

constexpr uint64_t kPage = 4 * kKiB;
constexpr uint64_t kBackgroundStep = 16 * kMiB;  // between looks at the clock and at `stopping_`
constexpr std::size_t kJobsMax = 65536;

uint64_t thread_cpu_ns() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// Adds nothing to a byte of each page: a write that changes nobody's bytes.
void touch(std::byte* from, uint64_t length) {
  for (uint64_t at = 0; at < length; at += kPage)
    __atomic_fetch_or(reinterpret_cast<unsigned char*>(from + at), 0, __ATOMIC_RELAXED);
}

}  // namespace

Populator::Populator(std::byte* address, uint64_t bytes)
    : address_(address),
      bytes_(bytes),
      mapped_(std::make_unique<std::atomic<uint64_t>[]>(bytes / kStep / 64 + 1)) {}

Populator::~Populator() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  jobs_.clear();
  lock.unlock();
  if (thread_.joinable()) thread_.join();
}

bool Populator::mapped(uint64_t step) const {
  return mapped_[step / 64].load(std::memory_order_relaxed) >> step % 64 & 1;
}

void Populator::set_mapped(uint64_t step) {
  mapped_[step / 64].fetch_or(uint64_t{1} << step % 64, std::memory_order_relaxed);
}

void Populator::populate_pages(uint64_t offset, uint64_t length) {
  const uint64_t start = round_down(offset, kPage);
  const uint64_t end = std::min(round_up(offset + length, kPage), round_up(bytes_, kPage));
  if (madvise(address_ + start, end - start, MADV_POPULATE_READ) == 0 || errno != EINVAL) return;
  touch(address_ + start, end - start);
}

void Populator::populate(Range range, uint64_t frontier) {
  const uint64_t end = range.offset + range.length;
  uint64_t at = range.offset;
  while (at < end) {
    const uint64_t step = at / kStep;
    const uint64_t step_end = (step + 1) * kStep;
    if (mapped(step)) {
      at = step_end;
      continue;
    }
    if (step_end > std::min(frontier, bytes_)) {
      populate_pages(at, end - at);
      return;
    }
    // Steps that lie side by side go in one call.
    uint64_t last = step;
    while ((last + 1) * kStep < end && (last + 2) * kStep <= std::min(frontier, bytes_) &&
           !mapped(last + 1)) {
      ++last;
    }
    populate_pages(step * kStep, (last - step + 1) * kStep);
    for (uint64_t done = step; done <= last; ++done) set_mapped(done);
    at = (last + 1) * kStep;
  }
}

Status Populator::queue(const Range* ranges, std::size_t count, uint64_t frontier) {
  std::lock_guard lock(mutex_);
  if (count > kJobsMax - std::min(jobs_.size(), kJobsMax)) {
    return fault(LMCD_E_LIMIT, "populate: %zu extents wait already, at most %zu may", jobs_.size(),
                 kJobsMax);
  }
  for (std::size_t i = 0; i < count; ++i) jobs_.push_back({ranges[i], frontier});
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
