// Gather and scatter: between an engine's paged blocks and extents, by one or several threads.
//
// Everything is checked before the first byte moves: a fault means that nothing was touched.
// Work is cut into units of bytes, whatever the sizes of items and runs, which the threads take
// from one counter until none is left; so they end together even when one of them started late
// or was interrupted. Before a call returns, every thread that copied has fenced its stores.
//
// What a transfer names must not change while it runs; block ids are read twice, so they never lie
// in memory that another process can write. Not checked: that pages and extents do not overlap each
// other, and that a scatter names no block twice (such a block gets bytes of either item). The
// extent is read while it is copied: only validation of the lease afterwards tells whether another
// process wrote to it meanwhile, and a matching checksum is no substitute. Calls may be made on any
// thread, several at once.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "lib/base/status.h"
#include "lib/copy/crew.h"
#include "lib/copy/cursor.h"
#include "lib/copy/kernel.h"
#include "lib/copy/layout.h"

namespace lmcd::copy {

struct Transfer {
  const Layout& layout;
  std::span<const Item> items;
  uint32_t threads = 1;  // that copy at most, the caller among them; 1 to kMaxThreads
  const Kernel& kernel = fastest_kernel();
  const std::atomic<bool>* cancelled = nullptr;  // where given, asked before each unit of bytes
};

// Copies each item's blocks into its extent. Where `crcs` is not empty, crcs[i] gets the crc32c
// of item i's extent. Requires: crcs is empty or as long as the items.
// Faults: LMCD_E_INVALID naming the item and what is wrong with it; LMCD_E_TIMEOUT when it was
// cancelled, and any of the bytes may have been copied.
Status gather(const Transfer& transfer, Crew& crew, std::span<uint32_t> crcs);

// Copies each item's extent into its blocks. intact[i] tells whether the bytes read have the
// crc32c that item i expects, if it expects one; where not, its blocks hold garbage.
// Requires: intact is as long as the items. Faults are those of gather.
Status scatter(const Transfer& transfer, Crew& crew, std::span<uint8_t> intact);

}  // namespace lmcd::copy
