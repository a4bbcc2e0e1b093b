// The event loop: descriptors, timers, work deferred to the end of a turn, and tasks from other
// threads.
//
// One turn waits for what is due first, then runs ready watchers (posted tasks are one of them),
// due timers and deferred work, in this order. It sleeps for as long as nothing is due: an idle
// process does not wake. Nothing is allocated on the way of an event.
//
// All on the loop's own thread, except Loop::post() and Loop::stop(), which any thread may call.
// Watchers, timers and deferred work may be added, changed and destroyed from within any
// callback, their own included (which then touches nothing of its own afterwards): an event
// already fetched for a descriptor since removed is dropped, also when its number is in use again.
//
// Watchers are told of readiness with a bound on how much they do per call in mind: what is
// left unread is told again in the next turn (level-triggered).
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/fd.h"

namespace lmcd {

// Told when a descriptor is ready. Does not own the descriptor by being one.
class Watcher {
 public:
  // `events` are epoll's: EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR ...
  virtual void on_ready(uint32_t events) = 0;

 protected:
  ~Watcher() = default;
};

class Bell;
class Deferred;
class Timer;

class Loop {
 public:
  struct Options {
    uint32_t posted_tasks = 4096;  // bound of the queue of post()
  };

  // `clock` outlives the loop.
  static Result<std::unique_ptr<Loop>> make(const Clock& clock, Options options);
  static Result<std::unique_ptr<Loop>> make(const Clock& clock) { return make(clock, Options()); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  // Requires: timers and deferred work are gone before.
  ~Loop();

  const Clock& clock() const { return clock_; }

  // Begins to watch `descriptor`. The watcher stays until remove().
  Status add(int descriptor, uint32_t events, Watcher& watcher);
  // Changes what is watched for. Requires: added before.
  Status modify(int descriptor, uint32_t events);
  // Ends it; to be called before the descriptor is closed. Nothing happens when it is not watched.
  void remove(int descriptor);

  // Runs `task` on the loop's thread in a later turn. Any thread.
  // Returns false, and does nothing, when the queue is full.
  bool post(std::function<void()> task);
  // Makes run() return after the present turn. Any thread.
  void stop();

  // Turns until stop().
  Status run();
  enum class Wait { kUntilDue, kNot };
  // One turn.
  Status turn(Wait wait);

 private:
  friend class Timer;
  friend class Deferred;

  // What is known of the descriptor with this number. The generation tells an event of the
  // present watch from one of an earlier watch under the same number.
  struct Watch {
    Watcher* watcher = nullptr;
    uint32_t generation = 0;
  };

  Loop(const Clock& clock, Options options, FileDescriptor epoll);

  int wait_ms(Wait wait) const;
  void dispatch(int count);
  void run_timers();
  void run_posted();
  void run_deferred();

  void place(std::size_t position, Timer* timer);
  void sift(Timer* timer);
  void unplace(Timer& timer);

  const Clock& clock_;
  const Options options_;
  FileDescriptor epoll_;
  std::vector<Watch> watches_;  // by descriptor number
  std::array<epoll_event, 64> ready_;
  std::vector<Timer*> heap_;  // the next due first
  std::size_t timer_count_ = 0;
  std::vector<Deferred*> deferred_;
  std::vector<Deferred*> running_;
  std::size_t deferred_count_ = 0;
  std::unique_ptr<Bell> bell_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;  // guarded by mutex_
  std::vector<std::function<void()>> taken_;
};

// Runs an action at a time. Owned by whoever needs it; at rest when destroyed. Arming it costs
// no allocation, so the number of armed timers is bounded by the number of their owners.
class Timer {
 public:
  // `loop` outlives the timer.
  Timer(Loop& loop, std::function<void()> action);
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  ~Timer();

  // Runs the action once, at the first turn at or after `due_ms` of the loop's clock. A timer
  // that is armed already is moved.
  void arm_at(uint64_t due_ms);
  void arm_in(uint64_t delay_ms);
  void cancel();
  bool armed() const { return position_ != kUnarmed; }
  // Requires: armed().
  uint64_t due_ms() const { return due_ms_; }

 private:
  friend class Loop;
  static constexpr std::size_t kUnarmed = ~std::size_t{0};

  Loop& loop_;
  std::function<void()> action_;
  uint64_t due_ms_ = 0;
  std::size_t position_ = kUnarmed;  // in the loop's heap
};

// Runs an action once at the end of the turn in which it was asked for, however often: a
// connection flushes its replies so, a store tells its events. Owned like a timer.
class Deferred {
 public:
  Deferred(Loop& loop, std::function<void()> action);
  Deferred(const Deferred&) = delete;
  Deferred& operator=(const Deferred&) = delete;
  ~Deferred();

  // Asked for by deferred work itself, it runs at the end of the next turn, which does not sleep.
  void request();

 private:
  friend class Loop;

  Loop& loop_;
  std::function<void()> action_;
  bool requested_ = false;
};

}  // namespace lmcd
