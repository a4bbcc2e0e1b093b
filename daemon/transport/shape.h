// Checks of a request's shape: counts and lengths against lib/wire/limits.h and each other. What a
// request names is the store's to check. Pure functions; each fault names the message, the field
// and what would be valid.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "include/lmcd.h"
#include "lib/base/status.h"

namespace lmcd::transport {

// `most` is inclusive. Faults: LMCD_E_INVALID.
Status check_range(const char* message, const char* field, uint64_t value, uint64_t least,
                   uint64_t most);

// An array beside `keys`: one element for each, one for all, or none.
Status check_beside(const char* message, const char* field, std::size_t count, std::size_t keys);

// The parts of a request: `parts` as they came, or the one in `all` in `single`.
Result<std::span<const lmcd_part_t>> parts_of(const char* message,
                                              std::span<const lmcd_part_t> parts, uint64_t all,
                                              std::size_t keys, lmcd_part_t& single);

// Text that is shown to people: UTF-8 without control characters, at most `most` bytes.
Status check_name(const char* message, const char* field, std::string_view text, std::size_t most);
Status check_tenant(const char* message, std::string_view salt);

// The groups of a namespace: kinds that there are, and windows of at least a chunk.
Status check_groups(const char* message, std::span<const lmcd_group_t> groups);

}  // namespace lmcd::transport
