#include "lib/base/bell.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>

namespace lmcd {

Result<std::unique_ptr<Bell>> Bell::make(Loop& loop, std::function<void()> action) {
  FileDescriptor event(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event.valid()) return errno_fault(LMCD_E_IO, errno, "eventfd");
  std::unique_ptr<Bell> bell(new Bell(loop, std::move(event), std::move(action)));
  LMCD_TRY(loop.add(bell->event_.get(), EPOLLIN, *bell));
  return bell;
}

Bell::Bell(Loop& loop, FileDescriptor event, std::function<void()> action)
    : loop_(loop), event_(std::move(event)), action_(std::move(action)) {}

Bell::~Bell() { loop_.remove(event_.get()); }

void Bell::ring() {
  const uint64_t one = 1;
  // The only failure is EAGAIN at 2^64 - 1 rings unheard: it rings already.
  [[maybe_unused]] ssize_t written = write(event_.get(), &one, sizeof one);
}

void Bell::on_ready(uint32_t) {
  uint64_t rings;
  // Read before the action: what is added after the read rings again.
  [[maybe_unused]] ssize_t got = read(event_.get(), &rings, sizeof rings);
  action_();
}

}  // namespace lmcd
