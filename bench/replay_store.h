// The daemon's own store, set up for a replay: objects of one size that fill the arena exactly,
// one namespace, one session, private memory instead of shared.
//
// Plays what the client library does for one engine request: look up, lease the leading run of
// what is hot, reserve and commit the rest, release.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "bench/request_trace.h"
#include "daemon/core/store.h"
#include "lib/base/clock.h"
#include "lib/base/reserved_array.h"
#include "lib/base/status.h"

namespace lmcd::bench {

class ReplayStore {
 public:
  // Makes a store with room for `capacity_blocks` under the policy called `policy`.
  // Faults: those of the policy registry and of the store.
  static Result<std::unique_ptr<ReplayStore>> make(std::string_view policy,
                                                   uint32_t capacity_blocks);

  // Serves a request. Returns how many of its leading blocks were hot.
  // Faults: those of the store.
  Result<uint64_t> serve(const Request& request);

 private:
  static constexpr uint64_t kBlockBytes = 4096;
  static constexpr core::SessionId kSession = 1;
  static constexpr core::LivenessSlot kSlot = 1;
  static constexpr lmcd_part_t kPart{};

  class NoEvents final : public core::EventSink {
   public:
    bool wanted() const override { return false; }
    void take(const lmcd_event_t& /*event*/) override {}
  };
  using Keys = std::span<const lmcd_key_t>;

  ReplayStore() = default;
  Status open(std::string_view policy, uint32_t capacity_blocks);
  std::size_t leading_hot(Keys keys);
  Status load(Keys keys, uint64_t lease);
  Status save(Keys keys, std::size_t from, uint64_t lease);

  Reservation ledger_memory_;
  ManualClock clock_;
  NoEvents events_;
  std::unique_ptr<core::EvictionPolicy> policy_;
  std::unique_ptr<core::Store> store_;
  uint32_t space_ = 0;
  uint64_t next_lease_ = 1;
  std::vector<wire::Grant> grants_;
};

}  // namespace lmcd::bench
