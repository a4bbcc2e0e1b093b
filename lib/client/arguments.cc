#include "lib/client/arguments.h"

#include <algorithm>

namespace lmcd::client {
namespace {

Status check_part(const Namespace& space, lmcd_part_t part, const char* name, uint32_t index) {
  if (part.rank < space.rank_count() && part.group < space.groups().size()) return {};
  return fault(LMCD_E_INVALID,
               "%s[%u] is rank %u, group %u; the namespace has %u ranks and %zu groups, from 0",
               name, index, part.rank, part.group, space.rank_count(), space.groups().size());
}

}  // namespace

Status check_not_null(const void* argument, const char* name) {
  return argument ? Status() : fault(LMCD_E_INVALID, "%s is NULL", name);
}

Status check_count(uint64_t count, uint64_t most, const char* name) {
  if (count >= 1 && count <= most) return {};
  return fault(LMCD_E_INVALID, "%s is %llu; 1 to %llu is valid", name,
               static_cast<unsigned long long>(count), static_cast<unsigned long long>(most));
}

Status check_text(const char* text, std::size_t most, const char* name) {
  if (text == nullptr || strnlen(text, most + 1) <= most) return {};
  return fault(LMCD_E_INVALID, "%s has more than the %zu bytes that are valid", name, most);
}

Status check_parts(const Namespace& space, const lmcd_part_t* parts, lmcd_part_t part,
                   uint32_t count) {
  if (parts == nullptr) return check_part(space, part, "part", 0);
  for (uint32_t i = 0; i < count; ++i) LMCD_TRY(check_part(space, parts[i], "parts", i));
  return {};
}

Status check_struct(const void* given, std::size_t known_bytes, const char* name) {
  constexpr uint32_t kStructBytes = 4096;  // no struct will ever be larger: a stray value is
  LMCD_TRY(check_not_null(given, name));
  uint32_t struct_size;
  std::memcpy(&struct_size, given, sizeof struct_size);
  if (struct_size < known_bytes || struct_size > kStructBytes) {
    return fault(LMCD_E_INVALID, "%s.struct_size is %u; set it to the size of the struct, %zu",
                 name, struct_size, known_bytes);
  }
  const auto* bytes = static_cast<const unsigned char*>(given);
  const bool rest_is_zero = std::all_of(bytes + known_bytes, bytes + struct_size,
                                        [](unsigned char byte) { return byte == 0; });
  if (rest_is_zero) return {};
  return fault(LMCD_E_UNSUPPORTED,
               "%s: a field past its first %zu bytes is set; this library (%s) "
               "does not know it",
               name, known_bytes, lmcd_version());
}

}  // namespace lmcd::client
