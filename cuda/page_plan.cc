#include "cuda/page_plan.h"

#include <cassert>

namespace lmcd::cuda {

Result<uint32_t> plan_pages(const copy::Layout& layout, std::span<const lmcd_page_t> pages,
                            uint32_t blocks_per_item, std::span<PagePlan> plans) {
  assert(plans.size() == pages.size() && layout.planes().size() == pages.size());
  if (blocks_per_item == 0) return fault(LMCD_E_INVALID, "page copy: an item has no blocks");
  uint64_t slices = 0;
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const lmcd_page_t& page = pages[i];
    const uint32_t run_slices = (page.run_bytes - 1) / kSliceBytes + 1;
    // Products of three numbers below 2^32, and two that stay far below 2^64.
    const uint64_t block_slices = uint64_t{run_slices} * page.run_count;
    if (block_slices > (UINT32_MAX - slices) / blocks_per_item)
      return fault(LMCD_E_LIMIT,
                   "page copy: an item of %u blocks has more than %u slices of %u bytes",
                   blocks_per_item, UINT32_MAX, kSliceBytes);
    plans[i] = {page, layout.planes()[i].bytes_before * blocks_per_item,
                static_cast<uint32_t>(slices), run_slices};
    slices += block_slices * blocks_per_item;
  }
  return static_cast<uint32_t>(slices);
}

}  // namespace lmcd::cuda
