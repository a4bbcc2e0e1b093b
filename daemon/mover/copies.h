// Copies that the daemon makes for engines: between the registered memory of an engine (its KV
// tensors) and the arena. The interface between the requests of sessions and the copy workers.
//
// An engine leaves its blocks alone until a transfer is answered, so nothing may touch a segment
// after the answer was given: `done` and `answer` are called only when no worker copies for that
// transfer any more. Loop thread only; no call blocks, each callback comes once, on the loop
// thread, and may come before the call returns.
//
// Session death: close_session() cancels all of a session. The transport keeps the connection open
// until its `done`, so an engine that sees the end of its socket (or a dead daemon, whose socket
// ends with its last thread) knows that nobody copies there any more.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/core/event.h"
#include "include/lmcd.h"
#include "lib/base/fd.h"
#include "lib/base/status.h"

namespace lmcd::mover {

// What a client says of the memory that it registers; views the request. Shape is checked by the
// caller (counts, equal lengths of the arrays); offsets and strides against `length`, and `length`
// against the descriptor's own size, by open_segment.
struct SegmentLayout {
  uint64_t length = 0;  // bytes
  uint32_t rank = 0;
  std::span<const lmcd_page_t> pages;
  std::span<const uint32_t> page_groups;  // one per page, or none: group 0
  std::string_view name;
};

// A Store or Load; views the request.
struct Transfer {
  uint64_t request = 0;  // the session's number for it, not in use: what cancel() names
  uint32_t segment = 0;
  uint32_t space = 0;
  uint32_t blocks_per_item = 0;
  std::span<const lmcd_key_t> keys;
  std::span<const lmcd_part_t> parts;   // one per key, or one for all
  std::span<const uint32_t> block_ids;  // [keys.size()][blocks_per_item]

  // Store only.
  const lmcd_key_t* parent = nullptr;  // of keys[0]
  uint32_t depth = 0;                  // of keys[0]
  std::string_view tenant;
};

// One registered segment, for the statistics.
struct SegmentFacts {
  core::SessionId session = 0;
  uint32_t segment = 0;
  uint32_t rank = 0;
  uint64_t length = 0;
  uint32_t transfers = 0;  // in flight
  std::string_view name;
};

class Copies {
 public:
  using Done = std::function<void()>;
  // Outcomes (lmcd_outcome_t), one per key, or the fault of the whole transfer.
  using Answer = std::function<void(Result<std::vector<uint32_t>>)>;

  virtual ~Copies() = default;

  // Maps the memory behind `memory`. Returns the number of the segment, 1 or more.
  // Faults: LMCD_E_INVALID, LMCD_E_LIMIT, LMCD_E_NO_MEMORY, LMCD_E_IO, LMCD_E_UNSUPPORTED.
  virtual Result<uint32_t> open_segment(core::SessionId session, FileDescriptor memory,
                                        const SegmentLayout& layout) = 0;
  // Cancels what is in flight there and calls `done` when nothing touches the segment.
  // Faults: LMCD_E_NOT_FOUND, and `done` is not called.
  virtual Status close_segment(core::SessionId session, uint32_t segment, Done done) = 0;

  // Reserves, gathers and commits: STORED, EXISTS, PENDING, NO_SPACE or REFUSED for each key.
  virtual void store(core::SessionId session, const Transfer& transfer, Answer answer) = 0;
  // Leases, scatters, validates and releases: LOADED, ABSENT, COLD or PENDING for each key.
  virtual void load(core::SessionId session, const Transfer& transfer, Answer answer) = 0;
  // Ends a transfer early. It is answered first, then `done` is called; at once where no such
  // transfer is in flight.
  // Faults: LMCD_E_LIMIT when many wait for the end of this transfer, and `done` is not called.
  virtual Status cancel(core::SessionId session, uint64_t request, Done done) = 0;

  // Cancels all of the session, forgets its segments and calls `done` when nothing touches them.
  // Answers of its transfers are not given any more.
  virtual void close_session(core::SessionId session, Done done) = 0;

  // The registered segments, at most `limit` of them.
  virtual std::vector<SegmentFacts> segments(std::size_t limit) const = 0;
};

}  // namespace lmcd::mover
