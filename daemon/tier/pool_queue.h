// The way into the host's pool: what finds it full waits here, in order, and is tried again when
// a job of this queue ends and every millisecond meanwhile.
//
// Bounded by the queue limit of the tier that owns it. Loop thread only, but for Work::work.
#pragma once

#include <deque>
#include <memory>

#include "include/lmcd_tier.h"

namespace lmcd::tier {

class PoolQueue {
 public:
  class Work {
   public:
    virtual ~Work() = default;
    virtual void work() = 0;  // on a thread of the pool
    virtual void done() = 0;  // on the loop's; the work is gone afterwards

   private:
    friend class PoolQueue;
    PoolQueue* queue_ = nullptr;
  };

  // `host` outlives it, and it outlives what it has submitted.
  explicit PoolQueue(const lmcd_tier_host_t& host) : host_(host) {}
  PoolQueue(const PoolQueue&) = delete;
  PoolQueue& operator=(const PoolQueue&) = delete;

  void submit(std::unique_ptr<Work> work);
  // What has not reached the pool.
  std::deque<std::unique_ptr<Work>>& waiting() { return waiting_; }
  // To be called from the module's `wake`.
  void wake() { pump(); }

 private:
  void pump();

  const lmcd_tier_host_t& host_;
  std::deque<std::unique_ptr<Work>> waiting_;
};

}  // namespace lmcd::tier
