// lmcd.h: retrieve.
#include <algorithm>

#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/grant_op.h"
#include "lib/client/handles.h"
#include "lib/wire/limits.h"

using namespace lmcd;
using namespace lmcd::client;

// -- Look up --------------------------------------------------------------------------------

namespace {

Status check_keys(const lmcd_session_t* session, const lmcd_namespace_t* space,
                  const lmcd_key_t* keys, uint32_t count) {
  LMCD_TRY(check(session, space));
  LMCD_TRY(check_count(count, wire::kBatchItems, "count"));
  return check_not_null(keys, "keys");
}

// The namespace's number in a ledger that is in use. A voided one says nothing any more: then
// nothing is found, and the attendant looks for the daemon that has taken its place.
std::optional<uint32_t> number_of(Session& session, const Namespace& space,
                                  const Mapping& mapping) {
  if (mapping.ledger().header().voided.load(std::memory_order_relaxed) == 0)
    return space.number_in(mapping);
  session.reconnect_soon();
  return std::nullopt;
}

}  // namespace

lmcd_code_t lmcd_lookup(lmcd_session_t* session, const lmcd_namespace_t* space,
                        const lmcd_key_t* keys, uint32_t count, lmcd_presence_t* out,
                        lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_keys(session, space, keys, count));
    LMCD_TRY(check_not_null(out, "out"));
    const std::shared_ptr<Mapping> mapping = session->session->mapping();
    const std::optional<uint32_t> number = number_of(*session->session, *space->space, *mapping);
    if (number) {
      mapping->ledger().lookup(*number, {keys, count}, out);
    } else {
      std::fill_n(out, count, lmcd_presence_t{});
    }
    return {};
  });
}

lmcd_code_t lmcd_lookup_daemon(lmcd_session_t* session, const lmcd_namespace_t* space,
                               const lmcd_key_t* keys, uint32_t count, lmcd_presence_t* out,
                               lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_keys(session, space, keys, count));
    LMCD_TRY(check_not_null(out, "out"));
    wire::Lookup message;
    message.keys = {keys, count};
    return session->session->ask_in<wire::Found>(
        *space->space, message, [&](const wire::Found& found) -> Status {
          if (found.presence.size() != count) {
            return fault(LMCD_E_PROTOCOL, "Found: %zu keys, %u were asked for",
                         found.presence.size(), count);
          }
          std::copy(found.presence.begin(), found.presence.end(), out);
          return {};
        });
  });
}

uint32_t lmcd_usable_prefix(const lmcd_namespace_t* space, const lmcd_presence_t* presence,
                            uint32_t count) {
  if (space == nullptr || presence == nullptr) return 0;
  return usable_prefix(space->space->groups(), presence, count);
}

// -- Acquire --------------------------------------------------------------------------------

namespace {

Result<lmcd_acquire_t> take_acquire(const lmcd_session_t* session, const lmcd_acquire_t* request,
                                    const lmcd_grant_t* grants, const uint64_t* lease) {
  LMCD_ASSIGN(const lmcd_acquire_t given, take_struct(request, "request"));
  LMCD_TRY(check(session, given.space));
  LMCD_TRY(check_count(given.count, wire::kBatchItems, "request.count"));
  LMCD_TRY(check_not_null(given.keys, "request.keys"));
  LMCD_TRY(check_not_null(grants, "grants"));
  LMCD_TRY(check_not_null(lease, "lease"));
  LMCD_TRY(check_parts(*given.space->space, given.parts, given.part, given.count));
  return given;
}

Result<std::shared_ptr<GrantOp>> begin_acquire(Session& session, const lmcd_acquire_t& given,
                                               lmcd_grant_t* grants, uint64_t* lease,
                                               Deadline until) {
  wire::Acquire message;
  message.part = wire_part(given.part);
  message.timeout_ms = given.timeout_ms;
  message.keys = {given.keys, given.count};
  message.parts = parts_of(given.parts, given.count);

  auto op = std::make_shared<GrantOp>(GrantOp::Verb::kAcquire,
                                      GrantTarget{given.count, grants, lease, nullptr, 0});
  LMCD_TRY(session.start(op, given.space->space.get(), until,
                         [&](const Session::Terms& terms) -> const wire::Acquire& {
                           op->set_terms(terms);
                           message.lease = terms.lease;
                           message.space = terms.space;
                           return message;
                         }));
  return op;
}

std::vector<wire::Sighting> leased(const lmcd_grant_t* grants, uint32_t count) {
  std::vector<wire::Sighting> records;
  records.reserve(count);
  for (uint32_t i = 0; i < count; ++i) {
    if (grants[i].outcome == LMCD_LEASED) records.push_back({grants[i].record, 0, grants[i].word});
  }
  return records;
}

}  // namespace

lmcd_code_t lmcd_acquire(lmcd_session_t* session, const lmcd_acquire_t* request,
                         lmcd_grant_t* grants, uint64_t* lease, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_ASSIGN(const lmcd_acquire_t given, take_acquire(session, request, grants, lease));
    Session& asked = *session->session;
    // The answer comes when the daemon has waited for its part; the call waits that much longer.
    const Deadline until = Deadline::after_ms(asked.timeout_ms() + uint64_t{given.timeout_ms});
    LMCD_ASSIGN(const std::shared_ptr<GrantOp> op,
                begin_acquire(asked, given, grants, lease, until));
    return asked.wait_and_drop(op, until);
  });
}

lmcd_code_t lmcd_acquire_begin(lmcd_session_t* session, const lmcd_acquire_t* request,
                               lmcd_grant_t* grants, uint64_t* lease, lmcd_op_t** out,
                               lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_ASSIGN(const lmcd_acquire_t given, take_acquire(session, request, grants, lease));
    Session& asked = *session->session;
    LMCD_ASSIGN(std::shared_ptr<GrantOp> op,
                begin_acquire(asked, given, grants, lease, asked.deadline()));
    return hand_out_op(out, session->session, std::move(op));
  });
}

lmcd_code_t lmcd_acquire_posted(lmcd_session_t* session, const lmcd_acquire_t* request,
                                lmcd_grant_t* grants, uint64_t* lease, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_ASSIGN(const lmcd_acquire_t given, take_acquire(session, request, grants, lease));
    *lease = 0;
    std::fill_n(grants, given.count, lmcd_grant_t{.outcome = LMCD_ABSENT});
    const std::shared_ptr<Mapping> mapping = session->session->mapping();
    const Namespace& space = *given.space->space;
    const std::optional<uint32_t> number = number_of(*session->session, space, *mapping);
    if (!number) return {};
    const std::span<const lmcd_part_t> parts{given.parts ? given.parts : &given.part,
                                             given.parts ? given.count : std::size_t{1}};
    mapping->ledger().locate(*number, {given.keys, given.count}, parts, grants);
    const std::vector<wire::Sighting> records = leased(grants, given.count);
    if (records.empty()) return {};
    return session->session->acquire_posted(*mapping, records, lease);
  });
}

lmcd_code_t lmcd_release(lmcd_session_t* session, uint64_t lease, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    return session->session->release(lease);
  });
}

lmcd_code_t lmcd_touch(lmcd_session_t* session, const lmcd_namespace_t* space,
                       const lmcd_key_t* keys, uint32_t count, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_keys(session, space, keys, count));
    const std::shared_ptr<Mapping> mapping = session->session->mapping();
    const std::optional<uint32_t> number = number_of(*session->session, *space->space, *mapping);
    if (!number) return {};
    std::vector<lmcd_presence_t> presence(count);
    mapping->ledger().lookup(*number, {keys, count}, presence.data());
    std::vector<wire::Sighting> records;
    records.reserve(count);
    for (const lmcd_presence_t& found : presence) {
      const ledger::Record* record = found.hot ? mapping->ledger().record(found.record) : nullptr;
      if (record == nullptr) continue;
      records.push_back({found.record, 0, record->word.load(std::memory_order_acquire)});
    }
    return records.empty() ? Status() : session->session->touch(records);
  });
}
