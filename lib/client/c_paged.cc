// lmcd.h: paged KV.
#include <algorithm>
#include <vector>

#include "lib/base/crc32c.h"
#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/handles.h"
#include "lib/copy/transfer.h"
#include "lib/wire/limits.h"

using namespace lmcd;
using namespace lmcd::client;

namespace {

Result<lmcd_paged_copy_t> take_copy(const lmcd_mapping_t* mapping, const lmcd_paged_copy_t* copy) {
  LMCD_TRY(check(mapping));
  LMCD_ASSIGN(lmcd_paged_copy_t given, take_struct(copy, "copy"));
  LMCD_TRY(check_count(given.page_count, copy::kMaxPages, "copy.page_count"));
  LMCD_TRY(check_not_null(given.pages, "copy.pages"));
  LMCD_TRY(check_count(given.count, wire::kBatchItems, "copy.count"));
  LMCD_TRY(check_not_null(given.grants, "copy.grants"));
  LMCD_TRY(check_count(given.blocks_per_item, UINT32_MAX, "copy.blocks_per_item"));
  LMCD_TRY(check_not_null(given.block_ids, "copy.block_ids"));
  if (given.threads == 0) given.threads = 1;
  LMCD_TRY(check_count(given.threads, copy::kMaxThreads, "copy.threads"));
  if (given.checksum > 1) {
    return fault(LMCD_E_INVALID, "copy.checksum is %u; 0 and 1 are valid", given.checksum);
  }
  return given;
}

// Each grant's extent with its blocks, mapped before the first byte moves.
// `outcome`: what a grant must be for this direction.
Result<std::vector<copy::Item>> make_items(Mapping& mapping, const lmcd_paged_copy_t& given,
                                           lmcd_outcome_t outcome) {
  const uint64_t frontier = mapping.frontier();
  std::vector<copy::Item> items;
  std::vector<Populator::Range> ranges;
  items.reserve(given.count);
  ranges.reserve(given.count);
  for (uint32_t i = 0; i < given.count; ++i) {
    const lmcd_grant_t& grant = given.grants[i];
    if (grant.outcome != outcome) {
      return fault(LMCD_E_INVALID, "copy.grants[%u].outcome is %u; %u (%s) is valid", i,
                   grant.outcome, outcome,
                   outcome == LMCD_RESERVED ? "LMCD_RESERVED" : "LMCD_LEASED");
    }
    std::byte* address = mapping.address(grant);
    if (address == nullptr)
      return fault(LMCD_E_INVALID, "copy.grants[%u] is not of this mapping's arena", i);
    copy::Item& item = items.emplace_back();
    item.extent = address;
    item.length = grant.extent.length;
    item.block_ids = {given.block_ids + std::size_t{i} * given.blocks_per_item,
                      given.blocks_per_item};
    // The checksum is one of the whole extent.
    const bool whole = std::find(item.block_ids.begin(), item.block_ids.end(), copy::kNoBlock) ==
                       item.block_ids.end();
    if (outcome == LMCD_LEASED && given.checksum != 0 && grant.has_crc != 0 && whole)
      item.expected_crc = grant.crc32c;
    ranges.push_back({grant.extent.offset, grant.extent.length});
  }
  mapping.populator().populate_now(ranges, frontier);
  return items;
}

}  // namespace

lmcd_code_t lmcd_gather(lmcd_mapping_t* mapping, const lmcd_paged_copy_t* copy, uint32_t* crcs,
                        lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_ASSIGN(const lmcd_paged_copy_t given, take_copy(mapping, copy));
    if (given.checksum != 0) LMCD_TRY(check_not_null(crcs, "crcs (with copy.checksum)"));
    Mapping& mapped = *mapping->mapping;
    LMCD_ASSIGN(const copy::Layout layout,
                copy::Layout::make({given.pages, given.page_count}, copy::Memory::whole_process()));
    LMCD_ASSIGN(const std::vector<copy::Item> items, make_items(mapped, given, LMCD_RESERVED));
    LMCD_ASSIGN(const std::shared_ptr<copy::Crew> crew, mapped.crew(given.threads));
    return copy::gather({.layout = layout, .items = items, .threads = given.threads}, *crew,
                        {crcs, given.checksum != 0 ? given.count : std::size_t{0}});
  });
}

lmcd_code_t lmcd_scatter(lmcd_mapping_t* mapping, const lmcd_paged_copy_t* copy, uint8_t* valid,
                         lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(valid, "valid"));
    LMCD_ASSIGN(const lmcd_paged_copy_t given, take_copy(mapping, copy));
    std::fill_n(valid, given.count, uint8_t{0});
    Mapping& mapped = *mapping->mapping;
    LMCD_ASSIGN(const copy::Layout layout,
                copy::Layout::make({given.pages, given.page_count}, copy::Memory::whole_process()));
    LMCD_ASSIGN(const std::vector<copy::Item> items, make_items(mapped, given, LMCD_LEASED));
    LMCD_ASSIGN(const std::shared_ptr<copy::Crew> crew, mapped.crew(given.threads));
    std::vector<uint8_t> intact(given.count);
    LMCD_TRY(
        copy::scatter({.layout = layout, .items = items, .threads = given.threads}, *crew, intact));
    // The lease last: a matching checksum says nothing about bytes that another has since.
    mapped.validate(given.grants, given.count, valid);
    for (uint32_t i = 0; i < given.count; ++i) valid[i] &= intact[i];
    return {};
  });
}

uint32_t lmcd_crc32c(uint32_t crc, const void* bytes, size_t length) {
  return bytes == nullptr ? crc : crc32c_extend(crc, bytes, length);
}
