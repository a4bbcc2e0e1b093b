// Shared memory under a name: posix_shm, and files and DAX devices at a path of the operator's.
//
// POSIX shared memory is files of a tmpfs at /dev/shm (shm_overview(7)), so both are one here;
// they differ in how room is made sure of and what is advised when there is none. A file that
// lmcd did not make is never overwritten: its own have a ledger beside them.
#pragma once

#include "daemon/memory/backing.h"

namespace lmcd::memory {

class NamedBacking final : public Backing {
 public:
  // Requires: options as make_backing() checks them; kPosixShm or kFile.
  explicit NamedBacking(const BackingOptions& options);

  Result<std::optional<SharedMemory>> attach() override;
  Result<SharedMemory> create(uint64_t arena_bytes, uint64_t ledger_bytes) override;
  Status discard() override;
  bool outlives_boot() const override { return kind_ == BackingKind::kFile; }
  Status sync(const SharedMemory& memory) override;

 private:
  enum class Presence { kAbsent, kHeld };

  // Takes the lock on the arena's name, if the name is there. A no-op while we hold it.
  Result<Presence> hold();
  Result<SharedMemory> make_pair(uint64_t arena_bytes, uint64_t ledger_bytes);
  Status unlink_pair();
  Status check_ours() const;
  Status check_huge_pages() const;
  Status make_room(const SharedMemory& memory) const;
  // Opens a device, which is there already and as large as it is.
  Result<FileDescriptor> open_device(uint64_t arena_bytes) const;

  const BackingKind kind_;
  const std::string directory_;
  const std::string arena_path_;
  const std::string ledger_path_;
  const bool huge_pages_;
  FileDescriptor lock_;  // a description of the arena that stays with this process
};

}  // namespace lmcd::memory
