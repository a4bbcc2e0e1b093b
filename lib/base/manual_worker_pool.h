// A worker pool whose jobs run when, and in the order in which, a test says so. One thread.
#pragma once

#include <cassert>
#include <memory>
#include <vector>

#include "lib/base/worker_pool.h"

namespace lmcd {

class ManualWorkerPool final : public WorkerPool {
 public:
  explicit ManualWorkerPool(std::size_t job_limit = 256) : job_limit_(job_limit) {}

  bool submit(std::unique_ptr<Job>&& job) override {
    if (in_flight() >= job_limit_) return false;
    waiting_.push_back(std::move(job));
    return true;
  }
  std::size_t in_flight() const override { return waiting_.size() + done_.size(); }

  std::size_t waiting() const { return waiting_.size(); }
  std::size_t done() const { return done_.size(); }

  // Does the work of one waiting job, the oldest by default. Requires: index < waiting().
  void work(std::size_t index = 0) {
    std::unique_ptr<Job> job = take(waiting_, index);
    job->work();
    done_.push_back(std::move(job));
  }
  // Completes one job whose work is done. Requires: index < done().
  void complete(std::size_t index = 0) { take(done_, index)->complete(); }
  // Works and completes until nothing is left, what completions submit included.
  void run_all() {
    while (in_flight() > 0) {
      if (done_.empty()) work();
      complete();
    }
  }

 private:
  using Jobs = std::vector<std::unique_ptr<Job>>;
  static std::unique_ptr<Job> take(Jobs& jobs, std::size_t index) {
    assert(index < jobs.size());
    std::unique_ptr<Job> job = std::move(jobs[index]);
    jobs.erase(jobs.begin() + static_cast<std::ptrdiff_t>(index));
    return job;
  }

  const std::size_t job_limit_;
  Jobs waiting_;
  Jobs done_;
};

}  // namespace lmcd
