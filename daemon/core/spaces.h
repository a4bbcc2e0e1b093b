// The namespaces: which description has which number, and who still needs it.
//
// A table of Ledger::kSpaces places, mirrored in the ledger for readers and for the next daemon. A
// namespace is needed while a session has it open or a record is of it. When every place is taken,
// one that nobody needs is given to the next namespace, under a number that was never used before
// (lib/ledger/layout.h), so whoever still has the old number finds nothing under it. Loop thread
// only.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "daemon/core/ledger.h"

namespace lmcd::core {

class Spaces {
 public:
  struct Space {
    lmcd_key_t fingerprint = {};
    uint32_t number = 0;
    uint32_t rank_count = 0;  // 0: the place is empty
    uint32_t sessions = 0;    // that have it open
    uint32_t parts = 0;       // records of it, in whatever state
    std::vector<lmcd_group_t> groups;
    uint64_t hot_bytes = 0;   // payload of its committed parts

    uint32_t all_groups() const { return (1u << groups.size()) - 1; }
  };

  // `ledger` is used, not owned.
  explicit Spaces(Ledger& ledger) : ledger_(ledger) {}

  // The number of the namespace with this description, made if it is new.
  // Faults: LMCD_E_INVALID (known with other ranks or groups), LMCD_E_LIMIT.
  Result<uint32_t> open(std::string_view description, const lmcd_key_t& fingerprint,
                        uint32_t rank_count, std::span<const lmcd_group_t> groups);
  // Takes over what an earlier daemon's ledger has.
  // Faults: LMCD_E_CORRUPT.
  Status adopt();

  // nullptr for a number that no namespace has.
  const Space* find(uint32_t number) const {
    const uint32_t place = number % Ledger::kSpaces;
    if (place >= spaces_.size()) return nullptr;
    const Space& space = spaces_[place];
    return space.rank_count != 0 && space.number == number ? &space : nullptr;
  }
  // What has its entry at `place`; nullptr if nothing has. Places are below count().
  uint32_t count() const { return static_cast<uint32_t>(spaces_.size()); }
  const Space* at(uint32_t place) const {
    const bool taken = place < spaces_.size() && spaces_[place].rank_count != 0;
    return taken ? &spaces_[place] : nullptr;
  }

  // Count one more, or one fewer, who needs it. Require: the number is a namespace's.
  void enter(uint32_t number) { ++of(number).sessions; }
  void leave(uint32_t number) { --of(number).sessions; }
  void add_part(uint32_t number) { ++of(number).parts; }
  void add_hot(uint32_t number, uint64_t bytes) { of(number).hot_bytes += bytes; }
  void remove_hot(uint32_t number, uint64_t bytes) { of(number).hot_bytes -= bytes; }
  void remove_part(uint32_t number) { --of(number).parts; }

 private:
  Space& of(uint32_t number) { return spaces_[number % Ledger::kSpaces]; }
  std::optional<uint32_t> take_place();

  Ledger& ledger_;
  std::vector<Space> spaces_;  // by place
  uint32_t next_look_ = 0;     // where the search for one that nobody needs goes on
};

}  // namespace lmcd::core
