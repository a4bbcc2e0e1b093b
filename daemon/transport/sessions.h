// All sessions: takes new connections, runs their turns, and sees them out.
//
// A turn reads a bounded number of frames and hands each to the owner; what was answered leaves at
// the end of the loop's turn, once for each connection. A session ends at the end of a turn as
// well, never in the middle of its own frame.
//
// A client is waited for only so long: kHelloMs for its Hello, and the reap timeout while it owes
// the rest of a frame or does not read its answers. Nothing is timed while nobody owes anything.
//
// Connections that have not said Hello are few, and stand beside a full set of sessions, so that it
// can be said to them that it is full. One more pushes out another, the oldest of the process that
// has the most: a crowd of silent ones keeps nobody waiting who speaks.
//
// Loop thread only; nothing blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/core/metrics.h"
#include "daemon/transport/session.h"
#include "lib/base/log.h"

namespace lmcd::transport {

class Sessions {
 public:
  static constexpr uint64_t kHelloMs = 5'000;
  static constexpr std::size_t kStrangersMax = 256;

  struct Limits {
    std::size_t sessions = 1024;
    uint64_t reap_timeout_ms = 120'000;
  };

  class Owner {
   public:
    // A whole frame. The owner answers it, or ends the session.
    virtual void on_frame(Session& session, Frame& frame) = 0;
    // The session is over. Whoever still copies for it keeps it in the world until `at_rest` is
    // called, once; its socket is closed only then.
    virtual void on_end(Session& session, std::function<void()> at_rest) = 0;
    // The requests of this turn are done; what is queued leaves next.
    virtual void on_turn_end() = 0;
    // What was queued has left, as far as it could. Returns whether there is more to queue.
    virtual bool has_more() = 0;

   protected:
    ~Owner() = default;
  };

  // What is given outlives this.
  Sessions(Loop& loop, const Limits& limits, Owner& owner, core::Metrics& metrics, Log& log);
  // Closes what is open without a word to the owner.
  ~Sessions();

  // Sets after how long without a sign of life a client is closed; from its next one on.
  void set_reap_timeout(uint64_t reap_timeout_ms) { limits_.reap_timeout_ms = reap_timeout_ms; }

  // Takes over a connection; an empty one was turned away for want of descriptors.
  void accept(FileDescriptor socket);
  // Whether one more stranger may become a session.
  bool full() const { return greeted_ >= limits_.sessions; }
  // The stranger has introduced itself.
  void greet(Session& session);

  // nullptr for a session that is over.
  Session* find(core::SessionId session);
  template <typename Visitor>
  void for_each(Visitor&& visitor) {
    for (auto& [id, session] : open_) visitor(*session);
  }
  std::size_t count() const { return greeted_; }

  // Ends the session at the end of the turn, for a fault of its own: says why to the client and in
  // the log. `request` is what it answers, 0 for nothing in particular.
  void fail(Session& session, const Status& why, uint64_t request);
  // Ends the session at the end of the turn, without a word.
  void end(Session& session);
  // Has the end of this turn looked at, though no session moved.
  void wake() { settle_.request(); }
  // Ends all of them now. Requires: called from outside of any turn of a session.
  void end_all();

 private:
  friend class Session;

  void push_out_stranger();
  void run_turn(Session& session, uint32_t events);
  void receive(Session& session);
  void note_change(Session& session);
  void settle();
  void settle_one(Session& session);
  void close(core::SessionId session);
  void watch(Session& session, uint32_t interest);
  uint64_t patience_ms(const Session& session) const;
  void sweep();

  Loop& loop_;
  Limits limits_;
  Owner& owner_;
  core::Metrics& metrics_;
  Log& log_;
  ReadBuffer buffer_;
  std::unordered_map<core::SessionId, std::unique_ptr<Session>> open_;
  std::unordered_map<core::SessionId, std::unique_ptr<Session>> leaving_;  // copies still run
  std::vector<core::SessionId> strangers_;  // the oldest first
  std::vector<core::SessionId> changed_;    // to be looked at when this turn ends
  std::vector<core::SessionId> runnable_;   // have whole frames left
  std::size_t greeted_ = 0;
  Deferred settle_;
  Timer sweep_;
};

}  // namespace lmcd::transport
