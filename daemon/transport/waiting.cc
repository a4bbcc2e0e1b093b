#include "daemon/transport/waiting.h"

#include <algorithm>

namespace lmcd::transport {

Waiting::Waiting(Loop& loop, core::Store& store, Answer answer)
    : store_(store),
      loop_(loop),
      answer_(std::move(answer)),
      deadline_(loop, [this] { on_deadline(); }) {}

bool Waiting::add(Waiter waiter) {
  if (waiters_.size() == kWaiters || keys_ + waiter.keys.size() > kKeys) return false;
  keys_ += waiter.keys.size();
  if (waiters_.empty()) seen_changes_ = store_.change_count();
  if (!deadline_.armed() || deadline_.due_ms() > waiter.deadline_ms)
    deadline_.arm_at(waiter.deadline_ms);
  waiters_.push_back(std::move(waiter));
  return true;
}

void Waiting::answer(std::list<Waiter>::iterator waiter) {
  Waiter done = std::move(*waiter);
  waiters_.erase(waiter);
  keys_ -= done.keys.size();
  answer_(done);
}

void Waiting::look_again() {
  if (waiters_.empty() || seen_changes_ == store_.change_count()) return;
  seen_changes_ = store_.change_count();
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    auto next = std::next(waiter);
    waiter->settled = store_.first_pending(waiter->asked(), waiter->settled);
    if (waiter->settled == waiter->keys.size()) answer(waiter);
    waiter = next;
  }
}

void Waiting::on_deadline() {
  const uint64_t now_ms = loop_.clock().now_ms();
  uint64_t next_ms = UINT64_MAX;
  for (auto waiter = waiters_.begin(); waiter != waiters_.end();) {
    auto next = std::next(waiter);
    if (waiter->deadline_ms <= now_ms)
      answer(waiter);
    else
      next_ms = std::min(next_ms, waiter->deadline_ms);
    waiter = next;
  }
  if (next_ms != UINT64_MAX) deadline_.arm_at(next_ms);
}

std::optional<uint64_t> Waiting::withdraw(core::SessionId session, uint64_t lease) {
  for (auto waiter = waiters_.begin(); waiter != waiters_.end(); ++waiter) {
    if (waiter->session != session || waiter->lease != lease) continue;
    const uint64_t request = waiter->request;
    keys_ -= waiter->keys.size();
    waiters_.erase(waiter);
    return request;
  }
  return std::nullopt;
}

void Waiting::forget(core::SessionId session) {
  waiters_.remove_if([&](const Waiter& waiter) {
    if (waiter.session != session) return false;
    keys_ -= waiter.keys.size();
    return true;
  });
}

}  // namespace lmcd::transport
