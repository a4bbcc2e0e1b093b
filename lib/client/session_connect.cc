// The connection comes and goes.
#include <utility>

#include "lib/client/session.h"
#include "lib/wire/limits.h"

namespace lmcd::client {
namespace {

constexpr uint64_t kAttemptMs = 100;  // between attempts to connect

}  // namespace

Status Session::connect(Lock& lock, Deadline until) {
  while (!channel_) {
    if (closed_) return fault(LMCD_E_INVALID, "session: it is closed");
    if (connecting_) {
      if (until.passed()) return fault(LMCD_E_TIMEOUT, "connecting takes too long");
      changed_.wait_until(lock, until.time());
      continue;
    }
    if (!next_attempt_.passed()) {
      const lmcd_code_t code = failure_ == LMCD_OK ? LMCD_E_NO_DAEMON : failure_;
      return fault(code, "%s (tried less than %u ms ago)", why_.c_str(), unsigned{kAttemptMs});
    }
    Result<Connection> made = shake_hands_unlocked(lock, until);
    next_attempt_ = Deadline::after_ms(kAttemptMs);
    changed_.notify_all();
    if (!made.ok()) {
      Status status = made.status();
      failure_ = status.code();
      why_ = status.text();
      return status;
    }
    if (!closed_) return adopt(std::move(made.value()));
  }
  return {};
}

Result<Connection> Session::shake_hands_unlocked(Lock& lock, Deadline until) {
  const Raised connecting(connecting_);  // lowered under the lock, however this ends
  const std::shared_ptr<Mapping> present = mapping();
  struct Relock {
    Lock& lock;
    ~Relock() { lock.lock(); }
  } relock{lock};
  lock.unlock();
  return shake_hands(settings_, present, until);
}

Status Session::adopt(Connection connection) {
  channel_ = std::move(connection.channel);
  socket_number_ = channel_->descriptor();
  if (beacon_) beacon_->watch(channel_->descriptor());
  daemon_ = std::move(connection.daemon);
  facts_ = connection.facts;
  ++epoch_;
  reconnect_ = false;
  failure_ = LMCD_OK;
  {
    std::lock_guard guard(mapping_mutex_);
    mapping_.swap(connection.mapping);  // the old one is unmapped without this lock
  }
  tell_what_stopped();
  if (subscribed_) {
    events_.push_gap();  // what happened meanwhile is not known
    light_beacon();
    static_cast<void>(ask_and_forget<wire::Done>(wire::EventsSubscribe{}));
  }
  if (const std::shared_ptr<Channel> channel = channel_) {
    // What came in one packet with Welcome.
    if (const Status taken = take_frames(*channel); !taken.ok()) lose(taken);
  }
  return channel_ ? Status() : lost();
}

// Write leases that the user has ended and a daemon may not have heard of.
void Session::tell_what_stopped() {
  for (const EndedLeases& ended : leases_.take_untold(last_request_, wire::kBatchItems)) {
    if (!channel_) return;  // lost meanwhile, and with it all that was told: to be told again
    wire::Stopped stopped;
    stopped.session = ended.session;
    stopped.leases = ended.leases;
    if (channel_->queue(stopped, 0).ok()) flush();
  }
}

void Session::lose(const Status& why) {
  if (!channel_) return;
  if (beacon_) beacon_->forget(channel_->descriptor());
  channel_->shut_down();
  channel_.reset();
  socket_number_ = -1;
  why_ = why.text();
  leases_.lose_session();
  const std::vector<std::shared_ptr<Op>> unanswered = std::exchange(asked_, {});
  for (const std::shared_ptr<Op>& op : unanswered) {
    op->lose(*this, facts_.id);
    if (op->lends_memory() && !daemon_->ended()) {
      op->daemon_ = daemon_;
    } else {
      settle(*op, LMCD_E_SESSION_LOST, why.text());
    }
  }
  changed_.notify_all();
}

Status Session::lost() const {
  if (closed_) return fault(LMCD_E_INVALID, "session: it is closed");
  return fault(failure_ == LMCD_OK ? LMCD_E_SESSION_LOST : failure_, "%s", why_.c_str());
}

void Session::wish_connection() {
  if (reconnect_ || closed_) return;
  reconnect_ = true;
  attendant_.wish_within(0);
}

void Session::reconnect_soon() {
  Lock lock(mutex_);
  wish_connection();
}

}  // namespace lmcd::client
