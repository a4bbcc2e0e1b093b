#include "lib/base/worker_pool.h"

namespace lmcd {

Result<std::unique_ptr<ThreadWorkerPool>> ThreadWorkerPool::make(Loop& loop, Options options) {
  if (options.threads == 0)
    return fault(LMCD_E_INVALID, "a worker pool of 0 threads: want 1 or more");
  std::unique_ptr<ThreadWorkerPool> pool(new ThreadWorkerPool(loop, options));
  LMCD_ASSIGN(pool->bell_, Bell::make(loop, [raw = pool.get()] { raw->complete_done(); }));
  for (uint32_t i = 0; i < options.threads; ++i)
    pool->threads_.push_back(
        start_thread(options.name, options.priority, [raw = pool.get()] { raw->serve(); }));
  return pool;
}

ThreadWorkerPool::ThreadWorkerPool(Loop& loop, Options options) : loop_(loop), options_(options) {
  done_.reserve(options_.job_limit);
  completing_.reserve(options_.job_limit);
}

ThreadWorkerPool::~ThreadWorkerPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  submitted_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool ThreadWorkerPool::submit(std::unique_ptr<Job>&& job) {
  if (in_flight_ >= options_.job_limit) return false;
  ++in_flight_;
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(job));
  }
  submitted_.notify_one();
  return true;
}

void ThreadWorkerPool::finish() {
  while (in_flight_ > 0) {
    {
      std::unique_lock lock(mutex_);
      worked_.wait(lock, [this] { return !done_.empty(); });
    }
    complete_done();
  }
}

void ThreadWorkerPool::serve() {
  std::unique_lock lock(mutex_);
  for (;;) {
    submitted_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    std::unique_ptr<Job> job = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    job->work();
    lock.lock();
    done_.push_back(std::move(job));
    const bool first = done_.size() == 1;
    worked_.notify_one();
    if (first) bell_->ring();  // under the lock: the bell outlives whoever holds it
  }
}

void ThreadWorkerPool::complete_done() {
  {
    std::lock_guard lock(mutex_);
    completing_.swap(done_);
  }
  for (auto& job : completing_) {
    // Counted out first, so that a completion may submit what comes next.
    --in_flight_;
    job->complete();
    job.reset();
  }
  completing_.clear();
}

}  // namespace lmcd
