// Requests over more objects than one turn of the loop may touch.
//
// Each turn takes one step of the oldest run, so everybody else is served between two steps.
// Bounded in runs. Loop thread only.
#pragma once

#include <deque>
#include <functional>

#include "daemon/core/event.h"
#include "lib/base/loop.h"

namespace lmcd::transport {

class LongRuns {
 public:
  static constexpr std::size_t kRuns = 256;

  // Does a bounded amount of work and returns whether there is more.
  using Step = std::function<bool()>;

  explicit LongRuns(Loop& loop) : next_(loop, [this] { step(); }) {}

  // Takes the first step now and the others in later turns.
  // Faults: LMCD_E_LIMIT.
  Status run(core::SessionId session, Step step);
  // Drops what a session that is over had asked for.
  void forget(core::SessionId session);

 private:
  struct Run {
    core::SessionId session;
    Step step;
  };

  void step();

  std::deque<Run> runs_;
  Deferred next_;
};

}  // namespace lmcd::transport
