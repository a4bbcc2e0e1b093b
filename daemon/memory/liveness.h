// Which client processes are alive, told by the kernel and nobody else.
//
// A directory with a file for each client process, named by the process's slot. A process takes a
// POSIX record lock (F_SETLK, F_WRLCK) on the byte of its slot in its own file and holds it until
// it dies, and not a moment longer: such a lock belongs to the process, is not inherited by fork,
// does not care about pid namespaces or reuse of pids, and outlives the daemon. Any daemon asks
// with F_GETLK. A process gets the descriptor of its own file and of no other, so it can neither
// pass for another one nor hold a place that another one needs (docs/decisions/0008).
//
// Three traps, all from fcntl(2):
// - Closing *any* descriptor of a file drops all locks that the process has on it. So a client
//   keeps every descriptor of it that it ever got; it is sent one only when it has none of this
//   very file (device and inode say so, in Hello). The daemon holds no lock, so it may close.
// - F_GETLK does not see locks of the asking process: a client in the daemon's own process would
//   look dead.
// - The lock is on the inode: a file stays what it is as long as the ledger names its slot, also
//   over a cold start, for writers of before the restart still hold their locks there.
//
// What is in a file does not matter, so a client may scribble on it or truncate it. A file that is
// missing proves nothing: its process counts as alive.
//
// The book of slots in use is private and begins empty at a restart; what the ledger still names
// is kept with hold(). A slot that is not in the book names no memory, so it can be given to
// another process, with a new file, whoever still has a lock on the old one. Loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>

#include "lib/base/fd.h"

namespace lmcd::memory {

class Liveness {
 public:
  static constexpr uint32_t kSlots = 65536;

  // Opens the directory at `path`, making it where there is none.
  static Result<Liveness> open(const std::string& path, uint32_t slots = kSlots);

  // Makes the file of a new process and holds its slot once. Slots take turns, and one that a
  // process outside of the book has locked is passed over while others are near.
  // Faults: LMCD_E_LIMIT when all slots are in the book, LMCD_E_IO.
  Result<uint32_t> allocate();

  // Counts one more, or one fewer, reason to keep the slot from others: a session of its process,
  // or memory that its process may still write. With the last one the file of a dead process goes.
  // Out of range: false, and nothing happens.
  bool hold(uint32_t slot);
  void drop(uint32_t slot);
  // Removes the files of the dead whose slots are not held.
  void sweep();

  // The functions below speak of slots that are held.
  //
  // What the slot's process gets; stays open while the slot is held. -1: the file is missing.
  int descriptor(uint32_t slot) const;
  // Whether this is the slot's file: a client tells its own by them.
  bool has_file(uint32_t slot, uint64_t device, uint64_t inode) const;
  // Tells whether a process has the slot's lock. An error of the system counts as yes, because
  // "no" frees memory. False for a slot out of range: no process can have been given it.
  bool is_alive(uint32_t slot) const;
  // The pid of that process as this one sees it; 0 when it is dead or of a foreign pid namespace.
  int32_t pid_of(uint32_t slot) const;

 private:
  struct Entry {
    FileDescriptor file;  // empty: it is missing
    uint64_t device = 0;
    uint64_t inode = 0;
    uint32_t holds = 0;
  };

  Liveness(FileDescriptor directory, uint32_t slots)
      : directory_(std::move(directory)), slots_(slots) {}

  Status probe() const;
  FileDescriptor open_file(uint32_t slot) const;
  Result<FileDescriptor> make_file(uint32_t slot) const;
  void remove_file(uint32_t slot) const;
  void look_at_left();
  static Entry entry_of(FileDescriptor file);
  const Entry* find(uint32_t slot) const;

  FileDescriptor directory_;
  uint32_t slots_;
  uint32_t next_ = 0;
  std::unordered_map<uint32_t, Entry> book_;
  // Left the book while their processes lived: their files go when they are found dead.
  std::set<uint32_t> left_;
  uint32_t last_look_ = 0;  // at one of them
};

}  // namespace lmcd::memory
