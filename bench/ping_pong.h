// The divisor of all round-trip figures: a blocking Unix-socket ping-pong of 64 bytes between two
// processes, the least that asking another process anything costs.
#pragma once

#include <sys/types.h>

namespace lmcd::bench {

class PingPong {
 public:
  // Starts the process that answers.
  PingPong();
  PingPong(const PingPong&) = delete;
  PingPong& operator=(const PingPong&) = delete;
  ~PingPong();

  pid_t pid() const { return pid_; }
  void ping();

 private:
  int socket_;
  pid_t pid_;
};

}  // namespace lmcd::bench
