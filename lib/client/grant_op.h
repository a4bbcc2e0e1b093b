// Reserve and Acquire: questions whose answer is a lease.
//
// The caller's arrays are written when the answer is read, its lease number when it collects the
// result; a lease that is never collected is given back. Nothing of an answer counts before all
// of it has been checked against the question and the arena.
#pragma once

#include <cstdint>
#include <memory>

#include "include/lmcd.h"
#include "lib/client/mapping.h"
#include "lib/client/op.h"
#include "lib/client/session.h"

namespace lmcd::client {

// Where the answer goes, and what it must agree with. Arrays of the caller.
struct GrantTarget {
  uint32_t count;
  lmcd_grant_t* grants;
  uint64_t* lease;
  const uint64_t* lengths;  // reserve: one per item, or null: `length` for all
  uint64_t length;
};

class GrantOp final : public Op {
 public:
  enum class Verb { kReserve, kAcquire };

  // Sets the caller's grants to LMCD_NONE and its lease to 0.
  GrantOp(Verb verb, const GrantTarget& target);

  // The terms under which it is asked.
  void set_terms(const Session::Terms& terms) { terms_ = terms; }

 private:
  Status read(Session& session, uint16_t opcode, std::span<const std::byte> payload,
              bool wanted) override;
  void lose(Session& session, uint64_t number) override;
  void collect() override { *target_.lease = granted_; }
  void give_back(Session& session) override;

  Status check(const wire::Grant& grant, std::size_t item) const;
  bool is_granted(const wire::Grant& grant) const { return grant.outcome == grants_as_; }
  void book(Session& session, std::span<const wire::Grant> grants);

  const Verb verb_;
  const uint32_t grants_as_;  // the outcome that comes with an extent
  const GrantTarget target_;
  Session::Terms terms_;
  uint64_t granted_ = 0;  // the lease, if something was granted
};

}  // namespace lmcd::client
