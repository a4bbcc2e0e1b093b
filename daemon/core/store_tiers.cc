// What the store does for the mover: parts that tiers have beside their hot copy, or without one.

#include <algorithm>
#include <cstring>

#include "daemon/core/store.h"
#include "lib/base/sync_point.h"
#include "lib/ledger/racy.h"

namespace lmcd::core {

using ledger::State;
using ledger::state_of;

namespace {

// Parts to be spilled that the mover has not taken: it takes them at the end of each turn.
constexpr std::size_t kDirtyParts = std::size_t{1} << 20;
// SpillWhen::kEvicted: the share of the arena that is kept free, so that a burst finds room
// without forgetting what no tier has yet.
constexpr uint64_t kReserveShare = 8;
// Objects looked at for one that the tiers have, before one that they lack is forgotten.
constexpr std::size_t kLooksForClean = 16;
// What one step looks at.
constexpr uint32_t kLooksPerStep = 65536;

}  // namespace

uint32_t Store::find_cold(uint32_t space, const lmcd_key_t& key, lmcd_part_t part) const {
  if (cold_.empty()) return ColdBook::kNone;
  const Spaces::Space* meaning = spaces_.find(space);
  return meaning == nullptr ? ColdBook::kNone : cold_.find(key, part, meaning->fingerprint);
}

uint32_t Store::find_cold(const Part& part) const {
  return find_cold(part.space, part.key, part.part);
}

// The groups of which every rank's part is hot or cold.
uint32_t Store::cold_groups(uint32_t space, const lmcd_key_t& key, PartId first) const {
  const Spaces::Space* meaning = spaces_.find(space);
  if (meaning == nullptr) return 0;
  uint32_t groups = 0;
  for (uint16_t group = 0; group < meaning->groups.size(); ++group) {
    uint16_t rank = 0;
    for (; rank < meaning->rank_count; ++rank) {
      const lmcd_part_t part{rank, group};
      if (cold_.find(key, part, meaning->fingerprint) != ColdBook::kNone) continue;
      const PartId id = find_part(first, part);
      if (id == kNoPart || state_of(parts_[id].word) != State::kHot) break;
    }
    if (rank == meaning->rank_count) groups |= 1u << group;
  }
  return groups;
}

bool Store::adopt_cold(const ColdBook::Identity& identity, uint32_t tier) {
  if (cold_.add(identity, tier) == ColdBook::kNone) return false;
  const PartId id = find_part(find_hot(identity.key, identity.fingerprint), identity.part);
  if (id != kNoPart && state_of(parts_[id].word) == State::kHot) parts_[id].cold = 1;
  return true;
}

// The object of this key in the namespace with this fingerprint, whatever its state.
PartId Store::find_hot(const lmcd_key_t& key, const lmcd_key_t& fingerprint) const {
  const auto is_its = [&](uint32_t place) {
    const Spaces::Space* space = spaces_.at(place);
    return space != nullptr &&
           std::memcmp(space->fingerprint.bytes, fingerprint.bytes, sizeof fingerprint.bytes) == 0;
  };
  // What is asked for in a row is of one namespace, mostly.
  if (!is_its(last_meaning_)) {
    uint32_t place = 0;
    while (place < spaces_.count() && !is_its(place)) ++place;
    if (place == spaces_.count()) return kNoPart;
    last_meaning_ = place;
  }
  const uint32_t space = spaces_.at(last_meaning_)->number;
  return find(space, key, hash_of(space, key));
}

void Store::lose_cold(uint32_t entry, uint32_t tier) {
  const ColdBook::Entry gone = cold_.at(entry);
  const lmcd_key_t fingerprint = cold_.fingerprint_of(entry);
  cold_.remove(entry, tier);
  if (cold_.find(gone.key, gone.part, fingerprint) != ColdBook::kNone) return;
  const PartId id = find_part(find_hot(gone.key, fingerprint), gone.part);
  if (id != kNoPart) parts_[id].cold = 0;
}

// -- Spill ---------------------------------------------------------------------------------

void Store::note_dirty(PartId id) {
  Part& part = parts_[id];
  if (part.queued || state_of(part.word) != State::kHot) return;
  const uint32_t entry = part.cold ? find_cold(part) : ColdBook::kNone;
  if (entry != ColdBook::kNone && cold_.at(entry).tiers == options_.tiers) return;
  if (dirty_.size() == kDirtyParts) {
    ++metrics_.spill_dropped_total;
    return;
  }
  part.queued = 1;
  dirty_.push_back({id, part.word});
}

std::vector<LeaseItem> Store::take_dirty(std::size_t most) {
  const auto count = static_cast<std::ptrdiff_t>(std::min(most, dirty_.size()));
  std::vector<LeaseItem> taken(dirty_.begin(), dirty_.begin() + count);
  dirty_.erase(dirty_.begin(), dirty_.begin() + count);
  for (const LeaseItem& item : taken)
    if (parts_[item.part].word == item.word) parts_[item.part].queued = 0;
  return taken;
}

void Store::note_dirty_step(uint64_t* cursor, uint64_t looks) {
  if (*cursor == 0) return;
  uint64_t id = *cursor - 1;
  const uint64_t end = std::min<uint64_t>(record_high_, id + looks);
  for (; id < end; ++id) {
    const auto part = static_cast<PartId>(id);
    if (state_of(parts_[part].word) == State::kHot && !parts_[parts_[part].first].forgotten)
      note_dirty(part);
  }
  *cursor = id < record_high_ ? id + 1 : 0;
}

std::vector<LeaseItem> Store::take_next_to_go(uint64_t spilling_bytes) {
  const uint64_t reserve_bytes = ledger_.shape().arena_bytes / kReserveShare;
  std::vector<LeaseItem> items;
  for (std::size_t looks = 0; looks < kLooksForClean; ++looks) {
    if (allocator_->free_bytes() + spilling_bytes >= reserve_bytes) break;
    const ObjectId victim = policy_.victim();
    if (victim == kNoObject) break;
    if (is_clean(victim)) {
      evict_one(victim, metrics_.evicted_in_background_objects_total);
      continue;
    }
    for (PartId id = victim; id != kNoPart; id = parts_[id].next) {
      if (!parts_[id].cold) items.push_back({id, parts_[id].word});
    }
    break;
  }
  return items;
}

ColdBook::Identity Store::identity_of(PartId id) const {
  const Part& part = parts_[id];
  const ledger::Record& record = ledger_.record(id);
  return {part.key,
          part.part,
          spaces_.find(part.space)->fingerprint,
          accounts_.at(part.tenant).salt,
          part.length,
          record.crc32c,
          ledger::to_label(record.label).has_crc,
          parts_[part.first].depth,
          ledger::peek(record.parent)};
}

std::optional<SpillView> Store::begin_spill(const LeaseItem& item, uint32_t tier) {
  const Part& part = parts_[item.part];
  if (part.word != item.word || state_of(part.word) != State::kHot) return std::nullopt;
  if (parts_[part.first].forgotten) return std::nullopt;
  const uint32_t entry = find_cold(part);
  if (entry != ColdBook::kNone && (cold_.at(entry).tiers >> tier & 1) != 0) return std::nullopt;
  SpillView view{identity_of(item.part), allocator_->offset_of(part.extent)};
  if (!cold_.may_add(part.key, part.part, view.identity.fingerprint)) return std::nullopt;
  lease_object(item.part);
  ++moving_[item.part];
  return view;
}

void Store::end_spill(PartId part, uint32_t tier, bool stored) {
  const PartId object = parts_[part].first;
  const bool forgotten = parts_[object].forgotten;
  if (stored) {
    LMCD_SYNC_POINT("spill.before_cold");
    const uint32_t entry = cold_.add(identity_of(part), tier);
    // Its key was cleared while the tier took it: the tier is to forget it again.
    if (entry != ColdBook::kNone && forgotten) {
      cold_.leave(entry);
      const Part& gone = parts_[part];
      const PartId again = find_part(find(gone.space, gone.key, hash_of(gone)), gone.part);
      if (again != kNoPart) parts_[again].cold = 0;  // stored anew, and the entry was its own
    } else if (!forgotten) {
      parts_[part].cold = entry != ColdBook::kNone;
    }
    LMCD_SYNC_POINT("spill.after_cold");
  }
  const bool drop = options_.drop_when_cold || options_.spill == SpillWhen::kEvicted;
  if (drop && stored && !forgotten) parts_[object].fleeting = 1;
  let_go(part);
}

// -- What is kept, and what goes -------------------------------------------------------------

bool Store::keep(const LeaseItem& item, bool fleeting) {
  const Part& part = parts_[item.part];
  if (part.word != item.word || parts_[part.first].forgotten) return false;
  if (fleeting && part.cold) parts_[part.first].fleeting = 1;
  lease_object(item.part);
  ++moving_[item.part];
  return true;
}

void Store::let_go(PartId part) {
  const auto found = moving_.find(part);
  if (--found->second == 0) moving_.erase(found);
  unlease_object(part);
}

// Every part of it is hot, and in a tier.
bool Store::is_clean(PartId object) const {
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    if (!parts_[id].cold || state_of(parts_[id].word) != State::kHot) return false;
  }
  return true;
}

// Nobody but the mover holds it.
bool Store::is_moved_only(PartId object) const {
  const Part& first = parts_[object];
  if (first.pinned || first.writers != 0) return false;
  uint32_t moving = 0;
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    const auto found = moving_.find(id);
    if (found != moving_.end()) moving += found->second;
  }
  return moving == first.leases;
}

// The hot copy of an object that is to be in the tiers only goes, unless it is held.
void Store::drop_clean(PartId object) {
  if (!parts_[object].known || holds(parts_[object]) != 0 || !is_clean(object)) return;
  ++metrics_.dropped_clean_objects_total;
  forget(object, LMCD_EVENT_EVICTED);
}

// What the policy says, but of the first few objects one that is in the tiers already, if there is
// one. Those passed over stay next to go.
ObjectId Store::next_victim() {
  ObjectId victim = policy_.victim();
  if (options_.spill == SpillWhen::kNever || victim == kNoObject || is_clean(victim)) return victim;
  ObjectId passed[kLooksForClean];
  std::size_t count = 0;
  while (count < kLooksForClean && victim != kNoObject && !is_clean(victim)) {
    policy_.withhold(victim);
    passed[count++] = victim;
    victim = policy_.victim();
  }
  const bool clean = victim != kNoObject && is_clean(victim);
  for (std::size_t at = count; at-- > 0;) policy_.offer(passed[at]);
  return clean ? victim : passed[0];
}

// Counts what no tier has and is forgotten now.
void Store::count_unspilled(PartId object) {
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    if (parts_[id].cold) continue;
    ++metrics_.evicted_unspilled_parts_total;
    metrics_.evicted_unspilled_bytes_total += parts_[id].length;
  }
}

// -- Clear ---------------------------------------------------------------------------------

void Store::leave_tiers(PartId object) {
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    const uint32_t entry = find_cold(parts_[id]);
    if (entry != ColdBook::kNone) cold_.leave(entry);
  }
}

// Clears what is cold only; the rest went, or was kept, before.
void Store::clear_cold(const Selector& selector, uint64_t* cursor, lmcd_cleared_t* cleared) {
  const auto before = [](const lmcd_key_t& a, const lmcd_key_t& b) {
    return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) < 0;
  };
  std::vector<lmcd_key_t> keys(selector.keys.begin(), selector.keys.end());
  std::sort(keys.begin(), keys.end(), before);
  uint64_t number = *cursor - kColdCursor;
  const uint64_t end = std::min<uint64_t>(cold_.high(), number + kLooksPerStep);
  for (; number < end; ++number) {
    const auto entry = static_cast<uint32_t>(number);
    const ColdBook::Entry& part = cold_.at(entry);
    if (part.tiers == 0) continue;
    if (!keys.empty() && !std::binary_search(keys.begin(), keys.end(), part.key, before)) continue;
    if (selector.tenant_given && cold_.tenant_of(entry) != selector.tenant) continue;
    if (selector.space_given) {
      const Spaces::Space* space = spaces_.find(selector.space);
      if (space == nullptr || before(space->fingerprint, cold_.fingerprint_of(entry)) ||
          before(cold_.fingerprint_of(entry), space->fingerprint)) {
        continue;
      }
    }
    const bool kept = find_hot(part.key, cold_.fingerprint_of(entry)) != kNoPart;
    if (kept) continue;  // its hot copy is leased or pinned
    // The others of its object go in this run too: one of them stands for it.
    cleared->objects += part.part.rank == 0 && part.part.group == 0;
    cleared->bytes += part.length;
    cold_.leave(entry);
  }
  *cursor = number < cold_.high() ? kColdCursor + number : 0;
}

// -- Rest ----------------------------------------------------------------------------------

// What the tiers of a dead daemon were writing to has come to rest.
void Store::end_rest(uint64_t now_ms) {
  if (now_ms < rest_until_ms_) return;
  for (const LeaseItem& item : resting_)
    if (parts_[item.part].word == item.word) end_quarantine(item.part);
  resting_.clear();
}

}  // namespace lmcd::core
