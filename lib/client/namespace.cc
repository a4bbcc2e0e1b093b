#include "lib/client/namespace.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "lib/wire/limits.h"

namespace lmcd::client {

std::optional<uint32_t> Namespace::number_in(const Mapping& mapping) const {
  const ledger::Reader& ledger = mapping.ledger();
  const uint64_t found = found_.load(std::memory_order_relaxed);
  if (found >> 32 == mapping.serial() && ledger.has_space(static_cast<uint32_t>(found)))
    return static_cast<uint32_t>(found);
  const uint32_t capacity = ledger.shape().space_capacity;
  for (uint32_t place = 0; place < capacity; ++place) {
    const ledger::SpaceEntry& entry = *ledger.space(place);
    const uint32_t used = entry.used.load(std::memory_order_acquire);
    if (!ledger::is_set(used)) continue;
    if (entry.description_bytes != description_.size()) continue;
    if (description_.size() > sizeof entry.description ||
        std::memcmp(entry.description, description_.data(), description_.size()) != 0) {
      continue;
    }
    const uint32_t number = ledger::space_number(used, place, capacity);
    if (!ledger.has_space(number)) continue;  // it was given to another while it was read
    found_.store(uint64_t{mapping.serial()} << 32 | number, std::memory_order_relaxed);
    return number;
  }
  return std::nullopt;
}

uint32_t usable_prefix(const std::vector<lmcd_group_t>& groups, const lmcd_presence_t* presence,
                       uint32_t count) {
  std::array<uint32_t, wire::kGroups> run{};  // chunks in a row that the group has, up to here
  uint32_t usable = 0;
  for (uint32_t n = 1; n <= count; ++n) {
    const uint32_t there = presence[n - 1].hot | presence[n - 1].cold;
    bool all = true;
    for (std::size_t group = 0; group < groups.size(); ++group) {
      run[group] = there >> group & 1 ? run[group] + 1 : 0;
      switch (groups[group].kind) {
        case LMCD_GROUP_WINDOW:
          all &= run[group] >= std::min(n, groups[group].window_chunks);
          break;
        case LMCD_GROUP_STATE:
          all &= run[group] >= 1;
          break;
        default:
          if (run[group] < n) return usable;  // a hole that no longer prefix can do without
      }
    }
    if (all) usable = n;
  }
  return usable;
}

}  // namespace lmcd::client
