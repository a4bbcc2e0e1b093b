#include "daemon/tier/pool_queue.h"

#include <utility>

namespace lmcd::tier {

void PoolQueue::submit(std::unique_ptr<Work> work) {
  work->queue_ = this;
  waiting_.push_back(std::move(work));
  pump();
}

void PoolQueue::pump() {
  while (!waiting_.empty()) {
    lmcd_tier_job_t job{};
    job.work = [](void* context) { static_cast<Work*>(context)->work(); };
    job.done = [](void* context) {
      std::unique_ptr<Work> work(static_cast<Work*>(context));
      work->done();
      work->queue_->pump();
    };
    job.context = waiting_.front().get();
    if (host_.submit(host_.context, &job) != LMCD_OK) {
      host_.wake_at(host_.context, host_.now_ms(host_.context) + 1);
      return;
    }
    waiting_.front().release();  // to the job
    waiting_.pop_front();
  }
}

}  // namespace lmcd::tier
