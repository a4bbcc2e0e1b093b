#include "bench/ping_pong.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace lmcd::bench {
namespace {

constexpr std::size_t kMessageBytes = 64;

[[noreturn]] void answer(int socket) {
  char message[kMessageBytes];
  while (read(socket, message, sizeof message) == sizeof message)
    if (write(socket, message, sizeof message) != sizeof message) break;
  std::_Exit(0);
}

}  // namespace

PingPong::PingPong() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0 || (pid_ = fork()) < 0) {
    std::perror("ping-pong");
    std::exit(2);
  }
  if (pid_ == 0) {
    close(ends[0]);
    answer(ends[1]);
  }
  close(ends[1]);
  socket_ = ends[0];
}

PingPong::~PingPong() {
  close(socket_);
  waitpid(pid_, nullptr, 0);
}

void PingPong::ping() {
  char message[kMessageBytes] = {};
  if (write(socket_, message, sizeof message) == sizeof message &&
      read(socket_, message, sizeof message) == sizeof message)
    return;
  std::perror("ping-pong");
  std::exit(2);
}

}  // namespace lmcd::bench
