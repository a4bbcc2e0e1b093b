// A session: the connection to the daemon, made again when it is lost, with the questions on
// their way, the leases held and the events received.
//
// Shared by the C handle and by what was opened from it (namespaces, segments, operations), so
// that these may be closed in any order. All calls on any thread.
//
// Waiting. There is no reader thread: of the threads that wait, one polls the socket without the
// lock (`reading_`), hands out what it reads, and wakes the others, one of whom goes on when it
// leaves. Whoever else wants to read does it only while nobody polls, and never waits then.
// The polling thread holds its own reference to the channel, so a loss (which shuts the socket
// down, waking it) never closes a descriptor under poll(2).
//
// Loss. Whoever meets it takes the connection down: questions are answered LMCD_E_SESSION_LOST,
// read leases forgotten, write leases kept until the user has ended them (lease_book.h). The next
// call that waits connects again, at most every 100 ms; one that does not wait has the attendant
// do it.
//
// Look-ups never take the session's lock: mapping() has one of its own, held for the copy of a
// pointer.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/base/sync_point.h"
#include "lib/client/attendant.h"
#include "lib/client/beacon.h"
#include "lib/client/channel.h"
#include "lib/client/daemon_process.h"
#include "lib/client/deadline.h"
#include "lib/client/event_queue.h"
#include "lib/client/handshake.h"
#include "lib/client/lease_book.h"
#include "lib/client/mapping.h"
#include "lib/client/namespace.h"
#include "lib/client/op.h"
#include "lib/client/process_mark.h"

namespace lmcd::client {

// The name of a step for the sync points: "client.Commit.before".
inline std::string step_of(const char* step, const char* message) {
  return std::string("client.") + message + "." + step;
}

class Session {
 public:
  // Connects. Waits. Faults: those of shake_hands.
  static Result<std::shared_ptr<Session>> open(Settings settings);
  ~Session();
  // Ends the session and its leases; later calls answer LMCD_E_INVALID.
  void close();

  // Faults: LMCD_E_FORKED in a child of the process that opened it.
  Status check_process() const;
  bool forked() const { return mark_ != process_mark(); }
  // In a forked child: lets go of the copy of the socket and of nothing else, since locks may be
  // held by threads that the child does not have.
  void leave_in_child();

  uint32_t timeout_ms() const { return settings_.timeout_ms; }
  Deadline deadline() const { return Deadline::after_ms(settings_.timeout_ms); }
  // Facts of the present connection. Waits only to connect.
  Result<lmcd_session_info_t> facts();
  // The mapping of the present connection, or of the last one. Never null, never waits.
  std::shared_ptr<Mapping> mapping() const;
  // Has the attendant see whether there still is a connection, and connect if there is none.
  void reconnect_soon();
  // For event loops: readable when an answer or event may be there; -1 while not connected.
  int descriptor();

  // -- Questions -------------------------------------------------------------------------

  // What a question may need to know of the connection it is asked in.
  struct Terms {
    uint64_t space = 0;                // number of the namespace
    uint64_t lease = 0;                // a number for a lease, never used before
    uint64_t session = 0;              // the daemon's number for it
    uint64_t epoch = 0;                // of the connection
    std::shared_ptr<Mapping> mapping;  // Sharer: the operation, while it is in flight
  };

  // Connects if need be, has `space` (may be null) opened, and sends the message that
  // compose(terms) returns; `op` gets the answer. Waits for no answer but that about `space`.
  template <typename Compose>
  Status start(const std::shared_ptr<Op>& op, Namespace* space, Deadline until, Compose compose,
               FileDescriptor attachment = {});
  // Says that a caller may wait for `op` by the descriptor alone.
  void watch(Op& op);
  // Waits for the answer. LMCD_E_TIMEOUT leaves the question in flight.
  Status wait(Op& op, Deadline until);
  // The caller no longer asks. What was or will be granted is given back; where the daemon uses
  // the caller's memory, waits until it has done with it.
  void drop(const std::shared_ptr<Op>& op);
  // The same for a call that then no longer asks.
  Status wait_and_drop(const std::shared_ptr<Op>& op, Deadline until);
  // Waits for an operation that lends memory, until it is answered or the daemon has ended.
  void finish(const std::shared_ptr<Op>& op);
  // start, wait and drop of a question that needs no namespace.
  template <typename Answer, typename Message, typename Take>
  Status ask(const Message& message, Take take);
  // The same about a namespace: `message` has a field `space`.
  template <typename Answer, typename Message, typename Take>
  Status ask_in(Namespace& space, Message message, Take take);

  // Has the daemon open the namespace, unless it has in this connection. Waits.
  Status open_namespace(Namespace& space);
  // The number of the present connection, or of the last one.
  uint64_t epoch();

  // -- Posts -----------------------------------------------------------------------------

  // No items: all of the lease; `crcs` then has one for each item of the batch.
  Status commit(uint64_t lease, std::span<const uint32_t> items, std::span<const uint32_t> crcs);
  Status abort(uint64_t lease);
  Status release(uint64_t lease);
  Status touch(std::span<const wire::Sighting> records);
  // Leases records seen in `mapping`; *lease gets the lease's number.
  Status acquire_posted(const Mapping& mapping, std::span<const wire::Sighting> records,
                        uint64_t* lease);

  // -- Events ----------------------------------------------------------------------------

  Status subscribe();
  Status next_events(lmcd_event_t* events, uint32_t capacity, Deadline until, uint32_t* count);

  // -- For operations, under the lock ----------------------------------------------------

  void book_write(uint64_t lease, WriteLease entry) { leases_.open_write(lease, std::move(entry)); }
  void book_read(uint64_t lease);
  // Ends a lease that no caller got to know.
  void give_back(uint64_t lease);
  // Asks a question whose answer does not matter.
  template <typename Answer, typename Message>
  Status ask_and_forget(const Message& message);
  void note_never_written(uint64_t number, uint64_t lease) {
    leases_.note_never_written(number, lease);
  }

 private:
  using Lock = std::unique_lock<std::mutex>;

  explicit Session(Settings settings);

  // Holds a flag up for a scope, also when an exception of the standard library ends it.
  class Raised {
   public:
    explicit Raised(bool& flag) : flag_(flag) { flag_ = true; }
    ~Raised() { flag_ = false; }
    Raised(const Raised&) = delete;
    Raised& operator=(const Raised&) = delete;

   private:
    bool& flag_;
  };

  // session_connect.cc: the connection comes and goes
  Status connect(Lock& lock, Deadline until);
  Result<Connection> shake_hands_unlocked(Lock& lock, Deadline until);
  Status adopt(Connection connection);
  void tell_what_stopped();
  void lose(const Status& why);
  Status lost() const;
  void wish_connection();

  // session.cc: questions and answers
  Status ready(Lock& lock, Namespace* space, Deadline until, Terms& terms);
  Status open_space(Lock& lock, Namespace& space, Deadline until);
  Status enlist(const std::shared_ptr<Op>& op);
  void settle(Op& op, lmcd_code_t code, std::string_view text);
  void collected(Op& op);
  void light_beacon();
  void flush();
  template <typename Done>
  Status await(Lock& lock, Deadline until, Done done);
  void wait_and_read(Lock& lock, Deadline until);
  void read_now();
  void take_what_came(Status read);
  Status take_frames(Channel& channel);
  Status dispatch(const Frame& frame);
  Status last_word(const Frame& frame);
  Status answer(Op& op, const Frame& frame);
  Status wait_for_end(Lock& lock, Op& op, Deadline until);
  void cancel(Lock& lock, const std::shared_ptr<Op>& op);
  void finish_locked(Lock& lock, const std::shared_ptr<Op>& op);

  // session_posts.cc: what is not answered, and the attendant's round
  template <typename Message>
  Status post(const Message& message);
  bool stale(uint64_t lease) const;
  uint64_t next_lease();
  Status abort_locked(uint64_t lease);
  Status release_locked(uint64_t lease);
  void end_write(uint64_t lease);
  void write_what_is_queued(Lock& lock);
  void renew();
  uint64_t attend();

  const Settings settings_;
  const uint64_t mark_;
  std::atomic<int> socket_number_{-1};  // for leave_in_child(), which cannot lock

  mutable std::mutex mapping_mutex_;  // of mapping_ alone; taken after mutex_, if both
  std::shared_ptr<Mapping> mapping_;

  std::mutex mutex_;  // of all that follows
  std::condition_variable changed_;
  std::shared_ptr<Channel> channel_;             // null while not connected. Sharer: who polls it
  std::shared_ptr<const DaemonProcess> daemon_;  // Sharers: operations it left unanswered
  lmcd_session_info_t facts_{};
  uint64_t epoch_ = 0;  // connections made so far
  bool closed_ = false;
  bool connecting_ = false;  // some thread does, without the lock
  bool reconnect_ = false;   // the attendant shall
  bool subscribed_ = false;
  Deadline next_attempt_ = Deadline::after_ms(0);  // to connect: not before
  lmcd_code_t failure_ = LMCD_OK;                  // of the last attempt
  std::string why_;                                // there is no connection
  uint32_t followers_ = 0;                         // threads that wait for the one that polls
  uint64_t last_request_ = 0;
  uint64_t last_lease_ = 0;  // the lower 48 bits
  std::vector<std::shared_ptr<Op>> asked_;
  LeaseBook leases_;
  EventQueue events_;
  std::optional<Beacon> beacon_;  // once its descriptor was asked for
  uint32_t uncollected_ = 0;      // watched operations that are answered
  uint64_t posts_ = 0;
  uint64_t dropped_posts_ = 0;
  Deadline renew_at_ = Deadline::after_ms(0);  // read leases, if there are some

  Attendant attendant_;  // last: its thread ends before the rest does
};

template <typename Compose>
Status Session::start(const std::shared_ptr<Op>& op, Namespace* space, Deadline until,
                      Compose compose, FileDescriptor attachment) {
  Lock lock(mutex_);
  Terms terms;
  LMCD_TRY(ready(lock, space, until, terms));
  const auto& message = compose(terms);
  LMCD_SYNC_POINT(step_of("before", message.kName).c_str());
  LMCD_TRY(channel_->queue(message, last_request_ + 1, std::move(attachment)));
  Status sent = enlist(op);
  LMCD_SYNC_POINT(step_of("after", message.kName).c_str());
  return sent;
}

template <typename Answer, typename Message>
Status Session::ask_and_forget(const Message& message) {
  if (!channel_) return lost();
  LMCD_TRY(channel_->queue(message, last_request_ + 1));
  return enlist(std::make_shared<AnswerOp<Answer>>([](const Answer&) { return Status(); }));
}

template <typename Answer, typename Message, typename Take>
Status Session::ask(const Message& message, Take take) {
  auto op = std::make_shared<AnswerOp<Answer>>(std::move(take));
  const Deadline until = deadline();
  LMCD_TRY(start(op, nullptr, until, [&](const Terms&) -> const Message& { return message; }));
  return wait_and_drop(op, until);
}

template <typename Answer, typename Message, typename Take>
Status Session::ask_in(Namespace& space, Message message, Take take) {
  auto op = std::make_shared<AnswerOp<Answer>>(std::move(take));
  const Deadline until = deadline();
  LMCD_TRY(start(op, &space, until, [&](const Terms& terms) -> const Message& {
    message.space = terms.space;
    return message;
  }));
  return wait_and_drop(op, until);
}

}  // namespace lmcd::client
