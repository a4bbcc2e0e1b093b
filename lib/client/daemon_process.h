// The daemon's process, to be proved dead: what lets the blocks of a daemon-driven copy go when
// nobody can answer for them any more.
//
// Owns a pidfd of the peer, taken when the connection was made. It proves nothing where the
// peer that the kernel names is not the daemon that spoke (another pid namespace, a listener
// made by somebody else); then only a daemon with another pid at the same socket does, since
// there is one a socket.
#pragma once

#include <cstdint>

#include "lib/base/fd.h"

namespace lmcd::client {

class DaemonProcess {
 public:
  DaemonProcess() = default;
  // Requires: `socket` is connected to the daemon that calls itself `pid`.
  static DaemonProcess behind(int socket, uint32_t pid);

  uint32_t pid() const { return pid_; }
  // Whether it is known to have ended.
  bool ended() const;
  // For poll(2): readable when it has ended; -1 when that cannot be seen.
  int descriptor() const { return pidfd_.get(); }

 private:
  FileDescriptor pidfd_;
  uint32_t pid_ = 0;
};

}  // namespace lmcd::client
