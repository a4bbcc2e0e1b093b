// The namespaces: which description has which number, and who still needs it.
//
// A table of Ledger::kSpaces places, mirrored in the ledger for readers and for the next daemon. A
// namespace is needed while a session has it open or a record is of it. When every place is taken,
// one that nobody needs is given to the next namespace, under a number that was never used before
// (lib/ledger/layout.h), so whoever still has the old number finds nothing under it.
//
// When places run short (crowded()), some namespaces are given up: those that no session has open,
// then those that a process has open beyond kAssured, of the process that opened the most first.
// Nothing is stored in one that is given up; the store forgets its objects (store_retire.cc), and
// its place is free. Who opens it before that has it back. Loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "daemon/core/event.h"
#include "daemon/core/ledger.h"

namespace lmcd::core {

class Spaces {
 public:
  // What a process may keep open whatever others want.
  static constexpr uint32_t kAssured = 64;

  struct Space {
    lmcd_key_t fingerprint = {};
    uint32_t number = 0;
    uint32_t rank_count = 0;  // 0: the place is empty
    uint32_t sessions = 0;    // that have it open
    uint32_t parts = 0;       // records of it, in whatever state
    std::vector<lmcd_group_t> groups;
    ProcessId opener = 0;     // who opened it first; 0: an earlier daemon's process
    uint64_t last_open = 0;   // the later, the greater
    uint64_t hot_bytes = 0;   // payload of its committed parts
    bool retiring = false;    // given up: its objects are being forgotten

    bool needed() const { return sessions != 0 || parts != 0; }

    uint32_t all_groups() const { return (1u << groups.size()) - 1; }
  };

  // `ledger` is used, not owned.
  explicit Spaces(Ledger& ledger) : ledger_(ledger) {}

  // The number of the namespace with this fingerprint, if there is one.
  // Faults: LMCD_E_INVALID (known with other ranks or groups).
  Result<std::optional<uint32_t>> known(const lmcd_key_t& fingerprint, uint32_t rank_count,
                                        std::span<const lmcd_group_t> groups) const;
  // Makes one. Requires: it is not known.
  // Faults: LMCD_E_LIMIT.
  Result<uint32_t> make(ProcessId opener, std::string_view description,
                        const lmcd_key_t& fingerprint, uint32_t rank_count,
                        std::span<const lmcd_group_t> groups);
  // Takes over what an earlier daemon's ledger has, which is untrusted: what a namespace's parts
  // are must be possible, and its fingerprint must be that of its description.
  // Faults: LMCD_E_CORRUPT, naming the namespace.
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

  // A session opens it, which ends its being given up, or has it open no more. Nothing happens when
  // the number is no namespace's any more.
  void enter(uint32_t number);
  void leave(uint32_t number);
  // Count one record of it more, or fewer. Require: the number is a namespace's.
  void add_part(uint32_t number) {
    Space& space = of(number);
    needed_ += !space.needed();
    ++space.parts;
  }
  void remove_part(uint32_t number) {
    Space& space = of(number);
    --space.parts;
    needed_ -= !space.needed();
  }

  void add_hot(uint32_t number, uint64_t bytes) { of(number).hot_bytes += bytes; }
  void remove_hot(uint32_t number, uint64_t bytes) { of(number).hot_bytes -= bytes; }

  // Whether places run short.
  bool crowded() const { return needed_ > Ledger::kSpaces - kSpares; }
  uint32_t needed() const { return needed_; }
  // Marks those to be given up next. Returns how many.
  uint32_t retire_some();

 private:
  static constexpr uint32_t kSpares = Ledger::kSpaces / 16;

  Space& of(uint32_t number) { return spaces_[number % Ledger::kSpaces]; }
  std::optional<uint32_t> take_place();

  Ledger& ledger_;
  std::vector<Space> spaces_;  // by place
  uint32_t needed_ = 0;
  uint64_t opens_ = 0;
  uint32_t next_look_ = 0;  // where the search for one that nobody needs goes on
};

}  // namespace lmcd::core
