// One incarnation: an arena, its ledger, and the store over both. They live and die together.
//
// Takes over what an earlier daemon of this identity left, if it is whole and was made for the same
// plan; else voids that and begins anew. Shared memory can be shortened by whoever holds it; when
// that happened (lost()), nothing of this incarnation counts any more: the server gives it up and
// opens the next. Loop thread only.
#pragma once

#include <memory>
#include <string>

#include "daemon/core/store.h"
#include "daemon/memory/arena.h"
#include "daemon/memory/backing.h"
#include "daemon/memory/gatherer.h"
#include "lib/base/guarded.h"
#include "lib/base/log.h"

namespace lmcd::server {

// Faults: LMCD_E_IO where the kernel gives none.
Status draw_random(void* bytes, std::size_t count);

class Incarnation {
 public:
  struct Plan {
    uint64_t arena_bytes = 0;  // a multiple of the alignment
    uint32_t align_bytes = 4096;
    uint32_t records = 0;
    core::StoreOptions store;
    std::string policy;
    bool quota_required = false;  // the policy gives nothing to tenants without a quota
    bool cold = false;            // discard what is there
    bool eager = false;           // populate all of the arena before readiness
    uint64_t ahead_bytes = 0;     // populated in the background after readiness
    std::string state_id;         // of the directory with the liveness files
  };
  // Used, not owned; all outlive the incarnation.
  struct Parts {
    memory::Backing& backing;
    const Clock& clock;
    core::EventSink& events;
    Log& log;
  };

  // Faults: LMCD_E_NO_MEMORY and LMCD_E_IO as the backing says, LMCD_E_INVALID (no such policy).
  static Result<std::unique_ptr<Incarnation>> open(const Plan& plan, const Parts& parts);

  core::Store& store() { return *store_; }
  memory::Arena& arena() { return *arena_; }
  const uint8_t* id() { return store_->ledger().shape().incarnation; }
  uint64_t ledger_bytes() const { return memory_.ledger_bytes; }
  uint64_t arena_bytes() const { return memory_.arena_bytes; }
  // What clients are given.
  int arena_descriptor() const { return arena_for_clients_.get(); }
  int ledger_descriptor() const { return ledger_for_clients_.get(); }
  // What was found; nothing when this incarnation began anew.
  bool warm() const { return warm_; }
  const core::Adopted& adopted() const { return adopted_; }

  // Whether arena or ledger is not what it was: a client shortened it, or memory ran out under it.
  bool lost();
  // Keeps the populated part ahead of what is in use, and says in the ledger how far it goes.
  void look_ahead();
  // Orderly stop: leaves all for the next daemon.
  Status close();
  // Says to all who hold it that nothing here validates, and leaves nothing to be found.
  void give_up();

 private:
  // How often, while there is work, the sizes of arena and ledger are compared.
  static constexpr uint64_t kLookMs = 1000;

  Incarnation(const Plan& plan, const Parts& parts) : plan_(plan), parts_(parts) {}

  Status take_over(memory::SharedMemory memory);
  Status begin(memory::SharedMemory memory);
  Status map(memory::SharedMemory memory);
  Status check_epoch(const ledger::Header& header) const;
  Status open_arena(uint64_t populated_bytes);
  Status make_policy();
  void tell_populating_stopped();
  void tell_tables_grown();
  core::Ledger::Plan ledger_plan() const;

  const Plan plan_;
  const Parts parts_;
  memory::SharedMemory memory_;
  FileDescriptor arena_for_clients_;
  FileDescriptor ledger_for_clients_;
  GuardedRegion ledger_region_;
  std::unique_ptr<memory::Arena> arena_;
  std::unique_ptr<core::EvictionPolicy> policy_;
  std::unique_ptr<core::Store> store_;
  uint64_t looked_ms_ = 0;  // when the sizes were last compared
  bool warm_ = false;
  bool told_stopped_ = false;  // that the arena is populated no further
  core::Adopted adopted_;
  uint32_t told_records_ = 0;  // when the gatherer was last told
  memory::Gatherer gatherer_;  // last: it works in the tables of the store
};

}  // namespace lmcd::server
