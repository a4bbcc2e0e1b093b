#include "daemon/mover/spills.h"

#include <algorithm>
#include <cstring>

#include "lib/base/sync_point.h"

namespace lmcd::mover {
namespace {

constexpr std::size_t kTakenPerTurn = 16384;
// Parts of a queue that are looked at in one turn: many may be gone.
constexpr std::size_t kLooksPerTurn = 4096;
constexpr uint64_t kAgainMs = 100;
constexpr std::size_t kDrains = 64;

void fill_record(const core::ColdBook::Identity& identity, lmcd_tier_record_t& record) {
  record.key = tier_key(identity.key, identity.fingerprint);
  record.part = identity.part;
  record.crc32c = identity.crc32c;
  record.length = identity.length;
  record.fingerprint = identity.fingerprint;
  identity.tenant.copy(record.tenant, sizeof record.tenant - 1);
}

}  // namespace

Spills::Spills(Loop& loop, core::Store& store, Cascade& cascade, GuardedRegion& arena,
               Options options)
    : loop_(loop),
      store_(store),
      cascade_(cascade),
      arena_(arena),
      options_(options),
      queues_(cascade.stages().size()),
      dirty_cursor_(options.adopted ? 1 : 0),
      again_(loop, [this] { turn(); }) {}

void Spills::stop() {
  stopped_ = true;
  again_.cancel();
  for (Queue& queue : queues_) queue.items.clear();
  drains_.clear();
}

std::size_t Spills::waiting() const {
  std::size_t waiting = 0;
  for (const Queue& queue : queues_) waiting += queue.items.size();
  return waiting;
}

void Spills::turn() {
  if (stopped_) return;
  // What the tiers have already is known when their lists were read.
  if (dirty_cursor_ != 0 && cascade_.recovered()) {
    const bool walks = may_walk();
    if (walks) store_.note_dirty_step(&dirty_cursor_, options_.waiting / 2);
    if (dirty_cursor_ != 0 && !again_.armed()) again_.arm_in(walks ? 0 : kAgainMs);
  }
  take();
  if (options_.on_evict) take_next_to_go();
  for (std::unique_ptr<Stage>& stage : cascade_.stages()) pump(*stage);
  settle_drains();
  core::Metrics& metrics = store_.metrics();
  metrics.spill_waiting_parts = waiting();
  metrics.spilling_bytes = bytes_in_flight_;
}

// The walk over what is hot goes no faster than the queues: what finds no room there is dropped.
bool Spills::may_walk() const {
  if (store_.has_dirty()) return false;
  for (const std::unique_ptr<Stage>& stage : cascade_.stages()) {
    if (stage->usable(cascade_.now_ms()) &&
        queues_[stage->number()].items.size() > options_.waiting / 2)
      return false;
  }
  return true;
}

void Spills::take() {
  for (const core::LeaseItem& item : store_.take_dirty(kTakenPerTurn)) {
    for (Queue& queue : queues_) {
      if (queue.items.size() < options_.waiting)
        queue.items.push_back(item);
      else
        ++store_.metrics().spill_dropped_total;
    }
  }
}

// Until the tiers have had all they may have in flight, or enough is free.
void Spills::take_next_to_go() {
  if (cascade_.now_ms() < rest_until_ms_) return;
  const auto busy = [this](const std::unique_ptr<Stage>& stage) {
    return !stage->usable(cascade_.now_ms()) || stage->spills >= options_.in_flight;
  };
  auto& stages = cascade_.stages();
  while (!std::all_of(stages.begin(), stages.end(), busy)) {
    const std::vector<core::LeaseItem> items = store_.take_next_to_go(bytes_in_flight_);
    bool begun = false;
    for (const core::LeaseItem& item : items) {
      for (std::unique_ptr<Stage>& stage : stages)
        begun |= !busy(stage) && begin(*stage, item) == Begun::kYes;
    }
    if (!begun) return;
  }
}

void Spills::pump(Stage& stage) {
  std::deque<core::LeaseItem>& items = queues_[stage.number()].items;
  for (std::size_t look = 0; look < kLooksPerTurn && !items.empty(); ++look) {
    if (stage.spills >= options_.in_flight) return;
    if (!stage.usable(cascade_.now_ms())) break;
    const Begun begun = begin(stage, items.front());
    if (begun == Begun::kFull) break;
    items.pop_front();
  }
  // What is in flight comes back here by itself; a tier that is left alone does not.
  if (!items.empty() && stage.spills == 0 && !again_.armed()) again_.arm_in(kAgainMs);
}

Spills::Begun Spills::begin(Stage& stage, const core::LeaseItem& item) {
  const std::optional<core::SpillView> view = store_.begin_spill(item, stage.number());
  if (!view) return Begun::kNothing;
  lmcd_tier_record_t record{};
  fill_record(view->identity, record);
  const uint32_t length = view->identity.length;
  const tier::Tier::Name name{record.key, record.part};
  ++stage.spills;
  bytes_in_flight_ += length;
  LMCD_SYNC_POINT("spill.before_put");
  Status begun = stage.tier().put(
      record,
      view->identity.has_crc ? tier::Tier::Checksum::kKnown : tier::Tier::Checksum::kUnknown,
      {arena_.address() + view->offset, length}, cascade_.now_ms() + options_.timeout_ms,
      [this, &stage, part = item.part, name, length](const tier::Tier::Completion& completion) {
        end(stage, part, name, length, completion);
      });
  LMCD_SYNC_POINT("spill.after_put");
  if (begun.ok()) return Begun::kYes;
  --stage.spills;
  bytes_in_flight_ -= length;
  store_.end_spill(item.part, stage.number(), false);
  if (begun.code() == LMCD_E_LIMIT) return Begun::kFull;
  ++store_.metrics().spill_faults_total;
  cascade_.tell(stage, "put", begun.code());
  return Begun::kNothing;
}

void Spills::end(Stage& stage, core::PartId part, const tier::Tier::Name& name, uint32_t length,
                 const tier::Tier::Completion& completion) {
  LMCD_SYNC_POINT("spill.after_write");
  --stage.spills;
  bytes_in_flight_ -= length;
  bool stored = completion.code == LMCD_OK &&
                (completion.outcome == LMCD_STORED || completion.outcome == LMCD_EXISTS);
  if (stored && arena_.lost()) {
    // The arena was shortened: zeros may have stood where the bytes were.
    if (completion.outcome == LMCD_STORED) cascade_.forget(stage, name);
    stored = false;
  } else if (stored) {
    stage.succeeded();
    stage.spilled_bytes += length;
    ++store_.metrics().spilled_parts_total;
    store_.metrics().spilled_bytes_total += length;
  } else {
    count_failure(stage, completion);
  }
  store_.end_spill(part, stage.number(), stored);
  if (!stopped_) turn();
}

void Spills::count_failure(Stage& stage, const tier::Tier::Completion& completion) {
  core::Metrics& metrics = store_.metrics();
  const uint64_t now_ms = cascade_.now_ms();
  rest_until_ms_ = now_ms + kAgainMs;
  if (!again_.armed() && !stopped_) again_.arm_in(kAgainMs);
  switch (completion.code) {
    case LMCD_OK:
      ++metrics.spill_full_total;
      return;
    case LMCD_E_CORRUPT:
      ++metrics.spill_corrupt_total;  // the bytes are not what was committed: no fault of the tier
      break;
    case LMCD_E_TIMEOUT:
      ++metrics.spill_timeouts_total;
      stage.failed(now_ms);
      break;
    default:
      ++metrics.spill_faults_total;
      stage.failed(now_ms);
  }
  cascade_.tell(stage, "put", completion.code);
}

// -- Drain ---------------------------------------------------------------------------------

Status Spills::drain(Drained done) {
  if (drains_.size() == kDrains)
    return fault(LMCD_E_LIMIT, "drain: %zu sessions wait for one already", kDrains);
  if (queues_.empty()) {
    done({});
    return {};
  }
  drains_.push_back(std::move(done));
  dirty_cursor_ = 1;
  again_.arm_in(0);
  return {};
}

void Spills::settle_drains() {
  if (drains_.empty()) return;
  Status status;
  bool waits = dirty_cursor_ != 0 || store_.has_dirty();
  for (std::unique_ptr<Stage>& stage : cascade_.stages()) {
    const std::size_t queued = queues_[stage->number()].items.size();
    if (queued != 0 && !stage->usable(cascade_.now_ms()) && stage->spills == 0) {
      status = fault(LMCD_E_IO, "drain: %zu parts wait for tier %u, which does not work: %s",
                     queued, stage->number(), stage->tier().health().text);
      continue;
    }
    waits |= queued != 0 || stage->spills != 0;
  }
  if (waits) {
    if (bytes_in_flight_ == 0 && !again_.armed())
      again_.arm_in(cascade_.recovered() ? 0 : kAgainMs);
    return;
  }
  std::vector<Drained> drains;
  drains.swap(drains_);
  for (Drained& done : drains) done(status);
}

}  // namespace lmcd::mover
