// The store's reading verbs: lookup, acquire, release, touch, renew.

#include <algorithm>

#include "daemon/core/store.h"
#include "lib/base/prefetch.h"
#include "lib/ledger/ahead.h"

namespace lmcd::core {

using ledger::State;
using ledger::state_of;

namespace {

// What one session may hold by read leases.
constexpr std::size_t kLeasesPerSession = 65536;
constexpr uint64_t kItemsPerSession = uint64_t{1} << 20;
// Leases ended in one turn of the loop.
constexpr uint32_t kExpiriesPerTick = 1024;

Status check_room(const SessionBook& book, std::size_t items) {
  if (book.leases.size() < kLeasesPerSession && book.read_items + items <= kItemsPerSession)
    return {};
  return fault(LMCD_E_LIMIT,
               "acquire: the session has %zu leases with %llu items to read, and may have %zu "
               "with %llu",
               book.leases.size(), (unsigned long long)book.read_items, kLeasesPerSession,
               (unsigned long long)kItemsPerSession);
}

// How far ahead of a key's turn its bucket is fetched into the processor's cache, and what the
// bucket names.
constexpr std::size_t kFar = 16;
constexpr std::size_t kNear = kFar / 2;

}  // namespace

void Store::lookup(uint32_t space, std::span<const lmcd_key_t> keys, lmcd_presence_t* out) {
  metrics_.lookups_total += keys.size();
  const Spaces::Space* meaning = spaces_.find(space);
  auto hashes = ledger::hash_ahead<kFar>(keys.size(), fetch_bucket(space, keys));
  for (std::size_t at = 0; at < keys.size(); ++at) {
    const uint64_t hash = hashes.take(at);
    const ledger::Index::Entry entry = index_.look(hash);
    out[at] = {};
    if (entry.whole() && meaning != nullptr)
      out[at] = {meaning->all_groups(), 0, 0, entry.record()};
    else if (entry.present() || !cold_.empty())
      out[at] = presence_of(space, keys[at], hash);
  }
}

// The answer for an object that is not whole.
lmcd_presence_t Store::presence_of(uint32_t space, const lmcd_key_t& key, uint64_t hash) const {
  const PartId first = find(space, key, hash);
  const uint32_t cold = cold_.empty() ? 0 : cold_groups(space, key, first);
  if (first == kNoPart) return {0, cold, 0, 0};
  uint32_t pending = 0;
  for (PartId id = first; id != kNoPart; id = parts_[id].next) {
    if (state_of(parts_[id].word) != State::kHot) pending |= 1u << parts_[id].part.group;
  }
  const uint32_t hot = parts_[first].hot_groups;
  return {hot, cold & ~hot & ~pending, pending & ~hot, first};
}

// Has at hand what a read of the part that the index names looks at and writes.
void Store::fetch_to_read(uint64_t hash) const {
  const PartId id = index_.look(hash).record();
  if (id >= record_high_) return;
  prefetch_to_write(&parts_[id]);
  prefetch(&ledger_.record(id).word);
  prefetch_to_write(&ledger_.record(id).hits);
}

Status Store::acquire(SessionId session, uint64_t lease_id, const AcquireRequest& request,
                      wire::Grant* grants, Lifetime lifetime) {
  SessionBook* book = leases_.find(session);
  if (book == nullptr) return fault(LMCD_E_SESSION_LOST, "acquire: no such session");
  if (lease_id == 0 || book->leases.contains(lease_id)) {
    return fault(LMCD_E_INVALID, "acquire: lease number %llu is zero or in use",
                 (unsigned long long)lease_id);
  }
  if (lifetime == Lifetime::kExpires) LMCD_TRY(check_room(*book, request.keys.size()));
  Lease lease;
  lease.lifetime = lifetime;
  const std::size_t count = request.keys.size();
  lease.items.reserve(count);
  auto hashes = ledger::hash_ahead<kFar>(count, fetch_bucket(request.space, request.keys));
  for (std::size_t at = 0; at < count; ++at) {
    const uint64_t hash = hashes.take(at);
    if (at + kNear < count) fetch_to_read(hashes.later(at + kNear));
    grants[at] = {};
    grants[at].outcome = LMCD_ABSENT;
    const lmcd_part_t part = request.parts.size() == 1 ? request.parts[0] : request.parts[at];
    const PartId id = find_part(find(request.space, request.keys[at], hash), part);
    if (id == kNoPart) {
      if (find_cold(request.space, request.keys[at], part) != ColdBook::kNone)
        grants[at].outcome = LMCD_COLD;
      continue;
    }
    const Part& found = parts_[id];
    if (state_of(found.word) != State::kHot) {
      grants[at].outcome = LMCD_PENDING;
      continue;
    }
    const ledger::Record& record = ledger_.record(id);
    grants[at] = {LMCD_LEASED,
                  id,
                  found.word,
                  allocator_->offset_of(found.extent),
                  found.length,
                  record.crc32c,
                  ledger::to_label(record.label).has_crc};
    lease.items.push_back({id, found.word});
  }
  metrics_.requested_parts_total += request.keys.size();
  begin_read(session, *book, lease_id, std::move(lease));
  return {};
}

Status Store::acquire_posted(SessionId session, uint64_t lease_id,
                             std::span<const wire::Sighting> records) {
  SessionBook* book = leases_.find(session);
  if (book == nullptr) return fault(LMCD_E_SESSION_LOST, "acquire: no such session");
  if (lease_id == 0 || book->leases.contains(lease_id)) {
    return fault(LMCD_E_INVALID, "acquire: lease number %llu is zero or in use",
                 (unsigned long long)lease_id);
  }
  LMCD_TRY(check_room(*book, records.size()));
  Lease lease;
  for (const wire::Sighting& seen : records) {
    if (!readable(seen)) continue;
    lease.items.push_back({seen.record, seen.word});
  }
  metrics_.requested_parts_total += records.size();
  begin_read(session, *book, lease_id, std::move(lease));
  return {};
}

std::size_t Store::first_pending(const AcquireRequest& request, std::size_t from) const {
  for (std::size_t i = from; i < request.keys.size(); ++i) {
    const lmcd_part_t part = request.parts.size() == 1 ? request.parts[0] : request.parts[i];
    const uint64_t hash = hash_of(request.space, request.keys[i]);
    const PartId id = find_part(find(request.space, request.keys[i], hash), part);
    if (id != kNoPart && state_of(parts_[id].word) != State::kHot) return i;
  }
  return request.keys.size();
}

bool Store::readable(const wire::Sighting& seen) const {
  if (seen.record >= record_high_) return false;
  const Part& part = parts_[seen.record];
  return part.word == seen.word && state_of(part.word) == State::kHot &&
         !parts_[part.first].forgotten;
}

// Books a read lease over its items and counts them as uses, the last key first, so that the root
// of the prefix is the youngest.
void Store::begin_read(SessionId session, SessionBook& book, uint64_t lease_id, Lease lease) {
  if (lease.items.empty()) return;
  const uint64_t now_ms = clock_.now_ms();
  for (std::size_t i = lease.items.size(); i-- > 0;) {
    const PartId id = lease.items[i].part;
    count_use(id, now_ms);
    lease_object(id);
    ++metrics_.hit_parts_total;
    metrics_.hit_bytes_total += parts_[id].length;
  }
  book.read_items += lease.items.size();
  Lease& kept = book.leases.emplace(lease_id, std::move(lease)).first->second;
  if (kept.lifetime == Lifetime::kExpires)
    leases_.expire_at(session, lease_id, kept, now_ms + options_.read_ttl_ms);
  ++metrics_.read_leases;
}

void Store::count_use(PartId id, uint64_t now_ms) {
  const PartId object = parts_[id].first;
  policy_.hit(object);
  accounts_.note_use(parts_[object].tenant);
  ledger::Record& record = ledger_.record(object);
  record.hits.store(record.hits.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  record.used_ms.store(now_ms, std::memory_order_relaxed);
  if (options_.spill == SpillWhen::kReused) note_dirty(id);
}

Status Store::release(SessionId session, uint64_t lease_id) {
  Lease* lease = leases_.find(session, lease_id);
  // A lease may have ended by its time, or never held anything: both are ordinary.
  if (lease == nullptr) return {};
  if (lease->kind != LeaseKind::kRead) {
    return fault(LMCD_E_INVALID,
                 "release: lease %llu is a write lease, which ends by commit or abort",
                 (unsigned long long)lease_id);
  }
  for (const LeaseItem& item : lease->items) unlease_object(item.part);
  leases_.find(session)->read_items -= lease->items.size();
  leases_.erase(session, lease_id);
  --metrics_.read_leases;
  return {};
}

void Store::touch(std::span<const wire::Sighting> records) {
  const uint64_t now_ms = clock_.now_ms();
  for (std::size_t i = records.size(); i-- > 0;) {
    if (readable(records[i])) count_use(records[i].record, now_ms);
  }
}

void Store::renew(SessionId session, std::span<const uint64_t> leases) {
  const uint64_t expires_ms = clock_.now_ms() + options_.read_ttl_ms;
  for (uint64_t id : leases) {
    Lease* lease = leases_.find(session, id);
    if (lease == nullptr || lease->kind != LeaseKind::kRead) continue;
    if (lease->lifetime == Lifetime::kExpires && lease->expires_ms != expires_ms)
      leases_.expire_at(session, id, *lease, expires_ms);
  }
}

uint64_t Store::tick() {
  const uint64_t now_ms = clock_.now_ms();
  LeaseBook::Expiry due;
  uint32_t ended = 0;
  while (ended < kExpiriesPerTick && leases_.take_expired(now_ms, &due)) {
    ++ended;
    ++metrics_.expired_leases_total;
    Lease* lease = leases_.find(due.session, due.lease);
    if (lease->kind == LeaseKind::kRead) {
      release(due.session, due.lease).code();
      continue;
    }
    // The key goes now; the extent when the writer commits, aborts or dies.
    const LivenessSlot slot = leases_.find(due.session)->slot;
    for (const LeaseItem& item : lease->items) {
      if (item.part != kNoPart && parts_[item.part].word == item.word)
        quarantine(item.part, {slot, due.session, due.lease, lease->payer});
    }
  }
  evict_in_background();
  retire_in_background(now_ms);
  if (!resting_.empty()) end_rest(now_ms);
  if (evicting_ || retiring_ || ended == kExpiriesPerTick) return now_ms;
  return resting_.empty() ? leases_.next_expiry_ms()
                          : std::min(rest_until_ms_, leases_.next_expiry_ms());
}

}  // namespace lmcd::core
