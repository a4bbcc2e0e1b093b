// The arena in the daemon's own address space, and the frontier that runs ahead in it.
//
// Owns the mapping, under guard: a client that shortens the file costs the incarnation (lost()),
// not the daemon. Knows nothing of what lies where; that is the allocator's. The address is for
// copy workers and tiers, by way of extents that they hold leases on. Left out of core dumps and
// of forked children.
#pragma once

#include <memory>

#include "daemon/memory/backing.h"
#include "daemon/memory/frontier.h"
#include "lib/base/guarded.h"

namespace lmcd::memory {

class Arena {
 public:
  // Maps `memory.arena`, which may be closed afterwards, and starts its frontier.
  // Faults: LMCD_E_NO_MEMORY, LMCD_E_IO.
  static Result<std::unique_ptr<Arena>> open(const SharedMemory& memory, Frontier::Options options);

  std::byte* address() const { return region_.address(); }
  uint64_t length() const { return region_.length(); }
  // For those who copy there.
  GuardedRegion& region() { return region_; }
  // Any thread.
  bool lost() const { return region_.lost(); }

  Frontier& frontier() { return frontier_; }
  const Frontier& frontier() const { return frontier_; }

 private:
  Arena(GuardedRegion region, Frontier::Options options)
      : region_(std::move(region)), frontier_(region_, options) {}

  GuardedRegion region_;
  Frontier frontier_;  // after the region it runs in
};

}  // namespace lmcd::memory
