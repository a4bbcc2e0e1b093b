#include "lib/base/thread.h"

#include <pthread.h>
#include <sched.h>

#include <csignal>

namespace lmcd {

std::thread start_thread(const char* name, Priority priority, std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS})
    sigdelset(&all, fault);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread thread([priority, body = std::move(body)] {
    // A refusal (seccomp) leaves an ordinary thread, which is slower to yield and no less right.
    sched_param parameters{};
    if (priority == Priority::kBatch)
      pthread_setschedparam(pthread_self(), SCHED_BATCH, &parameters);
    body();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

}  // namespace lmcd
