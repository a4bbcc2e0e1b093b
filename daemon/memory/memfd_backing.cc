#include "daemon/memory/memfd_backing.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>

#include "daemon/memory/host.h"
#include "lib/base/bytes.h"
#include "lib/base/huge_pages.h"

namespace lmcd::memory {
namespace {

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

Result<FileDescriptor> make_sealed(const std::string& name, uint64_t bytes, unsigned flags) {
  FileDescriptor file(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING | flags));
  if (!file.valid()) return errno_fault(LMCD_E_NO_MEMORY, errno, "memfd_create %s", name.c_str());
  // A memfd is born with mode 0777: any user who is handed a read-only descriptor could open it
  // for writing through /proc.
  if (fchmod(file.get(), 0600) != 0)
    return errno_fault(LMCD_E_IO, errno, "fchmod memfd %s", name.c_str());
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
    return errno_fault(LMCD_E_NO_MEMORY, errno, "size memfd %s to %s", name.c_str(),
                       print_bytes(bytes).c_str());
  if (fcntl(file.get(), F_ADD_SEALS, kSeals) != 0)
    return errno_fault(LMCD_E_IO, errno, "seal memfd %s", name.c_str());
  return file;
}

// The size of what was stored, 0 when it is not a memfd that we sealed.
uint64_t sealed_bytes(const FileDescriptor& file) {
  struct stat facts;
  if (!file.valid() || fstat(file.get(), &facts) != 0 || !S_ISREG(facts.st_mode)) return 0;
  const int seals = fcntl(file.get(), F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals) return 0;
  return static_cast<uint64_t>(facts.st_size);
}

bool is_hugetlb(const FileDescriptor& file) {
  struct statfs system;
  return fstatfs(file.get(), &system) == 0 && system.f_type == HUGETLBFS_MAGIC;
}

}  // namespace

MemfdBacking::MemfdBacking(const BackingOptions& options, DescriptorStore& store)
    : store_(store),
      arena_name_("lmcd_" + options.identity + "_arena"),
      ledger_name_("lmcd_" + options.identity + "_ledger"),
      huge_pages_(options.huge_pages) {}

Result<std::optional<SharedMemory>> MemfdBacking::attach() {
  SharedMemory memory;
  memory.arena = store_.take(arena_name_);
  memory.ledger = store_.take(ledger_name_);
  memory.arena_bytes = sealed_bytes(memory.arena);
  memory.ledger_bytes = sealed_bytes(memory.ledger);
  if (memory.arena_bytes == 0 || memory.ledger_bytes == 0) {
    LMCD_TRY(discard());
    return std::optional<SharedMemory>();
  }
  memory.advise_huge_pages = huge_pages_ && !is_hugetlb(memory.arena);
  return std::optional(std::move(memory));
}

Result<SharedMemory> MemfdBacking::create(uint64_t arena_bytes, uint64_t ledger_bytes) {
  LMCD_TRY(discard());
  LMCD_TRY(check_memory(arena_bytes + ledger_bytes));
  SharedMemory memory;
  memory.arena_bytes = arena_bytes;
  memory.ledger_bytes = ledger_bytes;
  LMCD_ASSIGN(memory.arena, make_arena(memory));
  LMCD_ASSIGN(memory.ledger, make_sealed(ledger_name_, ledger_bytes, 0));
  LMCD_TRY(store_.store(ledger_name_, memory.ledger.get()));
  LMCD_TRY(store_.store(arena_name_, memory.arena.get()));
  return memory;
}

// Huge pages of hugetlbfs are there or not; transparent ones are the next best, where the host
// gives any. What cannot be had is a fault, since small pages would be a silent slower path.
Result<FileDescriptor> MemfdBacking::make_arena(SharedMemory& memory) const {
  if (!huge_pages_) return make_sealed(arena_name_, memory.arena_bytes, 0);
  const uint64_t whole = round_up(memory.arena_bytes, kHugePageBytes);
  const uint64_t needed = whole / kHugePageBytes;
  const uint64_t free = free_huge_pages();
  if (free >= needed) {
    memory.arena_bytes = whole;
    return make_sealed(arena_name_, whole, MFD_HUGETLB | MFD_HUGE_2MB);
  }
  if (memfd_takes_huge_pages()) {
    memory.advise_huge_pages = true;
    return make_sealed(arena_name_, memory.arena_bytes, 0);
  }
  return fault(LMCD_E_NO_MEMORY,
               "--l1-use-hugepages: %llu pages of 2 MiB needed, %llu free. Reserve them (sysctl "
               "vm.nr_hugepages) or allow transparent ones (echo advise > "
               "/sys/kernel/mm/transparent_hugepage/shmem_enabled)",
               static_cast<unsigned long long>(needed), static_cast<unsigned long long>(free));
}

Status MemfdBacking::discard() {
  LMCD_TRY(store_.forget(arena_name_));
  return store_.forget(ledger_name_);
}

}  // namespace lmcd::memory
