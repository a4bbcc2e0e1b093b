// What the daemon does for each message: one function per message, found by its type.
//
//   Status answer(Question&, const wire::X&)   for messages that are answered. The function
//       answers through the question, now or later, or returns the fault of the whole request.
//   Status take(Post&, const wire::X&)         for posted ones. A fault becomes a REFUSED event.
//
// LMCD_E_PROTOCOL ends the session: the message breaks a rule that a client library keeps. Any
// other fault is the answer, and the session goes on.
//
// The dispatch table (dispatch.cc) follows from lib/wire/messages.def and from which overloads
// stand here, so a new message is a line there and a function here. Handlers are grouped by theme:
// handlers_session.cc, _store, _retrieve, _segment, _admin, _events. Loop thread only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "daemon/admin/snapshot.h"
#include "daemon/core/store.h"
#include "daemon/mover/copies.h"
#include "daemon/mover/mover.h"
#include "daemon/transport/event_stream.h"
#include "daemon/transport/process_watch.h"
#include "daemon/transport/service_times.h"
#include "daemon/transport/session.h"
#include "daemon/transport/sessions.h"
#include "daemon/transport/terms.h"
#include "daemon/transport/waiting.h"
#include "lib/base/log.h"
#include "lib/wire/messages.h"

namespace lmcd::admin {
class QuotaFile;
}

namespace lmcd::transport {

class LongRuns;

// Reads the options again and calls back with what became of it. Faults: LMCD_E_LIMIT, and nobody
// is called.
using Reload = std::function<Status(std::function<void(const Status&)> done)>;

// What handlers work with. All of it outlives every call.
struct Desk {
  Loop& loop;
  Log& log;
  core::Store& store;
  mover::Copies& copies;
  mover::Mover& mover;
  Sessions& sessions;
  ProcessWatch& processes;
  EventStream& events;
  Waiting& waiting;
  LongRuns& long_runs;
  admin::QuotaFile& quotas;
  const Terms& terms;
  const admin::DaemonFacts& daemon;
  const std::string& config;  // the effective options as JSON
  ServiceTimes& service_times;
  const Reload& reload;

  // Scratch: what one answer is made of, kept for its memory.
  std::vector<wire::Grant> grants;
  std::vector<lmcd_presence_t> presence;
  std::vector<lmcd_listed_t> listed;
};

// One request that waits for its answer.
struct Question {
  Desk& desk;
  Session& session;
  uint64_t request;
  std::vector<FileDescriptor>& descriptors;

  template <typename Message>
  Status answer(const Message& message) {
    session.send(message, request);
    return {};
  }
};

// One posted message.
struct Post {
  Desk& desk;
  Session& session;
  uint64_t lease = 0;  // what it spoke of, for the REFUSED event
};

// handlers_session.cc
Status answer(Question& question, const wire::Hello& message);
Status take(Post& post, const wire::Alive& message);
Status answer(Question& question, const wire::Ping& message);
Status answer(Question& question, const wire::NamespaceOpen& message);
Status take(Post& post, const wire::Stopped& message);

// handlers_store.cc
Status answer(Question& question, const wire::Reserve& message);
Status take(Post& post, const wire::Commit& message);
Status take(Post& post, const wire::Abort& message);

// handlers_retrieve.cc
Status answer(Question& question, const wire::Lookup& message);
Status answer(Question& question, const wire::Acquire& message);
Status take(Post& post, const wire::AcquirePosted& message);
Status take(Post& post, const wire::Release& message);
Status take(Post& post, const wire::Touch& message);
Status take(Post& post, const wire::Renew& message);
// Answers an acquire that has waited.
void answer_waiter(Desk& desk, Waiter& waiter);

// handlers_segment.cc
Status answer(Question& question, const wire::SegmentOpen& message);
Status answer(Question& question, const wire::SegmentClose& message);
Status answer(Question& question, const wire::Store& message);
Status answer(Question& question, const wire::Load& message);
Status answer(Question& question, const wire::Cancel& message);

// handlers_admin.cc
Status answer(Question& question, const wire::Stats& message);
Status answer(Question& question, const wire::Config& message);
Status answer(Question& question, const wire::List& message);
Status answer(Question& question, const wire::Clear& message);
Status answer(Question& question, const wire::Pin& message);
Status answer(Question& question, const wire::QuotaSet& message);
Status answer(Question& question, const wire::QuotaList& message);
Status answer(Question& question, const wire::Drain& message);
Status answer(Question& question, const wire::Reload& message);

// handlers_events.cc
Status answer(Question& question, const wire::EventsSubscribe& message);

}  // namespace lmcd::transport
