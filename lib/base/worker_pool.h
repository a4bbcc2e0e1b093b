// Work that must not run on the loop's thread: disk, checksums, copies.
//
// A job carries its inputs and its result. The pool owns it from submit() on: one worker calls
// work(), then the loop's thread calls complete() and the job is gone. At most `job_limit` jobs
// are in the pool's hands, whatever their state, so both of its queues are bounded by it and a
// completion always finds room.
//
// Two implementations: ThreadWorkerPool, and ManualWorkerPool for tests that choose the order.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "lib/base/bell.h"
#include "lib/base/loop.h"
#include "lib/base/thread.h"

namespace lmcd {

class Job {
 public:
  virtual ~Job() = default;
  // On a worker, once. Touches values, leased extents and what is safe between threads.
  virtual void work() = 0;
  // On the loop's thread, once, after work(). May submit other jobs.
  virtual void complete() = 0;
};

// Makes a job of two callables: `complete` gets what `work` returned.
template <typename Work, typename Complete>
std::unique_ptr<Job> make_job(Work work, Complete complete) {
  using Outcome = decltype(work());
  struct Pair final : Job {
    Pair(Work w, Complete c) : work_(std::move(w)), complete_(std::move(c)) {}
    void work() override { outcome_.emplace(work_()); }
    void complete() override { complete_(std::move(*outcome_)); }
    Work work_;
    Complete complete_;
    std::optional<Outcome> outcome_;
  };
  return std::make_unique<Pair>(std::move(work), std::move(complete));
}

// Loop thread only.
class WorkerPool {
 public:
  virtual ~WorkerPool() = default;
  // Takes `job` over. Returns false, and leaves it with the caller, at the limit.
  virtual bool submit(std::unique_ptr<Job>&& job) = 0;
  // Jobs submitted and not yet completed.
  virtual std::size_t in_flight() const = 0;
};

class ThreadWorkerPool final : public WorkerPool {
 public:
  struct Options {
    uint32_t threads = 1;
    std::size_t job_limit = 256;
    Priority priority = Priority::kBatch;
    const char* name = "lmcd-worker";
  };

  // `loop` outlives the pool.
  static Result<std::unique_ptr<ThreadWorkerPool>> make(Loop& loop, Options options);
  // Waits for the jobs that are being worked on; these and those that wait are not completed.
  ~ThreadWorkerPool() override;

  bool submit(std::unique_ptr<Job>&& job) override;
  std::size_t in_flight() const override { return in_flight_; }
  // Waits until all that was submitted, from completions too, is completed: for an orderly stop.
  void finish();

 private:
  ThreadWorkerPool(Loop& loop, Options options);

  void serve();          // the body of each worker
  void complete_done();  // loop thread

  Loop& loop_;
  const Options options_;
  std::size_t in_flight_ = 0;
  std::unique_ptr<Bell> bell_;
  std::mutex mutex_;
  std::condition_variable submitted_;
  std::condition_variable worked_;
  std::deque<std::unique_ptr<Job>> waiting_;  // guarded by mutex_, as are the two below
  std::vector<std::unique_ptr<Job>> done_;
  bool stopping_ = false;
  std::vector<std::unique_ptr<Job>> completing_;  // loop thread
  std::vector<std::thread> threads_;
};

}  // namespace lmcd
