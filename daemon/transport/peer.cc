#include "daemon/transport/peer.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace lmcd::transport {

Result<Peer> peer_of(int socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0)
    return errno_fault(LMCD_E_IO, errno, "credentials of a new connection");
  return Peer{credentials.pid, credentials.uid, credentials.gid};
}

FileDescriptor watch_for_death(const Peer& peer) {
  if (peer.pid <= 0) return {};
  // By number: glibc has the wrapper since 2.36 only.
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, peer.pid, 0)));
}

}  // namespace lmcd::transport
