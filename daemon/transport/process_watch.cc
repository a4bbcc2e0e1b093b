#include "daemon/transport/process_watch.h"

#include <vector>

namespace lmcd::transport {

ProcessWatch::ProcessWatch(Loop& loop, memory::Liveness& liveness, core::Store& store,
                           OnDeath on_death)
    : loop_(loop),
      liveness_(liveness),
      store_(store),
      on_death_(std::move(on_death)),
      ask_(loop, [this] { ask(); }) {
  // Writers of before a restart. A slot that the file does not have was the earlier daemon's own.
  for (core::LivenessSlot slot : quarantined_slots()) {
    if (!liveness_.hold(slot)) {
      store_.writer_dead(slot);
      continue;
    }
    know(slot);
    store_.charge_quarantine(slot, core::process_of(liveness_.pid_of(slot), slot));
  }
  liveness_.sweep();
  if (!processes_.empty()) ask_.arm_in(0);
}

// The slots stay held and their files where they are: the ledger may name them, and by them the
// next daemon learns who is dead.
ProcessWatch::~ProcessWatch() {
  for (auto& [slot, process] : processes_) stop_watching(*process);
}

Result<ProcessWatch::Entry> ProcessWatch::enter(const Peer& peer, const wire::Hello& hello) {
  Entry entry;
  if (recognise(peer, hello)) {
    entry = {static_cast<core::LivenessSlot>(hello.liveness_slot), true};
  } else {
    LMCD_ASSIGN(entry.slot, liveness_.allocate());
  }
  Process& process = know(entry.slot);
  ++process.sessions;
  watch_death(process, peer);
  return entry;
}

// Whether Hello names the liveness file that the peer's process has locked. Its slot is held then.
bool ProcessWatch::recognise(const Peer& peer, const wire::Hello& hello) {
  if (hello.liveness_inode == 0 || hello.liveness_slot > UINT32_MAX) return false;
  const auto slot = static_cast<core::LivenessSlot>(hello.liveness_slot);
  const bool known = find(slot) != nullptr;
  if (!known && !liveness_.hold(slot)) return false;
  if (liveness_.has_file(slot, hello.liveness_device, hello.liveness_inode) && confirm(slot, peer))
    return true;
  if (!known) liveness_.drop(slot);
  return false;
}

bool ProcessWatch::confirm(core::LivenessSlot slot, const Peer& peer) {
  // Both pids are as this daemon's pid namespace has them, 0 for a process outside of it.
  return liveness_.is_alive(slot) && liveness_.pid_of(slot) == peer.pid;
}

ProcessWatch::Process* ProcessWatch::find(core::LivenessSlot slot) {
  auto found = processes_.find(slot);
  return found == processes_.end() ? nullptr : found->second.get();
}

// Requires: the slot is held in the liveness book, for this process alone if it is new.
ProcessWatch::Process& ProcessWatch::know(core::LivenessSlot slot) {
  std::unique_ptr<Process>& process = processes_[slot];
  if (process == nullptr) process = std::make_unique<Process>(*this, slot);
  return *process;
}

void ProcessWatch::watch_death(Process& process, const Peer& peer) {
  if (process.death.valid()) return;
  process.death = watch_for_death(peer);
  if (process.death.valid() && !loop_.add(process.death.get(), EPOLLIN, process).ok())
    process.death.reset();
}

void ProcessWatch::stop_watching(Process& process) {
  if (!process.death.valid()) return;
  loop_.remove(process.death.get());
  process.death.reset();
}

void ProcessWatch::forget(Process& process) {
  stop_watching(process);
  liveness_.drop(process.slot);
  processes_.erase(process.slot);
}

void ProcessWatch::Process::on_ready(uint32_t) {
  ProcessWatch& watch = owner;
  watch.stop_watching(*this);  // it told what it knows
  watch.settle(slot);
}

void ProcessWatch::leave(core::LivenessSlot slot) {
  Process* process = find(slot);
  if (process != nullptr && --process->sessions == 0) settle(slot);
}

// Draws the consequences of the death of the slot's process, if it is dead.
void ProcessWatch::settle(core::LivenessSlot slot) {
  Process* process = find(slot);
  const bool dead = !liveness_.is_alive(slot);
  if (process != nullptr && process->sessions != 0) {
    if (dead) on_death_(slot);  // leave() comes back here when the last of its sessions is over
    return;
  }
  if (dead) store_.writer_dead(slot);
  if (process != nullptr && !store_.has_quarantine(slot)) forget(*process);
}

void ProcessWatch::note_quarantine() {
  if (!ask_.armed() && store_.quarantine_size() != 0) ask_.arm_in(kAskMs);
}

void ProcessWatch::ask() {
  for (core::LivenessSlot slot : quarantined_slots()) {
    // What is in quarantine for no process of ours is the daemon's own copy, which ends it itself.
    if (find(slot) != nullptr) settle(slot);
  }
  note_quarantine();
}

std::vector<core::LivenessSlot> ProcessWatch::quarantined_slots() const {
  std::vector<core::LivenessSlot> slots;
  store_.for_each_quarantined_slot([&](core::LivenessSlot slot) { slots.push_back(slot); });
  return slots;
}

}  // namespace lmcd::transport
