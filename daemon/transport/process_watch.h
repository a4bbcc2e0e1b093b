// The client processes behind the sessions, and the proof of their death.
//
// Each process has a slot: a liveness file of its own that it keeps locked as long as it lives.
// Several sessions of a process share it. Only a lock that is gone proves that its process writes
// no more (memory/liveness.h); a pidfd makes that noticed at once, and where there is none (a
// process that this daemon never met, or one in another pid namespace) the slots in quarantine are
// asked every kAskMs. Nothing is asked while nothing is in quarantine.
//
// A process is known here, and its slot held in the liveness book, as long as it has sessions or
// extents in quarantine.
//
// Loop thread only; nothing blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/memory/liveness.h"
#include "daemon/transport/peer.h"
#include "lib/base/loop.h"
#include "lib/wire/messages.h"

namespace lmcd::transport {

class ProcessWatch {
 public:
  static constexpr uint64_t kAskMs = 1000;

  // Called when a process is dead, before its extents come back: its sessions end now.
  using OnDeath = std::function<void(core::LivenessSlot)>;

  // What is given outlives this.
  ProcessWatch(Loop& loop, memory::Liveness& liveness, core::Store& store, OnDeath on_death);
  ~ProcessWatch();

  struct Entry {
    core::LivenessSlot slot = 0;
    bool holds_file = false;  // the process has its liveness file open and locked
  };
  // A session of `peer` begins. Gives it the slot that its process holds already, or a new one.
  // The work is bounded, whatever other processes have locked.
  // Faults: LMCD_E_LIMIT when all slots are in use, LMCD_E_IO.
  Result<Entry> enter(const Peer& peer, const wire::Hello& hello);
  // Whether the peer's process holds the lock of its slot.
  bool confirm(core::LivenessSlot slot, const Peer& peer);
  // A session of the process is over, its writes are in quarantine.
  void leave(core::LivenessSlot slot);
  // Something came into quarantine, or may have.
  void note_quarantine();

  // The liveness file of a slot that a session has.
  int liveness_descriptor(core::LivenessSlot slot) const { return liveness_.descriptor(slot); }

 private:
  struct Process final : Watcher {
    Process(ProcessWatch& watch, core::LivenessSlot number) : owner(watch), slot(number) {}
    void on_ready(uint32_t events) override;

    ProcessWatch& owner;
    core::LivenessSlot slot;
    FileDescriptor death;  // a pidfd; empty: none, or it has told
    uint32_t sessions = 0;
  };

  bool recognise(const Peer& peer, const wire::Hello& hello);
  Process* find(core::LivenessSlot slot);
  Process& know(core::LivenessSlot slot);
  void watch_death(Process& process, const Peer& peer);
  void stop_watching(Process& process);
  void forget(Process& process);
  void settle(core::LivenessSlot slot);
  void ask();
  std::vector<core::LivenessSlot> quarantined_slots() const;

  Loop& loop_;
  memory::Liveness& liveness_;
  core::Store& store_;
  OnDeath on_death_;
  std::unordered_map<core::LivenessSlot, std::unique_ptr<Process>> processes_;
  Timer ask_;
};

}  // namespace lmcd::transport
