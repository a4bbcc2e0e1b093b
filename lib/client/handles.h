// What the opaque types of the C headers are, and how an entry point gets at them.
#pragma once

#include <memory>
#include <string>

#include "include/lmcd.h"
#include "include/lmcd_admin.h"
#include "lib/base/status.h"
#include "lib/client/mapping.h"
#include "lib/client/namespace.h"
#include "lib/client/op.h"
#include "lib/client/process_mark.h"
#include "lib/client/segment.h"
#include "lib/client/session.h"

struct lmcd_session {
  std::shared_ptr<lmcd::client::Session> session;
};

struct lmcd_namespace {
  std::shared_ptr<lmcd::client::Session> session;
  std::unique_ptr<lmcd::client::Namespace> space;
};

struct lmcd_mapping {
  std::shared_ptr<lmcd::client::Mapping> mapping;
  uint64_t mark;  // of the process that opened it

  bool forked() const { return mark != lmcd::client::process_mark(); }
};

struct lmcd_op {
  std::shared_ptr<lmcd::client::Session> session;
  std::shared_ptr<lmcd::client::Op> op;
};

struct lmcd_segment {
  std::shared_ptr<lmcd::client::Session> session;
  std::unique_ptr<lmcd::client::Segment> segment;
};

struct lmcd_text {
  std::string text;
};

namespace lmcd::client {

// Faults: LMCD_E_INVALID when NULL, LMCD_E_FORKED in a child.
Status check(const lmcd_session_t* session);
Status check(const lmcd_mapping_t* mapping);
Status check(const lmcd_op_t* op);
Status check(const lmcd_segment_t* segment);
// Also when the namespace was opened from another session.
Status check(const lmcd_session_t* session, const lmcd_namespace_t* space);

// Gives `out` a handle, whose close function deletes it.
template <typename Handle, typename... Fields>
Status hand_out(Handle** out, Fields&&... fields) {
  *out = new Handle{std::forward<Fields>(fields)...};
  return {};
}

// The same for an operation, which its caller may from now on watch by the session's descriptor.
inline Status hand_out_op(lmcd_op_t** out, const std::shared_ptr<Session>& session,
                          std::shared_ptr<Op> op) {
  session->watch(*op);
  return hand_out(out, session, std::move(op));
}

}  // namespace lmcd::client
