// A walk over the bytes of several items in extent order.
//
// The items' bytes are numbered through, one item after another, so that work can be cut by
// bytes whatever the items' sizes. A fragment is contiguous on both sides: a run, or an even
// share of one that is long. It belongs to the range in which it begins; ranges that adjoin thus
// cover every fragment once. One thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/copy/layout.h"

namespace lmcd::copy {

// In place of a block's id in a scatter: its bytes stay in the extent.
inline constexpr uint32_t kNoBlock = UINT32_MAX;

// One part: an extent and the blocks whose bytes it holds.
struct Item {
  std::byte* extent;  // gather writes it, scatter reads it
  uint64_t length;    // bytes
  std::span<const uint32_t> block_ids;
  std::optional<uint32_t> expected_crc = {};  // of the extent; scatter checks it
};

struct Fragment {
  std::byte* paged;  // in the engine's memory
  std::byte* flat;   // in the extent
  uint32_t bytes;
  uint32_t item;
};

// Long enough that the seams between fragments cost nothing, short enough that the lanes of a
// kernel find several in a megabyte.
inline constexpr uint32_t kFragmentBytes = 64 * 1024;

class Cursor {
 public:
  // Begins at the first fragment at or after byte `begin`, ends before the first at or after
  // `end`, passing over what is kNoBlock. Requires: items are valid for the layout; starts[i] is
  // the number of item i's first byte, with the total last. Lifetime: all three outlive the cursor.
  Cursor(const Layout& layout, std::span<const Item> items, std::span<const uint64_t> starts,
         uint64_t begin, uint64_t end);

  // Returns whether there was one.
  bool next(Fragment* out);

 private:
  void enter_plane();
  void enter_block();
  void finish_run();
  bool next_block();
  void pass_over_blocks();

  const Layout& layout_;
  std::span<const Item> items_;
  uint64_t at_;  // number of the next byte
  uint64_t end_;
  std::size_t item_ = 0;
  std::size_t plane_ = 0;
  std::size_t block_ = 0;  // index into the item's block ids
  uint32_t run_ = 0;
  uint32_t in_run_ = 0;
  uint32_t share_bytes_ = 0;  // of a run, in each of its fragments
  std::byte* run_address_ = nullptr;
  std::byte* flat_ = nullptr;
};

}  // namespace lmcd::copy
