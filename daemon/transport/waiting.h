// Acquires that wait for objects which somebody writes now, or which come from a tier.
//
// A waiter holds no lease while it waits; its ticket keeps what a prefetch has brought for it.
// Whenever a reservation ended, each waiter looks at the first of its keys that was still being
// written, and only there: what was settled stays settled for it, so looking costs what changed,
// not what is waited for. When nothing of it is being written any more, or its time is up, it is
// handed back to be answered as things stand.
//
// Bounded in waiters and keys; one that finds no place is answered at once. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <optional>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/mover/prefetches.h"
#include "lib/base/loop.h"

namespace lmcd::transport {

// An acquire, kept beyond its frame.
struct Waiter {
  core::SessionId session = 0;
  uint64_t request = 0;
  uint64_t lease = 0;
  uint32_t space = 0;
  std::vector<lmcd_key_t> keys;
  std::vector<lmcd_part_t> parts;  // one per key, or one for all
  uint64_t deadline_ms = 0;
  mover::Ticket ticket;     // what of it comes from tiers
  std::size_t settled = 0;  // keys before this are not waited for

  core::AcquireRequest asked() const { return {space, keys, parts}; }
};

class Waiting {
 public:
  static constexpr std::size_t kWaiters = 4096;
  static constexpr std::size_t kKeys = std::size_t{1} << 18;  // of all waiters
  static constexpr uint64_t kTimeoutMs = 600'000;             // a longer wait is cut to this

  using Answer = std::function<void(Waiter&)>;

  // `store` and `loop` outlive this.
  Waiting(Loop& loop, core::Store& store, Answer answer);

  // Takes the waiter in. Returns false when there is no place.
  bool add(Waiter waiter);
  // Answers those who need not wait longer.
  void look_again();
  // Drops what waits under this lease: it is not wanted any more. Returns the request, to be
  // answered.
  std::optional<uint64_t> withdraw(core::SessionId session, uint64_t lease);
  void forget(core::SessionId session);
  std::size_t size() const { return waiters_.size(); }

 private:
  void answer(std::list<Waiter>::iterator waiter);
  void on_deadline();

  core::Store& store_;
  Loop& loop_;
  Answer answer_;
  std::list<Waiter> waiters_;
  std::size_t keys_ = 0;
  uint64_t seen_changes_ = 0;
  Timer deadline_;
};

}  // namespace lmcd::transport
