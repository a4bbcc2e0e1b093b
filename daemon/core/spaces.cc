#include "daemon/core/spaces.h"

#include <cstring>

#include "lib/wire/limits.h"

namespace lmcd::core {

Result<uint32_t> Spaces::open(std::string_view description, const lmcd_key_t& fingerprint,
                              uint32_t rank_count, std::span<const lmcd_group_t> groups) {
  for (const Space& known : spaces_) {
    if (known.rank_count == 0 ||
        std::memcmp(&known.fingerprint, &fingerprint, sizeof fingerprint) != 0) {
      continue;
    }
    const bool same = known.rank_count == rank_count && known.groups.size() == groups.size() &&
                      std::memcmp(known.groups.data(), groups.data(), groups.size_bytes()) == 0;
    if (same) return known.number;
    return fault(LMCD_E_INVALID,
                 "namespace: this description is known with %u ranks and %zu groups, now it comes "
                 "with %u and %zu (or groups of other kinds)",
                 known.rank_count, known.groups.size(), rank_count, groups.size());
  }
  const std::optional<uint32_t> place = take_place();
  if (!place) {
    return fault(LMCD_E_LIMIT, "namespace: all %u have objects or are open in a session",
                 Ledger::kSpaces);
  }
  const uint32_t number = ledger_.write_space(*place, description, fingerprint, rank_count, groups);
  spaces_[*place] = {fingerprint, number, rank_count, 0, 0, {groups.begin(), groups.end()}};
  return number;
}

// New places first: a namespace that nobody needs now may be opened again.
std::optional<uint32_t> Spaces::take_place() {
  if (spaces_.size() < Ledger::kSpaces) {
    spaces_.emplace_back();
    return count() - 1;
  }
  for (uint32_t look = 0; look < Ledger::kSpaces; ++look) {
    const uint32_t place = next_look_;
    next_look_ = (next_look_ + 1) % Ledger::kSpaces;
    const Space& space = spaces_[place];
    if (space.sessions == 0 && space.parts == 0 && ledger_.may_write_space(place)) return place;
  }
  return std::nullopt;
}

Status Spaces::adopt() {
  for (uint32_t place = 0; place < Ledger::kSpaces; ++place) {
    const ledger::SpaceEntry& entry = ledger_.space(place);
    const uint32_t used = entry.used.load(std::memory_order_acquire);
    if (used == 0) break;
    Space& space = spaces_.emplace_back();
    if (!ledger::is_set(used)) continue;  // a daemon died while it wrote it
    if (entry.rank_count == 0 || entry.rank_count > wire::kRanks || entry.group_count == 0 ||
        entry.group_count > wire::kGroups || used > Ledger::kSpaceUsedMax) {
      return fault(LMCD_E_CORRUPT, "ledger: namespace %u has %u ranks and %u groups", place,
                   entry.rank_count, entry.group_count);
    }
    space.number = ledger::space_number(used, place, Ledger::kSpaces);
    space.rank_count = entry.rank_count;
    space.groups.assign(entry.groups, entry.groups + entry.group_count);
    std::memcpy(&space.fingerprint, entry.fingerprint, sizeof space.fingerprint);
  }
  return {};
}

}  // namespace lmcd::core
