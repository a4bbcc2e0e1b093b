#include "daemon/core/spaces.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "lib/keys/fingerprint.h"
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

namespace {

// The shape of an entry's namespace, copied before it is checked: the ledger may change under us.
Status check_shape(const Spaces::Space& space, uint32_t place) {
  if (space.rank_count == 0 || space.rank_count > wire::kRanks ||
      space.rank_count * space.groups.size() > wire::kPartsPerObject) {
    return fault(LMCD_E_CORRUPT, "ledger: namespace %u has %u ranks and %zu groups", place,
                 space.rank_count, space.groups.size());
  }
  for (const lmcd_group_t& group : space.groups) {
    const bool window = group.kind == LMCD_GROUP_WINDOW;
    if (group.kind > LMCD_GROUP_STATE || window != (group.window_chunks != 0)) {
      return fault(LMCD_E_CORRUPT,
                   "ledger: namespace %u has a group of kind %u with a window of %u", place,
                   group.kind, group.window_chunks);
    }
  }
  return {};
}

Status check_fingerprint(const Spaces::Space& space, const ledger::SpaceEntry& entry,
                         uint32_t place) {
  const std::string description(
      entry.description, std::min(entry.description_bytes, ledger::SpaceEntry::kDescriptionBytes));
  Result<lmcd_key_t> named = keys::fingerprint(description);
  if (named.ok() && std::memcmp(&named.value(), &space.fingerprint, sizeof space.fingerprint) == 0)
    return {};
  return fault(LMCD_E_CORRUPT,
               "ledger: namespace %u has a fingerprint that is not its description's", place);
}

}  // namespace

Status Spaces::adopt() {
  for (uint32_t place = 0; place < Ledger::kSpaces; ++place) {
    const ledger::SpaceEntry& entry = ledger_.space(place);
    const uint32_t used = entry.used.load(std::memory_order_acquire);
    if (used == 0) break;
    Space& space = spaces_.emplace_back();
    if (!ledger::is_set(used)) continue;  // a daemon died while it wrote it
    const uint32_t group_count = entry.group_count;
    if (group_count == 0 || group_count > wire::kGroups || used > Ledger::kSpaceUsedMax) {
      return fault(LMCD_E_CORRUPT, "ledger: namespace %u has %u groups and the count %u", place,
                   group_count, used);
    }
    space.number = ledger::space_number(used, place, Ledger::kSpaces);
    space.rank_count = entry.rank_count;
    space.groups.assign(entry.groups, entry.groups + group_count);
    std::memcpy(&space.fingerprint, entry.fingerprint, sizeof space.fingerprint);
    LMCD_TRY(check_shape(space, place));
    LMCD_TRY(check_fingerprint(space, entry, place));
  }
  return {};
}

}  // namespace lmcd::core
