#include "lib/client/grant_op.h"

#include <algorithm>

#include "lib/base/bytes.h"

namespace lmcd::client {
namespace {

// Outcomes that come with no extent.
bool is_plain(GrantOp::Verb verb, uint32_t outcome) {
  switch (outcome) {
    case LMCD_PENDING:
      return true;
    case LMCD_EXISTS:
    case LMCD_NO_SPACE:
    case LMCD_REFUSED:
      return verb == GrantOp::Verb::kReserve;
    case LMCD_ABSENT:
    case LMCD_COLD:
      return verb == GrantOp::Verb::kAcquire;
    default:
      return false;
  }
}

}  // namespace

GrantOp::GrantOp(Verb verb, const GrantTarget& target)
    : verb_(verb),
      grants_as_(verb == Verb::kReserve ? LMCD_RESERVED : LMCD_LEASED),
      target_(target) {
  std::fill_n(target_.grants, target_.count, lmcd_grant_t{});
  *target_.lease = 0;
}

Status GrantOp::check(const wire::Grant& grant, std::size_t item) const {
  if (!is_granted(grant)) {
    if (is_plain(verb_, grant.outcome)) return {};
    return fault(LMCD_E_PROTOCOL, "Granted: item %zu has outcome %u", item, grant.outcome);
  }
  const std::optional<uint64_t> end = checked_add(grant.offset, grant.length);
  if (!end || *end > terms_.mapping->arena_bytes() ||
      terms_.mapping->ledger().record(grant.record) == nullptr) {
    return fault(LMCD_E_PROTOCOL, "Granted: item %zu lies outside of arena or ledger", item);
  }
  if (verb_ == Verb::kReserve) {
    const uint64_t asked = target_.lengths ? target_.lengths[item] : target_.length;
    if (grant.length != asked) {
      return fault(LMCD_E_PROTOCOL, "Granted: item %zu has %u bytes, %llu were asked for", item,
                   grant.length, static_cast<unsigned long long>(asked));
    }
  }
  return {};
}

Status GrantOp::read(Session& session, uint16_t opcode, std::span<const std::byte> payload,
                     bool wanted) {
  wire::Granted answer;
  LMCD_TRY(decode_answer(opcode, payload, answer));
  if (answer.grants.size() != target_.count) {
    return fault(LMCD_E_PROTOCOL, "Granted: %zu items, %u were asked for", answer.grants.size(),
                 target_.count);
  }
  // The caller's arrays are gone with the caller.
  if (wanted) {
    for (std::size_t i = 0; i < answer.grants.size(); ++i) LMCD_TRY(check(answer.grants[i], i));
  }
  book(session, answer.grants);
  if (!wanted) {
    give_back(session);
    return {};
  }
  const uint64_t incarnation = terms_.mapping->incarnation()[0];
  for (std::size_t i = 0; i < answer.grants.size(); ++i) {
    const wire::Grant& from = answer.grants[i];
    lmcd_grant_t& to = target_.grants[i];
    to.outcome = from.outcome;
    if (!is_granted(from)) continue;
    to = {from.outcome,
          from.record,
          from.word,
          incarnation,
          {0, 0, from.offset, from.length},
          from.crc32c,
          from.has_crc != 0 ? 1u : 0u};
  }
  return {};
}

void GrantOp::book(Session& session, std::span<const wire::Grant> grants) {
  ItemSet open(target_.count);
  for (uint32_t i = 0; i < grants.size(); ++i) {
    if (is_granted(grants[i])) open.insert(i);
  }
  if (open.count() == 0) return;
  granted_ = terms_.lease;
  if (verb_ == Verb::kReserve) {
    session.book_write(granted_, {terms_.session, std::move(open)});
  } else {
    session.book_read(granted_);
  }
}

// The daemon may have granted extents that nobody got to know of, so nobody writes there.
void GrantOp::lose(Session& session, uint64_t number) {
  if (verb_ == Verb::kReserve) session.note_never_written(number, terms_.lease);
}

void GrantOp::give_back(Session& session) {
  if (granted_ != 0) session.give_back(granted_);
}

}  // namespace lmcd::client
