// Where arena and ledger come from, and where a new daemon finds what an old one left.
//
// Both are made, found and discarded together. The daemon maps them; a backing only makes,
// finds and names them. Three kinds:
//
//   posix_shm  /dev/shm/lmcd_<identity>_arena and _ledger, found again by name
//   memfd      nameless and sealed against any change of size, kept by the supervisor
//   file       a file (or DAX device) the operator names, the ledger beside it
//
// Named memory is made ledger first and unlinked arena first, and only a pair is attached: a
// daemon that dies in between leaves nothing that could be taken for a whole. The daemon that
// uses a name holds flock(2) on it, on a description that no client is ever given.
//
// Mode 0600. Unlinked memory stays whole for those who map it. Start and stop only, on the
// loop's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "lib/base/fd.h"
#include "lib/base/supervisor.h"

namespace lmcd::memory {

enum class BackingKind { kPosixShm, kMemfd, kFile };

struct BackingOptions {
  BackingKind kind = BackingKind::kPosixShm;
  std::string identity;     // 1 to 64 of [0-9a-z]: Identity::digest()
  std::string path;         // kFile: the arena
  std::string ledger_path;  // kFile: the ledger; empty: path + ".ledger"
  bool huge_pages = false;
  std::string shm_directory = "/dev/shm";
};

// Arena and ledger, as open files.
struct SharedMemory {
  FileDescriptor arena;
  FileDescriptor ledger;
  uint64_t arena_bytes = 0;
  uint64_t ledger_bytes = 0;
  bool advise_huge_pages = false;  // map the arena with MADV_HUGEPAGE

  // What clients get: the ledger cannot be mapped writable through it.
  Result<FileDescriptor> arena_for_clients() const {
    return reopen(arena.get(), Access::kReadWrite);
  }
  Result<FileDescriptor> ledger_for_clients() const {
    return reopen(ledger.get(), Access::kReadOnly);
  }
};

class Backing {
 public:
  virtual ~Backing() = default;

  // Finds what an earlier daemon of this identity left. Its content is untrusted, its sizes may
  // be other than those wanted now. Nothing there is an ordinary answer.
  // Faults: LMCD_E_LIMIT when another daemon uses it, LMCD_E_DENIED when it is another user's.
  virtual Result<std::optional<SharedMemory>> attach() = 0;

  // Makes both anew, the ledger all zeros; what was there before is discarded.
  // Requires: sizes are multiples of 4096 and not 0. The arena may come out larger (whole huge
  // pages).
  // Faults: LMCD_E_NO_MEMORY when the sizes cannot be had, with what to do about it; the faults
  // of attach().
  virtual Result<SharedMemory> create(uint64_t arena_bytes, uint64_t ledger_bytes) = 0;

  // Leaves nothing for a later daemon to find.
  virtual Status discard() = 0;

  // Tells whether the bytes outlive the machine's boot, so that they count only if the last stop
  // was orderly and synced.
  virtual bool outlives_boot() const = 0;
  // Writes through to the medium what outlives the boot.
  virtual Status sync(const SharedMemory& memory) = 0;
};

// `store` outlives the backing; only memfd uses it.
// Faults: LMCD_E_INVALID for options that make no sense together.
Result<std::unique_ptr<Backing>> make_backing(const BackingOptions& options,
                                              DescriptorStore& store);

}  // namespace lmcd::memory
