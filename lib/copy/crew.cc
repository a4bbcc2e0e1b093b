#include "lib/copy/crew.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <system_error>

namespace lmcd::copy {
namespace {

// A thread starts with the signal mask of the one that starts it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t blocked;
    sigfillset(&blocked);
    for (int at_address : {SIGBUS, SIGSEGV, SIGILL, SIGFPE, SIGTRAP})
      sigdelset(&blocked, at_address);
    pthread_sigmask(SIG_SETMASK, &blocked, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Result<std::unique_ptr<Crew>> Crew::start(uint32_t size) {
  if (size >= kMaxThreads)
    return fault(LMCD_E_INVALID, "a crew of %u threads; valid: 0 to %u", size, kMaxThreads - 1);
  std::unique_ptr<Crew> crew(new Crew);
  SignalsBlocked blocked;
  for (uint32_t i = 0; i < size; ++i) LMCD_TRY(crew->add_thread());
  return crew;
}

Status Crew::add_thread() {
  try {
    threads_.emplace_back([this] { wait_for_calls(); });
  } catch (const std::system_error& error) {
    return errno_fault(LMCD_E_LIMIT, error.code().value(), "start copy thread %zu",
                       threads_.size() + 1);
  }
  pthread_setname_np(threads_.back().native_handle(), "lmcd-copy");
  return {};
}

Crew::~Crew() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  called_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Crew::run(uint32_t threads, const std::function<void()>& work) {
  auto wanted = std::min<uint32_t>(threads - 1, static_cast<uint32_t>(threads_.size()));
  if (wanted == 0) return work();
  Call call{work, wanted};
  {
    std::lock_guard lock(mutex_);
    calls_.push_back(&call);
  }
  for (uint32_t i = 0; i < wanted; ++i) called_.notify_one();
  work();
  std::unique_lock lock(mutex_);
  std::erase(calls_, &call);
  call.all_left.wait(lock, [&] { return call.inside == 0; });
}

void Crew::wait_for_calls() {
  std::unique_lock lock(mutex_);
  for (;;) {
    called_.wait(lock, [&] { return stopping_ || !calls_.empty(); });
    if (stopping_) return;
    Call& call = *calls_.front();
    ++call.inside;
    if (--call.wanted == 0) calls_.erase(calls_.begin());
    lock.unlock();
    call.work();
    lock.lock();
    // Under the lock: the call lives on its caller's stack and is gone once the caller sees 0.
    if (--call.inside == 0) call.all_left.notify_one();
  }
}

}  // namespace lmcd::copy
