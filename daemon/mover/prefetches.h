// Prefetch: parts on their way from the tiers back into the arena.
//
// begin() reserves an extent for each cold part that is asked for, so that from then on it is
// PENDING, and gives back a ticket: while it lives, what lands is kept from eviction, until who
// asked has it. At most `in_flight` gets are with the tiers; the others wait here. What waits
// without a ticket is given up; what a tier already writes to goes on, since nothing else tells
// when the tier has stopped.
//
// Refused, and so left cold: what would come later than it is wanted, by the measured bandwidth of
// its tier; a tier slower than computing again would be; a request with less than a worthwhile hit;
// what would leave less than half of the arena to others. A tier that has it no more, or a fault,
// leads to the next tier, and after the last to a miss.
//
// Loop thread only.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/mover/cascade.h"
#include "lib/base/guarded.h"

namespace lmcd::mover {

class Prefetches;

// What a request has under way. Empty, or in one Prefetches, which outlives it.
class Ticket {
 public:
  Ticket() = default;
  Ticket(Ticket&& other) noexcept
      : owner_(std::exchange(other.owner_, nullptr)), number_(other.number_) {}
  Ticket& operator=(Ticket&& other) noexcept {
    std::swap(owner_, other.owner_);
    std::swap(number_, other.number_);
    return *this;
  }
  ~Ticket();
  bool empty() const { return owner_ == nullptr; }

 private:
  friend class Prefetches;
  Ticket(Prefetches& owner, uint64_t number) : owner_(&owner), number_(number) {}

  Prefetches* owner_ = nullptr;
  uint64_t number_ = 0;
};

class Prefetches {
 public:
  struct Options {
    core::SessionId session = 0;  // the mover's own in the store; random
    bool retain = false;          // else the hot copy goes with its last reader
    uint32_t in_flight = 8;       // gets of all tiers
    uint32_t min_hit_keys = 1;    // of one request, hot or cold
    double min_bytes_per_ms = 0;  // a tier measured slower is not loaded from
    uint64_t arena_bytes = 0;
  };

  // All are used, not owned, and outlive this. `landed` is called when a prefetch has ended,
  // one way or the other.
  Prefetches(Loop& loop, core::Store& store, Cascade& cascade, GuardedRegion& arena,
             const Options& options, std::function<void()> landed);
  ~Prefetches();

  // Starts what the request has cold and what is worth it. The ticket is empty when nothing of the
  // request is on its way for it.
  Ticket begin(const core::AcquireRequest& request, uint64_t deadline_ms);
  // Begins no more; what is in flight ends.
  void stop();

  uint64_t bytes_in_flight() const { return bytes_in_flight_; }

 private:
  friend class Ticket;
  struct Flight;
  struct Name {
    uint32_t space;
    lmcd_key_t key;
    lmcd_part_t part;
    bool operator<(const Name& other) const;
  };
  struct Kept {
    core::PartId part;
    uint32_t length;
  };
  struct Interest {
    uint64_t deadline_ms = 0;
    std::vector<Name> names;  // on their way
    std::vector<Kept> kept;   // landed
  };
  enum class Verdict : uint8_t { kGo, kSlow, kBusy };

  std::size_t count_known(const core::AcquireRequest& request) const;
  Verdict judge(const core::ColdBook::Entry& entry, uint64_t deadline_ms);
  Stage* choose(uint8_t tiers);
  bool is_too_slow(Stage& stage);
  Flight* reserve(const Name& name, uint32_t entry);
  void pump();
  bool submit(Flight& flight);
  void end(Flight& flight, Stage& stage, const tier::Tier::Completion& completion);
  void count_failure(Flight& flight, Stage& stage, const tier::Tier::Completion& completion);
  void land(Flight& flight);
  void give_up(Flight& flight);
  void drop(uint64_t ticket);
  void publish();

  Loop& loop_;
  core::Store& store_;
  Cascade& cascade_;
  GuardedRegion& arena_;
  const Options options_;
  const std::function<void()> landed_;
  uint64_t next_lease_ = 1;
  uint64_t next_ticket_ = 1;
  std::map<Name, std::unique_ptr<Flight>> flights_;
  std::deque<Name> waiting_;  // for a place; what is not in flights_ any more was given up
  std::unordered_map<uint64_t, Interest> interests_;  // by ticket
  uint32_t in_flight_ = 0;
  uint64_t bytes_in_flight_ = 0;    // waiting ones included
  uint64_t undelivered_bytes_ = 0;  // landed, kept by a ticket
  uint64_t probed_ms_ = 0;          // when a slow tier was last given a chance
  bool stopped_ = false;
  Timer again_;
};

}  // namespace lmcd::mover
