// Huge pages: 2 MiB of memory behind one entry of the processor's translation tables instead of
// 512. What is read at random in more memory than those cover (a few MiB) waits for translations
// as long as for the bytes.
//
// They are asked for where memory is in use already (MADV_COLLAPSE, Linux 6.1), which needs no
// setting of the host's: it works where `shmem_enabled` or `enabled` say "never", the default for
// shared memory, and does not where they say "deny". No call here makes anything slower or less
// right where there are none: memory keeps its small pages.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/bytes.h"

namespace lmcd {

inline constexpr uint64_t kHugePageBytes = 2 * kMiB;

// Puts a huge page under each whole 2 MiB of `length` bytes at `address`, in which at least one
// page is there already; the others become part of it. Changes no byte, also while others write.
// Takes about a millisecond for each, during which those who touch it wait. Any thread.
//
// Returns 0 or an errno value: EINVAL where the kernel knows or allows none, for this memory or at
// all, ENOMEM or EAGAIN when there is none to be had now, EFAULT when the memory is gone. What has
// none stays as it is.
// Requires: `address` is page-aligned.
int gather_huge_pages(std::byte* address, uint64_t length);

// The same where nothing needs be there yet: one small page of each is populated, which the huge
// one then takes in. Several times faster than small pages alone.
void make_huge_pages(std::byte* address, uint64_t length);

}  // namespace lmcd
