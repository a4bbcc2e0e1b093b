#include "daemon/core/lease.h"

#include <algorithm>

namespace lmcd::core {

SessionBook& LeaseBook::open(SessionId session, LivenessSlot slot, ProcessId process) {
  SessionBook& book = sessions_[session];
  book.slot = slot;
  book.process = process;
  ++processes_[process].sessions;
  return book;
}

void LeaseBook::close(SessionId session) {
  auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  const ProcessId process = found->second.process;
  sessions_.erase(found);
  --processes_.at(process).sessions;
  drop_if_idle(process);
}

void LeaseBook::drop_if_idle(ProcessId process) {
  const ProcessBook& book = processes_.at(process);
  if (book.sessions == 0 && book.held_bytes == 0) processes_.erase(process);
}

void LeaseBook::charge(ProcessId process, uint64_t bytes) {
  if (process != 0) processes_[process].held_bytes += bytes;
}

void LeaseBook::discharge(ProcessId process, uint64_t bytes) {
  if (process == 0 || bytes == 0) return;
  processes_.at(process).held_bytes -= bytes;
  drop_if_idle(process);
}

SessionBook* LeaseBook::find(SessionId session) {
  auto found = sessions_.find(session);
  return found == sessions_.end() ? nullptr : &found->second;
}

Lease* LeaseBook::find(SessionId session, uint64_t lease) {
  SessionBook* book = find(session);
  if (book == nullptr) return nullptr;
  auto found = book->leases.find(lease);
  return found == book->leases.end() ? nullptr : &found->second;
}

void LeaseBook::erase(SessionId session, uint64_t lease) {
  if (SessionBook* book = find(session)) book->leases.erase(lease);
}

LeaseBook::Writers LeaseBook::writers() const {
  Writers writers;
  for (const auto& [session, book] : sessions_) {
    for (const auto& [id, lease] : book.leases) {
      if (lease.kind != LeaseKind::kWrite) continue;
      for (const LeaseItem& item : lease.items) {
        if (item.part != kNoPart) writers[item.part] = {book.slot, session, id, lease.payer};
      }
    }
  }
  return writers;
}

void LeaseBook::expire_at(SessionId session, uint64_t lease, Lease& entry, uint64_t expires_ms) {
  entry.expires_ms = expires_ms;
  if (entry.queued != 0) return;  // a renewed lease is put in again when its old time comes
  entry.queued = ++last_entry_;
  const int kind = static_cast<int>(entry.kind);
  std::deque<Expiry>& queue = queues_[kind];
  queue.push_back({expires_ms, session, lease, entry.queued});
  if (queue.size() < sweep_at_[kind]) return;
  // Most leases end long before their time: what is left of them goes when it is half of all.
  std::erase_if(queue, [this](const Expiry& due) { return lease_of(due) == nullptr; });
  sweep_at_[kind] = std::max<std::size_t>(4096, 2 * queue.size());
}

// The lease that the entry was made for; nullptr when that has ended.
Lease* LeaseBook::lease_of(const Expiry& due) {
  Lease* lease = find(due.session, due.lease);
  return lease != nullptr && lease->queued == due.number ? lease : nullptr;
}

bool LeaseBook::take_expired(uint64_t now_ms, Expiry* out) {
  for (std::deque<Expiry>& queue : queues_) {
    while (!queue.empty() && queue.front().expires_ms <= now_ms) {
      const Expiry due = queue.front();
      queue.pop_front();
      Lease* lease = lease_of(due);
      if (lease == nullptr) continue;  // ended
      if (lease->expires_ms > due.expires_ms) {
        queue.push_back({lease->expires_ms, due.session, due.lease, due.number});  // renewed
        continue;
      }
      lease->queued = 0;
      *out = due;
      return true;
    }
  }
  return false;
}

uint64_t LeaseBook::next_expiry_ms() const {
  uint64_t next = UINT64_MAX;
  for (const std::deque<Expiry>& queue : queues_) {
    if (!queue.empty()) next = std::min(next, queue.front().expires_ms);
  }
  return next;
}

void Quarantine::add(PartId part, const Writer& writer) {
  writers_[part] = writer;
  by_slot_[writer.slot].insert(part);
}

void Quarantine::remove(PartId part) {
  auto found = writers_.find(part);
  if (found == writers_.end()) return;
  auto slot = by_slot_.find(found->second.slot);
  slot->second.erase(part);
  if (slot->second.empty()) by_slot_.erase(slot);
  writers_.erase(found);
}

const Writer* Quarantine::find(PartId part) const {
  auto found = writers_.find(part);
  return found == writers_.end() ? nullptr : &found->second;
}

std::vector<PartId> Quarantine::of(LivenessSlot slot) const {
  auto found = by_slot_.find(slot);
  if (found == by_slot_.end()) return {};
  return {found->second.begin(), found->second.end()};
}

}  // namespace lmcd::core
