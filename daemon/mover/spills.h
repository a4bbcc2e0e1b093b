// Spill: copies of hot parts on their way to the tiers.
//
// What became one to be spilled is taken from the store at the end of each turn and waits here, a
// queue for each tier, without a lease: so it can still be evicted, and a slow tier takes nothing
// from the hot path. A part is leased when its tier begins to read it, which it does from the
// arena's own pages, and until it is done. At most `in_flight` parts a tier are; a queue that is
// full drops the part, counted. A tier that is left alone for a while (cascade.h) keeps its queue.
//
// Under SpillWhen::kEvicted nothing waits here: a reserve of the arena is kept free by spilling
// what is next to go. Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/mover/cascade.h"
#include "lib/base/guarded.h"

namespace lmcd::mover {

class Spills {
 public:
  struct Options {
    bool on_evict = false;
    bool adopted = false;            // what an earlier daemon left hot is to be spilled, too
    uint32_t in_flight = 8;          // parts of each tier
    uint64_t timeout_ms = 30'000;    // until a tier begins
    std::size_t waiting = 1u << 16;  // parts of each tier
  };
  // What a drain came to: nothing waits any more, or a fault that says why something does.
  using Drained = std::function<void(const Status&)>;

  // All are used, not owned, and outlive this.
  Spills(Loop& loop, core::Store& store, Cascade& cascade, GuardedRegion& arena, Options options);

  // Takes what became dirty and gives the tiers what they have room for.
  void turn();
  // Calls `done` when all that is hot is in the tiers that can have it.
  // Faults: LMCD_E_LIMIT when too many wait for that.
  Status drain(Drained done);
  // Begins no more; what is in flight ends.
  void stop();

  std::size_t waiting() const;
  uint64_t bytes_in_flight() const { return bytes_in_flight_; }

 private:
  struct Queue {
    std::deque<core::LeaseItem> items;
  };
  enum class Begun : uint8_t { kYes, kNothing, kFull };

  bool may_walk() const;
  void take();
  void take_next_to_go();
  void pump(Stage& stage);
  Begun begin(Stage& stage, const core::LeaseItem& item);
  void end(Stage& stage, core::PartId part, const tier::Tier::Name& name, uint32_t length,
           const tier::Tier::Completion& completion);
  void count_failure(Stage& stage, const tier::Tier::Completion& completion);
  void settle_drains();

  Loop& loop_;
  core::Store& store_;
  Cascade& cascade_;
  GuardedRegion& arena_;
  const Options options_;
  std::vector<Queue> queues_;  // one for each stage
  uint64_t bytes_in_flight_ = 0;
  uint64_t rest_until_ms_ = 0;  // kEvicted: after a failure, before the next is tried
  bool stopped_ = false;
  std::vector<Drained> drains_;
  uint64_t dirty_cursor_ = 0;  // where the search for what is hot and not in the tiers stands
  Timer again_;
};

}  // namespace lmcd::mover
