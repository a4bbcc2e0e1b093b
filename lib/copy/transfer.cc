#include "lib/copy/transfer.h"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <cinttypes>
#include <optional>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/copy/pass.h"

namespace lmcd::copy {
namespace {

// What a thread takes from the counter: two rounds of the widest kernel's lanes hide what a
// round's first and last lines cost, and two threads end within some tens of microseconds.
constexpr uint64_t kUnitBytes = 512 * 1024;

Status check_item(const Layout& layout, const Item& item, std::size_t index, Direction direction) {
  std::size_t blocks = item.block_ids.size();
  if (blocks == 0) return fault(LMCD_E_INVALID, "item %zu: names no blocks", index);
  if (item.extent == nullptr) return fault(LMCD_E_INVALID, "item %zu: its extent is null", index);
  std::optional<uint64_t> length = checked_mul(blocks, layout.block_bytes());
  if (!length || *length != item.length)
    return fault(LMCD_E_INVALID,
                 "item %zu: an extent of %" PRIu64 " bytes for %zu blocks of %" PRIu64
                 " bytes; they must be equal",
                 index, item.length, blocks, layout.block_bytes());
  if (!checked_add(reinterpret_cast<uintptr_t>(item.extent), item.length))
    return fault(LMCD_E_INVALID, "item %zu: %" PRIu64 " bytes from its address pass 2^64", index,
                 item.length);
  for (std::size_t i = 0; i < blocks; ++i) {
    if (item.block_ids[i] == kNoBlock && direction == Direction::kScatter) continue;
    if (item.block_ids[i] >= layout.block_count())
      return fault(LMCD_E_INVALID, "item %zu: block_ids[%zu] is %" PRIu32 "; valid: 0 to %" PRIu32,
                   index, i, item.block_ids[i], layout.block_count() - 1);
  }
  return {};
}

// Returns the number of each item's first byte, and the total last.
Result<std::vector<uint64_t>> check(const Transfer& transfer, Direction direction) {
  if (transfer.threads == 0 || transfer.threads > kMaxThreads)
    return fault(LMCD_E_INVALID, "threads is %" PRIu32 "; valid: 1 to %" PRIu32, transfer.threads,
                 kMaxThreads);
  if (transfer.items.size() > UINT32_MAX)
    return fault(LMCD_E_INVALID, "%zu items; valid: 0 to %" PRIu32, transfer.items.size(),
                 UINT32_MAX);
  std::vector<uint64_t> starts{0};
  starts.reserve(transfer.items.size() + 1);
  for (std::size_t i = 0; i < transfer.items.size(); ++i) {
    LMCD_TRY(check_item(transfer.layout, transfer.items[i], i, direction));
    std::optional<uint64_t> end = checked_add(starts.back(), transfer.items[i].length);
    if (!end || *end > UINT64_MAX - kUnitBytes)
      return fault(LMCD_E_INVALID, "items 0 to %zu: their bytes pass 2^64", i);
    starts.push_back(*end);
  }
  return starts;
}

Status copy(const Transfer& transfer, Crew& crew, Direction direction,
            std::span<std::atomic<uint32_t>> sums) {
  LMCD_ASSIGN(std::vector<uint64_t> starts, check(transfer, direction));
  uint64_t unit_count = (starts.back() + kUnitBytes - 1) / kUnitBytes;
  std::atomic<uint64_t> next_unit{0};
  std::atomic<bool> cut_short{false};
  auto work = [&] {
    Pass pass(transfer.kernel, direction, transfer.items, sums);
    for (;;) {
      // Relaxed: the counter hands out numbers, nothing is published by it.
      uint64_t unit = next_unit.fetch_add(1, std::memory_order_relaxed);
      if (unit >= unit_count) break;
      if (transfer.cancelled != nullptr && transfer.cancelled->load(std::memory_order_relaxed)) {
        cut_short.store(true, std::memory_order_relaxed);
        break;
      }
      Cursor cursor(transfer.layout, transfer.items, starts, unit * kUnitBytes,
                    (unit + 1) * kUnitBytes);
      for (Fragment fragment; cursor.next(&fragment);) pass.add(fragment);
    }
    pass.finish();
  };
  if (unit_count > 0)
    crew.run(static_cast<uint32_t>(std::min<uint64_t>(transfer.threads, unit_count)), work);
  return cut_short ? fault(LMCD_E_TIMEOUT, "transfer: it was cancelled") : Status();
}

}  // namespace

Status gather(const Transfer& transfer, Crew& crew, std::span<uint32_t> crcs) {
  assert(crcs.empty() || crcs.size() == transfer.items.size());
  std::vector<std::atomic<uint32_t>> sums(crcs.size());
  LMCD_TRY(copy(transfer, crew, Direction::kGather, sums));
  for (std::size_t i = 0; i < crcs.size(); ++i) crcs[i] = sums[i];
  return {};
}

Status scatter(const Transfer& transfer, Crew& crew, std::span<uint8_t> intact) {
  assert(intact.size() == transfer.items.size());
  bool any = std::any_of(transfer.items.begin(), transfer.items.end(),
                         [](const Item& item) { return item.expected_crc.has_value(); });
  std::vector<std::atomic<uint32_t>> sums(any ? transfer.items.size() : 0);
  LMCD_TRY(copy(transfer, crew, Direction::kScatter, sums));
  for (std::size_t i = 0; i < intact.size(); ++i) {
    const std::optional<uint32_t>& expected = transfer.items[i].expected_crc;
    intact[i] = !expected || *expected == sums[i];
  }
  return {};
}

}  // namespace lmcd::copy
