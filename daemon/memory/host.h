// What this machine can give to a mapping, and the advice that goes with a refusal.
//
// Shared memory is handed out without being there: ftruncate succeeds at any size, and the lack
// shows as SIGBUS much later. So the bounds are read beforehand, and a size that cannot be had is
// refused at the start. Any thread; reads files of /proc and /sys.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/status.h"

namespace lmcd::memory {

// "24.00 GiB", for people.
std::string print_bytes(uint64_t bytes);

// RAM and swap of this machine.
uint64_t machine_bytes();

// Faults when `wanted_bytes` of shared memory exceed what RAM and swap together have, or the
// limit of this process's control group or of one above it.
Status check_memory(uint64_t wanted_bytes);

// Faults when the file system of `directory` has less than `wanted_bytes` free. `mend` ends the
// text: what else the operator can do.
Status check_room(const std::string& directory, uint64_t wanted_bytes, const char* mend);

// The lowest memory limit on the way from this process's control group to the root, none where
// nobody set one. `root` stands before /proc and /sys, for tests.
struct MemoryLimit {
  uint64_t bytes;
  std::string path;  // the file that says so
};
std::optional<MemoryLimit> control_group_limit(const std::string& root = "");

// Free 2 MiB pages of hugetlbfs.
uint64_t free_huge_pages();

// Whether madvise(MADV_HUGEPAGE) has an effect on memfds, and on files of a tmpfs mounted at
// `directory` (each tmpfs has its own `huge=` option).
bool memfd_takes_huge_pages();
bool tmpfs_takes_huge_pages(const std::string& directory);

}  // namespace lmcd::memory
