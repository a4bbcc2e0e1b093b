// The store: every object, lease and account of the daemon, and the only code that moves a part
// along its life:
//
//   absent --reserve--> RESERVED --commit--> HOT --evict, clear--> absent, or cold
//      ^                   |
//      |   abort           | writer lost, TTL past, key cleared
//      +-------------------+-------------> QUARANTINED --stopped, proved dead--> absent
//
// A part that a tier has is in the cold book beside its record, or without one; PROMOTING is
// RESERVED with a tier for its writer. What goes where and when is the mover's business.
//
// Owns the private books (records, allocator, index, leases, accounts) and writes the ledger that
// mirrors them for clients and for the next daemon. Knows no socket, thread, file or clock but
// the Clock it is given, so whole histories replay in a test. Loop thread only; nothing blocks.
//
// Requests arrive as values and are checked by the caller for shape (counts, limits of
// lib/wire/limits.h); what they name (keys, leases, records) is checked here, and a client's error
// is an outcome or a refusal, never an assertion.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/core/accounts.h"
#include "daemon/core/allocator.h"
#include "daemon/core/cold_book.h"
#include "daemon/core/event.h"
#include "daemon/core/eviction.h"
#include "daemon/core/lease.h"
#include "daemon/core/ledger.h"
#include "daemon/core/metrics.h"
#include "daemon/core/part.h"
#include "daemon/core/spaces.h"
#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/wire/limits.h"
#include "lib/wire/messages.h"

namespace lmcd::core {

// What makes a hot part one to be spilled.
enum class SpillWhen : uint8_t {
  kNever,      // there are no tiers
  kCommitted,  // its commit
  kReused,     // its first use
  kEvicted,    // that it is next to go, while less than a reserve is free
};

struct StoreOptions {
  uint64_t read_ttl_ms = 300'000;
  uint64_t write_ttl_ms = 600'000;
  uint64_t session_bytes = UINT64_MAX;  // one process may hold being written or quarantined
  double watermark = 1.0;               // of the arena; 1: no background eviction
  double ratio = 0.2;                   // of the bytes in use, per background eviction

  SpillWhen spill = SpillWhen::kNever;
  bool drop_when_cold = false;       // the hot copy goes once it is spilled
  uint32_t tiers = 0;                // a bit for each
  uint32_t cold_parts = 1u << 24;    // known to be in tiers
  uint64_t promoting_rest_ms = 60'000;  // after a daemon's death a tier may still write so long
};

// What a warm start found.
struct Adopted {
  uint64_t objects = 0;
  uint64_t parts = 0;
  uint64_t bytes = 0;
  uint64_t quarantined = 0;
  uint64_t rejected = 0;  // records that broke a rule
};

// What a session holds.
struct SessionUse {
  uint64_t leases = 0;
  uint64_t held_bytes = 0;  // by its process: being written, or quarantined after it
};

struct ReserveRequest {
  uint32_t space = 0;
  std::string_view tenant;
  const lmcd_key_t* parent = nullptr;  // of keys[0]
  uint32_t depth = 0;                  // of keys[0]
  std::span<const lmcd_key_t> keys;
  std::span<const lmcd_part_t> parts;   // one per key, or one for all
  std::span<const uint64_t> lengths;    // one per key, or one for all
  SessionId payer = 0;  // whose process's limit counts; 0: the session's that reserves
  bool promoting = false;  // a tier writes it, not a client
};

// What a tier is given of a part. `tenant` lives while the part does.
struct SpillView {
  ColdBook::Identity identity;
  uint64_t offset;  // in the arena
};

struct AcquireRequest {
  uint32_t space = 0;
  std::span<const lmcd_key_t> keys;
  std::span<const lmcd_part_t> parts;  // one per key, or one for all
};

// Which objects an operator's verb speaks of; what is not given matches all.
struct Selector {
  bool space_given = false;
  uint32_t space = 0;
  bool tenant_given = false;
  std::string_view tenant;
  std::span<const lmcd_key_t> keys;
};

class Store {
 public:
  // Runs over `ledger`, which is formatted and empty. `policy`, `clock` and `events` are used, not
  // owned, and outlive the store.
  // Faults: LMCD_E_NO_MEMORY.
  static Result<std::unique_ptr<Store>> make(Ledger ledger, const StoreOptions& options,
                                             EvictionPolicy& policy, const Clock& clock,
                                             EventSink& events);
  // The same over a ledger that an earlier daemon left, each record of it untrusted: keeps what is
  // HOT and whole, quarantines what was being written, drops what breaks a rule.
  static Result<std::unique_ptr<Store>> adopt(Ledger ledger, const StoreOptions& options,
                                              EvictionPolicy& policy, const Clock& clock,
                                              EventSink& events, Adopted* found);

  // -- Namespaces ------------------------------------------------------------------------

  // The number of the namespace with this description, made if it is new. It stays what it is
  // while the session lasts or an object of it is there, unless it is given up (spaces.h).
  // Faults: LMCD_E_INVALID (no description, or known with other ranks or groups), LMCD_E_LIMIT.
  Result<uint32_t> open_space(SessionId session, std::string_view description,
                              uint32_t rank_count, std::span<const lmcd_group_t> groups);
  const Spaces& spaces() const { return spaces_; }

  // -- Sessions --------------------------------------------------------------------------

  // `process` is whose limits count; without it, the slot's.
  void open_session(SessionId session, LivenessSlot slot, ProcessId process);
  void open_session(SessionId session, LivenessSlot slot) {
    open_session(session, slot, core::process_of(0, slot));
  }
  // Drops its read leases. What it was writing is quarantined.
  void close_session(SessionId session);
  SessionUse use_of(SessionId session);
  // Whose limits count for the session; nobody's (0) for one that is over.
  ProcessId process_of(SessionId session);
  // Calls visitor(slot) once for each liveness slot that owns quarantined extents.
  template <typename Visitor>
  void for_each_quarantined_slot(Visitor&& visitor) const {
    for (const auto& [slot, parts] : quarantine_.by_slot())
      if (slot != kTierSlot) visitor(slot);
  }
  bool has_quarantine(LivenessSlot slot) const { return quarantine_.by_slot().contains(slot); }
  std::size_t quarantine_size() const { return quarantine_.size(); }
  // Says whose process the writer of before a restart is: what the slot has in quarantine counts
  // against its limit.
  void charge_quarantine(LivenessSlot slot, ProcessId process);
  // The process that held this liveness slot is gone: what it had in quarantine is free.
  // Returns the number of extents.
  uint64_t writer_dead(LivenessSlot slot);
  // No process of before lives: the machine was booted since.
  void writers_dead();
  // The process says that it no longer writes under these leases of its lost session.
  uint64_t writer_stopped(SessionId lost, LivenessSlot slot, std::span<const uint64_t> leases);

  // -- Store -----------------------------------------------------------------------------

  // One grant per key, in order. Evicts what it needs to. After the first key that gets no space
  // the rest get none either: a prefix with a hole is no use.
  // Faults: LMCD_E_INVALID (no such namespace, part outside of it, lease number in use).
  Status reserve(SessionId session, uint64_t lease, const ReserveRequest& request,
                 wire::Grant* grants);
  // Makes items of a write lease visible; all of them where `items` is empty. `crcs` has one per
  // item or none. Ends the lease when nothing of it is left.
  // Faults: LMCD_E_LEASE_LOST names what did not become visible (its extents, at rest now, are
  // free), LMCD_E_INVALID.
  Status commit(SessionId session, uint64_t lease, std::span<const uint32_t> items,
                std::span<const uint32_t> crcs);
  Status abort(SessionId session, uint64_t lease);

  // -- Retrieve --------------------------------------------------------------------------

  void lookup(uint32_t space, std::span<const lmcd_key_t> keys, lmcd_presence_t* out);
  // One grant per key: LEASED, PENDING or ABSENT. No lease is made when nothing is LEASED.
  // Leases without a time to live (those of a tier or copy worker) use `Lifetime::kUnbounded`.
  Status acquire(SessionId session, uint64_t lease, const AcquireRequest& request,
                 wire::Grant* grants, Lifetime lifetime = Lifetime::kExpires);
  // Leases those records that still have their words. Never a fault: a record that changed shows
  // as a failed validation.
  Status acquire_posted(SessionId session, uint64_t lease,
                        std::span<const wire::Sighting> records);
  // Whether the record is what the client saw: in bounds, hot, and not forgotten.
  bool readable(const wire::Sighting& seen) const;
  // The first item from `from` on whose part is being written now; the number of items if none is.
  std::size_t first_pending(const AcquireRequest& request, std::size_t from) const;
  Status release(SessionId session, uint64_t lease);
  void touch(std::span<const wire::Sighting> records);
  void renew(SessionId session, std::span<const uint64_t> leases);

  // -- Tiers (store_tiers.cc) ------------------------------------------------------------

  const ColdBook& cold() const { return cold_; }
  // The entry of a part that is in a tier; ColdBook::kNone if it is in none.
  uint32_t find_cold(uint32_t space, const lmcd_key_t& key, lmcd_part_t part) const;
  // Whether the part has a record: it is hot, or being written.
  bool has_record(uint32_t space, const lmcd_key_t& key, lmcd_part_t part) const {
    return find_part(find(space, key, hash_of(space, key)), part) != kNoPart;
  }
  // A tier has this part, says its list. Returns false where the book does not take it.
  bool adopt_cold(const ColdBook::Identity& identity, uint32_t tier);
  // The tier has it no more.
  void lose_cold(uint32_t entry, uint32_t tier);
  std::vector<uint32_t> take_leaving(std::size_t most) { return cold_.take_leaving(most); }
  void left_tier(uint32_t entry, uint32_t tier) { cold_.left(entry, tier); }

  // Takes up to `most` parts that became ones to be spilled.
  std::vector<LeaseItem> take_dirty(std::size_t most);
  bool has_dirty() const { return !dirty_.empty(); }
  // Makes all that is hot and not in every tier one to be spilled, in steps of so many records:
  // *cursor is 1 at first and 0 after the last.
  void note_dirty_step(uint64_t* cursor, uint64_t looks);
  // SpillWhen::kEvicted: the parts of the object that is next to go, while less than the reserve
  // is free or about to be. What of it is cold already goes at once.
  std::vector<LeaseItem> take_next_to_go(uint64_t spilling_bytes);
  // Leases a part for a tier that reads it. Nothing where there is nothing to spill: it is gone,
  // the tier has it, or its name is another's there.
  std::optional<SpillView> begin_spill(const LeaseItem& item, uint32_t tier);
  // The tier has read it, and has it if `stored`.
  // Requires: begun.
  void end_spill(PartId part, uint32_t tier, bool stored);

  // A part of a committed object is not to be evicted until it is let go. Returns false when it is
  // not there. With `fleeting` the hot copy goes with its last lease.
  bool keep(const LeaseItem& item, bool fleeting);
  // Requires: kept.
  void let_go(PartId part);

  // -- Operator --------------------------------------------------------------------------

  // The verbs over many objects go in steps: *cursor is 0 at first and 0 again after the last step,
  // and a step looks at a bounded number of records. Objects that come or go between two steps may
  // be missed, none is met twice.
  //
  // Forgets what matches, or counts it as kept, and adds to *cleared.
  void clear_step(const Selector& selector, bool force, uint64_t* cursor, lmcd_cleared_t* cleared);
  // Returns how many objects changed.
  uint64_t pin_step(const Selector& selector, bool pinned, uint64_t* cursor);
  // All steps at once.
  lmcd_cleared_t clear(const Selector& selector, bool force);
  uint64_t pin(const Selector& selector, bool pinned);
  // Fills `out` with what matches; it may come back short before the last step.
  uint32_t list(const Selector& selector, uint64_t* cursor, std::span<lmcd_listed_t> out);
  Accounts& accounts() { return accounts_; }
  // Counters as they stand, gauges filled in.
  const Metrics& snapshot();
  Metrics& metrics() { return metrics_; }

  // -- Time ------------------------------------------------------------------------------

  // Ends leases past their time, does background eviction, in bounded slices.
  // Returns when to come again (CLOCK_MONOTONIC ms), UINT64_MAX if nothing is due.
  uint64_t tick();

  // Changes limits while the store is in use. What is held past a lower one stays.
  void set_limits(uint64_t session_bytes, double watermark, double ratio) {
    options_.session_bytes = session_bytes;
    options_.watermark = watermark;
    options_.ratio = ratio;
    evicting_ = false;
  }

  // Changes whenever a reservation ended or an object became hot: who waits for PENDING looks
  // again.
  uint64_t change_count() const { return change_count_; }

  Ledger& ledger() { return ledger_; }

  // Records at and above it were never used.
  uint32_t record_high() const { return record_high_; }
  // What is read at random, each from its start as far as nearly all pages of it are in use.
  std::array<std::span<std::byte>, 4> tables();
  uint64_t high_water_bytes() const { return allocator_->high_water_bytes(); }

 private:
  // clear_step() goes on in the cold book from here.
  static constexpr uint64_t kColdCursor = uint64_t{1} << 40;

  class Batch;  // one reserve in progress (store_write.cc)

  // What forgetting an object gives back: to the arena, and to its tenant's quota.
  struct Evictable {
    uint64_t footprint_bytes;
    uint64_t payload_bytes;
  };

  Store(Ledger ledger, const StoreOptions& options, EvictionPolicy& policy, const Clock& clock,
        EventSink& events);
  Status make_books();

  // store.cc: parts and objects
  uint64_t hash_of(uint32_t space, const lmcd_key_t& key) const {
    return ledger::hash_key(key, space, ledger_.shape().hash_seed);
  }
  uint64_t hash_of(const Part& part) const { return hash_of(part.space, part.key); }
  // For ledger::hash_ahead: hashes a key of a list and has its bucket fetched.
  auto fetch_bucket(uint32_t space, std::span<const lmcd_key_t> keys) const {
    return [this, space, keys](std::size_t at) {
      const uint64_t hash = hash_of(space, keys[at]);
      index_.prefetch(hash);
      return hash;
    };
  }
  PartId find(uint32_t space, const lmcd_key_t& key, uint64_t hash) const;
  PartId find_part(PartId first, lmcd_part_t part) const;
  PartId take_record();
  void free_record(PartId id);
  void drop_part(PartId id);
  bool join_object(PartId id, PartId first, uint64_t hash);
  void leave_object(PartId id);
  void change_first(PartId first, PartId successor);
  void link_family(PartId object, PartId parent);
  void unlink_family(PartId object);
  void refresh_groups(PartId first);
  void hold(PartId object);
  void unhold(PartId object);
  uint32_t holds(const Part& object) const;
  void lease_object(PartId part);
  void unlease_object(PartId part);
  uint64_t hot_bytes_of(PartId object) const;
  void report(EventKind kind, PartId id, uint64_t bytes);

  // store_write.cc: the end of a write
  enum class Fetch { kPart, kBucket };
  void fetch_to_commit(PartId id, Fetch what) const;
  void become_hot(PartId id, uint64_t now_ms);
  void quarantine(PartId id, const Writer& writer);
  void end_quarantine(PartId id);
  void detach_unwritten(PartId id);
  void settle_unwritten(const LeaseItem& item);
  void refresh_ancestors(PartId object, PartId until, uint32_t* steps);

  // store_retrieve.cc: uses
  void fetch_to_read(uint64_t hash) const;
  lmcd_presence_t presence_of(uint32_t space, const lmcd_key_t& key, uint64_t hash) const;
  void begin_read(SessionId session, SessionBook& book, uint64_t lease_id, Lease lease);
  void count_use(PartId id, uint64_t now_ms);

  // store_evict.cc: forgetting objects
  bool may_fit(uint64_t bytes) const;
  bool may_fit_quota(TenantId tenant, uint64_t bytes) const;
  bool make_room(uint64_t bytes, std::optional<ExtentId>* extent);
  bool is_scattered(uint64_t wanted) const;
  void note_scattered(uint64_t wanted);
  bool make_quota(TenantId tenant, uint64_t bytes);
  // Forgets `victim` and counts it in `reason`. Returns false when there is none.
  bool evict_one(ObjectId victim, uint64_t& reason);
  bool evict_run(ObjectId victim, uint64_t bytes);
  void forget(PartId object, EventKind kind);
  void release_extents(PartId object);
  void evict_in_background();

  // store_retire.cc: giving up tenants and namespaces
  void retire_in_background(uint64_t now_ms);
  void begin_retiring(uint64_t now_ms);
  void retire_slice();

  void count_evictable(PartId object);
  void discount_evictable(PartId object);
  Evictable evictable_of(PartId object) const;

  // store_tiers.cc: hot and cold
  uint32_t find_cold(const Part& part) const;
  PartId find_hot(const lmcd_key_t& key, const lmcd_key_t& fingerprint) const;
  uint32_t cold_groups(uint32_t space, const lmcd_key_t& key, PartId first) const;
  void note_dirty(PartId id);
  bool is_clean(PartId object) const;
  bool is_moved_only(PartId object) const;
  void drop_clean(PartId object);
  void leave_tiers(PartId object);
  void clear_cold(const Selector& selector, uint64_t* cursor, lmcd_cleared_t* cleared);
  void count_unspilled(PartId object);
  void end_rest(uint64_t now_ms);
  ColdBook::Identity identity_of(PartId id) const;
  ObjectId next_victim();

  // store_operate.cc: operator's verbs
  bool matches(const Selector& selector, std::optional<TenantId> tenant, PartId object) const;
  std::vector<PartId> select_step(const Selector& selector, uint64_t* cursor,
                                  std::size_t most) const;
  std::vector<PartId> select_keys(const Selector& selector, std::optional<TenantId> tenant,
                                  uint64_t* cursor, std::size_t most) const;
  bool is_object(PartId id) const;
  PartId detach_writers(PartId object, const LeaseBook::Writers& writers);
  void describe(PartId object, lmcd_listed_t& out) const;

  // store_adopt.cc: a warm start
  class Adoption;

  StoreOptions options_;
  EvictionPolicy& policy_;
  const Clock& clock_;
  EventSink& events_;

  Ledger ledger_;
  ReservedArray<Part> parts_;
  Reservation index_memory_;
  ledger::Index index_;  // with its mirror in the ledger
  std::optional<Allocator> allocator_;
  PartId spare_records_ = kNoPart;
  PartId record_high_ = 0;  // records at and above it were never used
  Spaces spaces_;

  LeaseBook leases_;
  Quarantine quarantine_;
  Accounts accounts_;
  Metrics metrics_;
  uint64_t change_count_ = 0;
  ColdBook cold_;
  mutable uint32_t last_meaning_ = 0;  // place of the namespace that find_hot() found last
  std::deque<LeaseItem> dirty_;  // to be spilled, not taken by the mover yet
  std::unordered_map<PartId, uint32_t> moving_;  // leases of the mover
  std::vector<LeaseItem> resting_;  // a dead daemon's tiers may still write there
  uint64_t rest_until_ms_ = 0;
  bool evicting_ = false;  // background eviction is between watermark and target
  uint64_t evict_until_used_ = 0;
  // No run of so many bytes could be made lately.
  uint64_t scattered_bytes_ = UINT64_MAX;
  uint64_t scattered_until_ms_ = 0;
  bool retiring_ = false;  // some tenants' or namespaces' objects are being forgotten
  PartId retire_next_ = 0;
  uint32_t retired_from_ = 0;      // numbers in use when it began
  uint64_t retire_again_ms_ = 0;   // not before then
  // Of all objects that an eviction may take: what is hopeless is known before anything goes.
  uint64_t evictable_bytes_ = 0;
};

}  // namespace lmcd::core
