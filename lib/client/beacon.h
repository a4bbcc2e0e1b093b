// The descriptor that an event loop watches for a session: readable while its socket has something
// to read, or while an answer or an event that was read already waits to be collected. Without the
// second part a loop would sleep on an answer that another thread's wait took off the socket.
//
// Owns an epoll instance over the socket of the present connection and an eventfd. It stays the
// same across connections. Used under the session's lock; polled by anybody.
#pragma once

#include "lib/base/fd.h"
#include "lib/base/status.h"

namespace lmcd::client {

class Beacon {
 public:
  // Faults: LMCD_E_IO when there is no descriptor to be had.
  static Result<Beacon> make();

  int descriptor() const { return epoll_.get(); }
  // A descriptor that some other process shares is not forgotten by closing it: whoever watches a
  // socket here forgets it before it goes.
  void watch(int socket);
  void forget(int socket);
  void light(bool lit);

 private:
  Beacon(FileDescriptor epoll, FileDescriptor event)
      : epoll_(std::move(epoll)), event_(std::move(event)) {}

  FileDescriptor epoll_;
  FileDescriptor event_;
  bool lit_ = false;
};

}  // namespace lmcd::client
