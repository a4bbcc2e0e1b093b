#include "daemon/mover/cascade.h"

#include <algorithm>
#include <cstring>

#include "daemon/tier/registry.h"
#include "lib/base/sync_point.h"
#include "lib/wire/limits.h"

namespace lmcd::mover {
namespace {

constexpr uint32_t kFaultsToPause = 3;
constexpr uint64_t kFirstPauseMs = 1000;
constexpr uint64_t kLongestPauseMs = 30'000;
// Time of work after which what was measured before counts half.
constexpr double kMemoryMs = 2000;
constexpr uint32_t kListed = 1024;  // records of one list
constexpr uint64_t kListTimeoutMs = 60'000;
constexpr uint32_t kRemovals = 16;  // in flight
constexpr std::size_t kRemovalsTaken = 4096;
constexpr uint64_t kRemoveTimeoutMs = 10'000;
constexpr uint64_t kAgainMs = 1000;

}  // namespace

lmcd_key_t tier_key(const lmcd_key_t& key, const lmcd_key_t& fingerprint) {
  lmcd_key_t mixed;
  for (std::size_t i = 0; i < sizeof mixed.bytes; ++i)
    mixed.bytes[i] = key.bytes[i] ^ fingerprint.bytes[i];
  return mixed;
}

// -- One tier --------------------------------------------------------------------------------

bool Stage::usable(uint64_t now_ms) const {
  return now_ms >= paused_until_ms_ && tier_->health().state != LMCD_TIER_DOWN;
}

void Stage::failed(uint64_t now_ms) {
  if (++faults_in_a_row_ < kFaultsToPause || now_ms < paused_until_ms_) return;
  // One that had recovered begins with a short pause again.
  if (faults_in_a_row_ == kFaultsToPause) pause_ms_ = 0;
  pause_ms_ = std::clamp(2 * pause_ms_, kFirstPauseMs, kLongestPauseMs);
  paused_until_ms_ = now_ms + pause_ms_;
}

void Stage::get_began(uint64_t now_ms) {
  if (gets_++ == 0) busy_since_ms_ = now_ms;
}

void Stage::get_ended(uint64_t now_ms, uint64_t loaded_bytes) {
  busy_ms_ += static_cast<double>(now_ms - busy_since_ms_);
  busy_since_ms_ = now_ms;
  --gets_;
  loaded_bytes_ += static_cast<double>(loaded_bytes);
  if (busy_ms_ < kMemoryMs) return;
  busy_ms_ /= 2;
  loaded_bytes_ /= 2;
}

std::optional<double> Stage::bytes_per_ms() const {
  if (loaded_bytes_ == 0) return std::nullopt;
  return loaded_bytes_ / std::max(busy_ms_, 1.0);
}

// -- All of them -----------------------------------------------------------------------------

// One tier's list on its way into the book.
struct Cascade::Listing {
  Stage& stage;
  uint64_t cursor = 0;
  uint64_t taken = 0;
  uint64_t refused = 0;
  std::vector<lmcd_tier_record_t> records{kListed};
};

Cascade::Cascade(const Parts& parts)
    : parts_(parts), again_(parts.loop, [this] { forget_cleared(); }) {}

Cascade::~Cascade() = default;

Result<std::unique_ptr<Cascade>> Cascade::open(const Parts& parts,
                                               const std::vector<config::Adapter>& adapters,
                                               uint32_t threads, uint32_t align_bytes) {
  std::unique_ptr<Cascade> cascade(new Cascade(parts));
  for (const config::Adapter& adapter : adapters) {
    ThreadWorkerPool::Options workers;
    workers.threads = threads;
    workers.name = "lmcd-tier";
    LMCD_ASSIGN(std::unique_ptr<ThreadWorkerPool> pool,
                ThreadWorkerPool::make(parts.loop, workers));
    LMCD_ASSIGN(std::unique_ptr<tier::Tier> tier, tier::open_tier(adapter, parts.loop, *pool));
    if (tier->capabilities().align_bytes > align_bytes) {
      return fault(LMCD_E_INVALID,
                   "tier of type \"%.64s\": its bytes stand on bounds of %u; option "
                   "\"l1-align-bytes\" must be as large, and is %u",
                   adapter.type.c_str(), tier->capabilities().align_bytes, align_bytes);
    }
    const auto number = static_cast<uint32_t>(cascade->stages_.size());
    cascade->stages_.push_back(std::make_unique<Stage>(number, std::move(pool), std::move(tier)));
  }
  return cascade;
}

void Cascade::recover() {
  for (std::unique_ptr<Stage>& stage : stages_) {
    if (stage->tier().capabilities().traits == 0) continue;  // it begins empty
    ++listing_;
    // Shared by the completions of one list after the other.
    list_on(std::make_shared<Listing>(*stage));
  }
}

void Cascade::list_on(const std::shared_ptr<Listing>& listing) {
  Status begun =
      listing->stage.tier().list(listing->cursor, listing->records, now_ms() + kListTimeoutMs,
                                 [this, listing](const tier::Tier::Completion& completion) {
                                   take_listed(listing, completion);
                                 });
  if (!begun.ok()) {
    tell(listing->stage, "list", begun.code());
    --listing_;
  }
}

void Cascade::take_listed(const std::shared_ptr<Listing>& listing,
                          const tier::Tier::Completion& completion) {
  if (completion.code != LMCD_OK) {
    tell(listing->stage, "list", completion.code);
    --listing_;
    return;
  }
  const uint32_t count = std::min(completion.count, kListed);
  for (uint32_t at = 0; at < count; ++at)
    ++(take_record(listing->stage, listing->records[at]) ? listing->taken : listing->refused);
  LMCD_SYNC_POINT("recover.after_list");
  listing->cursor = completion.cursor;
  if (completion.cursor != 0 && !cancelled_) return list_on(listing);
  --listing_;
  parts_.log.event(Severity::kInfo, "tier.recovered")
      .field("tier", listing->stage.number())
      .field("type", listing->stage.tier().type())
      .field("records", listing->taken)
      .field("refused", listing->refused);
}

// What stands in a tier is input from a stranger.
bool Cascade::take_record(const Stage& stage, const lmcd_tier_record_t& record) {
  const void* end = std::memchr(record.tenant, 0, sizeof record.tenant);
  if (end == nullptr || record.length == 0 || record.length > UINT32_MAX) return false;
  if (record.part.rank >= wire::kRanks || record.part.group >= wire::kGroups) return false;
  core::ColdBook::Identity identity{};
  identity.key = tier_key(record.key, record.fingerprint);
  identity.part = record.part;
  identity.fingerprint = record.fingerprint;
  identity.tenant = record.tenant;
  identity.length = static_cast<uint32_t>(record.length);
  identity.crc32c = record.crc32c;
  identity.has_crc = true;
  return parts_.store.adopt_cold(identity, stage.number());
}

void Cascade::forget_cleared() {
  if (cancelled_) return;
  core::Store& store = parts_.store;
  if (removals_.empty()) {
    for (uint32_t entry : store.take_leaving(kRemovalsTaken)) {
      const uint8_t leaving = store.cold().at(entry).leaving;
      for (std::unique_ptr<Stage>& stage : stages_)
        if ((leaving & stage->bit()) != 0) removals_.push_back({entry, stage->number()});
    }
  }
  while (removing_ < kRemovals && !removals_.empty()) {
    const Removal next = removals_.back();
    removals_.pop_back();
    if (remove(next)) continue;
    removals_.push_back(next);
    if (!again_.armed()) again_.arm_in(kAgainMs);
    return;
  }
}

bool Cascade::remove(const Removal& removal) {
  Stage& stage = *stages_[removal.stage];
  if (!stage.usable(now_ms())) return false;
  const core::ColdBook& cold = parts_.store.cold();
  const core::ColdBook::Entry& entry = cold.at(removal.entry);
  const lmcd_key_t key = tier_key(entry.key, cold.fingerprint_of(removal.entry));
  Status begun = stage.tier().remove({key, entry.part}, now_ms() + kRemoveTimeoutMs,
                                     [this, removal](const tier::Tier::Completion& completion) {
                                       --removing_;
                                       Stage& at = *stages_[removal.stage];
                                       if (completion.code == LMCD_OK) {
                                         at.succeeded();
                                         parts_.store.left_tier(removal.entry, removal.stage);
                                       } else {
                                         at.failed(now_ms());
                                         tell(at, "remove", completion.code);
                                         removals_.push_back(removal);
                                       }
                                       // In a later turn: a tier may complete what it is given at
                                       // once.
                                       if (!again_.armed())
                                         again_.arm_in(completion.code == LMCD_OK ? 0 : kAgainMs);
                                     });
  if (begun.ok()) ++removing_;
  return begun.ok();
}

void Cascade::forget(Stage& stage, const tier::Tier::Name& name) {
  Status begun = stage.tier().remove(name, now_ms() + kRemoveTimeoutMs,
                                     [this, &stage](const tier::Tier::Completion& completion) {
                                       if (completion.code != LMCD_OK)
                                         tell(stage, "remove", completion.code);
                                     });
  if (!begun.ok()) tell(stage, "remove", begun.code());
}

void Cascade::tell(const Stage& stage, const char* verb, int32_t code) {
  const lmcd_tier_health_t health = stage.tier().health();
  parts_.log.event(Severity::kWarning, "tier.fault")
      .field("tier", stage.number())
      .field("type", stage.tier().type())
      .field("verb", verb)
      .field("code", code)
      .field("reason", std::string_view(health.text));
}

void Cascade::cancel() {
  cancelled_ = true;
  again_.cancel();
  for (std::unique_ptr<Stage>& stage : stages_) stage->tier().cancel();
}

bool Cascade::idle() const {
  return std::all_of(stages_.begin(), stages_.end(),
                     [](const std::unique_ptr<Stage>& stage) { return stage->tier().idle(); });
}

}  // namespace lmcd::mover
