// Giving up tenants and namespaces when their numbers run short: who goes is chosen by accounts.h
// and spaces.h, and here their objects are forgotten, a slice of the records a turn, so that no
// turn of the loop is long. Numbers run short long before there are none, so nobody waits for it.

#include <algorithm>

#include "daemon/core/store.h"

namespace lmcd::core {
namespace {

// What one slice looks at, and forgets.
constexpr uint32_t kLooksPerSlice = 65536;
constexpr uint32_t kVictimsPerSlice = 1024;
// What may not go now (leases, writers, pins) may go later.
constexpr uint64_t kAgainMs = 1000;

}  // namespace

void Store::retire_in_background(uint64_t now_ms) {
  if (!retiring_) begin_retiring(now_ms);
  if (!retiring_) return;
  retire_slice();
  if (retire_next_ < record_high_) return;
  retiring_ = false;
  if (accounts_.in_use() + spaces_.needed() >= retired_from_) retire_again_ms_ = now_ms + kAgainMs;
}

void Store::begin_retiring(uint64_t now_ms) {
  if (now_ms < retire_again_ms_ || (!accounts_.crowded() && !spaces_.crowded())) return;
  uint32_t retired = 0;
  if (accounts_.crowded()) retired += accounts_.retire_some();
  if (spaces_.crowded()) retired += spaces_.retire_some();
  retired_from_ = accounts_.in_use() + spaces_.needed();
  retire_again_ms_ = now_ms + kAgainMs;
  if (retired == 0) return;
  retire_again_ms_ = 0;
  retiring_ = true;
  retire_next_ = 0;
}

void Store::retire_slice() {
  const PartId end = std::min(record_high_, retire_next_ + std::min(record_high_, kLooksPerSlice));
  uint32_t victims = 0;
  for (; retire_next_ < end && victims < kVictimsPerSlice; ++retire_next_) {
    const Part& part = parts_[retire_next_];
    if (!is_object(retire_next_) || !part.known || holds(part) != 0) continue;
    const Spaces::Space& space = *spaces_.find(part.space);
    if (!space.retiring && !accounts_.at(part.tenant).retiring) continue;
    // Where the policy lets nothing go, nothing goes.
    if (policy_.victim() == kNoObject) {
      retire_next_ = record_high_;
      return;
    }
    evict_one(retire_next_, metrics_.evicted_with_namespace_objects_total);
    ++victims;
  }
}

}  // namespace lmcd::core
