#include "daemon/core/spaces.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "lib/wire/limits.h"

namespace lmcd::core {

Result<std::optional<uint32_t>> Spaces::known(const lmcd_key_t& fingerprint, uint32_t rank_count,
                                              std::span<const lmcd_group_t> groups) const {
  for (const Space& known : spaces_) {
    if (known.rank_count == 0 ||
        std::memcmp(&known.fingerprint, &fingerprint, sizeof fingerprint) != 0) {
      continue;
    }
    const bool same = known.rank_count == rank_count && known.groups.size() == groups.size() &&
                      std::memcmp(known.groups.data(), groups.data(), groups.size_bytes()) == 0;
    if (same) return std::optional(known.number);
    return fault(LMCD_E_INVALID,
                 "namespace: this description is known with %u ranks and %zu groups, now it comes "
                 "with %u and %zu (or groups of other kinds)",
                 known.rank_count, known.groups.size(), rank_count, groups.size());
  }
  return std::optional<uint32_t>();
}

Result<uint32_t> Spaces::make(ProcessId opener, std::string_view description,
                              const lmcd_key_t& fingerprint, uint32_t rank_count,
                              std::span<const lmcd_group_t> groups) {
  const std::optional<uint32_t> place = take_place();
  if (!place) {
    return fault(LMCD_E_LIMIT,
                 "namespace: all %u have objects or are open in a session. Those that no session "
                 "has open, without a pin or a lease, are being given up: try again",
                 Ledger::kSpaces);
  }
  const uint32_t number = ledger_.write_space(*place, description, fingerprint, rank_count, groups);
  Space& made = spaces_[*place];
  if (made.needed()) --needed_;
  made = {fingerprint, number, rank_count, 0, 0, {groups.begin(), groups.end()}};
  made.opener = opener;
  return number;
}

void Spaces::enter(uint32_t number) {
  Space& space = of(number);
  needed_ += !space.needed();
  ++space.sessions;
  space.last_open = ++opens_;
  space.retiring = false;
}

void Spaces::leave(uint32_t number) {
  if (find(number) == nullptr) return;
  Space& space = of(number);
  --space.sessions;
  needed_ -= !space.needed();
}

uint32_t Spaces::retire_some() {
  struct Candidate {
    uint32_t opened;  // by its opener
    uint64_t last_open;
    uint32_t place;
  };
  std::unordered_map<ProcessId, uint32_t> opened;
  for (const Space& space : spaces_) opened[space.opener] += space.needed();
  std::vector<Candidate> candidates;
  for (uint32_t place = 0; place < count(); ++place) {
    const Space& space = spaces_[place];
    const uint32_t beside = opened[space.opener];
    if (!space.needed() || (space.sessions != 0 && beside <= kAssured)) continue;
    candidates.push_back({beside, space.last_open, place});
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.opened != b.opened ? a.opened > b.opened : a.last_open < b.last_open;
  });
  uint32_t retired = 0;
  for (const Candidate& candidate : candidates) {
    Space& space = spaces_[candidate.place];
    uint32_t& left = opened[space.opener];
    if (retired == kSpares) break;
    if (space.sessions != 0 && left <= kAssured) continue;
    space.retiring = true;
    --left;
    ++retired;
  }
  return retired;
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
    const bool needed = space.retiring ? space.parts != 0 : space.needed();
    if (!needed && ledger_.may_write_space(place)) return place;
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
