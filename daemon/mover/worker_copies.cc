#include "daemon/mover/worker_copies.h"

#include <algorithm>

#include "daemon/memory/host.h"
#include "daemon/memory/segment.h"

namespace lmcd::mover {
namespace {

// Enough for a worker to be busy with, little enough for several to share a large transfer.
constexpr uint64_t kJobBytes = 32 * kMiB;
// Shorter runs are no tensor's and would keep a worker busy for its own sake.
constexpr uint32_t kLeastRunBytes = 64;
// Requests that may wait for the end of one transfer, which each of them cancelled.
constexpr std::size_t kCancelsPerFlight = 16;
// Address space for segments, in sizes of this machine's memory: they are sparse and may share it.
constexpr uint64_t kMappedPerMachine = 4;

}  // namespace

struct WorkerCopies::Segment {
  core::ProcessId process = 0;  // whose it is
  GuardedRegion memory;
  uint32_t rank = 0;
  std::string name;
  std::vector<std::optional<copy::Layout>> layouts;  // by group
  uint32_t flights = 0;
  bool closing = false;
  std::vector<Done> closed;  // called when the last flight has landed
};

// A transfer between its first job and its answer.
struct WorkerCopies::Flight {
  FlightName name;
  SegmentName segment_name;
  Segment* segment = nullptr;
  Direction direction = Direction::kStore;
  Answer answer;
  uint32_t space = 0;
  uint64_t lease = 0;
  std::vector<lmcd_key_t> keys;
  std::vector<lmcd_part_t> parts;  // one per key, or one for all
  std::vector<uint32_t> block_ids;
  uint32_t blocks_per_item = 0;
  std::vector<wire::Grant> grants;
  std::vector<uint32_t> outcomes;
  std::vector<uint32_t> crcs;    // of gathered items
  std::vector<uint8_t> copied;   // items whose bytes are there, and whole
  std::vector<uint8_t> corrupt;  // items whose checksum did not match
  uint64_t bytes = 0;  // of the daemon's memory, about
  uint32_t jobs_left = 0;
  // Set by the loop thread, read by workers before each half MiB.
  std::atomic<bool> cancelled{false};
  std::vector<Done> cancel_done;

  lmcd_part_t part(std::size_t i) const { return parts.size() == 1 ? parts[0] : parts[i]; }
};

// Some items of one flight, of one group.
class WorkerCopies::CopyJob final : public Job {
 public:
  CopyJob(WorkerCopies& owner, std::shared_ptr<Flight> flight, const copy::Layout& layout)
      : owner_(owner), flight_(std::move(flight)), layout_(layout) {}

  void add(std::size_t index, std::byte* extent, const wire::Grant& grant, bool check) {
    const std::size_t blocks = flight_->blocks_per_item;
    copy::Item item{extent, grant.length,
                    std::span(flight_->block_ids).subspan(index * blocks, blocks), {}};
    if (check && grant.has_crc) item.expected_crc = grant.crc32c;
    items_.push_back(item);
    indices_.push_back(index);
    bytes_ += grant.length;
  }
  uint64_t bytes() const { return bytes_; }
  const copy::Layout& layout() const { return layout_; }
  Flight& flight() { return *flight_; }
  const std::shared_ptr<Flight>& shared_flight() const { return flight_; }

  void work() override {
    copy::Transfer transfer{layout_, items_};
    transfer.cancelled = &flight_->cancelled;
    if (flight_->direction == Direction::kStore) {
      if (owner_.options_.checksums == Checksums::kAlways) crcs_.resize(items_.size());
      ran_ = copy::gather(transfer, *owner_.alone_, crcs_).ok();
    } else {
      intact_.resize(items_.size());
      ran_ = copy::scatter(transfer, *owner_.alone_, intact_).ok();
    }
  }

  void complete() override {
    for (std::size_t i = 0; i < indices_.size() && ran_; ++i) {
      const std::size_t index = indices_[i];
      if (!crcs_.empty()) flight_->crcs[index] = crcs_[i];
      flight_->corrupt[index] = !intact_.empty() && intact_[i] == 0;
      flight_->copied[index] = !flight_->corrupt[index];
    }
    owner_.job_done(*this);
  }

 private:
  WorkerCopies& owner_;
  const std::shared_ptr<Flight> flight_;
  const copy::Layout& layout_;
  std::vector<copy::Item> items_;
  std::vector<std::size_t> indices_;  // of the flight's items
  std::vector<uint32_t> crcs_;
  std::vector<uint8_t> intact_;
  uint64_t bytes_ = 0;
  bool ran_ = false;
};

uint64_t WorkerCopies::flight_bytes_of(const Transfer& transfer) {
  constexpr uint64_t kItemBytes = sizeof(lmcd_key_t) + sizeof(lmcd_part_t) + sizeof(wire::Grant) +
                                  sizeof(copy::Item) + 2 * sizeof(uint32_t) + 2;
  return sizeof(Flight) + transfer.keys.size() * kItemBytes +
         transfer.block_ids.size() * sizeof(uint32_t);
}

Result<std::unique_ptr<WorkerCopies>> WorkerCopies::make(core::Store& store, WorkerPool& pool,
                                                         GuardedRegion& arena, Options options) {
  std::unique_ptr<WorkerCopies> made(new WorkerCopies(store, pool, arena, options));
  LMCD_ASSIGN(made->alone_, copy::Crew::start(0));
  store.open_session(options.session, kNobody);
  return made;
}

WorkerCopies::WorkerCopies(core::Store& store, WorkerPool& pool, GuardedRegion& arena,
                           Options options)
    : store_(store), pool_(pool), arena_(arena), options_(options) {}

WorkerCopies::~WorkerCopies() = default;

// -- Segments ------------------------------------------------------------------------------

Result<uint32_t> WorkerCopies::open_segment(core::SessionId session, FileDescriptor memory,
                                            const SegmentLayout& layout) {
  LMCD_TRY(memory::check_memory_behind(memory.get(), layout.length));
  auto segment = std::make_unique<Segment>();
  segment->process = store_.process_of(session);
  LMCD_TRY(check_segments(segment->process, layout.length));
  LMCD_ASSIGN(segment->memory, GuardedRegion::map(memory.get(), layout.length, Access::kReadWrite));
  segment->rank = layout.rank;
  segment->name = layout.name;
  const copy::Memory bounds{reinterpret_cast<uintptr_t>(segment->memory.address()), layout.length};
  std::vector<std::vector<lmcd_page_t>> by_group(wire::kGroups);
  for (std::size_t i = 0; i < layout.pages.size(); ++i) {
    const uint32_t group = layout.page_groups.empty() ? 0 : layout.page_groups[i];
    if (group >= wire::kGroups) {
      return fault(LMCD_E_INVALID, "segment: page %zu is of group %u, there are at most %u", i,
                   group, wire::kGroups);
    }
    if (layout.pages[i].run_bytes < kLeastRunBytes) {
      return fault(LMCD_E_INVALID, "segment: page %zu has runs of %u bytes, want %u or more", i,
                   layout.pages[i].run_bytes, kLeastRunBytes);
    }
    by_group[group].push_back(layout.pages[i]);
  }
  segment->layouts.resize(wire::kGroups);
  for (uint32_t group = 0; group < wire::kGroups; ++group) {
    if (by_group[group].empty()) continue;
    LMCD_ASSIGN(segment->layouts[group], copy::Layout::make(by_group[group], bounds));
  }
  mapped_bytes_ += layout.length;
  const uint32_t number = next_segment_++;
  segments_[{session, number}] = std::move(segment);
  return number;
}

Status WorkerCopies::check_segments(core::ProcessId process, uint64_t length) const {
  const auto of_process = std::count_if(segments_.begin(), segments_.end(), [&](const auto& entry) {
    return entry.second->process == process;
  });
  if (of_process >= options_.segments_per_process) {
    return fault(LMCD_E_LIMIT, "segment: the process has %u already, by all its sessions",
                 options_.segments_per_process);
  }
  if (segments_.size() >= options_.segments) {
    return fault(LMCD_E_LIMIT, "segment: all processes together have %u already",
                 options_.segments);
  }
  if (length <= kMappedPerMachine * memory::machine_bytes() - mapped_bytes_) return {};
  return fault(LMCD_E_LIMIT, "segment: all sessions together map %llu bytes already",
               (unsigned long long)mapped_bytes_);
}

WorkerCopies::Segment* WorkerCopies::find_segment(core::SessionId session, uint32_t segment) {
  auto found = segments_.find({session, segment});
  return found == segments_.end() || found->second->closing ? nullptr : found->second.get();
}

Status WorkerCopies::close_segment(core::SessionId session, uint32_t segment, Done done) {
  Segment* found = find_segment(session, segment);
  if (found == nullptr)
    return fault(LMCD_E_NOT_FOUND, "segment: no segment %u in this session", segment);
  found->closing = true;
  found->closed.push_back(std::move(done));
  cancel_flights(session, found);
  drop_if_idle({session, segment});
  return {};
}

void WorkerCopies::drop_if_idle(SegmentName name) {
  auto found = segments_.find(name);
  if (found == segments_.end() || !found->second->closing || found->second->flights > 0) return;
  const std::vector<Done> closed = std::move(found->second->closed);
  mapped_bytes_ -= found->second->memory.length();
  segments_.erase(found);
  for (const Done& done : closed) done();
}

void WorkerCopies::close_session(core::SessionId session, Done done) {
  cancel_flights(session, nullptr);
  closing_[session] = std::move(done);
  std::vector<SegmentName> names;
  for (auto at = segments_.lower_bound({session, 0});
       at != segments_.end() && at->first.first == session; ++at) {
    at->second->closing = true;
    names.push_back(at->first);
  }
  for (SegmentName name : names) drop_if_idle(name);
  finish_closing(session);
}

// Calls a closing session's `done` once it has neither segments nor flights.
void WorkerCopies::finish_closing(core::SessionId session) {
  auto closing = closing_.find(session);
  if (closing == closing_.end()) return;
  const auto segment = segments_.lower_bound({session, 0});
  if (segment != segments_.end() && segment->first.first == session) return;
  const Done done = std::move(closing->second);
  closing_.erase(closing);
  done();
}

std::vector<SegmentFacts> WorkerCopies::segments(std::size_t limit) const {
  std::vector<SegmentFacts> facts;
  for (const auto& [name, segment] : segments_) {
    if (facts.size() == limit) break;
    facts.push_back({name.first, name.second, segment->rank, segment->memory.length(),
                     segment->flights, segment->name});
  }
  return facts;
}

// -- Transfers -----------------------------------------------------------------------------

Status WorkerCopies::check_blocks(const Segment& segment, const Transfer& transfer,
                                  std::vector<uint64_t>* lengths) const {
  for (std::size_t i = 0; i < transfer.keys.size(); ++i) {
    const lmcd_part_t part = transfer.parts.size() == 1 ? transfer.parts[0] : transfer.parts[i];
    if (part.group >= wire::kGroups || !segment.layouts[part.group]) {
      return fault(LMCD_E_INVALID, "transfer: item %zu is of group %u, which has no pages here", i,
                   part.group);
    }
    const copy::Layout& layout = *segment.layouts[part.group];
    const std::optional<uint64_t> length =
        checked_mul(layout.block_bytes(), transfer.blocks_per_item);
    if (!length || *length == 0 || *length > UINT32_MAX) {
      return fault(LMCD_E_INVALID, "transfer: %u blocks of %llu bytes are no part of 1 to 2^32 - 1 "
                   "bytes", transfer.blocks_per_item, (unsigned long long)layout.block_bytes());
    }
    lengths->push_back(*length);
    for (uint32_t block : transfer.block_ids.subspan(i * transfer.blocks_per_item,
                                                     transfer.blocks_per_item)) {
      if (block >= layout.block_count()) {
        return fault(LMCD_E_INVALID, "transfer: item %zu names block %u of %u", i, block,
                     layout.block_count());
      }
    }
  }
  return {};
}

Status WorkerCopies::check_flights(core::SessionId session, uint64_t bytes) const {
  uint32_t count = 0;
  for (auto at = flights_.lower_bound({session, 0});
       at != flights_.end() && at->first.first == session; ++at) {
    ++count;
    bytes += at->second->bytes;
  }
  if (count >= options_.transfers_per_session) {
    return fault(LMCD_E_LIMIT, "transfer: the session has %u in flight",
                 options_.transfers_per_session);
  }
  if (bytes <= options_.session_flight_bytes && flight_bytes_ < options_.flight_bytes) return {};
  return fault(LMCD_E_LIMIT,
               "transfer: keys and block ids in flight would take %llu bytes for the session, of "
               "at most %llu; all sessions take %llu of %llu: wait for an answer",
               (unsigned long long)bytes, (unsigned long long)options_.session_flight_bytes,
               (unsigned long long)flight_bytes_, (unsigned long long)options_.flight_bytes);
}

// Finds the segment and books the flight, with nothing leased yet.
Result<std::shared_ptr<WorkerCopies::Flight>> WorkerCopies::begin(core::SessionId session,
                                                                  const Transfer& transfer,
                                                                  Direction direction) {
  Segment* segment = find_segment(session, transfer.segment);
  if (segment == nullptr) {
    return fault(LMCD_E_NOT_FOUND, "transfer: no segment %u in this session", transfer.segment);
  }
  if (segment->memory.lost())
    return fault(LMCD_E_IO, "transfer: segment %u was shortened by its owner", transfer.segment);
  const uint64_t bytes = flight_bytes_of(transfer);
  LMCD_TRY(check_flights(session, bytes));
  if (flights_.contains({session, transfer.request})) {
    return fault(LMCD_E_INVALID, "transfer: request %llu is in flight already",
                 (unsigned long long)transfer.request);
  }
  auto flight = std::make_shared<Flight>();
  flight->name = {session, transfer.request};
  flight->bytes = bytes;
  flight->segment_name = {session, transfer.segment};
  flight->segment = segment;
  flight->direction = direction;
  flight->space = transfer.space;
  flight->lease = next_lease_++;
  flight->keys.assign(transfer.keys.begin(), transfer.keys.end());
  flight->parts.assign(transfer.parts.begin(), transfer.parts.end());
  flight->block_ids.assign(transfer.block_ids.begin(), transfer.block_ids.end());
  flight->blocks_per_item = transfer.blocks_per_item;
  const std::size_t count = transfer.keys.size();
  flight->grants.resize(count);
  flight->outcomes.resize(count);
  flight->crcs.resize(count);
  flight->copied.resize(count);
  flight->corrupt.resize(count);
  return flight;
}

void WorkerCopies::store(core::SessionId session, const Transfer& transfer, Answer answer) {
  auto flight = begin(session, transfer, Direction::kStore);
  if (!flight.ok()) return answer(flight.status());
  std::vector<uint64_t> lengths;
  if (Status status = check_blocks(*flight.value()->segment, transfer, &lengths); !status.ok())
    return answer(std::move(status));
  const core::ReserveRequest request{transfer.space, transfer.tenant, transfer.parent,
                                     transfer.depth, transfer.keys,   transfer.parts,
                                     lengths,        session};
  Status reserved = store_.reserve(options_.session, flight.value()->lease, request,
                                   flight.value()->grants.data());
  if (!reserved.ok()) return answer(std::move(reserved));
  flight.value()->answer = std::move(answer);
  launch(flight.value(), LMCD_RESERVED);
}

void WorkerCopies::load(core::SessionId session, const Transfer& transfer, Answer answer) {
  auto flight = begin(session, transfer, Direction::kLoad);
  if (!flight.ok()) return answer(flight.status());
  std::vector<uint64_t> lengths;
  if (Status status = check_blocks(*flight.value()->segment, transfer, &lengths); !status.ok())
    return answer(std::move(status));
  const core::AcquireRequest request{transfer.space, transfer.keys, transfer.parts};
  Status acquired = store_.acquire(options_.session, flight.value()->lease, request,
                                   flight.value()->grants.data(), core::Lifetime::kUnbounded);
  if (!acquired.ok()) return answer(std::move(acquired));
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    // Bytes of another shape under this key do not fit these blocks: a miss.
    wire::Grant& grant = flight.value()->grants[i];
    if (grant.outcome == LMCD_LEASED && grant.length != lengths[i]) grant.outcome = LMCD_ABSENT;
  }
  flight.value()->answer = std::move(answer);
  launch(flight.value(), LMCD_LEASED);
}

// Cuts what was granted into jobs and sends them off.
void WorkerCopies::launch(const std::shared_ptr<Flight>& flight, lmcd_outcome_t granted) {
  ++flight->segment->flights;
  flights_[flight->name] = flight;
  flight_bytes_ += flight->bytes;
  std::unique_ptr<CopyJob> job;
  auto send = [&] {
    if (!job) return;
    ++flight->jobs_left;
    waiting_[flight->name.first].push_back(std::move(job));
  };
  for (std::size_t i = 0; i < flight->grants.size(); ++i) {
    const wire::Grant& grant = flight->grants[i];
    flight->outcomes[i] = grant.outcome;
    if (grant.outcome != static_cast<uint32_t>(granted)) continue;
    flight->outcomes[i] = LMCD_NONE;  // until it is copied
    const copy::Layout& layout = *flight->segment->layouts[flight->part(i).group];
    if (job && (&job->layout() != &layout || job->bytes() >= kJobBytes)) send();
    if (!job) job = std::make_unique<CopyJob>(*this, flight, layout);
    job->add(i, arena_.address() + grant.offset, grant,
             options_.checksums == Checksums::kAlways);
  }
  send();
  if (flight->jobs_left == 0) return land(flight);
  submit_waiting();
}

// One job a session in turn; what finds no room waits for the completion of another job.
void WorkerCopies::submit_waiting() {
  while (!waiting_.empty() && in_pool_ < options_.jobs_in_pool) {
    auto turn = waiting_.upper_bound(last_turn_);
    if (turn == waiting_.end()) turn = waiting_.begin();
    auto& [session, jobs] = *turn;
    if (!pool_.submit(std::move(jobs.front()))) return;
    ++in_pool_;
    last_turn_ = session;
    jobs.pop_front();
    if (jobs.empty()) waiting_.erase(turn);
  }
}

void WorkerCopies::job_done(CopyJob& job) {
  const std::shared_ptr<Flight> flight = job.shared_flight();
  --in_pool_;
  submit_waiting();
  if (--flight->jobs_left == 0) land(flight);
}

// All jobs are done: nobody touches the segment for this flight any more.
void WorkerCopies::land(const std::shared_ptr<Flight>& flight) {
  if (flight->direction == Direction::kStore) land_store(*flight);
  else land_load(*flight);
  flights_.erase(flight->name);
  flight_bytes_ -= flight->bytes;
  --flight->segment->flights;
  const core::SessionId session = flight->name.first;
  if (!closing_.contains(session)) flight->answer(std::move(flight->outcomes));
  for (const Done& done : flight->cancel_done) done();
  drop_if_idle(flight->segment_name);
  finish_closing(session);
}

void WorkerCopies::land_store(Flight& flight) {
  const bool lost = flight.segment->memory.lost() || arena_.lost();
  std::vector<uint32_t> items;
  std::vector<uint32_t> crcs;
  bool reserved = false;
  for (std::size_t i = 0; i < flight.grants.size(); ++i) {
    if (flight.grants[i].outcome != LMCD_RESERVED) continue;
    reserved = true;
    if (lost || !flight.copied[i]) continue;
    items.push_back(static_cast<uint32_t>(i));
    if (options_.checksums == Checksums::kAlways) crcs.push_back(flight.crcs[i]);
    flight.outcomes[i] = LMCD_STORED;
    store_.metrics().stored_bytes_total += flight.grants[i].length;
  }
  if (!reserved) return;
  if (!items.empty() && !store_.commit(options_.session, flight.lease, items, crcs).ok()) {
    // Its key was cleared while it was copied: it is not stored.
    for (uint32_t i : items) {
      const uint64_t hot = ledger::make_word(ledger::generation_of(flight.grants[i].word),
                                             ledger::State::kHot);
      if (!store_.readable({flight.grants[i].record, 0, hot})) flight.outcomes[i] = LMCD_NONE;
    }
  }
  // What was not copied is given back; where nothing is left the lease is gone already.
  store_.abort(options_.session, flight.lease).code();
}

void WorkerCopies::land_load(Flight& flight) {
  const bool lost = flight.segment->memory.lost() || arena_.lost();
  for (std::size_t i = 0; i < flight.grants.size(); ++i) {
    const wire::Grant& grant = flight.grants[i];
    if (grant.outcome != LMCD_LEASED) continue;
    if (flight.corrupt[i]) {
      ++store_.metrics().checksum_failures_total;
      store_.clear({.space_given = true, .space = flight.space, .keys = {&flight.keys[i], 1}},
                   true);
      flight.outcomes[i] = LMCD_ABSENT;
    } else if (flight.copied[i] && !lost) {
      flight.outcomes[i] = LMCD_LOADED;
      store_.metrics().loaded_bytes_total += grant.length;
    } else {
      flight.outcomes[i] = LMCD_ABSENT;
    }
  }
  store_.release(options_.session, flight.lease).code();
}

Status WorkerCopies::cancel(core::SessionId session, uint64_t request, Done done) {
  auto found = flights_.find({session, request});
  if (found == flights_.end()) {
    done();
    return {};
  }
  Flight& flight = *found->second;
  flight.cancelled.store(true, std::memory_order_relaxed);
  if (flight.cancel_done.size() == kCancelsPerFlight) {
    return fault(LMCD_E_LIMIT, "cancel: %zu wait for the end of request %llu already",
                 kCancelsPerFlight, (unsigned long long)request);
  }
  flight.cancel_done.push_back(std::move(done));
  return {};
}

void WorkerCopies::cancel_flights(core::SessionId session, const Segment* only) {
  for (auto at = flights_.lower_bound({session, 0});
       at != flights_.end() && at->first.first == session; ++at) {
    if (only == nullptr || at->second->segment == only)
      at->second->cancelled.store(true, std::memory_order_relaxed);
  }
}

}  // namespace lmcd::mover
