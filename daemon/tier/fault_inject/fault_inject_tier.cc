#include "daemon/tier/fault_inject/fault_inject_tier.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "daemon/tier/desk.h"
#include "daemon/tier/registry.h"
#include "daemon/tier/table.h"

namespace lmcd::tier {

FaultInjectTier::FaultInjectTier(const lmcd_tier_host_t& host, Options options,
                                 std::unique_ptr<Chosen> chosen)
    : host_(host),
      options_(options),
      chosen_(std::move(chosen)),
      module_(chosen_->module()),
      inner_host_{sizeof inner_host_, LMCD_TIER_ABI, this, now_ms, wake_at, submit,
                  complete,           wake_soon},
      random_(options.seed) {}

FaultInjectTier::~FaultInjectTier() {
  if (inner_) module_.close(inner_);
}

Result<std::unique_ptr<FaultInjectTier>> FaultInjectTier::open(const lmcd_tier_host_t& host,
                                                               Fields& fields) {
  Options options;
  const std::string inner = fields.text("inner");
  options.delay_ms = static_cast<uint64_t>(fields.number_or("delay_ms", 0, 0, 3'600'000));
  options.error_rate = fields.number_or("error_rate", 0, 0, 1);
  options.no_space_rate = fields.number_or("no_space_rate", 0, 0, 1);
  options.wrong_rate = fields.number_or("wrong_rate", 0, 0, 1);
  options.hang_rate = fields.number_or("hang_rate", 0, 0, 1);
  options.seed = static_cast<uint64_t>(fields.number_or("seed", 0, 0, 1e15));
  LMCD_TRY(fields.finish());
  LMCD_ASSIGN(std::unique_ptr<Chosen> chosen, Chosen::of_json(inner));
  std::unique_ptr<FaultInjectTier> tier(new FaultInjectTier(host, options, std::move(chosen)));
  lmcd_error_t error{};
  const std::vector<lmcd_tier_field_t>& given = tier->chosen_->fields();
  const lmcd_code_t code =
      tier->module_.open(&tier->inner_host_, given.data(), given.size(), &tier->inner_, &error);
  if (code != LMCD_OK) {
    tier->inner_ = nullptr;
    return fault(code, "inner: %.480s", error.text);
  }
  tier->queue_limit_ = tier->capabilities().queue_limit;
  return tier;
}

// One draw for each operation, so that a seed gives the same fates whatever the rates.
FaultInjectTier::Fate FaultInjectTier::choose(Verb verb) {
  double draw = std::uniform_real_distribution<>(0, 1)(random_);
  const std::pair<double, Fate> shares[] = {
      {options_.hang_rate, Fate::kHang},
      {options_.error_rate, Fate::kError},
      {verb == Verb::kPut ? options_.no_space_rate : 0, Fate::kNoSpace},
      {verb == Verb::kGet ? options_.wrong_rate : 0, Fate::kWrong}};
  for (const auto& [share, fate] : shares) {
    if (draw < share) return fate;
    draw -= share;
  }
  return Fate::kNone;
}

lmcd_code_t FaultInjectTier::begin(const Request& request) {
  if (lmcd_code_t code = Desk::check(request); code != LMCD_OK) return code;
  if (in_flight_.load() >= queue_limit_) return LMCD_E_LIMIT;
  ++in_flight_;
  const Held held{request, choose(request.verb)};
  uint64_t due_ms = host_.now_ms(host_.context) + options_.delay_ms;
  if (held.fate == Fate::kHang)
    due_ms = request.deadline_ms ? std::max(due_ms, request.deadline_ms + 1) : UINT64_MAX;
  if (options_.delay_ms == 0 && held.fate != Fate::kHang) {
    release(held);
  } else {
    held_.emplace(due_ms, held);
    arm();
  }
  return LMCD_OK;
}

void FaultInjectTier::release(const Held& held) {
  switch (held.fate) {
    case Fate::kHang:
      return end(held.request, LMCD_E_TIMEOUT, LMCD_NONE);
    case Fate::kError:
      return end(held.request, LMCD_E_IO, LMCD_NONE);
    case Fate::kNoSpace:
      return end(held.request, LMCD_OK, LMCD_NO_SPACE);
    case Fate::kWrong: {
      std::lock_guard lock(mutex_);
      wrong_.emplace(held.request.token, held.request);
      break;
    }
    case Fate::kNone:
      break;
  }
  forward(held.request);
}

void FaultInjectTier::forward(const Request& request) {
  if (call(request) != LMCD_OK) end(request, LMCD_E_IO, LMCD_NONE);
}

lmcd_code_t FaultInjectTier::call(const Request& request) {
  const lmcd_tier_record_t& record = request.record;
  switch (request.verb) {
    case Verb::kPut:
      return module_.put(inner_, &record, request.checksummed, request.source, request.deadline_ms,
                         request.token);
    case Verb::kGet:
      return module_.get(inner_, &record.key, record.part, request.target, record.length,
                         request.deadline_ms, request.token);
    case Verb::kExists:
      return module_.exists(inner_, &record.key, record.part, request.deadline_ms, request.token);
    case Verb::kRemove:
      return module_.remove(inner_, &record.key, record.part, request.deadline_ms, request.token);
    case Verb::kList:
      return module_.list(inner_, request.cursor, request.listed, request.list_capacity,
                          request.deadline_ms, request.token);
  }
  return LMCD_E_INVALID;
}

void FaultInjectTier::cancel() {
  for (const auto& [due_ms, held] : std::exchange(held_, {}))
    end(held.request, LMCD_E_TIMEOUT, LMCD_NONE);
  module_.cancel(inner_);
}

void FaultInjectTier::wake() {
  const uint64_t now = host_.now_ms(host_.context);
  while (!held_.empty() && held_.begin()->first <= now)
    release(held_.extract(held_.begin()).mapped());
  const bool due = inner_wake_ms_ <= now;
  if (due) inner_wake_ms_ = UINT64_MAX;
  if (inner_woken_.exchange(false) || due) module_.wake(inner_);
  arm();
}

void FaultInjectTier::arm() {
  const uint64_t held_ms = held_.empty() ? UINT64_MAX : held_.begin()->first;
  const uint64_t due_ms = std::min(held_ms, inner_wake_ms_);
  if (due_ms != UINT64_MAX) host_.wake_at(host_.context, due_ms);
}

void FaultInjectTier::end(const Request& request, lmcd_code_t code, uint32_t outcome) {
  faults_ += code != LMCD_OK;
  {
    std::lock_guard lock(mutex_);
    wrong_.erase(request.token);
  }
  lmcd_tier_completion_t completion{};
  completion.struct_size = sizeof completion;
  completion.code = code;
  completion.outcome = outcome;
  completion.token = request.token;
  pass_on(completion);
}

void FaultInjectTier::pass_on(const lmcd_tier_completion_t& completion) {
  --in_flight_;
  host_.complete(host_.context, &completion);
}

// Flips a bit of what was delivered, which belongs to the get until it is passed on.
void FaultInjectTier::falsify(const lmcd_tier_completion_t& completion) {
  std::lock_guard lock(mutex_);
  const auto found = wrong_.find(completion.token);
  if (found == wrong_.end()) return;
  const Request& request = found->second;
  if (completion.code == LMCD_OK && completion.outcome == LMCD_LOADED)
    request.target[request.record.length / 2] ^= std::byte{4};
  wrong_.erase(found);
}

lmcd_tier_capabilities_t FaultInjectTier::capabilities() const {
  lmcd_tier_capabilities_t out{};
  out.struct_size = sizeof out;
  module_.capabilities(inner_, &out);
  return out;
}

lmcd_tier_usage_t FaultInjectTier::usage() const {
  lmcd_tier_usage_t out{};
  out.struct_size = sizeof out;
  module_.usage(inner_, &out);
  out.in_flight = in_flight_.load();
  return out;
}

lmcd_tier_health_t FaultInjectTier::health() const {
  lmcd_tier_health_t out{};
  out.struct_size = sizeof out;
  module_.health(inner_, &out);
  if (faults_ > 0 && out.state == LMCD_TIER_UP) {
    out.state = LMCD_TIER_DEGRADED;
    std::snprintf(out.text, sizeof out.text, "faults are injected");
  }
  out.faults += faults_;
  return out;
}

uint64_t FaultInjectTier::now_ms(void* context) {
  const lmcd_tier_host_t& host = static_cast<FaultInjectTier*>(context)->host_;
  return host.now_ms(host.context);
}

void FaultInjectTier::wake_at(void* context, uint64_t due_ms) {
  auto& tier = *static_cast<FaultInjectTier*>(context);
  tier.inner_wake_ms_ = due_ms;
  tier.arm();
}

lmcd_code_t FaultInjectTier::submit(void* context, const lmcd_tier_job_t* job) {
  const lmcd_tier_host_t& host = static_cast<FaultInjectTier*>(context)->host_;
  return host.submit(host.context, job);
}

void FaultInjectTier::complete(void* context, const lmcd_tier_completion_t* completion) {
  auto& tier = *static_cast<FaultInjectTier*>(context);
  tier.falsify(*completion);
  tier.pass_on(*completion);
}

void FaultInjectTier::wake_soon(void* context) {
  auto& tier = *static_cast<FaultInjectTier*>(context);
  tier.inner_woken_.store(true);
  tier.host_.wake_soon(tier.host_.context);
}

const lmcd_tier_module_t* fault_inject_module() {
  static constexpr lmcd_tier_module_t kModule = Table<FaultInjectTier>::of("fault_inject");
  return &kModule;
}

}  // namespace lmcd::tier
