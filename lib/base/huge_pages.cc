#include "lib/base/huge_pages.h"

#include <sys/mman.h>

#include <cerrno>

// Headers may be older.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23  // Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // Linux 6.1
#endif

namespace lmcd {
namespace {

constexpr uint64_t kPageBytes = 4096;

// Calls work(page) for each whole huge page until it returns false.
template <typename Work>
void for_each_page(std::byte* address, uint64_t length, Work work) {
  const uintptr_t begin = round_up(reinterpret_cast<uintptr_t>(address), kHugePageBytes);
  const uintptr_t end = round_down(reinterpret_cast<uintptr_t>(address) + length, kHugePageBytes);
  for (uintptr_t at = begin; at < end; at += kHugePageBytes)
    if (!work(reinterpret_cast<void*>(at))) return;
}

// Returns 0 or an errno value.
int gather(void* page) {
  // Takes back a MADV_NOHUGEPAGE; refused only where collapsing is as well.
  madvise(page, kHugePageBytes, MADV_HUGEPAGE);
  return madvise(page, kHugePageBytes, MADV_COLLAPSE) == 0 ? 0 : errno;
}

// Another page may be had where this one cannot.
bool may_go_on(int error) { return error != EINVAL && error != EFAULT; }

}  // namespace

int gather_huge_pages(std::byte* address, uint64_t length) {
  int result = 0;
  for_each_page(address, length, [&](void* page) {
    const int error = gather(page);
    if (error != 0) result = error;
    return may_go_on(error);
  });
  return result;
}

void make_huge_pages(std::byte* address, uint64_t length) {
  for_each_page(address, length, [](void* page) {
    return madvise(page, kPageBytes, MADV_POPULATE_WRITE) == 0 && may_go_on(gather(page));
  });
}

}  // namespace lmcd
