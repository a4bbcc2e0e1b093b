#include "daemon/transport/long_runs.h"

#include <algorithm>

namespace lmcd::transport {

Status LongRuns::run(core::SessionId session, Step step) {
  if (runs_.size() == kRuns)
    return fault(LMCD_E_LIMIT, "%zu long requests are under way, no more are taken", kRuns);
  if (runs_.empty() && !step()) return {};
  runs_.push_back({session, std::move(step)});
  next_.request();
  return {};
}

void LongRuns::step() {
  if (runs_.empty()) return;
  if (!runs_.front().step()) runs_.pop_front();
  if (!runs_.empty()) next_.request();
}

void LongRuns::forget(core::SessionId session) {
  std::erase_if(runs_, [&](const Run& run) { return run.session == session; });
}

}  // namespace lmcd::transport
