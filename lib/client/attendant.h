// A thread that comes round when something is due: renews leases, writes what the socket did not
// take at once, connects again on behalf of calls that do not wait.
//
// Starts with the first wish and sleeps without end when there is none; a library that is only
// looked up in has no thread. Any thread may ask; the one that destroys it waits for the round
// in progress.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace lmcd::client {

class Attendant {
 public:
  static constexpr uint64_t kNever = ~uint64_t{0};

  // `round` does what is due and returns in how many ms it wants to be called again, kNever if
  // nobody asks. It is called on the attendant's thread alone, without its lock.
  explicit Attendant(std::function<uint64_t()> round) : round_(std::move(round)) {}
  ~Attendant() { stop(); }

  // Has a round made within `ms`. Without a thread to be had, the wish is dropped: what depends
  // on it is done by the next call of the user.
  void wish_within(uint64_t ms);
  // Ends the thread; no round is made afterwards. Requires: not called by a round.
  void stop();

 private:
  using Time = std::chrono::steady_clock::time_point;

  void run();

  const std::function<uint64_t()> round_;
  std::mutex mutex_;
  std::condition_variable wished_;
  Time due_ = Time::max();  // guarded by mutex_
  bool stopping_ = false;   // guarded by mutex_
  std::thread thread_;      // guarded by mutex_
};

}  // namespace lmcd::client
