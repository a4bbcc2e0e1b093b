// The operator's verbs: clear, pin, list.

#include <algorithm>
#include <cstring>

#include "daemon/core/store.h"
#include "lib/ledger/racy.h"

namespace lmcd::core {

using ledger::State;
using ledger::state_of;

namespace {

// What one step looks at, and changes.
constexpr uint32_t kLooksPerStep = 65536;
constexpr std::size_t kChangesPerStep = 2048;

}  // namespace

bool Store::matches(const Selector& selector, std::optional<TenantId> tenant,
                    PartId object) const {
  const Part& part = parts_[object];
  if (selector.space_given && part.space != selector.space) return false;
  return !selector.tenant_given || (tenant && part.tenant == *tenant);
}

// Up to `most` objects that match, by their first parts, from *cursor on; it counts records here.
std::vector<PartId> Store::select_step(const Selector& selector, uint64_t* cursor,
                                       std::size_t most) const {
  const std::optional<TenantId> tenant = accounts_.find(selector.tenant);
  if (!selector.keys.empty()) return select_keys(selector, tenant, cursor, most);
  std::vector<PartId> selected;
  uint64_t id = *cursor;
  const uint64_t end = std::min<uint64_t>(record_high_, id + kLooksPerStep);
  for (; id < end && selected.size() < most; ++id) {
    const PartId object = static_cast<PartId>(id);
    if (is_object(object) && matches(selector, tenant, object)) selected.push_back(object);
  }
  *cursor = id < record_high_ ? id : 0;
  return selected;
}

// The same where keys are given: *cursor counts pairs of a key and a namespace it may be in.
std::vector<PartId> Store::select_keys(const Selector& selector, std::optional<TenantId> tenant,
                                       uint64_t* cursor, std::size_t most) const {
  const uint64_t spaces = selector.space_given ? 1 : spaces_.count();
  const uint64_t pairs = selector.keys.size() * spaces;
  std::vector<PartId> selected;
  uint64_t pair = *cursor;
  const uint64_t end = std::min(pairs, pair + kLooksPerStep);
  for (; pair < end && selected.size() < most; ++pair) {
    const lmcd_key_t& key = selector.keys[pair / spaces];
    uint32_t space = selector.space;
    if (!selector.space_given) {
      const Spaces::Space* candidate = spaces_.at(static_cast<uint32_t>(pair % spaces));
      if (candidate == nullptr) continue;
      space = candidate->number;
    }
    const PartId id = find(space, key, hash_of(space, key));
    if (id != kNoPart && matches(selector, tenant, id)) selected.push_back(id);
  }
  *cursor = pair < pairs ? pair : 0;
  return selected;
}

// Whether this record is the first part of an object that can be found by its key.
bool Store::is_object(PartId id) const {
  const Part& part = parts_[id];
  const State state = state_of(part.word);
  return (state == State::kHot || state == State::kReserved || state == State::kPromoting) &&
         part.first == id && !part.forgotten;
}

void Store::clear_step(const Selector& selector, bool force, uint64_t* cursor,
                       lmcd_cleared_t* cleared) {
  if (*cursor >= kColdCursor) return clear_cold(selector, cursor, cleared);
  // Whose each part being written is; asked for only where keys are taken from writers.
  const LeaseBook::Writers writers = force ? leases_.writers() : LeaseBook::Writers{};
  for (PartId object : select_step(selector, cursor, kChangesPerStep)) {
    if (!is_object(object)) continue;  // its key was given twice
    if (!force && holds(parts_[object]) != 0 && !is_moved_only(object)) {
      ++cleared->kept;
      continue;
    }
    ++cleared->objects;
    cleared->bytes += hot_bytes_of(object);
    ++metrics_.cleared_objects_total;
    leave_tiers(object);
    object = detach_writers(object, writers);
    if (object != kNoPart) forget(object, LMCD_EVENT_CLEARED);
  }
  if (*cursor == 0 && !cold_.empty()) *cursor = kColdCursor;
  ++change_count_;
}

// Quarantines the parts of an object that are being written.
// Returns what speaks for the rest, or kNoPart when nothing is left.
PartId Store::detach_writers(PartId object, const LeaseBook::Writers& writers) {
  std::vector<PartId> unwritten;
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    if (state_of(parts_[id].word) != State::kHot) unwritten.push_back(id);
  }
  for (PartId id : unwritten) {
    if (id == object) object = parts_[id].next;
    quarantine(id, writers.at(id));
  }
  return object;
}

lmcd_cleared_t Store::clear(const Selector& selector, bool force) {
  lmcd_cleared_t cleared{};
  uint64_t cursor = 0;
  do clear_step(selector, force, &cursor, &cleared);
  while (cursor != 0);
  return cleared;
}

uint64_t Store::pin_step(const Selector& selector, bool pinned, uint64_t* cursor) {
  uint64_t changed = 0;
  for (PartId object : select_step(selector, cursor, kChangesPerStep)) {
    Part& part = parts_[object];
    if (!part.known || part.pinned == pinned) continue;
    part.pinned = pinned;
    ledger_.record(object).pinned.store(pinned, std::memory_order_relaxed);
    if (pinned) {
      ++metrics_.pinned_objects;
      hold(object);
    } else {
      --metrics_.pinned_objects;
      unhold(object);
    }
    ++changed;
  }
  return changed;
}

uint64_t Store::pin(const Selector& selector, bool pinned) {
  uint64_t changed = 0;
  uint64_t cursor = 0;
  do changed += pin_step(selector, pinned, &cursor);
  while (cursor != 0);
  return changed;
}

uint32_t Store::list(const Selector& selector, uint64_t* cursor, std::span<lmcd_listed_t> out) {
  uint32_t listed = 0;
  for (PartId object : select_step(selector, cursor, out.size())) {
    if (parts_[object].known) describe(object, out[listed++]);
  }
  return listed;
}

void Store::describe(PartId object, lmcd_listed_t& out) const {
  const Part& part = parts_[object];
  const ledger::Record& record = ledger_.record(object);
  out = {};
  out.key = part.key;
  out.parent = ledger::peek(record.parent);
  out.space = part.space;
  out.depth = part.depth;
  for (PartId id = object; id != kNoPart; id = parts_[id].next)
    out.part_count += state_of(parts_[id].word) == State::kHot;
  out.lease_count = part.leases;
  out.pinned = part.pinned;
  out.hits = record.hits.load(std::memory_order_relaxed);
  out.bytes = hot_bytes_of(object);
  const uint64_t used_ms = record.used_ms.load(std::memory_order_relaxed);
  out.idle_ms = clock_.now_ms() - std::min(clock_.now_ms(), used_ms);
  const std::string& salt = accounts_.at(part.tenant).salt;
  std::memcpy(out.tenant, salt.data(), std::min(salt.size(), sizeof out.tenant - 1));
}

}  // namespace lmcd::core
