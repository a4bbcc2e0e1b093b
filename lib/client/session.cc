#include "lib/client/session.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>

#include "lib/wire/limits.h"

namespace lmcd::client {
namespace {

constexpr std::size_t kInFlight = 1024;        // questions of one session
constexpr std::size_t kQueuedBytes = 8 << 20;  // that the socket has not taken

}  // namespace

Result<std::shared_ptr<Session>> Session::open(Settings settings) {
  std::shared_ptr<Session> session(new Session(std::move(settings)));
  Lock lock(session->mutex_);
  LMCD_TRY(session->connect(lock, session->deadline()));
  return session;
}

Session::Session(Settings settings)
    : settings_(std::move(settings)),
      mark_(process_mark()),
      attendant_([this] { return attend(); }) {}

Session::~Session() { close(); }

void Session::close() {
  {
    Lock lock(mutex_);
    if (closed_) return;
    const std::vector<std::shared_ptr<Op>> unanswered = asked_;
    for (const std::shared_ptr<Op>& op : unanswered) {
      if (op->lends_memory()) cancel(lock, op);
    }
    // What was posted last is worth a moment; a daemon that takes nothing is not.
    const Deadline until = deadline().sooner_of_ms(1000);
    while (channel_ && channel_->queued_bytes() > 0 && !until.passed()) write_what_is_queued(lock);
    closed_ = true;
    lose(fault(LMCD_E_SESSION_LOST, "session: it is closed"));
    changed_.notify_all();
  }
  attendant_.stop();
}

Status Session::check_process() const {
  if (!forked()) return {};
  return fault(LMCD_E_FORKED, "the handle was opened by a parent of this process; open another");
}

void Session::leave_in_child() {
  if (const int socket = socket_number_.load(); socket >= 0) ::close(socket);
}

std::shared_ptr<Mapping> Session::mapping() const {
  std::lock_guard lock(mapping_mutex_);
  return mapping_;
}

Result<lmcd_session_info_t> Session::facts() {
  Lock lock(mutex_);
  LMCD_TRY(connect(lock, deadline()));
  return facts_;
}

int Session::descriptor() {
  Lock lock(mutex_);
  if (!channel_) return -1;
  if (!beacon_) {
    Result<Beacon> made = Beacon::make();
    if (!made.ok()) return -1;
    beacon_ = std::move(made.value());
    beacon_->watch(channel_->descriptor());
    light_beacon();
  }
  return beacon_->descriptor();
}

uint64_t Session::epoch() {
  Lock lock(mutex_);
  return epoch_;
}

// -- Asking ---------------------------------------------------------------------------------

Status Session::ready(Lock& lock, Namespace* space, Deadline until, Terms& terms) {
  LMCD_TRY(connect(lock, until));
  const uint64_t epoch = epoch_;
  if (space != nullptr) LMCD_TRY(open_space(lock, *space, until));
  LMCD_TRY(
      await(lock, until, [&] { return !channel_ || channel_->queued_bytes() <= kQueuedBytes; }));
  if (!channel_ || epoch != epoch_) return lost();
  if (asked_.size() >= kInFlight)
    return fault(LMCD_E_LIMIT, "%zu questions are unanswered, the limit of a session", kInFlight);
  if (space != nullptr) terms.space = *space->number_at(epoch);
  terms.lease = next_lease();
  terms.session = facts_.id;
  terms.epoch = epoch;
  terms.mapping = mapping();
  return {};
}

Status Session::open_space(Lock& lock, Namespace& space, Deadline until) {
  const uint64_t epoch = epoch_;
  if (space.number_at(epoch)) return {};
  auto op = std::make_shared<AnswerOp<wire::NamespaceOpened>>(
      [&space, epoch](const wire::NamespaceOpened& opened) -> Status {
        if (opened.space > UINT32_MAX)
          return fault(LMCD_E_PROTOCOL, "the number of a namespace is above 2^32");
        space.set_number(epoch, static_cast<uint32_t>(opened.space));
        return {};
      });
  wire::NamespaceOpen question;
  question.rank_count = space.rank_count();
  question.groups = space.groups();
  question.description = space.description();
  LMCD_TRY(channel_->queue(question, last_request_ + 1));
  LMCD_TRY(enlist(op));
  Status waited = await(lock, until, [&] { return op->answered_; });
  op->wanted_ = false;
  return op->answered_ ? op->result() : std::move(waited);
}

Status Session::open_namespace(Namespace& space) {
  Lock lock(mutex_);
  Terms terms;
  return ready(lock, &space, deadline(), terms);
}

// Requires: its message was queued as request last_request_ + 1.
Status Session::enlist(const std::shared_ptr<Op>& op) {
  op->request_ = ++last_request_;
  asked_.push_back(op);
  flush();
  return channel_ ? Status() : lost();
}

void Session::settle(Op& op, lmcd_code_t code, std::string_view text) {
  op.answered_ = true;
  op.code_ = code;
  op.text_ = text;
  if (!op.watched_ || !op.wanted_) return;
  ++uncollected_;
  light_beacon();
}

void Session::collected(Op& op) {
  op.collected_ = true;
  if (!op.watched_) return;
  --uncollected_;
  light_beacon();
}

void Session::light_beacon() {
  if (beacon_) beacon_->light(uncollected_ > 0 || !events_.empty());
}

void Session::watch(Op& op) {
  Lock lock(mutex_);
  op.watched_ = true;
  if (!op.answered_) return;
  ++uncollected_;
  light_beacon();
}

void Session::flush() {
  if (const Status written = channel_->flush(); !written.ok()) {
    // Answers, and the reason, may have come before the end.
    if (!channel_->reading) read_now();
    lose(written);
  } else if (channel_->queued_bytes() > 0) {
    attendant_.wish_within(0);
  }
}

// -- Waiting --------------------------------------------------------------------------------

template <typename Done>
Status Session::await(Lock& lock, Deadline until, Done done) {
  while (!done()) {
    if (!channel_) return lost();
    const bool last = until.passed();
    if (channel_->reading) {
      if (last) return fault(LMCD_E_TIMEOUT, "the daemon did not answer in time");
      ++followers_;
      changed_.wait_until(lock, until.time());
      --followers_;
      continue;
    }
    wait_and_read(lock, until);
    if (last && !done()) return fault(LMCD_E_TIMEOUT, "the daemon did not answer in time");
  }
  return {};
}

// Waits for the daemon without the lock, in recv(2) where that is all there is to wait for and its
// bound is near enough, else in poll(2). Requires: no thread is reading.
void Session::wait_and_read(Lock& lock, Deadline until) {
  const std::shared_ptr<Channel> channel = channel_;
  const bool queued = channel->queued_bytes() > 0;
  pollfd polled{channel->descriptor(), static_cast<short>(queued ? POLLIN | POLLOUT : POLLIN), 0};
  const int rest_ms = until.poll_ms();
  Status read;
  channel->reading = true;
  lock.unlock();
  if (queued || rest_ms < Channel::kNapMs) {
    if (poll(&polled, 1, rest_ms) <= 0) polled.revents = 0;
  } else {
    read = channel->receive(Channel::Wait::kNap);
  }
  lock.lock();
  channel->reading = false;
  if (channel == channel_ && (polled.revents & POLLOUT)) flush();
  if (channel == channel_ && (polled.revents & ~POLLOUT))
    read = channel->receive(Channel::Wait::kNot);
  if (channel == channel_) take_what_came(std::move(read));
  if (followers_ > 0) changed_.notify_all();
}

// Requires: connected, and no thread is reading.
void Session::read_now() { take_what_came(channel_->receive(Channel::Wait::kNot)); }

void Session::take_what_came(Status read) {
  const std::shared_ptr<Channel> channel = channel_;
  if (read.ok()) read = take_frames(*channel);
  if (!read.ok() && channel == channel_) lose(read);
  if (followers_ > 0) changed_.notify_all();
}

// Hands out what was received. Reading counts as going on meanwhile: what an answer gives rise to
// must not receive over the frame being looked at.
Status Session::take_frames(Channel& channel) {
  const Raised reading(channel.reading);
  Status status;
  while (status.ok() && channel_.get() == &channel) {
    Result<std::optional<Frame>> frame = channel.next();
    if (!frame.ok()) {
      status = frame.status();
    } else if (!frame.value()) {
      break;
    } else {
      status = dispatch(*frame.value());
    }
  }
  return status;
}

Status Session::dispatch(const Frame& frame) {
  const wire::Header& header = frame.header;
  if (header.descriptors != 0) {
    return fault(LMCD_E_PROTOCOL, "the daemon sent %s with descriptors",
                 wire::message_name(header.opcode));
  }
  if (header.request == 0) {
    if (header.opcode == wire::Fault::kOpcode) return last_word(frame);
    // Pushed. Kinds that a later version may push are passed over.
    if (header.opcode != wire::Events::kOpcode) return {};
    wire::Events events;
    LMCD_TRY(wire::decode(frame.payload, events));
    events_.push(events.events);
    light_beacon();
    return {};
  }
  auto it = std::find_if(asked_.begin(), asked_.end(), [&](const std::shared_ptr<Op>& op) {
    return op->request_ == header.request;
  });
  if (it == asked_.end()) {
    return fault(LMCD_E_PROTOCOL, "the daemon answers request %llu, which is not open",
                 static_cast<unsigned long long>(header.request));
  }
  const std::shared_ptr<Op> op = std::move(*it);
  asked_.erase(it);
  leases_.confirm(header.request);
  Status status = answer(*op, frame);
  LMCD_SYNC_POINT(step_of("answered", wire::message_name(header.opcode)).c_str());
  if (status.ok()) return {};
  op->lose(*this, facts_.id);
  settle(*op, status.code(), status.text());
  return status;
}

// The daemon did not understand something and ends the session.
Status Session::last_word(const Frame& frame) {
  wire::Fault word;
  LMCD_TRY(wire::decode(frame.payload, word));
  return fault(LMCD_E_SESSION_LOST, "the daemon ended the session: %.*s",
               static_cast<int>(word.text.size()), word.text.data());
}

Status Session::answer(Op& op, const Frame& frame) {
  if (frame.header.opcode == wire::Fault::kOpcode) {
    wire::Fault answer;
    LMCD_TRY(wire::decode(frame.payload, answer));
    const Status status = status_of(answer);
    settle(op, status.code(), status.text());
    return {};
  }
  LMCD_TRY(op.read(*this, frame.header.opcode, frame.payload, op.wanted_));
  settle(op, LMCD_OK, {});
  return {};
}

Status Session::wait_and_drop(const std::shared_ptr<Op>& op, Deadline until) {
  Status result = wait(*op, until);
  drop(op);
  return result;
}

Status Session::wait(Op& op, Deadline until) {
  Lock lock(mutex_);
  Status waited = await(lock, until, [&] { return op.answered_ || op.orphaned(); });
  if (op.orphaned()) waited = wait_for_end(lock, op, until);
  if (!op.answered_) return waited;
  if (!op.collected_) {
    collected(op);
    op.collect();
  }
  return op.result();
}

// Until the daemon that was asked can no longer be at work.
Status Session::wait_for_end(Lock& lock, Op& op, Deadline until) {
  constexpr uint64_t kLookMs = 50;
  for (;;) {
    const bool succeeded = channel_ && facts_.daemon_pid != op.daemon_->pid();
    if (succeeded || op.daemon_->ended()) {
      settle(op, LMCD_E_SESSION_LOST, "the daemon has ended");
      return {};
    }
    if (until.passed()) {
      return fault(LMCD_E_TIMEOUT, "the session was lost, but the daemon (pid %u) may still copy",
                   op.daemon_->pid());
    }
    lock.unlock();
    pollfd polled{op.daemon_->descriptor(), POLLIN, 0};  // a negative one is passed over
    poll(&polled, 1, until.sooner_of_ms(kLookMs).poll_ms());
    lock.lock();
    if (!channel_) static_cast<void>(connect(lock, until));  // a successor is proof as well
  }
}

void Session::cancel(Lock& lock, const std::shared_ptr<Op>& op) {
  if (channel_ && !op->answered_ && !op->orphaned()) {
    wire::Cancel question;
    question.request = op->request_;
    // The operation's own answer is what counts; without one, the loss of the session does.
    static_cast<void>(ask_and_forget<wire::Done>(question));
  }
  finish_locked(lock, op);
}

void Session::finish(const std::shared_ptr<Op>& op) {
  Lock lock(mutex_);
  finish_locked(lock, op);
}

void Session::finish_locked(Lock& lock, const std::shared_ptr<Op>& op) {
  constexpr uint64_t kLookMs = 1000;
  while (!op->answered_) {
    const Deadline until = Deadline::after_ms(kLookMs);
    if (op->orphaned()) {
      static_cast<void>(wait_for_end(lock, *op, until));
    } else {
      static_cast<void>(await(lock, until, [&] { return op->answered_ || op->orphaned(); }));
    }
  }
}

void Session::drop(const std::shared_ptr<Op>& op) {
  Lock lock(mutex_);
  if (!op->answered_ && op->lends_memory()) cancel(lock, op);
  op->wanted_ = false;
  if (op->answered_ && !op->collected_) {
    collected(*op);
    op->give_back(*this);
  }
}

// -- Events ---------------------------------------------------------------------------------

Status Session::subscribe() {
  LMCD_TRY(ask<wire::Done>(wire::EventsSubscribe{}, [](const wire::Done&) { return Status(); }));
  Lock lock(mutex_);
  subscribed_ = true;
  return {};
}

Status Session::next_events(lmcd_event_t* events, uint32_t capacity, Deadline until,
                            uint32_t* count) {
  Lock lock(mutex_);
  if (events_.empty()) {
    LMCD_TRY(connect(lock, deadline()));
    Status waited = await(lock, until, [&] { return !events_.empty(); });
    if (!waited.ok() && waited.code() != LMCD_E_TIMEOUT) return waited;
  }
  *count = events_.take(events, capacity);
  light_beacon();
  return {};
}

}  // namespace lmcd::client
