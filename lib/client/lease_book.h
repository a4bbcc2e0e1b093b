// What leases this session's user holds, and what the daemon has yet to hear about them.
//
// A write lease belongs to the process that writes, and outlives its session: its extents rest in
// the daemon's quarantine until the writer is dead or has said that it stopped. So a write lease
// stays in the book, across reconnects, until the user has ended it, and is then remembered until
// the daemon is known to have heard: either the post that ended it, or, when the session was
// lost before that is certain, a Stopped in a later session. The daemon reads in order, so the
// answer to any later request is that certainty.
//
// A read lease is void with its session and simply forgotten.
//
// Used under the session's lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "lib/client/item_set.h"

namespace lmcd::client {

struct WriteLease {
  uint64_t session;  // the daemon's number of the session that was granted it
  ItemSet open;      // items reserved and neither committed nor given back
};

// Write leases that the user has ended, of one session.
struct EndedLeases {
  uint64_t session;
  std::vector<uint64_t> leases;
};

class LeaseBook {
 public:
  void open_write(uint64_t lease, WriteLease entry) { writes_.emplace(lease, std::move(entry)); }
  // Null when there is none.
  WriteLease* find_write(uint64_t lease);
  // The user has ended it and a message that says so is on its way, after request `after`.
  void end_write_told(uint64_t lease, uint64_t after);
  // The user has ended it, and its session is lost.
  void end_write_untold(uint64_t lease) { end_write_told(lease, kUntold); }
  // Nobody writes under a lease that this session may have been granted without knowing.
  void note_never_written(uint64_t session, uint64_t lease);

  void open_read(uint64_t lease) { reads_.insert(lease); }
  bool end_read(uint64_t lease) { return reads_.erase(lease) != 0; }
  bool has_read(uint64_t lease) const { return reads_.count(lease) != 0; }
  std::vector<uint64_t> reads() const { return {reads_.begin(), reads_.end()}; }
  bool has_reads() const { return !reads_.empty(); }

  // The daemon has answered this request, so it has read all that was sent before.
  void confirm(uint64_t request);
  // The session is lost: what was on its way may not have arrived.
  void lose_session();
  // What is yet to be told, which the caller now posts, after request `after`: at most `most`
  // leases together.
  std::vector<EndedLeases> take_untold(uint64_t after, std::size_t most);

 private:
  static constexpr uint64_t kUntold = ~uint64_t{0};
  struct Ended {
    uint64_t session;
    uint64_t lease;
    uint64_t after;  // the request before the message that tells; kUntold
  };

  std::unordered_map<uint64_t, WriteLease> writes_;
  std::unordered_set<uint64_t> reads_;
  std::vector<Ended> ended_;
};

}  // namespace lmcd::client
