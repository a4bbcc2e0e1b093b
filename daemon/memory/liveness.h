// Which client processes are alive, told by the kernel and nobody else.
//
// A file of one byte a process. A client process takes a POSIX record lock (F_SETLK, F_WRLCK) on
// the byte of its slot and holds it until it dies, and not a moment longer: such a lock belongs
// to the process, is not inherited by fork, does not care about pid namespaces or reuse of pids,
// and outlives the daemon. Any daemon asks with F_GETLK.
//
// Three traps, all from fcntl(2):
// - Closing *any* descriptor of the file drops all locks that the process has on it. So a client
//   keeps every descriptor of it that it ever got; it is sent one only when it has none of this
//   very file (device and inode say so, in Hello). The daemon holds no lock, so it may close.
// - F_GETLK does not see locks of the asking process: a client in the daemon's own process would
//   look dead.
// - The lock is on the inode: the file is never unlinked or replaced, also not by a cold start,
//   for writers of before the restart still hold their bytes in it.
//
// What is in the file does not matter, so a client may scribble on it or truncate it.
//
// The book of slots in use is private and begins empty at a restart; what the ledger still names
// is kept with hold(). A slot is given to another process only when nobody holds it in the book
// and no process has its lock. Loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/fd.h"

namespace lmcd::memory {

class Liveness {
 public:
  static constexpr uint32_t kSlots = 65536;

  // Opens the file at `path`, making it where there is none.
  static Result<Liveness> open(const std::string& path, uint32_t slots = kSlots);

  // What clients get; stays open.
  int descriptor() const { return file_.get(); }
  // What a client tells the file by.
  uint64_t device() const { return device_; }
  uint64_t inode() const { return inode_; }

  // Finds a slot that is free in the book and held by no process, and holds it once. Slots take
  // turns, so that one rests for long before another process gets it.
  // Returns nothing when all are in use.
  std::optional<uint32_t> allocate();

  // Counts one more, or one fewer, reason to keep the slot from others: a session of its process,
  // or memory that its process may still write. Out of range: false, and nothing happens.
  bool hold(uint32_t slot);
  void drop(uint32_t slot);

  // Tells whether a process has the slot's lock. An error of the system counts as yes, because
  // "no" frees memory. False for a slot out of range: no process can have been given it.
  bool is_alive(uint32_t slot) const;
  // The pid of that process as this one sees it; 0 when it is dead or of a foreign pid namespace.
  int32_t pid_of(uint32_t slot) const;

 private:
  Liveness(FileDescriptor file, uint64_t device, uint64_t inode, uint32_t slots);

  FileDescriptor file_;
  uint64_t device_;
  uint64_t inode_;
  std::vector<uint32_t> holds_;  // by slot
  uint32_t next_ = 0;
};

}  // namespace lmcd::memory
