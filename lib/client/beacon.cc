#include "lib/client/beacon.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <cerrno>

namespace lmcd::client {

Result<Beacon> Beacon::make() {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  FileDescriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !event.valid())
    return errno_fault(LMCD_E_IO, errno, "make a descriptor for event loops");
  Beacon beacon(std::move(epoll), std::move(event));
  beacon.watch(beacon.event_.get());
  return beacon;
}

// A refusal (no memory, the limit of watches) leaves the loop with its own timeout, as any loop
// has.
void Beacon::watch(int socket) {
  epoll_event wanted{};
  wanted.events = EPOLLIN;
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &wanted);
}

void Beacon::forget(int socket) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, socket, nullptr); }

void Beacon::light(bool lit) {
  if (lit == lit_) return;
  lit_ = lit;
  eventfd_t count = 1;
  lit ? eventfd_write(event_.get(), count) : eventfd_read(event_.get(), &count);
}

}  // namespace lmcd::client
