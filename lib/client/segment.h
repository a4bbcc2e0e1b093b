// Memory of this process that the daemon copies from and to.
//
// Belongs to the connection it was opened in. Knows its transfers, so that closing it can wait for
// them all: a lost session ends neither a copy nor its use of the memory, only the end of the
// daemon does. Calls on any thread; close() once.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/client/session.h"

namespace lmcd::client {

// Store and Load: the answer is an outcome per item. The daemon uses the caller's memory until it
// has answered.
class TransferOp final : public Op {
 public:
  // Sets the caller's outcomes to LMCD_NONE.
  TransferOp(uint32_t* outcomes, uint32_t count);

 private:
  Status read(Session&, uint16_t opcode, std::span<const std::byte> payload, bool wanted) override;
  bool lends_memory() const override { return true; }

  uint32_t* const outcomes_;
  const uint32_t count_;
};

class Segment {
 public:
  // Registers `memory`, described by `question`. Waits.
  static Result<std::unique_ptr<Segment>> open(Session& session, const wire::SegmentOpen& question,
                                               FileDescriptor memory);
  // Returns once the daemon copies there no more.
  void close(Session& session);

  // The number the daemon gave it. Faults: LMCD_E_SESSION_LOST when that session is gone.
  Result<uint64_t> number(Session& session) const;
  uint32_t rank() const { return rank_; }
  void add(const std::shared_ptr<TransferOp>& transfer);

 private:
  explicit Segment(uint32_t rank) : rank_(rank) {}

  const uint32_t rank_;
  uint64_t number_ = 0;
  uint64_t epoch_ = 0;
  std::mutex mutex_;
  std::vector<std::weak_ptr<TransferOp>> transfers_;  // guarded by mutex_
};

}  // namespace lmcd::client
