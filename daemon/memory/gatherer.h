// Puts huge pages under the tables of the store as they fill.
//
// Index and records are read at random, by the loop and by every client: in small pages a table of
// a hundred MiB costs a lookup as much in address translation as in all else. A table begins in
// small pages all the same, so that an idle daemon stays small; a huge page comes once the small
// ones are nearly all there, when it costs no memory.
//
// One thread of batch priority, which rests while nothing grows: a huge page takes a millisecond,
// which the loop does not have. Where the kernel gives none, nothing happens. The loop's thread
// calls grown(); destroying it ends the thread within a huge page.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <thread>

namespace lmcd::memory {

class Gatherer {
 public:
  static constexpr std::size_t kTables = 4;
  // Of each table what is in use, from its start.
  using Tables = std::array<std::span<std::byte>, kTables>;

  Gatherer();
  Gatherer(const Gatherer&) = delete;
  Gatherer& operator=(const Gatherer&) = delete;
  ~Gatherer();

  // Tells how far the tables are in use: the same ones in the same order, never less. The memory
  // outlives the gatherer. Cheap, but takes a lock: for every megabyte, not for every object.
  void grown(const Tables& tables);

 private:
  void run();
  void gather(std::span<std::byte> table, uint64_t& done_bytes);

  std::mutex mutex_;
  std::condition_variable news_;
  Tables tables_ = {};  // under the mutex
  bool has_news_ = false;
  std::atomic<bool> stopping_{false};
  std::array<uint64_t, kTables> done_bytes_ = {};  // of each table; the thread's own
  std::thread thread_;
};

}  // namespace lmcd::memory
