#include "daemon/memory/gatherer.h"

#include "lib/base/huge_pages.h"
#include "lib/base/thread.h"

namespace lmcd::memory {

Gatherer::Gatherer() : thread_(start_thread("lmcd-gather", Priority::kBatch, [this] { run(); })) {}

Gatherer::~Gatherer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_.store(true, std::memory_order_relaxed);
  }
  news_.notify_one();
  thread_.join();
}

void Gatherer::grown(const Tables& tables) {
  {
    const std::lock_guard lock(mutex_);
    tables_ = tables;
    has_news_ = true;
  }
  news_.notify_one();
}

void Gatherer::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    news_.wait(lock, [this] { return has_news_ || stopping_.load(std::memory_order_relaxed); });
    if (stopping_.load(std::memory_order_relaxed)) return;
    has_news_ = false;
    const Tables tables = tables_;
    lock.unlock();
    for (std::size_t i = 0; i < kTables; ++i) gather(tables[i], done_bytes_[i]);
    lock.lock();
  }
}

void Gatherer::gather(std::span<std::byte> table, uint64_t& done_bytes) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(table.data());
  while (!stopping_.load(std::memory_order_relaxed)) {
    const uintptr_t page = round_up(begin + done_bytes, kHugePageBytes);
    if (page + kHugePageBytes > begin + table.size()) return;
    // One that cannot be had now is not asked for again: nothing depends on it.
    gather_huge_pages(reinterpret_cast<std::byte*>(page), kHugePageBytes);
    done_bytes = page + kHugePageBytes - begin;
  }
}

}  // namespace lmcd::memory
