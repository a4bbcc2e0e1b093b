#include "lib/client/daemon_process.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

namespace lmcd::client {
namespace {

#ifndef SO_PEERPIDFD
constexpr int SO_PEERPIDFD = 77;  // Linux 6.5
#endif

FileDescriptor pidfd_of_peer(int socket, pid_t pid) {
  int pidfd = -1;
  socklen_t length = sizeof pidfd;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0)
    return FileDescriptor(pidfd);
  return FileDescriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

}  // namespace

DaemonProcess DaemonProcess::behind(int socket, uint32_t pid) {
  DaemonProcess daemon;
  daemon.pid_ = pid;
  ucred peer{};
  socklen_t length = sizeof peer;
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return daemon;
  if (peer.pid <= 0 || static_cast<uint32_t>(peer.pid) != pid) return daemon;
  daemon.pidfd_ = pidfd_of_peer(socket, peer.pid);
  return daemon;
}

bool DaemonProcess::ended() const {
  if (!pidfd_.valid()) return false;
  pollfd polled{pidfd_.get(), POLLIN, 0};
  return poll(&polled, 1, 0) == 1 && (polled.revents & POLLIN) != 0;
}

}  // namespace lmcd::client
