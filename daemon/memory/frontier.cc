#include "daemon/memory/frontier.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <ctime>

#include "lib/base/bytes.h"
#include "lib/base/huge_pages.h"
#include "lib/base/thread.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14; headers may be older
#endif

namespace lmcd::memory {
namespace {

constexpr uint64_t kPageBytes = 4096;  // the smallest there is

uint64_t default_window(uint64_t length) {
  return std::clamp(round_down(length / 16, kPageBytes), 64 * kMiB, kGiB);
}

uint64_t now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

}  // namespace

Frontier::Frontier(const GuardedRegion& region, Options options)
    : region_(region),
      window_bytes_(options.window_bytes ? options.window_bytes : default_window(region.length())),
      step_bytes_(options.step_bytes),
      target_(target_for(options.initial_bytes)),
      frontier_(std::min(round_down(options.populated_bytes, kPageBytes), region.length())),
      thread_(start_thread("lmcd-populate", Priority::kBatch, [this] { run(); })) {}

// Whole steps, as far as the region goes.
uint64_t Frontier::target_for(uint64_t bytes) const {
  assert(is_power_of_two(step_bytes_));
  const uint64_t length = region_.length();
  return std::min(length, round_up(std::min(bytes, length), step_bytes_));
}

Frontier::~Frontier() {
  stopping_.store(true);
  errand_.fetch_add(1);
  errand_.notify_one();
  thread_.join();
}

void Frontier::want(uint64_t bytes) {
  const uint64_t target = target_for(checked_add(bytes, window_bytes_).value_or(region_.length()));
  if (target <= target_.load(std::memory_order_relaxed)) return;
  target_.store(target, std::memory_order_release);
  errand_.fetch_add(1);
  errand_.notify_one();
}

Status Frontier::wait(uint64_t bytes) const {
  for (;;) {
    const uint32_t seen = report_.load(std::memory_order_acquire);
    if (this->bytes() >= bytes) return {};
    if (error_.load(std::memory_order_acquire) != 0) return status();
    report_.wait(seen, std::memory_order_acquire);
  }
}

Status Frontier::status() const {
  const int error = error_.load(std::memory_order_acquire);
  if (error == 0) return {};
  // EFAULT is what becomes of SIGBUS in a system call: no such page, and none to be had.
  const bool full = error == EFAULT || error == ENOMEM;
  return errno_fault(
      full ? LMCD_E_NO_MEMORY : LMCD_E_IO, error, "populate the arena at %llu of %llu bytes%s",
      static_cast<unsigned long long>(bytes()), static_cast<unsigned long long>(region_.length()),
      full ? " (file system full, memory limit, or shortened by somebody)" : "");
}

Frontier::Measures Frontier::measures() const {
  return {populated_.load(std::memory_order_relaxed), busy_ns_.load(std::memory_order_relaxed)};
}

void Frontier::run() {
  for (;;) {
    const uint32_t seen = errand_.load(std::memory_order_acquire);
    uint64_t at = frontier_.load(std::memory_order_relaxed);
    while (at < target_.load(std::memory_order_acquire)) {
      if (stopping_.load(std::memory_order_relaxed)) return;
      const uint64_t length = std::min(step_bytes_, region_.length() - at);
      const uint64_t begin = now_ns();
      const int error = populate(region_.address() + at, length);
      busy_ns_.fetch_add(now_ns() - begin, std::memory_order_relaxed);
      if (error != 0 || region_.lost()) return stop_with(error ? error : EFAULT);
      populated_.fetch_add(length, std::memory_order_relaxed);
      at += length;
      frontier_.store(at, std::memory_order_release);
      report_.fetch_add(1, std::memory_order_release);
      report_.notify_all();
    }
    if (stopping_.load()) return;
    errand_.wait(seen, std::memory_order_acquire);
  }
}

void Frontier::stop_with(int error) {
  error_.store(error, std::memory_order_release);
  report_.fetch_add(1, std::memory_order_release);
  report_.notify_all();
}

int populate(std::byte* address, uint64_t length) {
  make_huge_pages(address, length);
  while (madvise(address, length, MADV_POPULATE_WRITE) != 0) {
    if (errno == EINVAL) return populate_by_touch(address, length);
    if (errno != EINTR) return errno;
  }
  return 0;
}

int populate_by_touch(std::byte* address, uint64_t length) {
  // Adding nothing is a write to the page and, being atomic, loses no write of others. volatile
  // keeps the compiler from making a read of it.
  for (uint64_t at = 0; at < length; at += kPageBytes)
    __atomic_fetch_add(reinterpret_cast<volatile uint8_t*>(address + at), uint8_t{0},
                       __ATOMIC_RELAXED);
  return 0;
}

}  // namespace lmcd::memory
