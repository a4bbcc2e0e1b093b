// Checks of what C callers pass. Each fault names the argument, what it was and what is valid.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/client/namespace.h"

namespace lmcd::client {

Status check_not_null(const void* argument, const char* name);
// 1 to `most`.
Status check_count(uint64_t count, uint64_t most, const char* name);
// NULL or at most `most` bytes.
Status check_text(const char* text, std::size_t most, const char* name);
// Each part is of the namespace. Null `parts`: the one part is for all.
Status check_parts(const Namespace& space, const lmcd_part_t* parts, lmcd_part_t part,
                   uint32_t count);

// Copies what of a struct this library knows; the rest must be zero. Fields that the caller's
// header did not have yet are zero, their default.
Status check_struct(const void* given, std::size_t known_bytes, const char* name);
template <typename Struct>
Result<Struct> take_struct(const Struct* given, const char* name) {
  LMCD_TRY(check_struct(given, sizeof(Struct), name));
  Struct known;
  std::memcpy(&known, given, sizeof known);
  return known;
}

inline std::string_view view_of(const char* text) { return text ? text : std::string_view(); }
inline std::span<const lmcd_key_t> parent_of(const lmcd_key_t* parent) {
  return {parent, parent ? std::size_t{1} : 0};
}
// A part as it travels: rank | group << 16.
inline uint64_t wire_part(lmcd_part_t part) { return part.rank | uint64_t{part.group} << 16; }
inline std::span<const lmcd_part_t> parts_of(const lmcd_part_t* parts, uint32_t count) {
  return {parts, parts ? count : std::size_t{0}};
}

}  // namespace lmcd::client
