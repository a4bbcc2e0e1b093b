#include "daemon/tier/desk.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "daemon/tier/record.h"

namespace lmcd::tier {

int64_t steady_now_ns() {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

lmcd_code_t Desk::check(const Request& request) {
  const bool moves = request.verb == Verb::kPut || request.verb == Verb::kGet;
  if (moves && (request.record.length == 0 || !(request.source || request.target)))
    return LMCD_E_INVALID;
  if (!std::memchr(request.record.tenant, 0, sizeof request.record.tenant)) return LMCD_E_INVALID;
  if (request.verb == Verb::kList &&
      (!request.listed || request.list_capacity == 0 || request.list_capacity > kListLimit))
    return LMCD_E_INVALID;
  return LMCD_OK;
}

lmcd_code_t Desk::accept(const Request& request) {
  if (lmcd_code_t code = check(request); code != LMCD_OK) return code;
  if (in_flight_ == queue_limit_) return LMCD_E_LIMIT;
  ++in_flight_;
  return LMCD_OK;
}

Ending Desk::refusal(const Request& request) const {
  const uint64_t now = now_ms();
  if (request.deadline_ms != 0 && now > request.deadline_ms)
    return Ending::of(fault(LMCD_E_TIMEOUT, "the deadline passed before it could begin"));
  if (now < retry_at_ms_) return Ending::of(fault(LMCD_E_IO, "%s", reason_.c_str()));
  return {};
}

int64_t Desk::steady_deadline_ns(const Request& request) const {
  if (request.deadline_ms == 0) return INT64_MAX;
  constexpr uint64_t kLongestMs = 1'000'000'000;  // eleven days, so that nothing overflows
  const uint64_t now = now_ms();
  const uint64_t left_ms =
      request.deadline_ms > now ? std::min(request.deadline_ms - now, kLongestMs) : 0;
  return steady_now_ns() + static_cast<int64_t>(left_ms + 1) * 1'000'000;
}

void Desk::note(const Ending& ending) {
  if (ending.code == LMCD_OK) {
    // An answer from memory alone, while the tier is down, is no sign of life.
    if (now_ms() < retry_at_ms_) return;
    faults_in_a_row_ = 0;
    retry_wait_ms_ = 0;
    reason_ = ending.reason;
    return;
  }
  ++faults_;
  reason_ = ending.reason.empty() ? "an operation failed" : ending.reason;
  if (ending.code != LMCD_E_IO || now_ms() < retry_at_ms_) return;
  if (++faults_in_a_row_ < kFaultsUntilDown) return;
  retry_wait_ms_ = std::clamp(retry_wait_ms_ * 2, kFirstRetryMs, kLongestRetryMs);
  retry_at_ms_ = now_ms() + retry_wait_ms_;
}

void Desk::complete(const lmcd_tier_completion_t& completion) {
  --in_flight_;
  host_.complete(host_.context, &completion);
}

void Desk::finish(const Request& request, const Ending& ending) {
  note(ending);
  lmcd_tier_completion_t completion{};
  completion.struct_size = sizeof completion;
  completion.code = ending.code;
  completion.outcome = ending.outcome;
  completion.token = request.token;
  complete(completion);
}

void Desk::finish_list(const Request& request, const Catalog& catalog) {
  lmcd_tier_completion_t completion{};
  completion.struct_size = sizeof completion;
  completion.outcome = LMCD_NONE;
  completion.token = request.token;
  catalog.list(request, completion);
  complete(completion);
}

lmcd_tier_health_t Desk::health() const {
  lmcd_tier_health_t out{};
  const uint64_t now = now_ms();
  out.faults = faults_;
  out.state = LMCD_TIER_UP;
  if (!reason_.empty()) out.state = now < retry_at_ms_ ? LMCD_TIER_DOWN : LMCD_TIER_DEGRADED;
  out.retry_ms = now < retry_at_ms_ ? retry_at_ms_ - now : 0;
  std::snprintf(out.text, sizeof out.text, "%s", reason_.c_str());
  return out;
}

lmcd_tier_capabilities_t Desk::capabilities(uint32_t traits, uint64_t record_max_bytes) const {
  lmcd_tier_capabilities_t out{};
  out.traits = traits;
  out.queue_limit = queue_limit_;
  out.align_bytes = 1;
  out.record_max_bytes =
      record_max_bytes == 0 ? kRecordMaxBytes : std::min(record_max_bytes, kRecordMaxBytes);
  return out;
}

}  // namespace lmcd::tier
