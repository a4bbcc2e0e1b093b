#include "lib/client/attendant.h"

#include <system_error>

#include "lib/base/thread.h"
#include "lib/client/barrier.h"

namespace lmcd::client {
namespace {

constexpr uint64_t kAgainMs = 1000;

}  // namespace

void Attendant::wish_within(uint64_t ms) {
  const Time due = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  std::lock_guard lock(mutex_);
  if (stopping_ || due >= due_) return;
  due_ = due;
  if (thread_.joinable()) {
    wished_.notify_one();
    return;
  }
  try {
    thread_ = start_thread("lmcd-attendant", Priority::kNormal, [this] { run(); });
  } catch (const std::system_error&) {
    due_ = Time::max();  // the next wish tries again
  }
}

void Attendant::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (due_ == Time::max()) {
      wished_.wait(lock);
      continue;
    }
    if (std::chrono::steady_clock::now() < due_) {
      wished_.wait_until(lock, due_);
      continue;
    }
    due_ = Time::max();
    lock.unlock();
    // A round that found no memory is made again; the process is not ended for it.
    const uint64_t again_ms = guard_value<uint64_t>(kAgainMs, round_);
    lock.lock();
    if (again_ms == kNever) continue;
    due_ = std::min(due_, std::chrono::steady_clock::now() + std::chrono::milliseconds(again_ms));
  }
}

void Attendant::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    wished_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

}  // namespace lmcd::client
