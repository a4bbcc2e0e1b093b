#include "daemon/core/store.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "lib/base/prefetch.h"
#include "lib/base/sync_point.h"
#include "lib/keys/fingerprint.h"
#include "lib/ledger/racy.h"

namespace lmcd::core {

using ledger::make_word;
using ledger::State;
using ledger::state_of;

namespace {

// Namespaces that one process may have open, by all its sessions.
constexpr std::size_t kSpacesPerProcess = 512;

}  // namespace

Store::Store(Ledger ledger, const StoreOptions& options, EvictionPolicy& policy,
             const Clock& clock, EventSink& events)
    : options_(options),
      policy_(policy),
      clock_(clock),
      events_(events),
      ledger_(ledger),
      spaces_(ledger_),
      accounts_(ledger_, policy),
      cold_(ledger_.shape().hash_seed, options.cold_parts) {}

Result<std::unique_ptr<Store>> Store::make(Ledger ledger, const StoreOptions& options,
                                           EvictionPolicy& policy, const Clock& clock,
                                           EventSink& events) {
  std::unique_ptr<Store> store(new Store(ledger, options, policy, clock, events));
  LMCD_TRY(store->make_books());
  store->accounts_.intern("");  // the default tenant always has a number
  return store;
}

Status Store::make_books() {
  const ledger::Shape& shape = ledger_.shape();
  LMCD_ASSIGN(parts_, ReservedArray<Part>::make(shape.record_capacity));
  LMCD_ASSIGN(index_memory_,
              Reservation::make(uint64_t{shape.bucket_count} * sizeof(ledger::Bucket)));
  index_ = ledger::Index(static_cast<ledger::Bucket*>(index_memory_.address()),
                         shape.bucket_count, ledger_.buckets());
  LMCD_ASSIGN(allocator_, Allocator::make(shape.arena_bytes, shape.align_bytes,
                                          shape.record_capacity));
  metrics_.arena_bytes = shape.arena_bytes;
  return {};
}

std::array<std::span<std::byte>, 4> Store::tables() {
  // Objects fall on the buckets of an index at random: with two for each page of 4 KiB, six pages
  // of seven have one.
  constexpr uint32_t kBucketsPerPage = 4096 / sizeof(ledger::Bucket);
  const ledger::Shape& shape = ledger_.shape();
  const bool index_full = record_high_ >= shape.bucket_count / kBucketsPerPage * 2;
  const uint64_t index_bytes = index_full ? shape.bucket_count * sizeof(ledger::Bucket) : 0;
  const auto used = [](void* table, uint64_t bytes) {
    return std::span(static_cast<std::byte*>(table), bytes);
  };
  return {used(ledger_.buckets(), index_bytes), used(index_memory_.address(), index_bytes),
          used(&ledger_.record(0), record_high_ * sizeof(ledger::Record)),
          used(&parts_[0], record_high_ * sizeof(Part))};
}

// -- Namespaces and sessions ---------------------------------------------------------------

Result<uint32_t> Store::open_space(SessionId session, std::string_view description,
                                   uint32_t rank_count, std::span<const lmcd_group_t> groups) {
  SessionBook* book = leases_.find(session);
  if (book == nullptr) return fault(LMCD_E_SESSION_LOST, "namespace: no such session");
  LMCD_ASSIGN(const lmcd_key_t fingerprint, keys::fingerprint(description));
  LMCD_ASSIGN(const std::optional<uint32_t> known,
              spaces_.known(fingerprint, rank_count, groups));
  std::unordered_map<uint32_t, uint32_t>& open = leases_.process_of(book->process).spaces;
  if (!(known && open.contains(*known)) && open.size() >= kSpacesPerProcess) {
    return fault(LMCD_E_LIMIT,
                 "namespace: the process has %zu open, by all its sessions, and may have no more: "
                 "close sessions whose namespaces are done with",
                 open.size());
  }
  uint32_t number = known.value_or(0);
  if (!known) {
    LMCD_ASSIGN(number,
                spaces_.make(book->process, description, fingerprint, rank_count, groups));
  }
  if (book->spaces.insert(number).second) ++open[number];
  else spaces_.leave(number);
  spaces_.enter(number);  // once more counts as opening it anew
  return number;
}

void Store::open_session(SessionId session, LivenessSlot slot, ProcessId process) {
  leases_.open(session, slot, process);
}

void Store::close_session(SessionId session) {
  SessionBook* book = leases_.find(session);
  if (book == nullptr) return;
  for (auto& [id, lease] : book->leases) {
    if (lease.kind == LeaseKind::kRead) {
      for (const LeaseItem& item : lease.items) unlease_object(item.part);
      --metrics_.read_leases;
      continue;
    }
    --metrics_.write_leases;
    for (const LeaseItem& item : lease.items) {
      if (item.part == kNoPart || parts_[item.part].word != item.word) continue;
      quarantine(item.part, {book->slot, session, id, lease.payer});
    }
  }
  std::unordered_map<uint32_t, uint32_t>& open = leases_.process_of(book->process).spaces;
  for (uint32_t space : book->spaces) {
    spaces_.leave(space);
    if (--open.at(space) == 0) open.erase(space);
  }
  leases_.close(session);
}

ProcessId Store::process_of(SessionId session) {
  const SessionBook* book = leases_.find(session);
  return book == nullptr ? 0 : book->process;
}

SessionUse Store::use_of(SessionId session) {
  const SessionBook* book = leases_.find(session);
  if (book == nullptr) return {};
  return {book->leases.size(), leases_.process_of(book->process).held_bytes};
}

// -- Parts and objects ---------------------------------------------------------------------

// The first part of the object with this key, or kNoPart.
PartId Store::find(uint32_t space, const lmcd_key_t& key, uint64_t hash) const {
  return index_.find(hash, [&](uint32_t id) {
    const Part& part = parts_[id];
    return part.space == space && std::memcmp(part.key.bytes, key.bytes, sizeof key.bytes) == 0;
  });
}

PartId Store::find_part(PartId first, lmcd_part_t wanted) const {
  for (PartId id = first; id != kNoPart; id = parts_[id].next) {
    if (parts_[id].part.rank == wanted.rank && parts_[id].part.group == wanted.group) return id;
  }
  return kNoPart;
}

PartId Store::take_record() {
  PartId id = spare_records_;
  if (id != kNoPart) spare_records_ = parts_[id].next;
  else if (record_high_ < parts_.size()) id = record_high_++;
  // The next one to be taken is soon wanted.
  const PartId next = spare_records_ != kNoPart ? spare_records_ : record_high_;
  if (next < parts_.size()) {
    prefetch_to_write(&parts_[next]);
    ledger_.prefetch_to_write(next);
  }
  return id;
}

// Raises the generation: from here on no word that names the extent as it was is ever true again.
void Store::free_record(PartId id) {
  Part& part = parts_[id];
  const uint64_t word = make_word(ledger::generation_of(part.word) + 1, State::kFree);
  ledger_.set_word(id, word);
  spaces_.remove_part(part.space);
  part = {};
  part.word = word;
  part.next = spare_records_;
  spare_records_ = id;
}

// Frees a part that belongs to no object: its record first, then its extent, so that nobody finds
// the old word with new bytes.
void Store::drop_part(PartId id) {
  const Part& part = parts_[id];
  const ExtentId extent = part.extent;
  accounts_.discharge(part.tenant, part.length);
  free_record(id);
  LMCD_SYNC_POINT("free.after_word");
  allocator_->free(extent);
}

// Links a new part to the object whose first part is `first`, or makes it an object of its own
// where that is kNoPart. Returns false, with nothing done, when the index has no place for it.
bool Store::join_object(PartId id, PartId first, uint64_t hash) {
  Part& part = parts_[id];
  if (first == kNoPart) {
    if (!index_.insert(hash, id)) return false;
    part.first = id;
    part.next = kNoPart;
    return true;
  }
  part.first = first;
  part.next = parts_[first].next;
  parts_[first].next = id;
  ledger_.record(id).next_part.store(part.next, std::memory_order_relaxed);
  ledger_.record(first).next_part.store(id, std::memory_order_release);
  return true;
}

// Takes a part out of its object; the last one takes the key with it.
void Store::leave_object(PartId id) {
  Part& part = parts_[id];
  const PartId first = part.first;
  if (first != id) {
    PartId before = first;
    while (parts_[before].next != id) before = parts_[before].next;
    parts_[before].next = part.next;
    ledger_.record(before).next_part.store(part.next, std::memory_order_release);
    return;
  }
  if (part.next != kNoPart) {
    change_first(id, part.next);
    return;
  }
  index_.erase(hash_of(part), id);
  unlink_family(id);
}

// Makes `successor` speak for the object instead of `first`, which leaves it.
void Store::change_first(PartId first, PartId successor) {
  const Part old = parts_[first];
  if (old.known) {
    if (holds(old) == 0) discount_evictable(first);
    policy_.forgotten(first);
  }
  Part& next = parts_[successor];
  next.parent = old.parent;
  next.first_child = old.first_child;
  next.next_sibling = old.next_sibling;
  next.prev_sibling = old.prev_sibling;
  next.depth = old.depth;
  next.leases = old.leases;
  next.hot_groups = old.hot_groups;
  next.writers = old.writers;
  next.pinned = old.pinned;
  next.known = old.known;
  next.fleeting = old.fleeting;
  for (PartId id = successor; id != kNoPart; id = parts_[id].next) parts_[id].first = successor;
  for (PartId child = old.first_child; child != kNoPart; child = parts_[child].next_sibling)
    parts_[child].parent = successor;
  if (old.prev_sibling != kNoPart) parts_[old.prev_sibling].next_sibling = successor;
  else if (old.parent != kNoPart) parts_[old.parent].first_child = successor;
  if (old.next_sibling != kNoPart) parts_[old.next_sibling].prev_sibling = successor;

  const ledger::Record& from = ledger_.record(first);
  ledger::Record& to = ledger_.record(successor);
  to.hot_groups.store(from.hot_groups.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.pinned.store(from.pinned.load(std::memory_order_relaxed), std::memory_order_relaxed);
  to.used_ms.store(from.used_ms.load(std::memory_order_relaxed), std::memory_order_relaxed);
  const uint64_t hash = hash_of(old);
  index_.replace(hash, first, successor);
  parts_[first].known = 0;
  if (next.known) {
    policy_.insert(
        {successor, hash, hot_bytes_of(successor), next.tenant, next.parent, next.depth});
    if (holds(next) != 0) policy_.withhold(successor);
    else count_evictable(successor);
  }
}

void Store::link_family(PartId object, PartId parent) {
  Part& child = parts_[object];
  child.parent = parent;
  child.prev_sibling = kNoPart;
  child.next_sibling = kNoPart;
  if (parent == kNoPart) return;
  child.next_sibling = parts_[parent].first_child;
  if (child.next_sibling != kNoPart) parts_[child.next_sibling].prev_sibling = object;
  parts_[parent].first_child = object;
}

// The object goes; its children are orphans, of no use to a prefix any more.
void Store::unlink_family(PartId object) {
  const Part& gone = parts_[object];
  if (gone.prev_sibling != kNoPart) parts_[gone.prev_sibling].next_sibling = gone.next_sibling;
  else if (gone.parent != kNoPart) parts_[gone.parent].first_child = gone.next_sibling;
  if (gone.next_sibling != kNoPart) parts_[gone.next_sibling].prev_sibling = gone.prev_sibling;
  PartId child = gone.first_child;
  while (child != kNoPart) {
    Part& orphan = parts_[child];
    const PartId next = orphan.next_sibling;
    orphan.parent = kNoPart;
    orphan.next_sibling = kNoPart;
    orphan.prev_sibling = kNoPart;
    if (orphan.known) policy_.demote(child);
    child = next;
  }
}

// Works out which groups are complete or being written, and tells the ledger's readers.
void Store::refresh_groups(PartId first) {
  const Spaces::Space& space = *spaces_.find(parts_[first].space);
  const uint32_t groups = static_cast<uint32_t>(space.groups.size());
  uint16_t committed[wire::kGroups];
  std::fill_n(committed, groups, uint16_t{0});
  uint32_t pending = 0;
  for (PartId id = first; id != kNoPart; id = parts_[id].next) {
    const Part& part = parts_[id];
    if (state_of(part.word) == State::kHot) ++committed[part.part.group];
    else pending |= 1u << part.part.group;
  }
  uint32_t hot = 0;
  for (uint32_t group = 0; group < groups; ++group) {
    if (committed[group] >= space.rank_count) hot |= 1u << group;
  }
  const uint32_t before = std::exchange(parts_[first].hot_groups, static_cast<uint16_t>(hot));
  ledger_.set_groups(first, hot, pending);
  const bool whole = hot == space.all_groups();
  if (whole != (before == space.all_groups()))
    index_.set_whole(hash_of(parts_[first]), first, whole);
}

// Why an object may not be evicted, counted: its leases, its pin, those who write parts of it.
uint32_t Store::holds(const Part& object) const {
  return object.leases + object.pinned + object.writers;
}

// The two below follow a change that made the holds one, or none.
void Store::hold(PartId object) {
  if (!parts_[object].known || holds(parts_[object]) != 1) return;
  policy_.withhold(object);
  discount_evictable(object);
}

void Store::unhold(PartId object) {
  if (!parts_[object].known || holds(parts_[object]) != 0) return;
  policy_.offer(object);
  count_evictable(object);
}

void Store::lease_object(PartId part) {
  const PartId object = parts_[part].first;
  if (parts_[object].leases++ == 0) ++metrics_.leased_objects;
  hold(object);
}

void Store::unlease_object(PartId part) {
  const PartId object = parts_[part].first;
  Part& first = parts_[object];
  assert(first.leases > 0);
  if (--first.leases == 0) --metrics_.leased_objects;
  if (first.forgotten) {
    if (first.leases == 0) release_extents(object);
    return;
  }
  unhold(object);
  if (first.fleeting) drop_clean(object);
}

uint64_t Store::hot_bytes_of(PartId object) const {
  uint64_t bytes = 0;
  for (PartId id = object; id != kNoPart; id = parts_[id].next) {
    if (state_of(parts_[id].word) == State::kHot) bytes += parts_[id].length;
  }
  return bytes;
}

void Store::report(EventKind kind, PartId id, uint64_t bytes) {
  if (!events_.wanted()) return;
  const Part& part = parts_[id];
  lmcd_event_t event{};
  event.kind = kind;
  event.space = part.space;
  event.depth = part.depth;
  event.bytes = bytes;
  event.part = part.part;
  event.key = part.key;
  event.parent = ledger::peek(ledger_.record(id).parent);
  events_.take(event);
}

const Metrics& Store::snapshot() {
  metrics_.free_bytes = allocator_->free_bytes();
  metrics_.used_bytes = metrics_.arena_bytes - metrics_.free_bytes;
  metrics_.largest_hole_bytes = allocator_->largest_hole_bytes();
  metrics_.holes = allocator_->hole_count();
  metrics_.populated_bytes = ledger_.header().frontier_bytes.load(std::memory_order_relaxed);
  metrics_.quarantined_parts = quarantine_.size();
  metrics_.evictable_bytes = evictable_bytes_;
  metrics_.cold_parts = cold_.use().parts;
  metrics_.cold_bytes = cold_.use().bytes;
  metrics_.leaving_parts = cold_.leaving();
  return metrics_;
}

}  // namespace lmcd::core
