#include "lib/base/reserved_array.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "lib/base/huge_pages.h"

namespace lmcd {

Reservation::~Reservation() {
  if (address_) munmap(address_, length_);
}

Result<Reservation> Reservation::make(uint64_t length) {
  if (length == 0) return Reservation();
  void* address = mmap(nullptr, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    return errno_fault(LMCD_E_NO_MEMORY, errno, "reserve %llu bytes of address space",
                       static_cast<unsigned long long>(length));
  // Refused by kernels built without huge pages, where there is nothing to refuse.
  madvise(address, length, MADV_NOHUGEPAGE);
  return Reservation(address, length);
}

void Reservation::expect(uint64_t length) {
  if (length < kHugePageBytes) return;
  madvise(address_, std::min(round_up(length, kHugePageBytes), length_), MADV_HUGEPAGE);
}

}  // namespace lmcd
