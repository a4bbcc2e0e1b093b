// What one launch of the page copy does, cut into slices that one warp each copies.
//
// A PageCopy describes many items at once: a part's extent and the blocks whose bytes it holds.
// Its slices are numbered through, item by item, page by page, block by block, run by run; a run
// is cut into slices of at most kSliceBytes. From its number alone a warp finds both addresses, so
// the host makes no list of runs, only one small plan for each page.
//
// All that a kernel does but the launch stands here and in words.h, and compiles for the host as
// well: the tests replay each lane without a GPU. No state; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "cuda/words.h"
#include "lib/base/status.h"
#include "lib/copy/layout.h"

namespace lmcd::cuda {

inline constexpr uint32_t kSliceBytes = 4096;

// One page, in device memory. `base` of the page is an address that the device can reach.
struct PagePlan {
  lmcd_page_t page;
  uint64_t first_byte;   // of the page, in an extent
  uint32_t first_slice;  // of the page, among those of an item
  uint32_t run_slices;   // of one run
};
static_assert(sizeof(lmcd_page_t) == 40 && alignof(lmcd_page_t) == 8);
static_assert(sizeof(PagePlan) == 56 && std::is_trivially_copyable_v<PagePlan>);
static_assert(offsetof(PagePlan, first_byte) == 40 && offsetof(PagePlan, first_slice) == 48);

// The arguments of a launch. All pointers, and the extents, are addresses that the device can
// reach: its own memory, or pinned host memory.
struct PageCopy {
  const PagePlan* pages;      // page_count of them
  const uint64_t* extents;    // address of each item's bytes
  const uint32_t* block_ids;  // [item_count][blocks_per_item], each below the layout's block_count
  uint32_t page_count;
  uint32_t item_count;
  uint32_t blocks_per_item;
  uint32_t item_slices;  // as plan_pages gave it
};
static_assert(sizeof(PageCopy) == 40 && std::is_trivially_copyable_v<PageCopy>);

// Contiguous on both sides.
struct Slice {
  std::byte* paged;
  std::byte* flat;
  uint32_t bytes;
};

// Fills one plan for each page of `pages`, which were checked: `layout` was made of them.
// Returns the number of slices of an item. Requires: plans is as long as pages.
// Faults: LMCD_E_INVALID for no blocks; LMCD_E_LIMIT when an item has 2^32 slices or more.
Result<uint32_t> plan_pages(const copy::Layout& layout, std::span<const lmcd_page_t> pages,
                            uint32_t blocks_per_item, std::span<PagePlan> plans);

// Finds slice `number`. Requires: number < item_slices * item_count.
LMCD_DEVICE inline Slice find_slice(const PageCopy& copy, uint64_t number) {
  const auto item = static_cast<uint32_t>(number / copy.item_slices);
  auto rest = static_cast<uint32_t>(number % copy.item_slices);

  // The last page that begins at or before it.
  uint32_t low = 0;
  for (uint32_t high = copy.page_count; high - low > 1;) {
    const uint32_t middle = low + (high - low) / 2;
    (copy.pages[middle].first_slice <= rest ? low : high) = middle;
  }
  const PagePlan& plan = copy.pages[low];
  rest -= plan.first_slice;

  const uint32_t in_run = rest % plan.run_slices * kSliceBytes;
  const uint32_t run = rest / plan.run_slices % plan.page.run_count;
  const uint32_t block = rest / plan.run_slices / plan.page.run_count;
  const uint64_t runs_before = uint64_t{block} * plan.page.run_count + run;
  const uint32_t id = copy.block_ids[uint64_t{item} * copy.blocks_per_item + block];

  const uint64_t paged =
      plan.page.base + id * plan.page.block_stride + run * plan.page.run_stride + in_run;
  const uint64_t flat =
      copy.extents[item] + plan.first_byte + runs_before * plan.page.run_bytes + in_run;
  const uint32_t left = plan.page.run_bytes - in_run;
  return {reinterpret_cast<std::byte*>(paged), reinterpret_cast<std::byte*>(flat),
          left < kSliceBytes ? left : kSliceBytes};
}

}  // namespace lmcd::cuda
