#include "daemon/memory/arena.h"

#include <sys/mman.h>

#include <cerrno>

namespace lmcd::memory {

Result<std::unique_ptr<Arena>> Arena::open(const SharedMemory& memory, Frontier::Options options) {
  LMCD_ASSIGN(GuardedRegion region,
              GuardedRegion::map(memory.arena.get(), memory.arena_bytes, Access::kReadWrite));
  madvise(region.address(), region.length(), MADV_DONTDUMP);
  if (memory.advise_huge_pages && madvise(region.address(), region.length(), MADV_HUGEPAGE) != 0)
    return errno_fault(LMCD_E_NO_MEMORY, errno, "--l1-use-hugepages: madvise of the arena");
  return std::unique_ptr<Arena>(new Arena(std::move(region), options));
}

}  // namespace lmcd::memory
