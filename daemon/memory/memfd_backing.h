// Shared memory without a name: bounded by RAM and control group, not by the size of /dev/shm,
// and sealed, so that no holder of a descriptor can change its size.
//
// A restart finds it in the supervisor's descriptor store, under the names that posix_shm would
// have. Without a supervisor it works and does not outlive the daemon.
#pragma once

#include "daemon/memory/backing.h"

namespace lmcd::memory {

class MemfdBacking final : public Backing {
 public:
  // Requires: options as make_backing() checks them. `store` outlives the backing.
  MemfdBacking(const BackingOptions& options, DescriptorStore& store);

  Result<std::optional<SharedMemory>> attach() override;
  Result<SharedMemory> create(uint64_t arena_bytes, uint64_t ledger_bytes) override;
  Status discard() override;
  bool outlives_boot() const override { return false; }
  Status sync(const SharedMemory&) override { return {}; }

 private:
  Result<FileDescriptor> make_arena(SharedMemory& memory) const;

  DescriptorStore& store_;
  const std::string arena_name_;
  const std::string ledger_name_;
  const bool huge_pages_;
};

}  // namespace lmcd::memory
