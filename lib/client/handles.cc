#include "lib/client/handles.h"

#include "lib/client/arguments.h"

namespace lmcd::client {

Status check(const lmcd_session_t* session) {
  LMCD_TRY(check_not_null(session, "session"));
  return session->session->check_process();
}

Status check(const lmcd_mapping_t* mapping) {
  LMCD_TRY(check_not_null(mapping, "mapping"));
  if (!mapping->forked()) return {};
  return fault(LMCD_E_FORKED, "the mapping was opened by a parent of this process");
}

Status check(const lmcd_op_t* op) {
  LMCD_TRY(check_not_null(op, "op"));
  return op->session->check_process();
}

Status check(const lmcd_segment_t* segment) {
  LMCD_TRY(check_not_null(segment, "segment"));
  return segment->session->check_process();
}

Status check(const lmcd_session_t* session, const lmcd_namespace_t* space) {
  LMCD_TRY(check(session));
  LMCD_TRY(check_not_null(space, "space"));
  if (space->session == session->session) return {};
  return fault(LMCD_E_INVALID, "space was opened from another session");
}

}  // namespace lmcd::client
