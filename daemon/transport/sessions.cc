#include "daemon/transport/sessions.h"

#include <sys/random.h>

#include <algorithm>
#include <cassert>
#include <cinttypes>

namespace lmcd::transport {
namespace {

// Random, so that a number of an earlier daemon's session names nothing now.
core::SessionId draw_session_id() {
  core::SessionId id = 0;
  while (id == 0) {
    if (::getrandom(&id, sizeof id, 0) != sizeof id) id = 0;
  }
  return id;
}

// What a client that is waited for owes.
const char* what_is_due(const Session& session) {
  if (session.phase == Phase::kStranger) return "its Hello";
  return session.connection.queued_bytes() != 0 ? "the reading of its answers"
                                                : "the rest of a frame";
}

}  // namespace

void Session::changed() { owner_.note_change(*this); }

void Session::send_fault(const Status& status, uint64_t request) {
  constexpr std::size_t kTextBytes = sizeof(lmcd_error_t::text) - 1;
  send(wire::Fault{static_cast<uint64_t>(int64_t{status.code()}),
                   status.text().substr(0, kTextBytes)},
       request);
}

void Session::on_ready(uint32_t events) { owner_.run_turn(*this, events); }

Sessions::Sessions(Loop& loop, const Limits& limits, Owner& owner, core::Metrics& metrics, Log& log)
    : loop_(loop),
      limits_(limits),
      owner_(owner),
      metrics_(metrics),
      log_(log),
      settle_(loop, [this] { settle(); }),
      sweep_(loop, [this] { sweep(); }) {}

Sessions::~Sessions() {
  for (auto& [id, session] : open_) loop_.remove(session->connection.descriptor());
}

void Sessions::accept(FileDescriptor socket) {
  Result<Peer> peer = socket.valid() ? peer_of(socket.get()) : Peer{};
  if (!socket.valid() || strangers_.size() == kStrangersMax) push_out_stranger();
  if (!socket.valid() || !peer.ok()) {
    ++metrics_.sessions_refused_total;
    log_.event(Severity::kWarning, "connection.refused")
        .field("reason", socket.valid() ? "no credentials" : "no descriptors left")
        .field("open", open_.size());
    return;
  }
  core::SessionId id = draw_session_id();
  while (open_.contains(id) || leaving_.contains(id)) id = draw_session_id();
  auto session = std::make_unique<Session>(*this, id, std::move(socket), peer.value());
  session->opened_ms = loop_.clock().now_ms();
  session->interest_ = EPOLLIN;
  if (!loop_.add(session->connection.descriptor(), EPOLLIN, *session).ok()) {
    ++metrics_.sessions_refused_total;
    return;
  }
  session->changed();
  open_.emplace(id, std::move(session));
  strangers_.push_back(id);
}

void Sessions::push_out_stranger() {
  if (strangers_.empty()) return;
  std::unordered_map<pid_t, std::size_t> crowds;
  for (core::SessionId id : strangers_) ++crowds[open_.at(id)->peer.pid];
  const auto crowd_of = [&](core::SessionId id) { return crowds.at(open_.at(id)->peer.pid); };
  const auto oldest_of_most = std::max_element(
      strangers_.begin(), strangers_.end(),
      [&](core::SessionId a, core::SessionId b) { return crowd_of(a) < crowd_of(b); });
  ++metrics_.sessions_refused_total;
  fail(*open_.at(*oldest_of_most),
       fault(LMCD_E_LIMIT,
             "%zu connections have not said Hello, %zu of them of this process: no more can wait; "
             "say it when you connect",
             strangers_.size(), crowd_of(*oldest_of_most)),
       0);
}

void Sessions::greet(Session& session) {
  assert(session.phase == Phase::kStranger);
  session.phase = Phase::kGreeted;
  std::erase(strangers_, session.id);
  session.connection.welcome();
  ++greeted_;
  ++metrics_.sessions_opened_total;
  metrics_.sessions = greeted_;
}

Session* Sessions::find(core::SessionId session) {
  auto found = open_.find(session);
  return found == open_.end() || found->second->ending_ ? nullptr : found->second.get();
}

void Sessions::fail(Session& session, const Status& why, uint64_t request) {
  if (session.ending_) return;
  ++metrics_.sessions_failed_total;
  log_.event(Severity::kWarning, "session.failed")
      .field("session", session.id)
      .field("name", session.name)
      .field("pid", session.peer.pid)
      .field("uid", session.peer.uid)
      .field("reason", why.text());
  session.send_fault(why, request);
  session.ending_ = true;
  std::erase(strangers_, session.id);
}

void Sessions::end(Session& session) {
  session.ending_ = true;
  std::erase(strangers_, session.id);
  session.changed();
}

void Sessions::end_all() {
  std::vector<core::SessionId> ids;
  for (auto& [id, session] : open_) ids.push_back(id);
  for (core::SessionId id : ids) close(id);
}

void Sessions::run_turn(Session& session, uint32_t events) {
  if ((events & EPOLLHUP) != 0) session.connection.drop_answers();  // both directions are closed
  if ((events & EPOLLOUT) != 0) {
    Status flushed = session.connection.flush();
    if (!flushed.ok()) return fail(session, flushed, 0);
  }
  if (!session.more_ && !session.connection.paused() && (events & ~uint32_t{EPOLLOUT}) != 0)
    receive(session);
  session.changed();
}

void Sessions::receive(Session& session) {
  Result<Connection::Turn> turn = session.connection.receive(buffer_, [&](Frame& frame) {
    owner_.on_frame(session, frame);
    return !session.ending_;
  });
  if (!turn.ok()) {
    Status why = turn.status();
    if (why.code() == LMCD_E_PROTOCOL) ++metrics_.malformed_total;
    return fail(session, why, 0);
  }
  session.more_ = turn.value() == Connection::Turn::kMore;
  if (turn.value() == Connection::Turn::kEnded) end(session);
}

void Sessions::note_change(Session& session) {
  settle_.request();
  if (session.changed_) return;
  session.changed_ = true;
  changed_.push_back(session.id);
}

// The end of a turn of the loop.
void Sessions::settle() {
  std::vector<core::SessionId> runnable;
  runnable.swap(runnable_);
  for (core::SessionId id : runnable) {
    if (Session* session = find(id)) {
      receive(*session);
      session->changed();
    }
  }
  owner_.on_turn_end();
  std::vector<core::SessionId> changed;
  changed.swap(changed_);
  for (core::SessionId id : changed) {
    auto found = open_.find(id);
    if (found != open_.end()) settle_one(*found->second);
  }
  if (owner_.has_more()) settle_.request();
}

void Sessions::settle_one(Session& session) {
  session.changed_ = false;
  const uint64_t moved_before = session.settled_bytes_;
  Status flushed = session.connection.flush();
  if (!flushed.ok()) fail(session, flushed, 0);
  if (session.ending_) return close(session.id);

  const bool stuck = session.connection.paused();
  if (session.more_ && !stuck) {
    runnable_.push_back(session.id);
    settle_.request();
  }
  const bool unsent = session.connection.queued_bytes() != 0;
  watch(session,
        (session.more_ || stuck ? 0u : uint32_t{EPOLLIN}) | (unsent ? uint32_t{EPOLLOUT} : 0u));

  session.settled_bytes_ = session.connection.moved_bytes();
  const bool owes = unsent || session.connection.partial_bytes() != 0;
  if (session.phase == Phase::kStranger) {
    session.waited_on_ms_ = session.opened_ms;
  } else if (!owes) {
    session.waited_on_ms_ = 0;
    return;
  } else if (session.waited_on_ms_ == 0 || session.settled_bytes_ != moved_before) {
    session.waited_on_ms_ = loop_.clock().now_ms();
  }
  const uint64_t due_ms = session.waited_on_ms_ + patience_ms(session);
  if (!sweep_.armed() || sweep_.due_ms() > due_ms) sweep_.arm_at(due_ms);
}

void Sessions::watch(Session& session, uint32_t interest) {
  if (interest == session.interest_) return;
  session.interest_ = interest;
  Status status = loop_.modify(session.connection.descriptor(), interest);
  if (!status.ok()) fail(session, status, 0);
}

uint64_t Sessions::patience_ms(const Session& session) const {
  return session.phase == Phase::kStranger ? kHelloMs : limits_.reap_timeout_ms;
}

void Sessions::sweep() {
  const uint64_t now_ms = loop_.clock().now_ms();
  uint64_t next_ms = UINT64_MAX;
  for (auto& [id, session] : open_) {
    if (session->waited_on_ms_ == 0) continue;
    const uint64_t due_ms = session->waited_on_ms_ + patience_ms(*session);
    if (due_ms > now_ms) {
      next_ms = std::min(next_ms, due_ms);
      continue;
    }
    fail(*session,
         fault(LMCD_E_TIMEOUT, "nothing moved for %" PRIu64 " ms while %s was due",
               patience_ms(*session), what_is_due(*session)),
         0);
  }
  if (next_ms != UINT64_MAX) sweep_.arm_at(next_ms);
}

void Sessions::close(core::SessionId id) {
  auto found = open_.find(id);
  std::unique_ptr<Session> session = std::move(found->second);
  open_.erase(found);
  loop_.remove(session->connection.descriptor());
  session->ending_ = true;
  std::erase(strangers_, id);
  if (session->phase != Phase::kStranger) --greeted_;
  metrics_.sessions = greeted_;
  Session& leaving = *session;
  leaving_.emplace(id, std::move(session));
  owner_.on_end(leaving, [this, id] { leaving_.erase(id); });
}

}  // namespace lmcd::transport
