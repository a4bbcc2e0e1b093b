// From a socket path to a connection that can be used: connect, Hello, Welcome, the lock on the
// liveness byte, Alive, the mappings.
#pragma once

#include <memory>
#include <string>

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/client/channel.h"
#include "lib/client/daemon_process.h"
#include "lib/client/deadline.h"
#include "lib/client/mapping.h"

namespace lmcd::client {

struct Settings {
  std::string socket;
  std::string name;
  uint32_t timeout_ms;
};

struct Connection {
  std::unique_ptr<Channel> channel;
  lmcd_session_info_t facts;
  std::shared_ptr<Mapping> mapping;
  std::shared_ptr<const DaemonProcess> daemon;
};

// Makes a connection. `present` (may be null) is kept where the daemon has the same incarnation.
// Holds no lock and waits, at most until the deadline. Any thread.
// Faults: LMCD_E_NO_DAEMON, LMCD_E_DENIED, LMCD_E_VERSION, LMCD_E_LIMIT, LMCD_E_TIMEOUT,
// LMCD_E_PROTOCOL, LMCD_E_NO_MEMORY, LMCD_E_IO.
Result<Connection> shake_hands(const Settings& settings, const std::shared_ptr<Mapping>& present,
                               Deadline deadline);

// The code and text of a Fault; a code this library does not know is told in the text.
Status status_of(const wire::Fault& answer);

}  // namespace lmcd::client
