// The operator's verbs: Stats, Config, List, Clear, Pin, QuotaSet, QuotaList, Drain, Reload. That
// the session may use them was checked before (dispatch.cc).

#include <algorithm>
#include <cstring>

#include "daemon/admin/quota_file.h"
#include "daemon/admin/snapshot.h"
#include "daemon/transport/handlers.h"
#include "daemon/transport/long_runs.h"
#include "daemon/transport/shape.h"
#include "lib/wire/limits.h"

namespace lmcd::transport {
namespace {

// A text leaves as one frame.
constexpr std::size_t kTextBytes = wire::kFrameBytes - 4096;

// A selector that outlives its frame.
struct Selection {
  core::Selector view;
  std::string tenant;
  std::vector<lmcd_key_t> keys;

  template <typename Message>
  static Result<std::shared_ptr<Selection>> of(const Message& message) {
    const char* name = Message::kName;
    LMCD_TRY(check_range(name, "keys", message.keys.size(), 0, wire::kBatchItems));
    LMCD_TRY(check_tenant(name, message.tenant));
    LMCD_TRY(check_range(name, "space", message.space, 0, UINT32_MAX));
    auto selection = std::make_shared<Selection>();  // shared by a run's step and its copies
    selection->tenant = message.tenant;
    selection->keys.assign(message.keys.begin(), message.keys.end());
    selection->view = {message.space_given != 0, static_cast<uint32_t>(message.space),
                       message.tenant_given != 0, selection->tenant, selection->keys};
    return selection;
  }
};

std::vector<admin::SessionFacts> facts_of(Sessions& sessions, uint64_t now_ms) {
  std::vector<admin::SessionFacts> facts;
  sessions.for_each([&](const Session& session) {
    if (session.phase == Phase::kStranger) return;
    facts.push_back({session.id, session.name, session.peer.pid, session.peer.uid, session.slot,
                     now_ms - session.opened_ms, session.requests,
                     session.connection.queued_bytes(), session.admin, session.subscribed});
  });
  return facts;
}

// Answers a question that had to wait for a worker, unless its session has ended.
void settle(Desk& desk, core::SessionId id, uint64_t number, const Status& status) {
  Session* session = desk.sessions.find(id);
  if (session == nullptr) return;
  if (status.ok())
    session->send(wire::Done{}, number);
  else
    session->send_fault(status, number);
}

}  // namespace

Status answer(Question& question, const wire::Stats&) {
  Desk& desk = question.desk;
  const uint64_t now_ms = desk.loop.clock().now_ms();
  const std::vector<admin::SessionFacts> sessions = facts_of(desk.sessions, now_ms);
  const std::vector<mover::SegmentFacts> segments = desk.copies.segments(1024);
  const std::vector<admin::VerbFacts> verbs = desk.service_times.facts();
  const std::vector<mover::TierFacts> tiers = desk.mover.tiers();
  const admin::Moment moment{now_ms, verbs, sessions, segments, tiers, desk.waiting.size()};
  return question.answer(wire::Text{admin::describe(desk.daemon, desk.store, moment, kTextBytes)});
}

Status answer(Question& question, const wire::Config&) {
  return question.answer(wire::Text{std::string_view(question.desk.config).substr(0, kTextBytes)});
}

Status answer(Question& question, const wire::List& message) {
  LMCD_TRY(check_range("List", "capacity", message.capacity, 1, wire::kListItems));
  LMCD_ASSIGN(std::shared_ptr<Selection> selection, Selection::of(message));
  std::vector<lmcd_listed_t>& listed = question.desk.listed;
  listed.resize(message.capacity);
  uint64_t cursor = message.cursor;
  const uint32_t count = question.desk.store.list(selection->view, &cursor, listed);
  return question.answer(wire::Listed{cursor, std::span(listed).first(count)});
}

Status answer(Question& question, const wire::Clear& message) {
  LMCD_ASSIGN(std::shared_ptr<Selection> selection, Selection::of(message));
  Desk& desk = question.desk;
  // What was not read yet would come back as a hit.
  if (!desk.mover.recovered())
    return fault(LMCD_E_LIMIT, "Clear: the tiers' lists are still being read: try again");
  return desk.long_runs.run(
      question.session.id,
      [&desk, selection, id = question.session.id, number = question.request,
       force = message.force != 0, cursor = uint64_t{0}, cleared = lmcd_cleared_t{}]() mutable {
        desk.store.clear_step(selection->view, force, &cursor, &cleared);
        if (cursor != 0) return true;
        if (Session* session = desk.sessions.find(id))
          session->send(wire::Cleared{cleared.objects, cleared.bytes, cleared.kept}, number);
        return false;
      });
}

Status answer(Question& question, const wire::Pin& message) {
  LMCD_ASSIGN(std::shared_ptr<Selection> selection, Selection::of(message));
  Desk& desk = question.desk;
  return desk.long_runs.run(
      question.session.id,
      [&desk, selection, id = question.session.id, number = question.request,
       pinned = message.pinned != 0, cursor = uint64_t{0}, changed = uint64_t{0}]() mutable {
        changed += desk.store.pin_step(selection->view, pinned, &cursor);
        if (cursor != 0) return true;
        if (Session* session = desk.sessions.find(id)) session->send(wire::Done{changed}, number);
        return false;
      });
}

Status answer(Question& question, const wire::QuotaSet& message) {
  LMCD_TRY(check_tenant("QuotaSet", message.tenant));
  Desk& desk = question.desk;
  core::Accounts& accounts = desk.store.accounts();
  if (message.limited != 0) {
    LMCD_TRY(accounts.set_quota(message.tenant, message.limit_bytes));
  } else if (!accounts.remove_quota(message.tenant)) {
    return fault(LMCD_E_NOT_FOUND, "no quota for tenant \"%.*s\"",
                 static_cast<int>(message.tenant.size()), message.tenant.data());
  }
  return desk.quotas.save(
      [&desk, id = question.session.id, number = question.request](const Status& status) {
        settle(desk, id, number, status);
      });
}

Status answer(Question& question, const wire::QuotaList& message) {
  LMCD_TRY(check_range("QuotaList", "capacity", message.capacity, 1, wire::kListItems));
  const core::Accounts& accounts = question.desk.store.accounts();
  std::vector<lmcd_quota_t> quotas;
  uint64_t number = message.cursor;
  for (; number < accounts.count() && quotas.size() < message.capacity; ++number) {
    const core::Accounts::Account& account = accounts.at(static_cast<core::TenantId>(number));
    if (!account.known()) continue;
    lmcd_quota_t& quota = quotas.emplace_back();
    quota = {};
    std::memcpy(quota.tenant, account.salt.data(),
                std::min(account.salt.size(), sizeof quota.tenant - 1));
    quota.limit_bytes = account.limit_bytes;
    quota.used_bytes = account.used_bytes;
    quota.limited = account.limited;
  }
  return question.answer(wire::Quotas{number < accounts.count() ? number : 0, quotas});
}

Status answer(Question& question, const wire::Drain&) {
  Desk& desk = question.desk;
  return desk.mover.drain(
      [&desk, id = question.session.id, number = question.request](const Status& status) {
        Session* session = desk.sessions.find(id);
        if (session == nullptr) return;
        if (status.ok())
          session->send(wire::Done{}, number);
        else
          session->send_fault(status, number);
      });
}

Status answer(Question& question, const wire::Reload&) {
  return question.desk.reload(
      [&desk = question.desk, id = question.session.id, number = question.request](
          const Status& status) { settle(desk, id, number, status); });
}

}  // namespace lmcd::transport
