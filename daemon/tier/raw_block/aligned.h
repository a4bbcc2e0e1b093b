// Memory for I/O around the page cache: aligned to a block, a whole number of them.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "daemon/tier/raw_block/layout.h"

namespace lmcd::tier {

struct FreeMemory {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using AlignedMemory = std::unique_ptr<std::byte[], FreeMemory>;

// Returns null when there is no memory.
inline AlignedMemory allocate_aligned(uint64_t bytes) {
  return AlignedMemory(
      static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, round_up(bytes, kBlockBytes))));
}
inline bool is_aligned(const void* memory) {
  return reinterpret_cast<uintptr_t>(memory) % kBlockBytes == 0;
}

}  // namespace lmcd::tier
