// One session: a connection, who is behind it, and what the transport knows of it.
//
// Leases, bytes and all else that a session holds are the store's, under the session's id. Loop
// thread only; made, run and destroyed by Sessions.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/core/event.h"
#include "daemon/transport/connection.h"
#include "daemon/transport/peer.h"
#include "lib/base/loop.h"

namespace lmcd::transport {

class Sessions;

enum class Phase : uint8_t {
  kStranger,  // has not said Hello
  kGreeted,   // may ask, but has no lock on its liveness byte yet: nothing to write is given to it
  kAlive,
};

class Session final : private Watcher {
 public:
  Session(Sessions& owner, core::SessionId session, FileDescriptor socket, const Peer& who)
      : id(session), peer(who), connection(std::move(socket)), owner_(owner) {}
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Queues a message; it leaves at the end of the loop's turn.
  template <typename Message>
  void send(const Message& message, uint64_t request, std::span<const int> descriptors = {}) {
    connection.send(message, request, descriptors);
    changed();
  }
  // A fault of the whole request; the session goes on.
  void send_fault(const Status& status, uint64_t request);
  // Lets Sessions look at this session when the turn ends.
  void changed();
  bool ending() const { return ending_; }

  const core::SessionId id;
  const Peer peer;
  Connection connection;

  Phase phase = Phase::kStranger;
  bool admin = false;
  bool subscribed = false;
  core::LivenessSlot slot = 0;  // from kGreeted on
  std::string name;
  uint64_t opened_ms = 0;
  uint64_t requests = 0;
  uint64_t next_event = 0;  // of the event stream, when subscribed

 private:
  friend class Sessions;

  void on_ready(uint32_t events) override;

  Sessions& owner_;
  uint32_t interest_ = 0;       // what the loop watches for
  uint64_t waited_on_ms_ = 0;   // since when the client owes us something; 0: nothing
  uint64_t settled_bytes_ = 0;  // moved when it was last looked at
  bool more_ = false;           // a whole frame waits for the next turn
  bool changed_ = false;        // in Sessions::changed_
  bool ending_ = false;
};

}  // namespace lmcd::transport
