// Who is at the other end of a connection, as the kernel tells it.
#pragma once

#include <sys/types.h>

#include "lib/base/fd.h"
#include "lib/base/status.h"

namespace lmcd::transport {

struct Peer {
  pid_t pid = 0;  // 0: not visible from the daemon's pid namespace
  uid_t uid = 0;
  gid_t gid = 0;
};

// The credentials the peer had when it connected (SO_PEERCRED).
// Faults: LMCD_E_IO.
Result<Peer> peer_of(int socket);

// A descriptor that is readable once the peer's process is gone (pidfd_open); empty where the
// kernel gives none. It makes noticing fast and proves nothing: the pid may be another's by now.
FileDescriptor watch_for_death(const Peer& peer);

}  // namespace lmcd::transport
