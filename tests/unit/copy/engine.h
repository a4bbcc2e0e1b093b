// A made-up engine for the copy tests: pages of any shape over one block of memory, with a
// reference copy that goes run by run as the layout is defined, sharing no code with lib/copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/copy/cursor.h"
#include "lib/copy/layout.h"

namespace lmcd::copy {

struct Engine {
  std::vector<std::byte> memory;
  std::vector<Page> pages;

  uint64_t block_bytes() const {
    uint64_t bytes = 0;
    for (const Page& page : pages) bytes += uint64_t{page.run_bytes} * page.run_count;
    return bytes;
  }

  // Calls visit(offset in memory, offset in the extent, bytes) for each run of a part.
  template <typename Visit>
  void for_each_run(std::span<const uint32_t> block_ids, Visit visit) const {
    uint64_t flat = 0;
    for (const Page& page : pages) {
      uint64_t base = page.base - reinterpret_cast<uint64_t>(memory.data());
      for (uint32_t block : block_ids) {
        if (block == kNoBlock) {
          flat += uint64_t{page.run_bytes} * page.run_count;
          continue;
        }
        for (uint32_t run = 0; run < page.run_count; ++run, flat += page.run_bytes)
          visit(base + block * page.block_stride + run * page.run_stride, flat, page.run_bytes);
      }
    }
  }
};

}  // namespace lmcd::copy
