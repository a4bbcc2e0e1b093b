// Removes POSIX shared memory whose daemon does not come back.
//
// A stopped daemon leaves its arena for the next start, and nothing tells a pause from an end.
// So memory goes only when nobody held its lock at two looks that lie `stale_s` apart, and no
// daemon adopted it in between: the first look writes its time into the file's mtime, adopting
// sets it to 0 (named_backing.cc). Looks at memory of this user only. Called at the start.
#pragma once

#include <cstdint>
#include <string>

#include "lib/base/status.h"

namespace lmcd::memory {

struct Swept {
  uint32_t files = 0;
  uint64_t bytes = 0;
};

// `now_s`: Unix time.
Result<Swept> sweep_shm(const std::string& directory, int64_t now_s, int64_t stale_s = 3600);

}  // namespace lmcd::memory
