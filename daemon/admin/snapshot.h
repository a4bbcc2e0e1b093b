// The daemon's state as operators see it: one JSON object, consistent, since it is taken between
// two requests. docs/operating.md lists its fields. Loop thread only.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/mover/copies.h"
#include "daemon/mover/mover.h"

namespace lmcd::admin {

// What does not change while the daemon runs.
struct DaemonFacts {
  std::string version;
  std::string instance_id;
  std::string identity;  // of the arena
  std::string socket;
  std::string policy;
  std::string backing;
  uint32_t pid = 0;
  uint32_t protocol = 0;
  uint64_t started_ms = 0;  // of the clock
  uint8_t incarnation[16] = {};
  bool warm = false;  // took over what an earlier daemon left
  core::Adopted adopted;
};

struct SessionFacts {
  core::SessionId id = 0;
  std::string_view name;
  int64_t pid = 0;
  uint32_t uid = 0;
  core::LivenessSlot slot = 0;
  uint64_t age_ms = 0;
  uint64_t requests = 0;
  uint64_t queued_bytes = 0;
  bool admin = false;
  bool subscribed = false;
};

struct Moment {
  uint64_t now_ms = 0;
  std::span<const SessionFacts> sessions;
  std::span<const mover::SegmentFacts> segments;
  std::span<const mover::TierFacts> tiers;
  std::size_t waiting = 0;  // acquires
};

// Never longer than `most_bytes`: lists are cut, and their totals tell by how much.
std::string describe(const DaemonFacts& daemon, core::Store& store, const Moment& moment,
                     std::size_t most_bytes);

}  // namespace lmcd::admin
