// The limit that copies are held to: the fastest ways we know to copy one contiguous range to
// another. Written apart from lib/copy on purpose, so that a mistake there does not lower the
// bar it has to pass.
#pragma once

#include <cstddef>
#include <vector>

namespace lmcd::bench {

struct ContiguousCopy {
  const char* name;
  // Requires: both ranges begin on a page; bytes is a multiple of 2 MiB. Fences.
  void (*copy)(std::byte* to, const std::byte* from, std::size_t bytes);
};

// Those that this CPU can run.
std::vector<ContiguousCopy> contiguous_copies();

}  // namespace lmcd::bench
