// The leases of all sessions, what their processes hold, and the quarantine of extents whose writer
// may still write.
//
// Books only: what beginning and ending a lease does to objects is the store's. Both are bounded by
// what they name (a record is in one write lease or one quarantine; read leases by the session
// limits of the transport). Loop thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/core/event.h"
#include "daemon/core/part.h"

namespace lmcd::core {

enum class LeaseKind : uint8_t { kRead, kWrite };
enum class Lifetime : uint8_t { kExpires, kUnbounded };

struct LeaseItem {
  PartId part = kNoPart;  // kNoPart: nothing (left) to do for this item of the batch
  uint64_t word = 0;      // of the part when it was leased
};

struct Lease {
  LeaseKind kind = LeaseKind::kRead;
  Lifetime lifetime = Lifetime::kExpires;
  uint64_t expires_ms = 0;
  uint64_t queued = 0;  // to expire: the number of its entry in the queue; 0: there is none
  ProcessId payer = 0;  // of a write lease: whose limit its bytes count against
  uint32_t open_items = 0;
  std::vector<LeaseItem> items;  // by place in the batch
};

struct SessionBook {
  LivenessSlot slot = 0;
  ProcessId process = 0;
  uint64_t read_items = 0;              // of its read leases
  std::unordered_set<uint32_t> spaces;  // that it has open
  std::unordered_map<uint64_t, Lease> leases;
};

// What a process holds by all its sessions, and after them: a new session does not begin anew. It
// is there while it has sessions or holds bytes.
struct ProcessBook {
  uint64_t held_bytes = 0;  // being written for it, or quarantined after it
  uint32_t sessions = 0;
  std::unordered_map<uint32_t, uint32_t> spaces;  // open ones: how many of its sessions have each
};

// Who writes, or wrote, to an extent.
struct Writer {
  LivenessSlot slot = 0;
  SessionId session = 0;
  uint64_t lease = 0;
  ProcessId payer = 0;
};

class LeaseBook {
 public:
  struct Expiry {
    uint64_t expires_ms;
    SessionId session;
    uint64_t lease;
    uint64_t number;  // of the entry: a lease of that number may be another by now
  };

  using Writers = std::unordered_map<PartId, Writer>;

  SessionBook& open(SessionId session, LivenessSlot slot, ProcessId process);
  // nullptr for an unknown session.
  SessionBook* find(SessionId session);
  void close(SessionId session);

  // What a process holds. Requires: it has a session.
  ProcessBook& process_of(ProcessId process) { return processes_.at(process); }
  // The process, of a session or not, holds more, or less. Nobody (0) is charged nothing.
  void charge(ProcessId process, uint64_t bytes);
  void discharge(ProcessId process, uint64_t bytes);

  // nullptr for an unknown session or lease.
  Lease* find(SessionId session, uint64_t lease);
  void erase(SessionId session, uint64_t lease);

  // Who writes each part that is being written; its cost is that of all write leases.
  Writers writers() const;

  // Sets when the lease ends. Each kind has one time to live, so its queue stays in order, but for
  // renewed leases, which may end up to one time to live late.
  void expire_at(SessionId session, uint64_t lease, Lease& entry, uint64_t expires_ms);
  // Takes the next lease that ended by `now_ms`. Returns false when there is none.
  bool take_expired(uint64_t now_ms, Expiry* out);
  // When the next lease may end; UINT64_MAX if there is none.
  uint64_t next_expiry_ms() const;
  // Leases that wait for their time, those included that have ended since: never more than twice
  // the living ones, or 4096 of a kind.
  std::size_t queued() const { return queues_[0].size() + queues_[1].size(); }

 private:
  Lease* lease_of(const Expiry& due);
  void drop_if_idle(ProcessId process);

  std::unordered_map<SessionId, SessionBook> sessions_;
  std::unordered_map<ProcessId, ProcessBook> processes_;
  // At most one entry a lease, and of ended leases no more than of living ones.
  std::deque<Expiry> queues_[2];
  std::size_t sweep_at_[2] = {4096, 4096};
  uint64_t last_entry_ = 0;
};

class Quarantine {
 public:
  void add(PartId part, const Writer& writer);
  void remove(PartId part);
  // Says who pays for the part. Requires: it is in quarantine.
  void set_payer(PartId part, ProcessId payer) { writers_.at(part).payer = payer; }
  // nullptr when the part is not in quarantine.
  const Writer* find(PartId part) const;
  std::size_t size() const { return writers_.size(); }
  // The parts a process has here.
  std::vector<PartId> of(LivenessSlot slot) const;
  const std::unordered_map<LivenessSlot, std::unordered_set<PartId>>& by_slot() const {
    return by_slot_;
  }

 private:
  std::unordered_map<PartId, Writer> writers_;
  std::unordered_map<LivenessSlot, std::unordered_set<PartId>> by_slot_;
};

}  // namespace lmcd::core
