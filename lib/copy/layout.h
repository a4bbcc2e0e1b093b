// Where an engine's paged KV lies, checked once.
//
// A Layout is the pages of one group (a layer, or its K or V, is a page) with their bases
// turned into addresses. Once made, every (page, block below block_count, run) lies inside the
// memory it was made for and no two runs of a page overlap, so that copying needs no further
// check than the block ids. Immutable; any thread.
//
// A part's bytes stand page by page, within a page block by block, within a block run by run:
//
//   page 0: block a [run 0][run 1] block b [run 0][run 1]   page 1: block a [run 0] ...
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "include/lmcd.h"
#include "lib/base/status.h"

namespace lmcd::copy {

using Page = lmcd_page_t;

inline constexpr std::size_t kMaxPages = 16384;

// The memory that pages lie in; `base` of a page counts from its address.
struct Memory {
  uintptr_t address;
  uint64_t length;

  // All that this process can address: bases are then addresses.
  static constexpr Memory whole_process() { return {0, UINT64_MAX}; }
};

class Layout {
 public:
  // A page as the copy needs it.
  struct Plane {
    std::byte* address;
    uint64_t block_stride;
    uint64_t run_stride;
    uint64_t bytes_before;  // of one block, in the planes before this one
    uint64_t block_bytes;   // of one block, in this plane
    uint32_t run_bytes;
    uint32_t run_count;
  };

  // Requires: `memory` is address space of this process, or will be when it is copied.
  // Faults: LMCD_E_INVALID naming the page and the field.
  static Result<Layout> make(std::span<const Page> pages, Memory memory);

  const std::vector<Plane>& planes() const { return planes_; }
  // Bytes of one block in all pages.
  uint64_t block_bytes() const { return block_bytes_; }
  // Ids below this are valid in every page.
  uint32_t block_count() const { return block_count_; }

 private:
  Layout() = default;
  Status add(const Page& page, std::size_t index, Memory memory);

  std::vector<Plane> planes_;
  uint64_t block_bytes_ = 0;
  uint32_t block_count_ = UINT32_MAX;
};

}  // namespace lmcd::copy
