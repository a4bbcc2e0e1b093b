#include "lib/base/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace lmcd {

Result<std::unique_ptr<Signals>> Signals::make(Loop& loop, std::initializer_list<int> numbers,
                                               std::function<void(int)> action) {
  sigset_t set;
  sigemptyset(&set);
  for (int number : numbers) sigaddset(&set, number);
  if (int error = pthread_sigmask(SIG_BLOCK, &set, nullptr))
    return errno_fault(LMCD_E_IO, error, "block signals");
  FileDescriptor source(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!source.valid()) return errno_fault(LMCD_E_IO, errno, "signalfd");
  std::unique_ptr<Signals> signals(new Signals(loop, std::move(source), std::move(action)));
  LMCD_TRY(loop.add(signals->source_.get(), EPOLLIN, *signals));
  return signals;
}

Signals::Signals(Loop& loop, FileDescriptor source, std::function<void(int)> action)
    : loop_(loop), source_(std::move(source)), action_(std::move(action)) {}

Signals::~Signals() { loop_.remove(source_.get()); }

void Signals::on_ready(uint32_t) {
  signalfd_siginfo info;
  if (read(source_.get(), &info, sizeof info) == sizeof info)
    action_(static_cast<int>(info.ssi_signo));
}

}  // namespace lmcd
