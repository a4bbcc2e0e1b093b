#include "daemon/mover/prefetches.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "lib/base/sync_point.h"

namespace lmcd::mover {
namespace {

constexpr std::size_t kFlights = 65536;
// Of the arena, on its way and undelivered; the rest is for what is stored meanwhile.
constexpr uint64_t kArenaShare = 2;
// How often a tier that was too slow may show that it is not any more.
constexpr uint64_t kProbeMs = 1000;
constexpr uint64_t kAgainMs = 100;

lmcd_part_t part_of(const core::AcquireRequest& request, std::size_t i) {
  return request.parts.size() == 1 ? request.parts[0] : request.parts[i];
}

}  // namespace

struct Prefetches::Flight {
  Name name;
  uint64_t lease = 0;
  wire::Grant grant{};
  uint32_t crc32c = 0;
  bool has_crc = false;
  uint8_t tried = 0;  // tiers
  bool submitted = false;
  uint64_t deadline_ms = 0;
  std::vector<uint64_t> tickets;
};

Ticket::~Ticket() {
  if (owner_ != nullptr) owner_->drop(number_);
}

bool Prefetches::Name::operator<(const Name& other) const {
  const int order = std::memcmp(key.bytes, other.key.bytes, sizeof key.bytes);
  if (order != 0) return order < 0;
  return std::tie(space, part.rank, part.group) <
         std::tie(other.space, other.part.rank, other.part.group);
}

Prefetches::Prefetches(Loop& loop, core::Store& store, Cascade& cascade, GuardedRegion& arena,
                       const Options& options, std::function<void()> landed)
    : loop_(loop),
      store_(store),
      cascade_(cascade),
      arena_(arena),
      options_(options),
      landed_(std::move(landed)),
      again_(loop, [this] {
        pump();
        publish();
        landed_();  // a flight that was given up ends somebody's wait, too
      }) {
  store_.open_session(options_.session, core::kTierSlot);
}

Prefetches::~Prefetches() = default;

void Prefetches::stop() {
  stopped_ = true;
  again_.cancel();
}

// -- Begin ---------------------------------------------------------------------------------

Ticket Prefetches::begin(const core::AcquireRequest& request, uint64_t deadline_ms) {
  if (stopped_ || (store_.cold().empty() && flights_.empty())) return {};
  if (options_.min_hit_keys > 1 && count_known(request) < options_.min_hit_keys) return {};
  Interest interest{deadline_ms, {}, {}};
  const uint64_t number = next_ticket_++;
  core::Metrics& metrics = store_.metrics();
  for (std::size_t i = 0; i < request.keys.size(); ++i) {
    const Name name{request.space, request.keys[i], part_of(request, i)};
    Flight* flight = nullptr;
    if (auto known = flights_.find(name); known != flights_.end()) {
      flight = known->second.get();
    } else {
      const uint32_t entry = store_.find_cold(name.space, name.key, name.part);
      if (entry == core::ColdBook::kNone || store_.has_record(name.space, name.key, name.part))
        continue;
      const Verdict verdict = judge(store_.cold().at(entry), deadline_ms);
      if (verdict != Verdict::kGo) {
        // What comes after it in the request would come later still.
        ++(verdict == Verdict::kSlow ? metrics.prefetch_slow_total : metrics.prefetch_busy_total);
        break;
      }
      flight = reserve(name, entry);
      if (flight == nullptr) break;
    }
    flight->tickets.push_back(number);
    flight->deadline_ms = std::max(flight->deadline_ms, deadline_ms);
    interest.names.push_back(name);
  }
  if (interest.names.empty()) return {};
  interests_.emplace(number, std::move(interest));
  pump();
  publish();
  return Ticket(*this, number);
}

// Keys of the request that are there, or can be brought.
std::size_t Prefetches::count_known(const core::AcquireRequest& request) const {
  std::size_t known = 0;
  for (std::size_t i = 0; i < request.keys.size(); ++i) {
    const lmcd_part_t part = part_of(request, i);
    known += store_.has_record(request.space, request.keys[i], part) ||
             store_.find_cold(request.space, request.keys[i], part) != core::ColdBook::kNone;
  }
  return known;
}

Prefetches::Verdict Prefetches::judge(const core::ColdBook::Entry& entry, uint64_t deadline_ms) {
  if (flights_.size() >= kFlights ||
      bytes_in_flight_ + undelivered_bytes_ + entry.length > options_.arena_bytes / kArenaShare) {
    return Verdict::kBusy;
  }
  Stage* stage = choose(entry.tiers);
  if (stage == nullptr) return Verdict::kSlow;
  const std::optional<double> bytes_per_ms = stage->bytes_per_ms();
  if (!bytes_per_ms || *bytes_per_ms == 0) return Verdict::kGo;
  const double due_ms = static_cast<double>(bytes_in_flight_ + entry.length) / *bytes_per_ms;
  const uint64_t now_ms = cascade_.now_ms();
  if (deadline_ms > now_ms && due_ms <= static_cast<double>(deadline_ms - now_ms))
    return Verdict::kGo;
  // One alone in a while, or what was measured once would stand for ever.
  if (!flights_.empty() || now_ms < probed_ms_ + kProbeMs) return Verdict::kSlow;
  probed_ms_ = now_ms;
  return Verdict::kGo;
}

// The first of these tiers that is worth asking.
Stage* Prefetches::choose(uint8_t tiers) {
  for (std::unique_ptr<Stage>& stage : cascade_.stages()) {
    if ((tiers & stage->bit()) == 0 || !stage->usable(cascade_.now_ms())) continue;
    if (!is_too_slow(*stage)) return stage.get();
  }
  return nullptr;
}

bool Prefetches::is_too_slow(Stage& stage) {
  const std::optional<double> bytes_per_ms = stage.bytes_per_ms();
  if (!bytes_per_ms || *bytes_per_ms >= options_.min_bytes_per_ms) return false;
  const uint64_t now_ms = cascade_.now_ms();
  if (now_ms < probed_ms_ + kProbeMs) return true;
  probed_ms_ = now_ms;
  return false;
}

Prefetches::Flight* Prefetches::reserve(const Name& name, uint32_t entry) {
  const core::ColdBook::Entry cold = store_.cold().at(entry);
  // A copy: to make room may let the entry go.
  const std::string tenant = store_.cold().tenant_of(entry);
  const uint64_t length = cold.length;
  constexpr lmcd_key_t kRoot{};
  const bool root = std::memcmp(&cold.parent, &kRoot, sizeof kRoot) == 0;
  core::ReserveRequest request;
  request.space = name.space;
  request.tenant = tenant;
  request.parent = root ? nullptr : &cold.parent;
  request.depth = cold.depth;
  request.keys = {&name.key, 1};
  request.parts = {&name.part, 1};
  request.lengths = {&length, 1};
  request.promoting = true;
  auto flight = std::make_unique<Flight>();
  flight->name = name;
  flight->lease = next_lease_++;
  flight->crc32c = cold.crc32c;
  flight->has_crc = cold.has_crc != 0;
  const Status status = store_.reserve(options_.session, flight->lease, request, &flight->grant);
  if (!status.ok() || flight->grant.outcome != LMCD_RESERVED) {
    ++store_.metrics().prefetch_no_space_total;
    return nullptr;
  }
  LMCD_SYNC_POINT("prefetch.after_reserve");
  bytes_in_flight_ += cold.length;
  waiting_.push_back(name);
  return flights_.emplace(name, std::move(flight)).first->second.get();
}

// -- In flight -----------------------------------------------------------------------------

void Prefetches::pump() {
  while (!stopped_ && in_flight_ < options_.in_flight && !waiting_.empty()) {
    const auto found = flights_.find(waiting_.front());
    const bool waits = found != flights_.end() && !found->second->submitted;
    if (waits && !submit(*found->second)) {
      if (in_flight_ == 0 && !again_.armed()) again_.arm_in(kAgainMs);
      return;
    }
    waiting_.pop_front();
  }
}

// Gives the flight to the next tier that has it, or gives it up. Returns false when that tier's
// queue is full.
bool Prefetches::submit(Flight& flight) {
  const Name name = flight.name;
  const uint32_t entry = store_.find_cold(name.space, name.key, name.part);
  const uint8_t tiers = entry == core::ColdBook::kNone ? 0 : store_.cold().at(entry).tiers;
  const uint64_t now_ms = cascade_.now_ms();
  for (std::unique_ptr<Stage>& candidate : cascade_.stages()) {
    Stage& stage = *candidate;
    if ((tiers & ~flight.tried & stage.bit()) == 0 || !stage.usable(now_ms)) continue;
    LMCD_SYNC_POINT("prefetch.before_get");
    stage.get_began(now_ms);
    const lmcd_key_t key = tier_key(name.key, store_.cold().fingerprint_of(entry));
    Status begun = stage.tier().get(
        {key, name.part}, {arena_.address() + flight.grant.offset, flight.grant.length},
        std::max(flight.deadline_ms, now_ms + 1),
        [this, &flight, &stage](const tier::Tier::Completion& completion) {
          end(flight, stage, completion);
        });
    LMCD_SYNC_POINT("prefetch.after_get");
    if (begun.ok()) {
      flight.submitted = true;
      ++in_flight_;
      ++stage.prefetches;
      return true;
    }
    stage.get_ended(now_ms, 0);
    if (begun.code() == LMCD_E_LIMIT) return false;
    ++store_.metrics().prefetch_faults_total;
    cascade_.tell(stage, "get", begun.code());
    flight.tried |= stage.bit();
  }
  give_up(flight);
  return true;
}

void Prefetches::end(Flight& flight, Stage& stage, const tier::Tier::Completion& completion) {
  LMCD_SYNC_POINT("prefetch.after_read");
  const bool loaded = completion.code == LMCD_OK && completion.outcome == LMCD_LOADED;
  --in_flight_;
  --stage.prefetches;
  stage.get_ended(cascade_.now_ms(), loaded ? flight.grant.length : 0);
  flight.submitted = false;
  flight.tried |= stage.bit();
  if (arena_.lost() || stopped_) {
    give_up(flight);
  } else if (loaded) {
    stage.succeeded();
    stage.prefetched_bytes += flight.grant.length;
    land(flight);
  } else {
    count_failure(flight, stage, completion);
    // To the next tier, if somebody still wants it.
    if (flight.tickets.empty())
      give_up(flight);
    else if (!submit(flight))
      waiting_.push_front(flight.name);
  }
  pump();
  publish();
  landed_();
}

void Prefetches::count_failure(Flight& flight, Stage& stage,
                               const tier::Tier::Completion& completion) {
  core::Metrics& metrics = store_.metrics();
  const Name& name = flight.name;
  const bool gone = completion.code == LMCD_OK || completion.code == LMCD_E_CORRUPT;
  if (gone) {
    const uint32_t entry = store_.find_cold(name.space, name.key, name.part);
    if (entry != core::ColdBook::kNone) store_.lose_cold(entry, stage.number());
  }
  if (completion.code == LMCD_OK) {
    ++metrics.prefetch_absent_total;
    return;
  }
  if (completion.code == LMCD_E_CORRUPT)
    ++metrics.prefetch_corrupt_total;
  else if (completion.code == LMCD_E_TIMEOUT)
    ++metrics.prefetch_timeouts_total;
  else
    ++metrics.prefetch_faults_total;
  if (!gone) stage.failed(cascade_.now_ms());
  cascade_.tell(stage, "get", completion.code);
}

// The bytes are there, and are those of the record.
void Prefetches::land(Flight& flight) {
  const Name name = flight.name;
  // Cleared meanwhile: its bytes are not wanted any more.
  if (store_.find_cold(name.space, name.key, name.part) == core::ColdBook::kNone)
    return give_up(flight);
  LMCD_SYNC_POINT("prefetch.before_commit");
  std::span<const uint32_t> crcs;
  if (flight.has_crc) crcs = {&flight.crc32c, 1};
  if (!store_.commit(options_.session, flight.lease, {}, crcs).ok()) return give_up(flight);
  LMCD_SYNC_POINT("prefetch.after_commit");
  ++store_.metrics().prefetched_parts_total;
  store_.metrics().prefetched_bytes_total += flight.grant.length;
  const core::LeaseItem hot{
      flight.grant.record,
      ledger::make_word(ledger::generation_of(flight.grant.word), ledger::State::kHot)};
  for (uint64_t ticket : flight.tickets) {
    Interest& interest = interests_.at(ticket);
    if (!store_.keep(hot, !options_.retain)) continue;
    interest.kept.push_back({hot.part, flight.grant.length});
    undelivered_bytes_ += flight.grant.length;
  }
  // For nobody any more: it goes as it would after its last reader.
  if (flight.tickets.empty() && store_.keep(hot, !options_.retain)) store_.let_go(hot.part);
  bytes_in_flight_ -= flight.grant.length;
  flights_.erase(name);
}

// Its extent is free again: no tier touches it.
void Prefetches::give_up(Flight& flight) {
  // A lease that is gone was taken away by a clear; its extent came back with this word, too.
  store_.abort(options_.session, flight.lease).code();
  bytes_in_flight_ -= flight.grant.length;
  const Name name = flight.name;
  flights_.erase(name);
}

// -- Tickets -------------------------------------------------------------------------------

void Prefetches::drop(uint64_t ticket) {
  auto node = interests_.extract(ticket);
  if (node.empty()) return;
  Interest& interest = node.mapped();
  for (const Name& name : interest.names) {
    const auto found = flights_.find(name);
    if (found == flights_.end()) continue;
    Flight& flight = *found->second;
    std::erase(flight.tickets, ticket);
    if (!flight.tickets.empty() || flight.submitted) continue;
    ++store_.metrics().prefetch_cancelled_total;
    give_up(flight);
  }
  for (const Kept& kept : interest.kept) {
    undelivered_bytes_ -= kept.length;
    store_.let_go(kept.part);
  }
  publish();
}

void Prefetches::publish() {
  store_.metrics().prefetching_bytes = bytes_in_flight_;
  store_.metrics().undelivered_bytes = undelivered_bytes_;
}

}  // namespace lmcd::mover
