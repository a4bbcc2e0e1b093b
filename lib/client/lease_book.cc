#include "lib/client/lease_book.h"

#include <algorithm>

namespace lmcd::client {

WriteLease* LeaseBook::find_write(uint64_t lease) {
  auto it = writes_.find(lease);
  return it == writes_.end() ? nullptr : &it->second;
}

void LeaseBook::end_write_told(uint64_t lease, uint64_t after) {
  auto it = writes_.find(lease);
  ended_.push_back({it->second.session, lease, after});
  writes_.erase(it);
}

void LeaseBook::note_never_written(uint64_t session, uint64_t lease) {
  ended_.push_back({session, lease, kUntold});
}

void LeaseBook::confirm(uint64_t request) {
  if (ended_.empty()) return;
  std::erase_if(
      ended_, [&](const Ended& ended) { return ended.after != kUntold && ended.after < request; });
}

void LeaseBook::lose_session() {
  reads_.clear();
  for (Ended& ended : ended_) ended.after = kUntold;
}

std::vector<EndedLeases> LeaseBook::take_untold(uint64_t after, std::size_t most) {
  std::vector<EndedLeases> untold;
  for (Ended& ended : ended_) {
    if (ended.after != kUntold) continue;
    ended.after = after;
    auto same = std::find_if(untold.begin(), untold.end(), [&](const EndedLeases& known) {
      return known.session == ended.session && known.leases.size() < most;
    });
    if (same == untold.end()) same = untold.insert(untold.end(), EndedLeases{ended.session, {}});
    same->leases.push_back(ended.lease);
  }
  return untold;
}

}  // namespace lmcd::client
