// Forgetting objects: for room, for a quota, in the background, on an operator's word.

#include <cassert>

#include "daemon/core/store.h"
#include "lib/base/sync_point.h"

namespace lmcd::core {

using ledger::State;
using ledger::state_of;

namespace {

// Victims of one reservation: past them the arena is held to be in use.
constexpr uint32_t kVictimsPerPart = 8192;
// Sizes of the part that may be evicted for it, where what is free lies scattered.
constexpr uint64_t kSizesPerPart = 2;
// How long nothing more is evicted for a part of a size for which that was in vain.
constexpr uint64_t kScatteredMs = 1000;
// Background evictions a slice, so that no turn of the loop is long.
constexpr uint32_t kVictimsPerSlice = 256;

}  // namespace

// Whether evicting all that may go would make room. Free bytes may be scattered, so a yes promises
// nothing; after a no nothing needs to be evicted to find out.
bool Store::may_fit(uint64_t bytes) const {
  return allocator_->footprint(bytes) <= allocator_->free_bytes() + evictable_bytes_;
}

// The same for a tenant within its quota.
bool Store::may_fit_quota(TenantId tenant, uint64_t bytes) const {
  if (!accounts_.exceeds(tenant, bytes)) return true;
  const Accounts::Account& account = accounts_.at(tenant);
  const uint64_t kept_bytes = account.used_bytes - account.evictable_bytes;
  return bytes <= account.limit_bytes && kept_bytes <= account.limit_bytes - bytes;
}

// Finds an extent and makes sure of a spare record, evicting what the policy names until both are
// there. Victims need not be neighbours: for objects of one size the first hole fits. Where as much
// as is wanted was freed and lies scattered, the neighbours of the next victim go with it; where it
// has too few that may, little more is evicted.
bool Store::make_room(uint64_t bytes, std::optional<ExtentId>* extent) {
  if (!may_fit(bytes)) return false;
  const uint64_t wanted = allocator_->footprint(bytes);
  const uint64_t free_before = allocator_->free_bytes();
  for (uint32_t victims = 0; victims < kVictimsPerPart; ++victims) {
    const bool record = spare_records_ != kNoPart || record_high_ < parts_.size();
    if (record) {
      *extent = allocator_->place(bytes);
      if (*extent) return true;
      if (is_scattered(wanted)) return false;
    }
    const ObjectId victim = next_victim();
    const uint64_t freed = allocator_->free_bytes() - free_before;
    if (record && freed >= wanted && evict_run(victim, bytes)) continue;
    if (record && freed >= kSizesPerPart * wanted) {
      note_scattered(wanted);
      return false;
    }
    if (!evict_one(victim, metrics_.evicted_for_room_objects_total)) return false;
  }
  return false;
}

bool Store::is_scattered(uint64_t wanted) const {
  return wanted >= scattered_bytes_ && clock_.now_ms() < scattered_until_ms_;
}

void Store::note_scattered(uint64_t wanted) {
  scattered_bytes_ = wanted;
  scattered_until_ms_ = clock_.now_ms() + kScatteredMs;
}

// Evicts the victim with neighbours of its extent, so that there is a hole for `bytes`.
// Returns false, with nothing evicted, when too few of them may go. Where tenants are kept apart
// those of others may not.
bool Store::evict_run(ObjectId victim, uint64_t bytes) {
  if (victim == kNoObject) return false;
  const auto may_go = [&](PartId id) {
    if (state_of(parts_[id].word) != State::kHot) return false;
    const Part& object = parts_[parts_[id].first];
    return object.known && holds(object) == 0 &&
           (!accounts_.quota_required() || object.tenant == parts_[victim].tenant);
  };
  const std::vector<PartId> run =
      allocator_->run_around(parts_[victim].extent, bytes, may_go);
  for (PartId id : run) {
    // It went already where another part of its object stood in the run.
    if (state_of(parts_[id].word) == State::kHot)
      evict_one(parts_[id].first, metrics_.evicted_for_room_objects_total);
  }
  return !run.empty();
}

bool Store::make_quota(TenantId tenant, uint64_t bytes) {
  if (!accounts_.exceeds(tenant, bytes)) return true;
  if (!may_fit_quota(tenant, bytes)) return false;
  for (uint32_t victims = 0; victims < kVictimsPerPart; ++victims) {
    if (!evict_one(policy_.victim_of(tenant), metrics_.evicted_for_quota_objects_total))
      return false;
    if (!accounts_.exceeds(tenant, bytes)) return true;
  }
  return false;
}

bool Store::evict_one(ObjectId victim, uint64_t& reason) {
  if (victim == kNoObject) return false;
  ++reason;
  ++metrics_.evicted_objects_total;
  metrics_.evicted_bytes_total += hot_bytes_of(victim);
  if (options_.spill != SpillWhen::kNever) count_unspilled(victim);
  forget(victim, LMCD_EVENT_EVICTED);
  return true;
}

// Takes an object's key away at once. What is being read stays until its leases end; the rest is
// free.
// Requires: no part of it is being written.
void Store::forget(PartId object, EventKind kind) {
  Part& part = parts_[object];
  report(kind, object, hot_bytes_of(object));
  const uint64_t hash = hash_of(part);
  if (part.known && holds(part) == 0) discount_evictable(object);
  if (kind == LMCD_EVENT_EVICTED) policy_.evicted(object, hash);
  else policy_.forgotten(object);
  part.known = 0;
  --metrics_.objects;
  if (part.pinned) {
    part.pinned = 0;
    --metrics_.pinned_objects;
  }
  // Each part says it, and before the key can come again: a next daemon believes no part of this
  // object beside those of another of the same key.
  for (PartId id = object; id != kNoPart; id = parts_[id].next)
    ledger_.record(id).forgotten.store(1, std::memory_order_release);
  part.forgotten = 1;
  LMCD_SYNC_POINT("forget.before_index");
  index_.erase(hash, object);
  unlink_family(object);
  LMCD_SYNC_POINT("forget.after_index");
  if (part.leases == 0) release_extents(object);
}

// Frees the hot parts of an object that has no key any more.
void Store::release_extents(PartId object) {
  for (PartId id = object; id != kNoPart;) {
    const PartId next = parts_[id].next;
    metrics_.hot_bytes -= parts_[id].length;
    spaces_.remove_hot(parts_[id].space, parts_[id].length);
    drop_part(id);
    id = next;
  }
}

// An object is evictable while the policy knows it and does not withhold it. Parts under another
// tenant's name give that tenant nothing that it could be told of beforehand.
Store::Evictable Store::evictable_of(PartId object) const {
  Evictable sum{};
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    const Part& part = parts_[id];
    if (state_of(part.word) != State::kHot) continue;
    sum.footprint_bytes += allocator_->footprint(part.length);
    if (part.tenant == parts_[object].tenant) sum.payload_bytes += part.length;
  }
  return sum;
}

void Store::count_evictable(PartId object) {
  const Evictable more = evictable_of(object);
  evictable_bytes_ += more.footprint_bytes;
  accounts_.count_evictable(parts_[object].tenant, more.payload_bytes);
}

// Requires: counted, with the parts that it has now.
void Store::discount_evictable(PartId object) {
  const Evictable less = evictable_of(object);
  assert(less.footprint_bytes <= evictable_bytes_);
  evictable_bytes_ -= less.footprint_bytes;
  accounts_.discount_evictable(parts_[object].tenant, less.payload_bytes);
}

void Store::evict_in_background() {
  if (options_.watermark >= 1.0) return;
  const double arena = static_cast<double>(ledger_.shape().arena_bytes);
  const double used = arena - static_cast<double>(allocator_->free_bytes());
  if (!evicting_) {
    if (used <= options_.watermark * arena) return;
    evicting_ = true;
    evict_until_used_ = static_cast<uint64_t>(used * (1.0 - options_.ratio));
  }
  for (uint32_t victims = 0; victims < kVictimsPerSlice; ++victims) {
    const uint64_t now_used = ledger_.shape().arena_bytes - allocator_->free_bytes();
    if (now_used <= evict_until_used_ ||
        !evict_one(next_victim(), metrics_.evicted_in_background_objects_total)) {
      evicting_ = false;
      return;
    }
  }
}

}  // namespace lmcd::core
