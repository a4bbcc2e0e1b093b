// The best hit rate that any policy could have had: Belady's MIN for prefix blocks.
//
// After each request the cache keeps, of what it held and what the request asked for, the
// blocks that will be asked for soonest; of equals the one nearer the root. Every request for a
// block asks for its whole prefix as well, so a parent's next use is never later than its
// child's, whole prefixes are kept and each kept block is a hit. All blocks count the same, and
// a block need not be kept at all (bypass), so no policy over the same sizes can do better.
#pragma once

#include <cstdint>

#include "bench/request_trace.h"

namespace lmcd::bench {

// Returns the number of blocks hit with room for `capacity_blocks`.
uint64_t optimum_hits(const Trace& trace, uint64_t capacity_blocks);

}  // namespace lmcd::bench
