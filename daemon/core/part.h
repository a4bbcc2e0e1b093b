// The store's private record of a part: what the daemon trusts of a ledger record, and what no
// client needs to know. Its number is that of its ledger record. A million of them is the
// daemon's memory, hence the care for each byte.
//
// An object is the parts of one key, linked by `next`; the index names its first part, and what
// belongs to the object as a whole stands there.
#pragma once

#include <cstdint>

#include "daemon/core/allocator.h"
#include "include/lmcd.h"
#include "lib/ledger/layout.h"

namespace lmcd::core {

using PartId = uint32_t;
inline constexpr PartId kNoPart = UINT32_MAX;

struct Part {
  lmcd_key_t key;
  uint64_t word;    // as the ledger has it; state_of() says what the rest means
  ExtentId extent;
  uint32_t length;  // bytes of payload
  lmcd_part_t part;
  PartId next;      // of the object; of the spare records when free
  PartId first;     // the object's first part; itself there

  // Of an object's first part.
  PartId parent;
  PartId first_child;
  PartId next_sibling;
  PartId prev_sibling;
  uint32_t depth;
  uint32_t leases;  // read leases
  uint32_t space;
  uint16_t tenant;
  uint16_t hot_groups;
  uint16_t writers;       // parts being written
  uint8_t pinned : 1;
  uint8_t known : 1;      // to the eviction policy: some part was committed
  uint8_t forgotten : 1;  // key taken away, extents wait for their leases
  uint8_t fleeting : 1;   // goes with its last lease, since the tiers have it

  // Of each part.
  uint8_t cold : 1;    // some tier has it
  uint8_t queued : 1;  // for the mover, to be spilled
};
static_assert(sizeof(Part) == 96);

}  // namespace lmcd::core
