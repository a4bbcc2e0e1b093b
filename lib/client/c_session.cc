// lmcd.h: version, session, namespace.
#include <cstring>

#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/handles.h"
#include "lib/client/settings.h"
#include "lib/wire/limits.h"

using namespace lmcd;
using namespace lmcd::client;

const char* lmcd_version(void) { return LMCD_VERSION; }

const char* lmcd_code_name(int32_t code) {
  switch (code) {
#define LMCD_NAME(name) \
  case name:            \
    return #name;
    LMCD_NAME(LMCD_OK)
    LMCD_NAME(LMCD_E_INVALID)
    LMCD_NAME(LMCD_E_UNSUPPORTED)
    LMCD_NAME(LMCD_E_NO_DAEMON)
    LMCD_NAME(LMCD_E_SESSION_LOST)
    LMCD_NAME(LMCD_E_FORKED)
    LMCD_NAME(LMCD_E_TIMEOUT)
    LMCD_NAME(LMCD_E_VERSION)
    LMCD_NAME(LMCD_E_DENIED)
    LMCD_NAME(LMCD_E_LIMIT)
    LMCD_NAME(LMCD_E_PROTOCOL)
    LMCD_NAME(LMCD_E_IO)
    LMCD_NAME(LMCD_E_NO_MEMORY)
    LMCD_NAME(LMCD_E_LEASE_LOST)
    LMCD_NAME(LMCD_E_CORRUPT)
    LMCD_NAME(LMCD_E_NOT_FOUND)
#undef LMCD_NAME
    default:
      return "LMCD_?";
  }
}

// -- Session --------------------------------------------------------------------------------

lmcd_code_t lmcd_session_open(const lmcd_session_options_t* options, lmcd_session_t** out,
                              lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_ASSIGN(Settings settings, make_settings(options));
    LMCD_ASSIGN(std::shared_ptr<Session> session, Session::open(std::move(settings)));
    return hand_out(out, std::move(session));
  });
}

void lmcd_session_close(lmcd_session_t* session) {
  if (session == nullptr) return;
  if (session->session->forked()) {
    session->session->leave_in_child();
    return;  // the rest is left as it is: threads that are not here may hold its locks
  }
  guard(nullptr, [&]() -> Status {
    session->session->close();
    delete session;
    return {};
  });
}

lmcd_code_t lmcd_session_info(lmcd_session_t* session, lmcd_session_info_t* out,
                              lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_struct(out, sizeof *out, "out"));
    const uint32_t struct_size = out->struct_size;
    LMCD_ASSIGN(*out, session->session->facts());
    out->struct_size = struct_size;
    return {};
  });
}

lmcd_code_t lmcd_ping(lmcd_session_t* session, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    return session->session->ask<wire::Done>(wire::Ping{},
                                             [](const wire::Done&) { return Status(); });
  });
}

int lmcd_session_descriptor(lmcd_session_t* session) {
  return guard_value(-1, [&] { return check(session).ok() ? session->session->descriptor() : -1; });
}

// -- Namespace ------------------------------------------------------------------------------

namespace {

Result<std::vector<lmcd_group_t>> take_groups(const lmcd_namespace_options_t& options) {
  if (options.group_count == 0) return std::vector<lmcd_group_t>{{LMCD_GROUP_FULL, 0}};
  LMCD_TRY(check_count(options.group_count, wire::kGroups, "options.group_count"));
  LMCD_TRY(check_not_null(options.groups, "options.groups"));
  for (uint32_t i = 0; i < options.group_count; ++i) {
    const lmcd_group_t& group = options.groups[i];
    if (group.kind > LMCD_GROUP_STATE) {
      return fault(LMCD_E_INVALID,
                   "options.groups[%u].kind is %u; 0 (full), 1 (window) and 2 "
                   "(state) are valid",
                   i, group.kind);
    }
    if ((group.kind == LMCD_GROUP_WINDOW) != (group.window_chunks > 0)) {
      return fault(LMCD_E_INVALID,
                   "options.groups[%u].window_chunks is %u; 1 or more is valid for a "
                   "window, 0 for another kind",
                   i, group.window_chunks);
    }
  }
  return std::vector<lmcd_group_t>(options.groups, options.groups + options.group_count);
}

Result<std::unique_ptr<Namespace>> make_namespace(const lmcd_namespace_options_t& options) {
  const uint32_t rank_count = options.rank_count ? options.rank_count : 1;
  LMCD_TRY(check_count(rank_count, wire::kRanks, "options.rank_count"));
  LMCD_ASSIGN(std::vector<lmcd_group_t> groups, take_groups(options));
  LMCD_TRY(check_not_null(options.description, "options.description"));
  LMCD_TRY(check_text(options.description, wire::kDescriptionBytes, "options.description"));
  if (*options.description == '\0')
    return fault(LMCD_E_INVALID, "options.description is empty: it says what the bytes mean");
  return std::make_unique<Namespace>(options.description, rank_count, std::move(groups));
}

}  // namespace

lmcd_code_t lmcd_namespace_open(lmcd_session_t* session, const lmcd_namespace_options_t* options,
                                lmcd_namespace_t** out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_TRY(check(session));
    LMCD_ASSIGN(const lmcd_namespace_options_t given, take_struct(options, "options"));
    LMCD_ASSIGN(std::unique_ptr<Namespace> space, make_namespace(given));
    LMCD_TRY(session->session->open_namespace(*space));
    return hand_out(out, session->session, std::move(space));
  });
}

void lmcd_namespace_close(lmcd_namespace_t* space) {
  if (space == nullptr || space->session->forked()) return;
  guard(nullptr, [&]() -> Status {
    delete space;
    return {};
  });
}
