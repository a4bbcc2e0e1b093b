#include "daemon/transport/shape.h"

#include <cinttypes>

#include "lib/base/utf8.h"
#include "lib/wire/limits.h"

namespace lmcd::transport {

Status check_range(const char* message, const char* field, uint64_t value, uint64_t least,
                   uint64_t most) {
  if (value >= least && value <= most) return {};
  return fault(LMCD_E_INVALID, "%s: %s is %" PRIu64 ", valid is %" PRIu64 " to %" PRIu64, message,
               field, value, least, most);
}

Status check_beside(const char* message, const char* field, std::size_t count, std::size_t keys) {
  if (count == 0 || count == 1 || count == keys) return {};
  return fault(LMCD_E_INVALID, "%s: %s has %zu elements beside %zu keys, valid is 0, 1 or %zu",
               message, field, count, keys, keys);
}

Result<std::span<const lmcd_part_t>> parts_of(const char* message,
                                              std::span<const lmcd_part_t> parts, uint64_t all,
                                              std::size_t keys, lmcd_part_t& single) {
  LMCD_TRY(check_beside(message, "parts", parts.size(), keys));
  if (!parts.empty()) return parts;
  LMCD_TRY(check_range(message, "part", all, 0, UINT32_MAX));
  single = {static_cast<uint16_t>(all & 0xffff), static_cast<uint16_t>(all >> 16)};
  return std::span<const lmcd_part_t>(&single, 1);
}

Status check_name(const char* message, const char* field, std::string_view text, std::size_t most) {
  LMCD_TRY(check_range(message, field, text.size(), 0, most));
  for (std::string_view rest = text; !rest.empty();) {
    const auto byte = static_cast<unsigned char>(rest.front());
    if (byte < 0x20 || byte == 0x7f) {
      return fault(LMCD_E_INVALID, "%s: %s has the control character 0x%02x", message, field, byte);
    }
    const std::size_t length = utf8_sequence(rest);
    if (length == 0) {
      return fault(LMCD_E_INVALID, "%s: %s is no UTF-8 at byte %zu", message, field,
                   text.size() - rest.size());
    }
    rest.remove_prefix(length);
  }
  return {};
}

Status check_tenant(const char* message, std::string_view salt) {
  return check_name(message, "tenant", salt, wire::kTenantBytes);
}

Status check_groups(const char* message, std::span<const lmcd_group_t> groups) {
  LMCD_TRY(check_range(message, "groups", groups.size(), 1, wire::kGroups));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const lmcd_group_t& group = groups[i];
    if (group.kind > LMCD_GROUP_STATE) {
      return fault(LMCD_E_INVALID,
                   "%s: groups[%zu].kind is %u, valid is 0 (full), 1 (window) or 2 (state)",
                   message, i, group.kind);
    }
    if ((group.kind == LMCD_GROUP_WINDOW) != (group.window_chunks != 0)) {
      return fault(LMCD_E_INVALID,
                   "%s: groups[%zu].window_chunks is %u, valid is 1 or more for a window, 0 for "
                   "others",
                   message, i, group.window_chunks);
    }
  }
  return {};
}

}  // namespace lmcd::transport
