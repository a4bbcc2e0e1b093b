#include "lib/copy/layout.h"

#include <algorithm>
#include <cinttypes>
#include <optional>

#include "lib/base/bytes.h"

namespace lmcd::copy {
namespace {

// Bytes from the start of the first of `count` runs or blocks to the end of the last.
std::optional<uint64_t> reach(uint32_t count, uint64_t stride, uint64_t bytes) {
  std::optional<uint64_t> last = checked_mul(count - 1, stride);
  return last ? checked_add(*last, bytes) : std::nullopt;
}

Status check_counts(const Page& page, std::size_t index) {
  if (page.run_bytes == 0)
    return fault(LMCD_E_INVALID, "page %zu: run_bytes is 0; a run has at least 1 byte", index);
  if (page.run_count == 0)
    return fault(LMCD_E_INVALID, "page %zu: run_count is 0; a block has at least 1 run", index);
  if (page.block_count == 0)
    return fault(LMCD_E_INVALID, "page %zu: block_count is 0; a page has at least 1 block", index);
  if (page.reserved != 0)
    return fault(LMCD_E_INVALID, "page %zu: reserved is %" PRIu32 "; it must be 0", index,
                 page.reserved);
  return {};
}

// The two strides of a tensor nest: either the runs of a block stand together and blocks follow
// one another, or the other way round (K of all blocks, then V of all blocks).
Result<uint64_t> extent_of(const Page& page, std::size_t index) {
  std::optional<uint64_t> runs = reach(page.run_count, page.run_stride, page.run_bytes);
  std::optional<uint64_t> blocks = reach(page.block_count, page.block_stride, page.run_bytes);
  std::optional<uint64_t> whole =
      runs ? reach(page.block_count, page.block_stride, *runs) : std::nullopt;
  if (!runs || !blocks || !whole)
    return fault(LMCD_E_INVALID,
                 "page %zu: %" PRIu32 " blocks of stride %" PRIu64 " with %" PRIu32
                 " runs of stride %" PRIu64 " pass 2^64 bytes",
                 index, page.block_count, page.block_stride, page.run_count, page.run_stride);
  bool runs_apart = page.run_count == 1 || page.run_stride >= page.run_bytes;
  bool blocks_apart = page.block_count == 1 || page.block_stride >= page.run_bytes;
  bool nested = page.run_count == 1 || page.block_count == 1 || page.block_stride >= *runs ||
                page.run_stride >= *blocks;
  if (!runs_apart || !blocks_apart || !nested)
    return fault(LMCD_E_INVALID,
                 "page %zu: runs of %" PRIu32 " bytes overlap with block_stride %" PRIu64
                 " and run_stride %" PRIu64 "; valid: block_stride >= %" PRIu64
                 " or run_stride >= %" PRIu64,
                 index, page.run_bytes, page.block_stride, page.run_stride, *runs, *blocks);
  return *whole;
}

}  // namespace

Result<Layout> Layout::make(std::span<const Page> pages, Memory memory) {
  if (pages.empty() || pages.size() > kMaxPages)
    return fault(LMCD_E_INVALID, "%zu pages; valid: 1 to %zu", pages.size(), kMaxPages);
  Layout layout;
  layout.planes_.reserve(pages.size());
  for (std::size_t i = 0; i < pages.size(); ++i) LMCD_TRY(layout.add(pages[i], i, memory));
  return layout;
}

Status Layout::add(const Page& page, std::size_t index, Memory memory) {
  LMCD_TRY(check_counts(page, index));
  LMCD_ASSIGN(uint64_t length, extent_of(page, index));
  std::optional<uint64_t> end = checked_add(page.base, length);
  if (!end || *end > memory.length)
    return fault(LMCD_E_INVALID,
                 "page %zu: %" PRIu64 " bytes from base %" PRIu64
                 " pass the end of the memory at %" PRIu64,
                 index, length, page.base, memory.length);
  if (memory.address + page.base == 0) return fault(LMCD_E_INVALID, "page %zu: base is 0", index);

  // Cannot overflow: a block's runs fit into `length`.
  uint64_t block_bytes = uint64_t{page.run_bytes} * page.run_count;
  std::optional<uint64_t> sum = checked_add(block_bytes_, block_bytes);
  if (!sum) return fault(LMCD_E_INVALID, "page %zu: a block's bytes pass 2^64", index);
  planes_.push_back({reinterpret_cast<std::byte*>(memory.address + page.base), page.block_stride,
                     page.run_stride, block_bytes_, block_bytes, page.run_bytes, page.run_count});
  block_bytes_ = *sum;
  block_count_ = std::min(block_count_, page.block_count);
  return {};
}

}  // namespace lmcd::copy
