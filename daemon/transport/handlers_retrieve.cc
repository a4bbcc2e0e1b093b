// Reading: Lookup, Acquire, AcquirePosted, Release, Touch, Renew.

#include <algorithm>

#include "daemon/transport/handlers.h"
#include "daemon/transport/shape.h"
#include "lib/base/sync_point.h"
#include "lib/wire/limits.h"

namespace lmcd::transport {
namespace {

// Leases what is there and answers.
Status grant(Desk& desk, Session& session, uint64_t number, uint64_t lease,
             const core::AcquireRequest& request) {
  desk.grants.assign(request.keys.size(), {});
  LMCD_TRY(desk.store.acquire(session.id, lease, request, desk.grants.data()));
  LMCD_SYNC_POINT("acquire.before_answer");
  session.send(wire::Granted{desk.grants}, number);
  return {};
}

}  // namespace

Status answer(Question& question, const wire::Lookup& message) {
  LMCD_TRY(check_range("Lookup", "keys", message.keys.size(), 1, wire::kBatchItems));
  LMCD_TRY(check_range("Lookup", "space", message.space, 0, UINT32_MAX));
  std::vector<lmcd_presence_t>& presence = question.desk.presence;
  presence.assign(message.keys.size(), {});
  question.desk.store.lookup(static_cast<uint32_t>(message.space), message.keys, presence.data());
  return question.answer(wire::Found{presence});
}

Status answer(Question& question, const wire::Acquire& message) {
  LMCD_TRY(check_range("Acquire", "keys", message.keys.size(), 1, wire::kBatchItems));
  LMCD_TRY(check_range("Acquire", "space", message.space, 0, UINT32_MAX));
  lmcd_part_t single;
  LMCD_ASSIGN(std::span<const lmcd_part_t> parts,
              parts_of("Acquire", message.parts, message.part, message.keys.size(), single));
  Desk& desk = question.desk;
  core::AcquireRequest request;
  request.space = static_cast<uint32_t>(message.space);
  request.keys = message.keys;
  request.parts = parts;
  if (message.timeout_ms == 0)
    return grant(desk, question.session, question.request, message.lease, request);
  const uint64_t timeout_ms = std::min<uint64_t>(message.timeout_ms, Waiting::kTimeoutMs);
  const uint64_t deadline_ms = desk.loop.clock().now_ms() + timeout_ms;
  mover::Ticket ticket = desk.mover.prefetches().begin(request, deadline_ms);
  if (desk.store.first_pending(request, 0) < request.keys.size()) {
    Waiter waiter{question.session.id,
                  question.request,
                  message.lease,
                  request.space,
                  {message.keys.begin(), message.keys.end()},
                  {parts.begin(), parts.end()},
                  deadline_ms,
                  std::move(ticket)};
    if (desk.waiting.add(std::move(waiter))) return {};
  }
  return grant(desk, question.session, question.request, message.lease, request);
}

void answer_waiter(Desk& desk, Waiter& waiter) {
  Session* session = desk.sessions.find(waiter.session);
  if (session == nullptr) return;
  Status status = grant(desk, *session, waiter.request, waiter.lease, waiter.asked());
  if (!status.ok()) session->send_fault(status, waiter.request);
}

Status take(Post& post, const wire::AcquirePosted& message) {
  post.lease = message.lease;
  LMCD_TRY(check_range("AcquirePosted", "records", message.records.size(), 1, wire::kBatchItems));
  return post.desk.store.acquire_posted(post.session.id, message.lease, message.records);
}

Status take(Post& post, const wire::Release& message) {
  post.lease = message.lease;
  LMCD_SYNC_POINT("release.before");
  if (auto request = post.desk.waiting.withdraw(post.session.id, message.lease)) {
    post.session.send_fault(fault(LMCD_E_TIMEOUT, "Acquire: released while it waited"), *request);
    return {};
  }
  return post.desk.store.release(post.session.id, message.lease);
}

Status take(Post& post, const wire::Touch& message) {
  LMCD_TRY(check_range("Touch", "records", message.records.size(), 0, wire::kBatchItems));
  post.desk.store.touch(message.records);
  return {};
}

Status take(Post& post, const wire::Renew& message) {
  LMCD_TRY(check_range("Renew", "leases", message.leases.size(), 0, wire::kBatchItems));
  post.desk.store.renew(post.session.id, message.leases);
  return {};
}

}  // namespace lmcd::transport
