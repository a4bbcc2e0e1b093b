// The arena and ledger of one incarnation in this process's memory.
//
// Owns both mappings, the threads that copy and populate there, and nothing of the session: it
// stays readable and writable whatever becomes of the daemon. Immutable but for what is lazily
// started; any thread.
//
// Memory that somebody else may shrink is read behind a guard (lib/base/guarded.h): a fault
// there leaves zeros and marks the mapping, and from then on nothing of it validates.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>

#include "include/lmcd.h"
#include "lib/base/fd.h"
#include "lib/base/guarded.h"
#include "lib/base/status.h"
#include "lib/client/populator.h"
#include "lib/copy/crew.h"
#include "lib/ledger/reader.h"

namespace lmcd::client {

using Incarnation = std::array<uint64_t, 2>;

class Mapping {
 public:
  struct Segments {
    FileDescriptor arena;
    uint64_t arena_bytes;
    FileDescriptor ledger;
    uint64_t ledger_bytes;
  };

  // Maps both, checks that the ledger is one of this incarnation and speaks of this arena.
  // Faults: LMCD_E_PROTOCOL, those of GuardedRegion::map and ledger::Reader::open.
  // Lifetime: shared by the session, as long as it is its present one, and by each
  // lmcd_mapping_t that was opened from it.
  static Result<std::shared_ptr<Mapping>> make(Segments segments, Incarnation incarnation);

  // Another for each mapping that this process makes; never 0.
  uint32_t serial() const { return serial_; }
  const Incarnation& incarnation() const { return incarnation_; }
  const ledger::Reader& ledger() const { return reader_; }
  uint64_t arena_bytes() const { return arena_.length(); }

  // Where the grant's bytes are; null when it is of another incarnation or outside of the arena.
  std::byte* address(const lmcd_grant_t& grant) const;
  // Tells for each grant whether its record has its word. Fences. Returns how many have.
  uint32_t validate(const lmcd_grant_t* grants, uint32_t count, uint8_t* valid) const;

  // The end of what the daemon has populated, so what may be populated here.
  uint64_t frontier() const;
  Populator& populator() { return populator_; }
  // Threads for a copy by `threads`, the caller among them. Started when first asked for.
  // Faults: LMCD_E_LIMIT.
  // Lifetime: shared with calls that still run on a crew that has become too small since.
  Result<std::shared_ptr<copy::Crew>> crew(uint32_t threads);

 private:
  Mapping(GuardedRegion arena, GuardedRegion ledger, ledger::Reader reader,
          Incarnation incarnation);

  const GuardedRegion arena_;
  const GuardedRegion ledger_;
  const ledger::Reader reader_;
  const Incarnation incarnation_;
  const uint32_t serial_;
  std::mutex crew_mutex_;
  std::shared_ptr<copy::Crew> crew_;  // guarded by crew_mutex_
  uint32_t crew_size_ = 0;            // guarded by crew_mutex_
  Populator populator_;               // last: its thread ends before the mapping does
};

}  // namespace lmcd::client
