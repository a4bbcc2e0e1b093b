// Tells a process from its forked children.
//
// A page that the kernel wipes in a child (MADV_WIPEONFORK) holds the mark, so that children of
// fork, clone and _Fork are told apart alike, without a handler that would have to be taken out
// again, and for the price of one load. What a handle was opened with is compared on each use.
#pragma once

#include <cstdint>

namespace lmcd::client {

// A number that this process has and none of its ancestors had. Any thread.
uint64_t process_mark();

}  // namespace lmcd::client
