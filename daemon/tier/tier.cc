#include "daemon/tier/tier.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "lib/base/bytes.h"

namespace lmcd::tier {
namespace {

constexpr uint32_t kMostInFlight = 65536;

uint64_t make_token(uint32_t slot, uint32_t generation) {
  return uint64_t{generation} << 32 | slot;
}

}  // namespace

class Tier::ModuleJob final : public Job {
 public:
  ModuleJob(Tier& tier, const lmcd_tier_job_t& job) : tier_(tier), job_(job) {}
  void work() override { job_.work(job_.context); }
  void complete() override {
    --tier_.jobs_;
    job_.done(job_.context);
  }

 private:
  Tier& tier_;
  const lmcd_tier_job_t job_;
};

Tier::Tier(const lmcd_tier_module_t& module, Loop& loop, WorkerPool& pool)
    : module_(module), loop_(loop), pool_(pool), wake_(loop, [this] { module_.wake(tier_); }) {
  host_ = {sizeof host_, LMCD_TIER_ABI, this, now_ms, wake_at, submit, complete, wake_soon};
}

Tier::~Tier() {
  assert(idle());
  wake_.cancel();
  if (tier_) module_.close(tier_);
}

Result<std::unique_ptr<Tier>> Tier::open(const lmcd_tier_module_t& module,
                                         std::span<const lmcd_tier_field_t> fields, Loop& loop,
                                         WorkerPool& pool) {
  std::unique_ptr<Tier> tier(new Tier(module, loop, pool));
  LMCD_TRY(tier->check_module());
  LMCD_ASSIGN(tier->bell_, Bell::make(loop, [raw = tier.get()] { raw->deliver(); }));
  lmcd_error_t error{};
  lmcd_code_t code = module.open(&tier->host_, fields.data(), fields.size(), &tier->tier_, &error);
  if (code != LMCD_OK) {
    tier->tier_ = nullptr;
    return fault(code, "tier of type \"%s\": %.500s", module.type, error.text);
  }
  LMCD_TRY(tier->take_capabilities());
  return tier;
}

Status Tier::check_module() const {
  if (module_.abi != LMCD_TIER_ABI || module_.struct_size < sizeof module_)
    return fault(
        LMCD_E_VERSION, "tier of type \"%s\": speaks ABI %u in %u bytes; this daemon %u in %zu",
        module_.type, module_.abi, module_.struct_size, unsigned{LMCD_TIER_ABI}, sizeof module_);
  return {};
}

Status Tier::take_capabilities() {
  capabilities_.struct_size = sizeof capabilities_;
  module_.capabilities(tier_, &capabilities_);
  const uint32_t limit = capabilities_.queue_limit;
  if (limit == 0 || limit > kMostInFlight || !is_power_of_two(capabilities_.align_bytes))
    return fault(LMCD_E_INVALID,
                 "tier of type \"%s\": states queue_limit %u and align_bytes %u; valid are 1 to %u "
                 "and a power of two",
                 module_.type, limit, capabilities_.align_bytes, kMostInFlight);
  slots_.resize(limit);
  free_.reserve(limit);
  for (uint32_t slot = limit; slot-- > 0;) free_.push_back(slot);
  completed_.reserve(limit);
  delivering_.reserve(limit);
  return {};
}

template <typename Begin>
Status Tier::begin(const char* verb, Done done, Begin begin) {
  if (free_.empty())
    return fault(LMCD_E_LIMIT, "tier of type \"%s\": %zu operations are in flight, its limit",
                 module_.type, slots_.size());
  const uint32_t number = free_.back();
  Slot& slot = slots_[number];
  // The slot is taken first, since the completion may come on another thread before the return.
  free_.pop_back();
  slot.done = std::move(done);
  slot.taken = true;
  lmcd_code_t code = begin(make_token(number, ++slot.generation));
  if (code == LMCD_OK) return {};
  slot.done = nullptr;
  slot.taken = false;
  free_.push_back(number);
  return fault(code, "tier of type \"%s\": %s: not accepted, %s", module_.type, verb,
               code == LMCD_E_LIMIT ? "its queue is full" : "an argument is not valid");
}

Status Tier::put(const lmcd_tier_record_t& record, Checksum checksum,
                 std::span<const std::byte> bytes, uint64_t deadline_ms, Done done) {
  assert(bytes.size() == record.length);
  return begin("put", std::move(done), [&](uint64_t token) {
    return module_.put(tier_, &record, checksum == Checksum::kKnown, bytes.data(), deadline_ms,
                       token);
  });
}

Status Tier::get(const Name& name, std::span<std::byte> bytes, uint64_t deadline_ms, Done done) {
  return begin("get", std::move(done), [&](uint64_t token) {
    return module_.get(tier_, &name.key, name.part, bytes.data(), bytes.size(), deadline_ms, token);
  });
}

Status Tier::exists(const Name& name, uint64_t deadline_ms, Done done) {
  return begin("exists", std::move(done), [&](uint64_t token) {
    return module_.exists(tier_, &name.key, name.part, deadline_ms, token);
  });
}

Status Tier::remove(const Name& name, uint64_t deadline_ms, Done done) {
  return begin("remove", std::move(done), [&](uint64_t token) {
    return module_.remove(tier_, &name.key, name.part, deadline_ms, token);
  });
}

Status Tier::list(uint64_t cursor, std::span<lmcd_tier_record_t> listed, uint64_t deadline_ms,
                  Done done) {
  return begin("list", std::move(done), [&](uint64_t token) {
    return module_.list(tier_, cursor, listed.data(),
                        static_cast<uint32_t>(std::min<std::size_t>(listed.size(), UINT32_MAX)),
                        deadline_ms, token);
  });
}

lmcd_tier_usage_t Tier::usage() const {
  lmcd_tier_usage_t usage{};
  usage.struct_size = sizeof usage;
  module_.usage(tier_, &usage);
  return usage;
}

lmcd_tier_health_t Tier::health() const {
  lmcd_tier_health_t health{};
  health.struct_size = sizeof health;
  module_.health(tier_, &health);
  health.text[sizeof health.text - 1] = '\0';
  return health;
}

void Tier::deliver() {
  if (woken_.exchange(false) && tier_) module_.wake(tier_);
  {
    std::lock_guard lock(mutex_);
    delivering_.swap(completed_);
  }
  for (const Completion& completion : delivering_) {
    const auto number = static_cast<uint32_t>(completion.token);
    if (number >= slots_.size()) continue;
    Slot& slot = slots_[number];
    if (!slot.taken || slot.generation != completion.token >> 32) continue;
    // Free before `done`, which may begin the next.
    Done done = std::exchange(slot.done, nullptr);
    slot.taken = false;
    free_.push_back(number);
    done(completion);
  }
  delivering_.clear();
}

uint64_t Tier::now_ms(void* context) { return static_cast<Tier*>(context)->loop_.clock().now_ms(); }

void Tier::wake_at(void* context, uint64_t due_ms) {
  static_cast<Tier*>(context)->wake_.arm_at(due_ms);
}

lmcd_code_t Tier::submit(void* context, const lmcd_tier_job_t* job) {
  Tier& tier = *static_cast<Tier*>(context);
  if (!tier.pool_.submit(std::make_unique<ModuleJob>(tier, *job))) return LMCD_E_LIMIT;
  ++tier.jobs_;
  return LMCD_OK;
}

void Tier::complete(void* context, const lmcd_tier_completion_t* completion) {
  Tier& tier = *static_cast<Tier*>(context);
  Completion copy{};
  std::memcpy(&copy, completion, std::min<std::size_t>(completion->struct_size, sizeof copy));
  {
    std::lock_guard lock(tier.mutex_);
    // Only a module that completes what is not in flight gets here; memory stays bounded.
    if (tier.completed_.size() == tier.completed_.capacity()) return;
    tier.completed_.push_back(copy);
  }
  tier.bell_->ring();
}

void Tier::wake_soon(void* context) {
  Tier& tier = *static_cast<Tier*>(context);
  tier.woken_.store(true);
  tier.bell_->ring();
}

}  // namespace lmcd::tier
