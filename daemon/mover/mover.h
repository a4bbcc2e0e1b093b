// The mover: spill and prefetch over the tiers of one incarnation. Without tiers it does nothing.
//
// Order of its end: stop(), then turns of the loop until idle(), then the destructor. A tier that
// hangs may never become idle: then the process has to end without destroying it, since the tier
// may still touch the arena. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "daemon/mover/cascade.h"
#include "daemon/mover/prefetches.h"
#include "daemon/mover/spills.h"

namespace lmcd::mover {

// One tier, for the statistics.
struct TierFacts {
  uint32_t number = 0;
  std::string_view type;
  lmcd_tier_usage_t usage{};
  lmcd_tier_health_t health{};
  uint32_t traits = 0;
  bool paused = false;
  uint32_t spills = 0;      // in flight
  uint32_t prefetches = 0;  // in flight
  uint64_t spilled_bytes = 0;
  uint64_t prefetched_bytes = 0;
  uint64_t measured_bytes_per_second = 0;  // of gets; 0: not known
};

class Mover {
 public:
  struct Options {
    Spills::Options spills;
    Prefetches::Options prefetches;
    uint32_t threads = 1;         // of each tier
    uint32_t align_bytes = 4096;  // of extents
  };
  // Used, not owned; all outlive the mover.
  struct Parts {
    Loop& loop;
    core::Store& store;
    GuardedRegion& arena;
    Log& log;
  };

  // Opens the tiers. `landed` is called when a prefetch has ended.
  // Faults: those of Cascade::open.
  static Result<std::unique_ptr<Mover>> make(const Parts& parts,
                                             const std::vector<config::Adapter>& adapters,
                                             const Options& options, std::function<void()> landed);

  // Begins to read what the tiers have.
  void recover() { cascade_->recover(); }
  bool recovered() const { return cascade_->recovered(); }

  // At the end of a turn: spills what became dirty, forgets what was cleared.
  void turn() {
    if (cascade_->stages().empty()) return;
    spills_->turn();
    cascade_->forget_cleared();
  }
  Prefetches& prefetches() { return *prefetches_; }
  Status drain(Spills::Drained done) { return spills_->drain(std::move(done)); }
  std::vector<TierFacts> tiers() const;

  // Begins nothing more, and ends what is in flight as soon as nothing touches its bytes.
  void stop();
  bool idle() const { return cascade_->idle(); }

 private:
  Mover() = default;

  std::unique_ptr<Cascade> cascade_;
  std::unique_ptr<Spills> spills_;
  std::unique_ptr<Prefetches> prefetches_;
};

}  // namespace lmcd::mover
