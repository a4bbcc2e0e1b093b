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

// How long the loop was busy with one kind of message.
struct VerbFacts {
  static constexpr std::size_t kBuckets = 20;
  static constexpr int kLeastPower = 10;  // bucket n has what took less than 2^(10 + n) ns; the
                                          // last one has all above, too

  std::string_view name;
  uint64_t count = 0;
  uint64_t nanoseconds = 0;
  std::span<const uint64_t> buckets;
};

struct Moment {
  uint64_t now_ms = 0;
  std::span<const VerbFacts> verbs;
  std::span<const SessionFacts> sessions;
  std::span<const mover::SegmentFacts> segments;
  std::span<const mover::TierFacts> tiers;
  std::size_t waiting = 0;  // acquires
};

// Never longer than `most_bytes`: lists are cut, and their totals tell by how much.
std::string describe(const DaemonFacts& daemon, core::Store& store, const Moment& moment,
                     std::size_t most_bytes);

}  // namespace lmcd::admin
