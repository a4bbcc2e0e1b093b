// The proof that this process lives: a POSIX record lock on the liveness file that the daemon gave
// it, by which any daemon knows that nobody writes any more once the process is gone.
//
// Such locks belong to the process, and closing *any* descriptor of the file drops them all
// (fcntl(2)). So the first descriptor of each liveness file stays open as long as the process
// lives, and every descriptor that may be of a liveness file is ended here: one of a file that
// is held is kept open on purpose, since closing it would declare the process dead.
//
// One for the process, like the locks; never destroyed, since sessions may be closed by the
// destructors of statics. A forked child has no locks and begins anew. Any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace lmcd::client {

class Liveness {
 public:
  // A byte that is held; an inode of 0: none.
  struct Byte {
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t slot = 0;
  };

  static Liveness& of_this_process();

  // What is held for the daemon at this socket.
  Byte held_for(const std::string& socket);

  // Locks byte `slot` of the file that the daemon at `socket` uses. `descriptor` (taken over) is
  // that file's, or -1 when the daemon found the one of held_for() to be its own.
  // Faults: LMCD_E_IO, LMCD_E_PROTOCOL.
  Status hold(const std::string& socket, int descriptor, uint64_t slot);

  // Ends a descriptor received from a daemon, whatever it is of.
  void discard(int descriptor);

 private:
  struct File {
    uint64_t device;
    uint64_t inode;
    int descriptor;
    uint64_t slot;                     // the byte locked last
    std::vector<std::string> sockets;  // of the daemons that use it
  };

  explicit Liveness(uint64_t mark) : mark_(mark) {}
  File* file_of(uint64_t device, uint64_t inode);
  File* file_for(const std::string& socket);

  const uint64_t mark_;
  std::mutex mutex_;
  std::vector<File> files_;  // guarded by mutex_
};

}  // namespace lmcd::client
