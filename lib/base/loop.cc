#include "lib/base/loop.h"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <climits>

#include "lib/base/bell.h"

namespace lmcd {
namespace {

uint64_t token_of(int descriptor, uint32_t generation) {
  return static_cast<uint64_t>(generation) << 32 | static_cast<uint32_t>(descriptor);
}

}  // namespace

Result<std::unique_ptr<Loop>> Loop::make(const Clock& clock, Options options) {
  FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return errno_fault(LMCD_E_IO, errno, "epoll_create1");
  std::unique_ptr<Loop> loop(new Loop(clock, options, std::move(epoll)));
  LMCD_ASSIGN(loop->bell_, Bell::make(*loop, [raw = loop.get()] { raw->run_posted(); }));
  return loop;
}

Loop::Loop(const Clock& clock, Options options, FileDescriptor epoll)
    : clock_(clock), options_(options), epoll_(std::move(epoll)) {}

Loop::~Loop() { assert(timer_count_ == 0 && deferred_count_ == 0); }

Status Loop::add(int descriptor, uint32_t events, Watcher& watcher) {
  assert(descriptor >= 0);
  if (static_cast<std::size_t>(descriptor) >= watches_.size()) watches_.resize(descriptor + 1);
  Watch& watch = watches_[descriptor];
  assert(watch.watcher == nullptr);
  epoll_event event{.events = events, .data = {.u64 = token_of(descriptor, watch.generation)}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0)
    return errno_fault(LMCD_E_IO, errno, "watch descriptor %d", descriptor);
  watch.watcher = &watcher;
  return {};
}

Status Loop::modify(int descriptor, uint32_t events) {
  const Watch& watch = watches_[descriptor];
  assert(watch.watcher != nullptr);
  epoll_event event{.events = events, .data = {.u64 = token_of(descriptor, watch.generation)}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event) != 0)
    return errno_fault(LMCD_E_IO, errno, "watch descriptor %d for other events", descriptor);
  return {};
}

void Loop::remove(int descriptor) {
  if (static_cast<std::size_t>(descriptor) >= watches_.size()) return;
  Watch& watch = watches_[descriptor];
  if (!watch.watcher) return;
  watch.watcher = nullptr;
  ++watch.generation;
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

bool Loop::post(std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    if (posted_.size() >= options_.posted_tasks) return false;
    posted_.push_back(std::move(task));
    if (posted_.size() > 1) return true;  // the bell has been rung
  }
  bell_->ring();
  return true;
}

void Loop::stop() {
  stopped_.store(true, std::memory_order_relaxed);
  bell_->ring();
}

Status Loop::run() {
  do {
    LMCD_TRY(turn(Wait::kUntilDue));
  } while (!stopped_.exchange(false, std::memory_order_relaxed));
  return {};
}

Status Loop::turn(Wait wait) {
  int count =
      epoll_wait(epoll_.get(), ready_.data(), static_cast<int>(ready_.size()), wait_ms(wait));
  if (count < 0 && errno != EINTR) return errno_fault(LMCD_E_IO, errno, "epoll_wait");
  dispatch(count);
  run_timers();
  run_deferred();
  return {};
}

// How long the next turn may sleep, as epoll_wait takes it.
int Loop::wait_ms(Wait wait) const {
  if (wait == Wait::kNot || !deferred_.empty()) return 0;
  if (heap_.empty()) return -1;
  const uint64_t now = clock_.now_ms();
  const uint64_t due = heap_.front()->due_ms_;
  return due <= now ? 0 : static_cast<int>(std::min<uint64_t>(due - now, INT_MAX));
}

void Loop::dispatch(int count) {
  for (int i = 0; i < count; ++i) {
    const auto descriptor = static_cast<uint32_t>(ready_[i].data.u64);
    const Watch& watch = watches_[descriptor];
    if (watch.watcher && watch.generation == ready_[i].data.u64 >> 32)
      watch.watcher->on_ready(ready_[i].events);
  }
}

void Loop::run_posted() {
  {
    std::lock_guard lock(mutex_);
    taken_.swap(posted_);
  }
  for (auto& task : taken_) task();
  taken_.clear();
}

// One pass: a timer that is armed again for now waits for the next turn.
void Loop::run_timers() {
  const uint64_t now = clock_.now_ms();
  for (std::size_t left = heap_.size(); left > 0 && !heap_.empty(); --left) {
    Timer* timer = heap_.front();
    if (timer->due_ms_ > now) return;
    unplace(*timer);
    timer->action_();
  }
}

void Loop::run_deferred() {
  running_.swap(deferred_);
  for (std::size_t i = 0; i < running_.size(); ++i) {
    Deferred* deferred = running_[i];
    if (!deferred) continue;  // destroyed by one that ran before
    deferred->requested_ = false;
    deferred->action_();
  }
  running_.clear();
}

void Loop::place(std::size_t position, Timer* timer) {
  heap_[position] = timer;
  timer->position_ = position;
}

// Moves a timer up or down from its position to where its time belongs.
void Loop::sift(Timer* timer) {
  std::size_t at = timer->position_;
  while (at > 0 && timer->due_ms_ < heap_[(at - 1) / 2]->due_ms_) {
    place(at, heap_[(at - 1) / 2]);
    at = (at - 1) / 2;
  }
  for (std::size_t child = 2 * at + 1; child < heap_.size(); child = 2 * at + 1) {
    if (child + 1 < heap_.size() && heap_[child + 1]->due_ms_ < heap_[child]->due_ms_) ++child;
    if (timer->due_ms_ <= heap_[child]->due_ms_) break;
    place(at, heap_[child]);
    at = child;
  }
  place(at, timer);
}

void Loop::unplace(Timer& timer) {
  Timer* last = heap_.back();
  heap_.pop_back();
  if (last != &timer) {
    place(timer.position_, last);
    sift(last);
  }
  timer.position_ = Timer::kUnarmed;
}

Timer::Timer(Loop& loop, std::function<void()> action) : loop_(loop), action_(std::move(action)) {
  // Room is made here, so that arming never allocates.
  if (++loop_.timer_count_ > loop_.heap_.capacity()) loop_.heap_.reserve(2 * loop_.timer_count_);
}

Timer::~Timer() {
  cancel();
  --loop_.timer_count_;
}

void Timer::arm_at(uint64_t due_ms) {
  due_ms_ = due_ms;
  if (!armed()) {
    position_ = loop_.heap_.size();
    loop_.heap_.push_back(this);
  }
  loop_.sift(this);
}

void Timer::arm_in(uint64_t delay_ms) { arm_at(loop_.clock_.now_ms() + delay_ms); }

void Timer::cancel() {
  if (armed()) loop_.unplace(*this);
}

Deferred::Deferred(Loop& loop, std::function<void()> action)
    : loop_(loop), action_(std::move(action)) {
  const std::size_t count = ++loop_.deferred_count_;
  if (count > loop_.deferred_.capacity()) loop_.deferred_.reserve(2 * count);
  if (count > loop_.running_.capacity()) loop_.running_.reserve(2 * count);
}

Deferred::~Deferred() {
  if (requested_) std::erase(loop_.deferred_, this);
  std::replace(loop_.running_.begin(), loop_.running_.end(), this, static_cast<Deferred*>(nullptr));
  --loop_.deferred_count_;
}

void Deferred::request() {
  if (requested_) return;
  requested_ = true;
  loop_.deferred_.push_back(this);
}

}  // namespace lmcd
