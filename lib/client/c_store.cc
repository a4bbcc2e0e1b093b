// lmcd.h: store.
#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/grant_op.h"
#include "lib/client/handles.h"
#include "lib/wire/limits.h"

using namespace lmcd;
using namespace lmcd::client;

namespace {

Status check_length(uint64_t length, const char* name, uint32_t index) {
  if (length >= 1 && length <= UINT32_MAX) return {};
  return fault(LMCD_E_INVALID, "%s[%u] is %llu; 1 to %u bytes are valid", name, index,
               static_cast<unsigned long long>(length), UINT32_MAX);
}

Status check_lengths(const lmcd_reserve_t& request) {
  if (request.lengths == nullptr) return check_length(request.length, "request.length", 0);
  for (uint32_t i = 0; i < request.count; ++i)
    LMCD_TRY(check_length(request.lengths[i], "request.lengths", i));
  return {};
}

Result<std::shared_ptr<GrantOp>> begin_reserve(lmcd_session_t* session,
                                               const lmcd_reserve_t* request, lmcd_grant_t* grants,
                                               uint64_t* lease, Deadline until) {
  LMCD_ASSIGN(const lmcd_reserve_t given, take_struct(request, "request"));
  LMCD_TRY(check(session, given.space));
  LMCD_TRY(check_count(given.count, wire::kBatchItems, "request.count"));
  LMCD_TRY(check_not_null(given.keys, "request.keys"));
  LMCD_TRY(check_not_null(grants, "grants"));
  LMCD_TRY(check_not_null(lease, "lease"));
  LMCD_TRY(check_lengths(given));
  LMCD_TRY(check_text(given.tenant, wire::kTenantBytes, "request.tenant"));
  LMCD_TRY(check_parts(*given.space->space, given.parts, given.part, given.count));

  wire::Reserve message;
  message.part = wire_part(given.part);
  message.length = given.lengths ? 0 : given.length;
  message.depth = given.depth;
  message.parent = parent_of(given.parent);
  message.tenant = view_of(given.tenant);
  message.keys = {given.keys, given.count};
  message.parts = parts_of(given.parts, given.count);
  message.lengths = {given.lengths, given.lengths ? given.count : std::size_t{0}};

  auto op = std::make_shared<GrantOp>(
      GrantOp::Verb::kReserve,
      GrantTarget{given.count, grants, lease, given.lengths, given.length});
  LMCD_TRY(session->session->start(op, given.space->space.get(), until,
                                   [&](const Session::Terms& terms) -> const wire::Reserve& {
                                     op->set_terms(terms);
                                     message.lease = terms.lease;
                                     message.space = terms.space;
                                     return message;
                                   }));
  return op;
}

}  // namespace

lmcd_code_t lmcd_reserve(lmcd_session_t* session, const lmcd_reserve_t* request,
                         lmcd_grant_t* grants, uint64_t* lease, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    const Deadline until = session->session->deadline();
    LMCD_ASSIGN(const std::shared_ptr<GrantOp> op,
                begin_reserve(session, request, grants, lease, until));
    return session->session->wait_and_drop(op, until);
  });
}

lmcd_code_t lmcd_reserve_begin(lmcd_session_t* session, const lmcd_reserve_t* request,
                               lmcd_grant_t* grants, uint64_t* lease, lmcd_op_t** out,
                               lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_TRY(check(session));
    LMCD_ASSIGN(std::shared_ptr<GrantOp> op,
                begin_reserve(session, request, grants, lease, session->session->deadline()));
    return hand_out_op(out, session->session, std::move(op));
  });
}

lmcd_code_t lmcd_commit(lmcd_session_t* session, uint64_t lease, const uint32_t* items,
                        const uint32_t* crcs, uint32_t count, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    if (items == nullptr && crcs == nullptr) return session->session->commit(lease, {}, {});
    // A message without items means all of them, which a call with a count of 0 does not.
    if (items != nullptr && count == 0) return {};
    LMCD_TRY(check_count(count, wire::kBatchItems, "count"));
    return session->session->commit(lease, {items, items ? count : std::size_t{0}},
                                    {crcs, crcs ? count : std::size_t{0}});
  });
}

lmcd_code_t lmcd_abort(lmcd_session_t* session, uint64_t lease, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    return session->session->abort(lease);
  });
}
