// The store's writing verbs: reserve, commit, abort, and what becomes of writers that vanish.

#include <algorithm>
#include <cassert>
#include <cstring>
#include <unordered_set>

#include "daemon/core/store.h"
#include "lib/base/prefetch.h"
#include "lib/base/sync_point.h"
#include "lib/ledger/ahead.h"
#include "lib/ledger/racy.h"

namespace lmcd::core {

using ledger::make_word;
using ledger::State;
using ledger::state_of;

namespace {

bool same_key(const lmcd_key_t& a, const lmcd_key_t& b) {
  return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0;
}

// How far ahead of an item's turn what it needs is fetched into the processor's cache: its first
// part kFar places before, what the first leads to kNear places.
constexpr std::size_t kFar = 16;
constexpr std::size_t kNear = kFar / 2;

// Ancestors that one commit makes young.
constexpr uint32_t kAncestors = 8192;

template <typename T>
const T& nth(std::span<const T> values, std::size_t i) {
  return values.size() == 1 ? values[0] : values[i];
}

}  // namespace

// One reserve in progress: walks the keys in order, the object before each being its parent.
class Store::Batch {
 public:
  Batch(Store& store, SessionId session, SessionBook& book, ProcessId payer, TenantId tenant,
        uint64_t lease, const ReserveRequest& request)
      : store_(store),
        session_(session),
        book_(book),
        payer_(payer),
        payers_book_(store.leases_.process_of(payer)),
        tenant_(tenant),
        lease_id_(lease),
        request_(request) {}

  // Returns the lease; none of its items is open when nothing was reserved.
  Lease run(wire::Grant* grants) {
    const std::size_t count = request_.keys.size();
    lease_.kind = LeaseKind::kWrite;
    lease_.payer = payer_;
    lease_.items.resize(count);
    if (request_.parent != nullptr) {
      parent_key_ = *request_.parent;
      parent_ = store_.find(request_.space, parent_key_,
                            store_.hash_of(request_.space, parent_key_));
    }
    depth_ = request_.depth;
    auto hashes = ledger::hash_ahead<kFar>(count, [this](std::size_t i) {
      const uint64_t hash = store_.hash_of(request_.space, request_.keys[i]);
      store_.index_.prefetch_to_write(hash);
      return hash;
    });
    for (std::size_t i = 0; i < count; ++i) {
      hash_ = hashes.take(i);
      if (i + kNear < count) fetch_known(hashes.later(i + kNear));
      step_to(i);
      grants[i] = {};
      grants[i].outcome = end_ != LMCD_NONE ? end_ : reserve(i, grants[i]);
    }
    // What was found there is no victim of this very batch; now it may be one again.
    for (PartId part : found_) store_.unlease_object(part);
    return std::move(lease_);
  }

 private:
  void fetch_known(uint64_t hash) const {
    const PartId known = store_.index_.look(hash).record();
    if (known < store_.record_high_) prefetch_to_write(&store_.parts_[known]);
  }

  // Makes key i the present one: unless it is the same again, the one before is its parent.
  void step_to(std::size_t i) {
    if (i == 0 || same_key(request_.keys[i], request_.keys[i - 1])) return;
    parent_ = object_;
    parent_key_ = request_.keys[i - 1];
    ++depth_;
    object_ = kNoPart;
  }

  uint32_t reserve(std::size_t i, wire::Grant& grant) {
    const lmcd_key_t& key = request_.keys[i];
    object_ = store_.find(request_.space, key, hash_);
    if (object_ != kNoPart) rejoin_parent();
    const PartId known =
        object_ == kNoPart ? kNoPart : store_.find_part(object_, nth(request_.parts, i));
    if (known == kNoPart) return place(i, grant);
    if (state_of(store_.parts_[known].word) != State::kHot) {
      ++store_.metrics_.pending_total;
      return LMCD_PENDING;
    }
    ++store_.metrics_.exists_total;
    store_.lease_object(known);
    found_.push_back(known);
    return LMCD_EXISTS;
  }

  // An object whose parent went is an orphan and goes first; when the parent has come back, it is
  // worth as much as any other again.
  void rejoin_parent() {
    const Part& object = store_.parts_[object_];
    if (object.parent != kNoPart || parent_ == kNoPart || !still(parent_, parent_key_)) return;
    // What the object was stored under counts.
    if (!same_key(ledger::peek(store_.ledger_.record(object_).parent), parent_key_) ||
        !is_nearer(parent_, object.depth)) {
      return;
    }
    store_.link_family(object_, parent_);
    if (object.known) store_.policy_.refresh(object_);
  }

  // A parent is nearer to the root than its children: so there are no circles.
  bool is_nearer(PartId parent, uint32_t depth) const {
    return parent != kNoPart && store_.parts_[parent].depth < depth;
  }

  uint32_t refuse(lmcd_outcome_t outcome) {
    ++(outcome == LMCD_REFUSED ? store_.metrics_.refused_total : store_.metrics_.no_space_total);
    return end_ = outcome;  // a prefix with a hole in it is no use: the rest goes the same way
  }

  uint32_t place(std::size_t i, wire::Grant& grant) {
    const uint64_t length = nth(request_.lengths, i);
    if (length > store_.options_.session_bytes ||
        payers_book_.held_bytes > store_.options_.session_bytes - length) {
      return refuse(LMCD_REFUSED);
    }
    if (!store_.may_fit_quota(tenant_, length)) return refuse(LMCD_REFUSED);
    if (!store_.may_fit(length)) return refuse(LMCD_NO_SPACE);
    if (!store_.make_quota(tenant_, length)) return refuse(LMCD_REFUSED);
    std::optional<ExtentId> extent;
    if (!store_.make_room(length, &extent)) return refuse(LMCD_NO_SPACE);
    const PartId id = store_.take_record();
    // Room was made: neither parent nor object is sure to be there still.
    if (parent_ != kNoPart && !still(parent_, parent_key_)) parent_ = kNoPart;
    if (object_ != kNoPart && !still(object_, request_.keys[i])) object_ = kNoPart;
    if (!fill(i, id, *extent, length)) {
      store_.allocator_->free(*extent);
      store_.free_record(id);
      return refuse(LMCD_NO_SPACE);
    }
    const Part& part = store_.parts_[id];
    lease_.items[i] = {id, part.word};
    ++lease_.open_items;
    grant.record = id;
    grant.word = part.word;
    grant.offset = store_.allocator_->offset_of(*extent);
    grant.length = static_cast<uint32_t>(length);
    return LMCD_RESERVED;
  }

  bool still(PartId id, const lmcd_key_t& key) const {
    const Part& part = store_.parts_[id];
    return state_of(part.word) != State::kFree && same_key(part.key, key);
  }

  // Publishes the part as RESERVED, then lets it be found. Returns false, undone, when the index
  // has no place for its key.
  bool fill(std::size_t i, PartId id, ExtentId extent, uint64_t length) {
    Part& part = store_.parts_[id];
    const State state = request_.promoting ? State::kPromoting : State::kReserved;
    const uint64_t word = make_word(ledger::generation_of(part.word), state);
    part = {};
    part.key = request_.keys[i];
    part.word = word;
    part.first_child = kNoPart;
    part.extent = extent;
    store_.allocator_->set_owner(extent, id);
    part.length = static_cast<uint32_t>(length);
    part.part = nth(request_.parts, i);
    part.depth = depth_;
    part.space = request_.space;
    store_.spaces_.add_part(part.space);
    part.tenant = tenant_;
    store_.ledger_.publish(id,
                           {part.key, parent_key_, store_.allocator_->offset_of(extent),
                            part.length, part.space, part.tenant, part.depth, part.part,
                            book_.slot, session_, lease_id_},
                           word);
    LMCD_SYNC_POINT("reserve.after_publish");
    if (!store_.join_object(id, object_, hash_)) return false;
    LMCD_SYNC_POINT("reserve.after_index");
    if (object_ == kNoPart) {
      object_ = id;
      store_.link_family(id, is_nearer(parent_, depth_) ? parent_ : kNoPart);
    } else {
      store_.refresh_groups(object_);
    }
    ++store_.parts_[object_].writers;
    store_.hold(object_);
    store_.accounts_.charge(tenant_, length, payer_);
    payers_book_.held_bytes += length;
    ++store_.metrics_.reserved_parts_total;
    store_.metrics_.reserved_bytes_total += length;
    store_.metrics_.reserved_bytes += length;
    return true;
  }

  Store& store_;
  const SessionId session_;
  SessionBook& book_;
  const ProcessId payer_;
  ProcessBook& payers_book_;
  const TenantId tenant_;
  const uint64_t lease_id_;
  const ReserveRequest& request_;

  Lease lease_;
  std::vector<PartId> found_;
  uint64_t hash_ = 0;           // of the present key
  PartId object_ = kNoPart;     // that of the present key
  PartId parent_ = kNoPart;     // that of the key before
  lmcd_key_t parent_key_ = {};  // zeros: a root
  uint32_t depth_ = 0;
  uint32_t end_ = LMCD_NONE;    // what the rest of the batch gets
};

Status Store::reserve(SessionId session, uint64_t lease, const ReserveRequest& request,
                      wire::Grant* grants) {
  SessionBook* book = leases_.find(session);
  if (book == nullptr || (request.payer != 0 && leases_.find(request.payer) == nullptr))
    return fault(LMCD_E_SESSION_LOST, "reserve: no such session");
  const Spaces::Space* space = spaces_.find(request.space);
  if (space == nullptr)
    return fault(LMCD_E_INVALID, "reserve: no namespace has the number %u", request.space);
  if (lease == 0 || book->leases.contains(lease)) {
    return fault(LMCD_E_INVALID, "reserve: lease number %llu is zero or in use",
                 (unsigned long long)lease);
  }
  for (const lmcd_part_t& part : request.parts) {
    if (part.rank >= space->rank_count || part.group >= space->groups.size()) {
      return fault(LMCD_E_INVALID,
                   "reserve: part (rank %u, group %u) outside of %u ranks and %zu groups",
                   part.rank, part.group, space->rank_count, space->groups.size());
    }
  }
  if (space->retiring) {
    return fault(LMCD_E_LIMIT,
                 "reserve: namespace %u is given up, since places run short and its process has "
                 "more than %u: open it again",
                 request.space, Spaces::kAssured);
  }
  const SessionBook& payer = request.payer != 0 ? *leases_.find(request.payer) : *book;
  LMCD_ASSIGN(TenantId tenant, accounts_.intern_for(payer.process, request.tenant));
  Lease made = Batch(*this, session, *book, payer.process, tenant, lease, request).run(grants);
  if (made.open_items == 0) return {};
  Lease& kept = book->leases.emplace(lease, std::move(made)).first->second;
  leases_.expire_at(session, lease, kept, clock_.now_ms() + options_.write_ttl_ms);
  ++metrics_.write_leases;
  return {};
}

Status Store::commit(SessionId session, uint64_t lease_id, std::span<const uint32_t> items,
                     std::span<const uint32_t> crcs) {
  Lease* lease = leases_.find(session, lease_id);
  if (lease == nullptr || lease->kind != LeaseKind::kWrite) {
    return fault(LMCD_E_LEASE_LOST, "commit: no write lease %llu in this session",
                 (unsigned long long)lease_id);
  }
  const std::size_t count = items.empty() ? lease->items.size() : items.size();
  if (!crcs.empty() && crcs.size() != count)
    return fault(LMCD_E_INVALID, "commit: %zu checksums for %zu items", crcs.size(), count);
  for (uint32_t item : items) {
    if (item >= lease->items.size())
      return fault(LMCD_E_INVALID, "commit: item %u of a batch of %zu", item, lease->items.size());
  }
  const uint64_t now_ms = clock_.now_ms();
  const ProcessId payer = lease->payer;
  uint64_t paid_bytes = 0;
  std::size_t lost = 0;
  uint32_t steps = kAncestors;
  PartId below = kNoPart;  // the object committed last, one step further from the root
  // The last first: the policy hears of a prefix leaf first, so that its root is the youngest.
  const auto item_at = [&](std::size_t k) -> LeaseItem& {
    return lease->items[items.empty() ? k : items[k]];
  };
  for (std::size_t k = count; k-- > 0;) {
    if (k >= kFar) fetch_to_commit(item_at(k - kFar).part, Fetch::kPart);
    if (k >= kNear) fetch_to_commit(item_at(k - kNear).part, Fetch::kBucket);
    LeaseItem& item = item_at(k);
    if (item.part == kNoPart) continue;
    const PartId id = item.part;
    const Part& part = parts_[id];
    if (part.word == item.word) {
      if (below != kNoPart && below != part.first) refresh_ancestors(below, part.first, &steps);
      below = part.first;
      if (!crcs.empty()) ledger_.set_checksum(id, crcs[k]);
      become_hot(id, now_ms);
      paid_bytes += part.length;
    } else {
      settle_unwritten(item);
      ++lost;
    }
    item.part = kNoPart;
    --lease->open_items;
  }
  if (below != kNoPart) refresh_ancestors(below, kNoPart, &steps);
  leases_.discharge(payer, paid_bytes);
  if (lease->open_items == 0) {
    leases_.erase(session, lease_id);
    --metrics_.write_leases;
  }
  ++change_count_;
  if (lost == 0) return {};
  return fault(LMCD_E_LEASE_LOST, "commit: %zu of %zu items were no longer leased", lost, count);
}

Status Store::abort(SessionId session, uint64_t lease_id) {
  Lease* lease = leases_.find(session, lease_id);
  if (lease == nullptr || lease->kind != LeaseKind::kWrite) {
    return fault(LMCD_E_LEASE_LOST, "abort: no write lease %llu in this session",
                 (unsigned long long)lease_id);
  }
  for (LeaseItem& item : lease->items) {
    if (item.part == kNoPart) continue;
    if (parts_[item.part].word == item.word) {
      leases_.discharge(lease->payer, parts_[item.part].length);
      ++metrics_.aborted_parts_total;
      detach_unwritten(item.part);
      drop_part(item.part);
    } else {
      settle_unwritten(item);
    }
  }
  leases_.erase(session, lease_id);
  --metrics_.write_leases;
  ++change_count_;
  return {};
}

void Store::charge_quarantine(LivenessSlot slot, ProcessId process) {
  for (PartId id : quarantine_.of(slot)) {
    if (quarantine_.find(id)->payer != 0) continue;
    quarantine_.set_payer(id, process);
    leases_.charge(process, parts_[id].length);
  }
}

uint64_t Store::writer_dead(LivenessSlot slot) {
  const std::vector<PartId> parts = quarantine_.of(slot);
  for (PartId id : parts) end_quarantine(id);
  return parts.size();
}

void Store::writers_dead() {
  std::vector<LivenessSlot> slots;
  for_each_quarantined_slot([&](LivenessSlot slot) { slots.push_back(slot); });
  for (LivenessSlot slot : slots) writer_dead(slot);
  writer_dead(kTierSlot);
}

uint64_t Store::writer_stopped(SessionId lost, LivenessSlot slot,
                               std::span<const uint64_t> leases) {
  const std::unordered_set<uint64_t> named(leases.begin(), leases.end());
  uint64_t freed = 0;
  for (PartId id : quarantine_.of(slot)) {
    const Writer owner = *quarantine_.find(id);
    if (owner.session != lost || !named.contains(owner.lease)) continue;
    end_quarantine(id);
    ++freed;
  }
  return freed;
}

void Store::fetch_to_commit(PartId id, Fetch what) const {
  if (id == kNoPart) return;
  if (what == Fetch::kBucket) return index_.prefetch_to_write(hash_of(parts_[id]));
  prefetch_to_write(&parts_[id]);
  ledger_.prefetch_to_write(id);
}

// RESERVED becomes HOT: the bytes are readable from the store of the word on.
void Store::become_hot(PartId id, uint64_t now_ms) {
  Part& part = parts_[id];
  const PartId first = part.first;
  const bool promoted = state_of(part.word) == State::kPromoting;
  part.word = make_word(ledger::generation_of(part.word), State::kHot);
  part.cold = find_cold(part) != ColdBook::kNone;
  ledger_.record(id).used_ms.store(now_ms, std::memory_order_relaxed);
  LMCD_SYNC_POINT("commit.before_word");
  ledger_.set_word(id, part.word);
  LMCD_SYNC_POINT("commit.after_word");
  Part& object = parts_[first];
  --object.writers;
  refresh_groups(first);
  if (object.known) {
    policy_.resize(first, hot_bytes_of(first));
    unhold(first);
  } else {
    object.known = 1;
    policy_.insert({first, hash_of(object), hot_bytes_of(first), object.tenant, object.parent,
                    object.depth});
    if (holds(object) != 0) policy_.withhold(first);
    else count_evictable(first);
    ++metrics_.objects;
  }
  metrics_.reserved_bytes -= part.length;
  metrics_.hot_bytes += part.length;
  spaces_.add_hot(part.space, part.length);
  ++metrics_.committed_parts_total;
  metrics_.committed_bytes_total += part.length;
  if (options_.spill == SpillWhen::kCommitted && !promoted) note_dirty(id);
  report(LMCD_EVENT_COMMITTED, id, part.length);
}

// Takes the key of a RESERVED part away: it belongs to no object any more.
void Store::detach_unwritten(PartId id) {
  const Part& part = parts_[id];
  report(LMCD_EVENT_ABORTED, id, part.length);
  const PartId first = part.first;
  --parts_[first].writers;
  unhold(first);
  const PartId rest = first == id ? part.next : first;
  leave_object(id);
  if (rest != kNoPart) {
    refresh_groups(rest);
    // Its object will not be whole: the rest is no hit, and goes first.
    if (parts_[rest].known && parts_[rest].writers == 0) policy_.demote(rest);
  }
  metrics_.reserved_bytes -= part.length;
  ++change_count_;
}

// The extent of a RESERVED part rests until its writer is known to be still.
void Store::quarantine(PartId id, const Writer& writer) {
  Part& part = parts_[id];
  detach_unwritten(id);
  LMCD_SYNC_POINT("quarantine.before_word");
  part.word = make_word(ledger::generation_of(part.word), State::kQuarantined);
  ledger_.set_word(id, part.word);
  metrics_.quarantined_bytes += part.length;
  ++metrics_.quarantined_parts_total;
  quarantine_.add(id, writer);
}

void Store::end_quarantine(PartId id) {
  const Writer owner = *quarantine_.find(id);
  quarantine_.remove(id);
  metrics_.quarantined_bytes -= parts_[id].length;
  leases_.discharge(owner.payer, parts_[id].length);
  drop_part(id);
}

// The writer of an item that is RESERVED no more says that it is at rest.
void Store::settle_unwritten(const LeaseItem& item) {
  if (parts_[item.part].word == make_word(ledger::generation_of(item.word), State::kQuarantined))
    end_quarantine(item.part);
}

// A chunk was stored: the prefix it stands on becomes as young as it, the root the youngest. Goes
// up as far as `until`, which is not among them, and takes what it went from `steps`.
void Store::refresh_ancestors(PartId object, PartId until, uint32_t* steps) {
  PartId ancestor = parts_[object].parent;
  for (; *steps > 0 && ancestor != kNoPart && ancestor != until; --*steps) {
    if (parts_[ancestor].known) policy_.refresh(ancestor);
    ancestor = parts_[ancestor].parent;
  }
}

}  // namespace lmcd::core
