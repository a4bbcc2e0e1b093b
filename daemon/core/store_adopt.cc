// A warm start: the store rebuilt from the ledger of a daemon that is gone.
//
// Every record is untrusted: its numbers are checked against the arena and the tables, its extent
// against all others, its part against its object. What breaks a rule is dropped, and counted. A
// HOT word is left as it is, so the readers of before go on and still validate.

#include <algorithm>
#include <cstring>

#include "daemon/core/store.h"
#include "lib/base/prefetch.h"
#include "lib/base/sync_point.h"
#include "lib/ledger/racy.h"

namespace lmcd::core {

using ledger::make_word;
using ledger::peek;
using ledger::State;
using ledger::state_of;

class Store::Adoption {
 public:
  Adoption(Store& store, Adopted& found) : store_(store), found_(found) {}

  Status run() {
    LMCD_TRY(store_.spaces_.adopt());
    adopt_tenants();
    store_.ledger_.clear_index();
    LMCD_SYNC_POINT("adopt.after_clear");
    collect_extents();
    LMCD_TRY(book_extents());
    adopt_parts();
    LMCD_SYNC_POINT("adopt.after_parts");
    spare_the_rest();
    link_families();
    inform_policy();
    store_.rest_until_ms_ = store_.clock_.now_ms() + store_.options_.promoting_rest_ms;
    return {};
  }

 private:
  // A record's claim to an extent.
  struct Claim {
    uint64_t offset;
    uint32_t length;
    PartId id;
    bool hot;
    bool refused;
  };

  // An object, and what orders it among the others.
  struct Object {
    uint64_t used_ms;
    uint32_t depth;
    PartId id;
  };

  void adopt_tenants() {
    for (uint32_t number = 0; number < Ledger::kTenants; ++number) {
      const ledger::TenantEntry& entry = store_.ledger_.tenant(number);
      if (entry.used.load(std::memory_order_acquire) != 1) continue;
      if (entry.salt_bytes > wire::kTenantBytes) continue;
      store_.accounts_.adopt(static_cast<TenantId>(number), {entry.salt, entry.salt_bytes});
    }
  }

  // What a record claims, if it claims anything a rule allows.
  void collect_extents() {
    const ledger::Shape& shape = store_.ledger_.shape();
    store_.record_high_ =
        std::min(store_.ledger_.header().record_high.load(), shape.record_capacity);
    store_.parts_.expect(store_.record_high_);
    if (store_.record_high_ > shape.record_capacity / 2)
      store_.index_memory_.expect(uint64_t{shape.bucket_count} * sizeof(ledger::Bucket));
    claims_.reserve(store_.record_high_);
    for (PartId id = 0; id < store_.record_high_; ++id) {
      const ledger::Record& record = store_.ledger_.record(id);
      const uint64_t word = record.word.load(std::memory_order_acquire);
      store_.parts_[id].word = word;
      if (state_of(word) == State::kFree) continue;
      const uint64_t length = record.length;
      const bool placed =
          length > 0 && record.offset % shape.align_bytes == 0 &&
          record.offset <= shape.arena_bytes &&
          store_.allocator_->footprint(length) <= shape.arena_bytes - record.offset;
      const bool named = store_.spaces_.at(ledger::to_label(record.label).space) != nullptr &&
                         record.tenant < store_.accounts_.count() &&
                         store_.accounts_.at(static_cast<TenantId>(record.tenant)).open;
      if (!placed || !named || record.forgotten.load() != 0 ||
          state_of(word) > State::kPromoting) {
        reject(id);
        continue;
      }
      claims_.push_back({record.offset, record.length, id, state_of(word) == State::kHot, false});
    }
  }

  void reject(PartId id) {
    ++found_.rejected;
    store_.ledger_.set_word(
        id, make_word(ledger::generation_of(store_.parts_[id].word) + 1, State::kFree));
    store_.parts_[id].word = store_.ledger_.record(id).word.load(std::memory_order_relaxed);
  }

  // No extent may have two owners. Of two hot ones neither is believed; next to one that may
  // still be written to, a hot one goes.
  Status book_extents() {
    const auto lower = [](const Claim& a, const Claim& b) { return a.offset < b.offset; };
    if (!std::is_sorted(claims_.begin(), claims_.end(), lower))
      std::sort(claims_.begin(), claims_.end(), lower);
    // Of the claims so far, of either kind, those that reach furthest.
    Claim* hot = nullptr;
    Claim* written = nullptr;
    for (Claim& claim : claims_) {
      const bool beside_hot = hot != nullptr && claim.offset < end_of(*hot);
      const bool beside_written = written != nullptr && claim.offset < end_of(*written);
      if (beside_written && !claim.hot)
        return fault(LMCD_E_CORRUPT, "ledger: records %u and %u are both being written at %llu",
                     written->id, claim.id, (unsigned long long)claim.offset);
      if (beside_hot) hot->refused = true;
      claim.refused = claim.hot && (beside_hot || beside_written);
      Claim*& widest = claim.hot ? hot : written;
      if (widest == nullptr || end_of(claim) > end_of(*widest)) widest = &claim;
    }
    for (const Claim& claim : claims_) {
      if (claim.refused) reject(claim.id);
    }
    std::erase_if(claims_, [](const Claim& claim) { return claim.refused; });
    std::vector<Allocator::Occupied> occupied;
    occupied.reserve(claims_.size());
    for (const Claim& claim : claims_) occupied.push_back({claim.offset, claim.length});
    std::vector<ExtentId> extents(occupied.size());
    store_.allocator_->adopt(occupied, extents.data());
    for (std::size_t i = 0; i < claims_.size(); ++i) {
      store_.parts_[claims_[i].id].extent = extents[i];
      store_.allocator_->set_owner(extents[i], claims_[i].id);
      store_.parts_[claims_[i].id].length = claims_[i].length;
    }
    return {};
  }

  uint64_t end_of(const Claim& claim) const {
    return claim.offset + store_.allocator_->footprint(claim.length);
  }

  void adopt_parts() {
    objects_.reserve(claims_.size());
    for (std::size_t i = 0; i < claims_.size(); ++i) {
      if (i + 2 * kFar < claims_.size()) fetch_record(claims_[i + 2 * kFar].id);
      if (i + kFar < claims_.size()) fetch_bucket(claims_[i + kFar].id);
      adopt_part(claims_[i].id);
    }
  }

  void fetch_record(PartId id) const {
    const ledger::Record& record = store_.ledger_.record(id);
    prefetch(&record.word);
    prefetch(&record.depth);
    prefetch(&record.used_ms);
    prefetch_to_write(&store_.parts_[id].key);
    prefetch_to_write(&store_.parts_[id].depth);
  }

  void fetch_bucket(PartId id) const {
    const ledger::Record& record = store_.ledger_.record(id);
    const Spaces::Space* space = store_.spaces_.at(ledger::to_label(record.label).space);
    if (space != nullptr)
      store_.index_.prefetch_to_write(store_.hash_of(space->number, peek(record.key)));
  }

  void adopt_part(PartId id) {
    const ledger::Record& record = store_.ledger_.record(id);
    Part& part = store_.parts_[id];
    part.key = peek(record.key);
    const ledger::Label label = ledger::to_label(record.label);
    part.part = label.part;
    part.depth = record.depth;
    part.space = store_.spaces_.at(label.space)->number;
    part.tenant = static_cast<uint16_t>(record.tenant);
    part.first = part.next = part.parent = kNoPart;
    part.first_child = part.next_sibling = part.prev_sibling = kNoPart;
    store_.accounts_.charge(part.tenant, part.length);
    if (state_of(part.word) != State::kHot) {
      store_.spaces_.add_part(part.space);
      rest(id, record);
      return;
    }
    if (!join(id)) {
      const ExtentId extent = part.extent;
      store_.accounts_.discharge(part.tenant, part.length);
      reject(id);
      part.length = 0;
      store_.allocator_->free(extent);
      return;
    }
    store_.spaces_.add_part(part.space);
    ++found_.parts;
    found_.bytes += part.length;
    store_.metrics_.hot_bytes += part.length;
    store_.spaces_.add_hot(part.space, part.length);
  }

  // What was being written may still be: it waits for its writer's word or death.
  void rest(PartId id, const ledger::Record& record) {
    Part& part = store_.parts_[id];
    // A tier's I/O may land after its daemon's death, and no lock tells when it has.
    const bool by_tier = state_of(part.word) == State::kPromoting || record.owner_slot == kTierSlot;
    part.word = make_word(ledger::generation_of(part.word), State::kQuarantined);
    store_.ledger_.set_word(id, part.word);
    store_.quarantine_.add(
        id, {by_tier ? kTierSlot : record.owner_slot, record.owner_session, record.owner_lease});
    if (by_tier) store_.resting_.push_back({id, part.word});
    store_.metrics_.quarantined_bytes += part.length;
    ++store_.metrics_.quarantined_parts_total;
    ++found_.quarantined;
  }

  // Returns false for a part its object cannot have, or has already.
  bool join(PartId id) {
    Part& part = store_.parts_[id];
    const Spaces::Space& space = *store_.spaces_.find(part.space);
    if (part.part.rank >= space.rank_count || part.part.group >= space.groups.size()) return false;
    const uint64_t hash = store_.hash_of(part);
    const PartId first = store_.find(part.space, part.key, hash);
    if (first != kNoPart && store_.find_part(first, part.part) != kNoPart) return false;
    if (!store_.join_object(id, first, hash)) return false;
    if (first != kNoPart) return true;
    objects_.push_back({0, part.depth, id});
    if (space.rank_count * space.groups.size() == 1) store_.refresh_groups(id);
    return true;
  }

  void spare_the_rest() {
    for (PartId id = store_.record_high_; id-- > 0;) {
      Part& part = store_.parts_[id];
      if (state_of(part.word) != State::kFree) continue;
      part.next = store_.spare_records_;
      store_.spare_records_ = id;
    }
  }

  void link_families() {
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (i + kFar < objects_.size()) {
        const PartId ahead = objects_[i + kFar].id;
        store_.index_.prefetch(store_.hash_of(store_.parts_[ahead].space, parent_of(ahead)));
      }
      take_uses(objects_[i]);
      store_.link_family(objects_[i].id, find_parent(objects_[i].id));
    }
  }

  // When the object was used and whether it is pinned stands with the part that was its first; now
  // with the one that is.
  void take_uses(Object& object) {
    bool pinned = false;
    for (PartId id = object.id; id != kNoPart; id = store_.parts_[id].next) {
      ledger::Record& record = store_.ledger_.record(id);
      object.used_ms = std::max(object.used_ms, record.used_ms.load());
      if (record.pinned.load() != 1) continue;
      pinned = true;
      if (id != object.id) record.pinned.store(0);
    }
    store_.parts_[object.id].pinned = pinned;
    if (pinned) store_.ledger_.record(object.id).pinned.store(1);
  }

  lmcd_key_t parent_of(PartId object) const { return peek(store_.ledger_.record(object).parent); }

  PartId find_parent(PartId object) const {
    constexpr lmcd_key_t kRoot{};
    const lmcd_key_t parent = parent_of(object);
    if (std::memcmp(&parent, &kRoot, sizeof kRoot) == 0) return kNoPart;
    const uint32_t space = store_.parts_[object].space;
    const PartId found = store_.find(space, parent, store_.hash_of(space, parent));
    // An object cannot stand on itself, nor below its own depth: no circles.
    if (found != kNoPart && store_.parts_[found].depth >= store_.parts_[object].depth)
      return kNoPart;
    return found;
  }

  // In the order of their last use, a prefix leaf first.
  void inform_policy() {
    std::sort(objects_.begin(), objects_.end(), [](const Object& a, const Object& b) {
      return a.used_ms != b.used_ms ? a.used_ms < b.used_ms : a.depth > b.depth;
    });
    for (std::size_t i = 0; i < objects_.size(); ++i) {
      if (i + kFar < objects_.size()) prefetch_to_write(&store_.parts_[objects_[i + kFar].id]);
      inform_of(objects_[i].id);
    }
    store_.metrics_.objects = found_.objects = objects_.size();
  }

  void inform_of(PartId object) {
    Part& part = store_.parts_[object];
    if (part.hot_groups == 0) store_.refresh_groups(object);
    part.known = 1;
    store_.policy_.insert({object, store_.hash_of(part), store_.hot_bytes_of(object), part.tenant,
                           part.parent, part.depth});
    if (!part.pinned) return store_.count_evictable(object);
    store_.policy_.withhold(object);
    ++store_.metrics_.pinned_objects;
  }

  // How far ahead of its turn a record's bucket is fetched into the processor's cache.
  static constexpr std::size_t kFar = 16;

  Store& store_;
  Adopted& found_;
  std::vector<Claim> claims_;
  std::vector<Object> objects_;
};

Result<std::unique_ptr<Store>> Store::adopt(Ledger ledger, const StoreOptions& options,
                                            EvictionPolicy& policy, const Clock& clock,
                                            EventSink& events, Adopted* found) {
  std::unique_ptr<Store> store(new Store(ledger, options, policy, clock, events));
  LMCD_TRY(store->make_books());
  *found = {};
  LMCD_TRY(Adoption(*store, *found).run());
  store->accounts_.intern("");
  return store;
}

}  // namespace lmcd::core
