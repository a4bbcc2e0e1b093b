// lmcd.h: events.
#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/handles.h"

using namespace lmcd;
using namespace lmcd::client;

lmcd_code_t lmcd_events_subscribe(lmcd_session_t* session, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    return session->session->subscribe();
  });
}

lmcd_code_t lmcd_events_next(lmcd_session_t* session, lmcd_event_t* events, uint32_t capacity,
                             uint32_t timeout_ms, uint32_t* count, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(session));
    LMCD_TRY(check_not_null(events, "events"));
    LMCD_TRY(check_not_null(count, "count"));
    LMCD_TRY(check_count(capacity, UINT32_MAX, "capacity"));
    *count = 0;
    return session->session->next_events(events, capacity, Deadline::after_ms(timeout_ms), count);
  });
}
