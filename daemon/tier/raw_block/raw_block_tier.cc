#include "daemon/tier/raw_block/raw_block_tier.h"

#include <algorithm>
#include <utility>

#include "daemon/tier/raw_block/steps.h"
#include "daemon/tier/registry.h"
#include "daemon/tier/table.h"

namespace lmcd::tier {

RawBlockTier::RawBlockTier(const lmcd_tier_host_t& host, std::unique_ptr<LogFile> log)
    : log_(std::move(log)),
      catalog_(log_->capacity_bytes()),
      desk_(host, kQueueLimit),
      segments_(log_->segments()) {}

// Idle, so nothing of the caller's is on its way; what is being moved from one segment to another
// is in the old one still.
RawBlockTier::~RawBlockTier() {
  ring_.reset();
  if (open_ && open_->state == State::kOpen) open_->summary_due = true;
  for (Segment& segment : segments_)
    if (segment.summary_due)
      // Without it the segment is read record by record.
      static_cast<void>(log_->seal(index_of(segment), segment.filling, entries_of(segment)).ok());
}

Result<std::unique_ptr<RawBlockTier>> RawBlockTier::open(const lmcd_tier_host_t& host,
                                                         Fields& fields) {
  constexpr double kGreatestGb = 1024 * 1024;
  const std::string path = fields.text("path");
  const double capacity_gb = fields.number_or("capacity_gb", 0, 0, kGreatestGb);
  LMCD_TRY(fields.finish());
  LMCD_ASSIGN(std::unique_ptr<LogFile> log,
              LogFile::open(path, static_cast<uint64_t>(capacity_gb * static_cast<double>(kGiB))));
  std::unique_ptr<RawBlockTier> tier(new RawBlockTier(host, std::move(log)));
  LMCD_TRY(tier->recover());
  LMCD_ASSIGN(tier->ring_, Ring::make(host, tier->log_->file()));
  return tier;
}

Status RawBlockTier::recover() {
  LMCD_ASSIGN(const std::vector<FoundSegment> found, log_->find_segments());
  for (const FoundSegment& one : found) {
    LMCD_ASSIGN(const std::vector<Entry> entries, log_->read_segment(one));
    Segment& segment = segments_[one.index];
    segment.state = State::kSealed;
    segment.filling = one.filling;
    for (const Entry& entry : entries) take_entry(entry, segment);
    if (!one.sealed) LMCD_TRY(log_->seal(one.index, one.filling, entries));
    next_filling_ = one.filling + 1;
  }
  return {};
}

// Entries come in the order in which they were written: the last word on a name counts.
void RawBlockTier::take_entry(const Entry& entry, Segment& segment) {
  const RecordName name{entry.record.key, entry.record.part};
  if (Catalog::Kept* before = catalog_.find(name)) catalog_.forget(*before);
  if (entry.kind == Kind::kTombstone) {
    segment.tombstones.push_back({name, entry.offset});
    return;
  }
  std::vector<RecordName> victims;
  if (!catalog_.reserve(entry.record.length, victims)) return;
  catalog_.give_back(entry.record.length);
  segment.written.push_back(&catalog_.keep(entry.record, entry.offset));
}

// -- Requests -----------------------------------------------------------------------------

lmcd_code_t RawBlockTier::begin(const Request& request) {
  if (lmcd_code_t code = desk_.accept(request); code != LMCD_OK) return code;
  if (request.verb == Verb::kList)
    desk_.finish_list(request, catalog_);
  else if (std::optional<Ending> ending = at_once(request))
    desk_.finish(request, *ending);
  else
    begin_transfer(request);
  return LMCD_OK;
}

// Returns how a request ends that needs no transfer.
std::optional<Ending> RawBlockTier::at_once(const Request& request) {
  if (Ending refused = desk_.refusal(request); refused.code != LMCD_OK) return refused;
  Catalog::Kept* kept = catalog_.find(request.name());
  switch (request.verb) {
    case Verb::kPut:
      if (kept) return Ending::of(LMCD_EXISTS);
      return std::nullopt;
    case Verb::kExists:
      return Ending::of(kept ? LMCD_COLD : LMCD_ABSENT);
    case Verb::kGet:
      if (!kept) return Ending::of(LMCD_ABSENT);
      if (kept->length() == request.record.length) return std::nullopt;
      catalog_.forget(*kept);
      return Ending::of(fault(LMCD_E_CORRUPT, "the record has another length"));
    default:  // one that was forgotten to make room may lie in the log still
      return std::nullopt;
  }
}

void RawBlockTier::begin_transfer(const Request& request) {
  watch_deadline(request);
  if (request.verb == Verb::kPut)
    begin_put(request);
  else if (request.verb == Verb::kGet)
    begin_get(request);
  else
    begin_remove(request);
}

void RawBlockTier::begin_put(const Request& request) {
  std::vector<RecordName> victims;
  if (request.record.length > capabilities().record_max_bytes ||
      !catalog_.reserve(request.record.length, victims))
    return desk_.finish(request, Ending::of(LMCD_NO_SPACE));
  append(std::make_unique<Put>(*this, request));
}

void RawBlockTier::begin_get(const Request& request) {
  const uint64_t offset = catalog_.find(request.name())->place;
  ring_->submit(std::make_unique<Get>(*this, request, offset));
}

void RawBlockTier::begin_remove(const Request& request) {
  if (Catalog::Kept* kept = catalog_.find(request.name())) catalog_.forget(*kept);
  append(std::make_unique<Bury>(*this, request));
}

void RawBlockTier::end_waiting(Which which) {
  for (std::unique_ptr<Transfer>& transfer : ring_->take_waiting()) {
    auto& step = static_cast<Step&>(*transfer);
    if ((which == Which::kLate && !step.late()) || !step.cancel())
      ring_->submit(std::move(transfer));
  }
  for (std::unique_ptr<Append>& step : std::exchange(waiting_, {})) {
    if (step->may_end() && (which == Which::kAll || step->late()))
      step->give_up(Ending::of(fault(LMCD_E_TIMEOUT, "it was cancelled or late while it waited")));
    else
      waiting_.push_back(std::move(step));
  }
  for (uint64_t index = 0; index < segments_.size(); ++index) settle(index);
  append_waiting();
}

// A medium that stands still must not keep what waits for it past its deadline.
void RawBlockTier::watch_deadline(const Request& request) {
  if (request.deadline_ms == 0 || request.deadline_ms >= look_at_ms_) return;
  look_at_ms_ = request.deadline_ms + 1;
  desk_.host().wake_at(desk_.host().context, look_at_ms_);
}

void RawBlockTier::wake() {
  for (std::unique_ptr<Transfer>& transfer : ring_->take_done()) transfer->done();
  append_waiting();
  if (desk_.now_ms() < look_at_ms_) return;
  constexpr uint64_t kLookMs = 50;
  end_waiting(Which::kLate);
  look_at_ms_ = desk_.in_flight() > 0 ? desk_.now_ms() + kLookMs : UINT64_MAX;
  if (look_at_ms_ != UINT64_MAX) desk_.host().wake_at(desk_.host().context, look_at_ms_);
}

// -- The log ------------------------------------------------------------------------------

void RawBlockTier::append(std::unique_ptr<Append> step) {
  // What makes room stands before what waits for room, or neither would ever move.
  if (step->waits())
    waiting_.push_back(std::move(step));
  else
    waiting_.push_front(std::move(step));
  append_waiting();
}

void RawBlockTier::append_waiting() {
  while (!waiting_.empty()) {
    if (!waiting_.front()->wanted()) {
      waiting_.pop_front();
      continue;
    }
    const uint64_t length = waiting_.front()->log_length();
    if (!has_room(length)) {
      const bool soon = open_ && open_->state == State::kOpening;
      if (soon || waiting_.front()->waits()) return;
      std::unique_ptr<Append> step = std::move(waiting_.front());
      waiting_.pop_front();
      step->give_up(Ending::of(LMCD_NO_SPACE));
      continue;
    }
    std::unique_ptr<Append> step = std::move(waiting_.front());
    waiting_.pop_front();
    step->put_at(log_->offset_of(index_of(*open_)) + open_->end, open_->filling);
    open_->end += length;
    ring_->submit(std::move(step));
  }
}

// Whether the open segment takes `length` now; sees to it that one does later.
bool RawBlockTier::has_room(uint64_t length) {
  if (open_ && open_->state == State::kOpening) return false;
  if (open_ && open_->end + length <= log_->data_bytes()) return true;
  if (open_) close_open();
  open_next();
  return false;
}

// The one that was freed first: a tombstone is not overwritten before what it buries.
RawBlockTier::Segment* RawBlockTier::free_segment() {
  Segment* first = nullptr;
  for (Segment& segment : segments_)
    if (segment.state == State::kFree && (!first || segment.filling < first->filling))
      first = &segment;
  return first;
}

void RawBlockTier::open_next() {
  if (!free_segment()) reclaim_oldest();
  Segment* next = free_segment();
  if (!next) return;
  next->state = State::kOpening;
  next->filling = next_filling_++;
  next->end = 0;
  open_ = next;
  ring_->submit(std::make_unique<WriteMark>(*this, index_of(*next)));
  // One ahead, so that what is worth it moves while there is room to move to.
  if (!free_segment()) reclaim_oldest();
}

void RawBlockTier::close_open() {
  Segment& closed = *std::exchange(open_, nullptr);
  closed.state = State::kSealed;
  closed.summary_due = true;
  settle(index_of(closed));
}

// The records of a segment, each once, in the order in which they lie there.
std::vector<Catalog::Kept*> RawBlockTier::held_by(Segment& segment) {
  std::vector<Catalog::Kept*> held;
  for (Catalog::Kept* kept : segment.written)
    if (holds(segment, *kept)) held.push_back(kept);
  std::sort(held.begin(), held.end(),
            [](const auto* a, const auto* b) { return a->place < b->place; });
  held.erase(std::unique(held.begin(), held.end()), held.end());
  return held;
}

void RawBlockTier::reclaim_oldest() {
  Segment* oldest = nullptr;
  for (Segment& segment : segments_) {
    if (segment.reclaimed) return;  // one at a time
    if (segment.state == State::kSealed && (!oldest || segment.filling < oldest->filling))
      oldest = &segment;
  }
  if (!oldest) return;
  oldest->reclaimed = true;
  oldest->summary_due = false;
  uint64_t moved_bytes = 0;
  for (Catalog::Kept* kept : held_by(*oldest)) {
    const uint64_t bytes = log_bytes(kept->length());
    if (kept->used && moved_bytes + bytes <= log_->data_bytes() / 2) {
      moved_bytes += bytes;
      kept->used = false;
      ring_->submit(std::make_unique<Fetch>(*this, catalog_.record_of(*kept), kept->place));
    } else {
      catalog_.count_evicted(*kept);
      catalog_.forget(*kept);
    }
  }
  settle(index_of(*oldest));
}

// Does what was put off until nothing touches a segment.
void RawBlockTier::settle(uint64_t index) {
  Segment& segment = segments_[index];
  if (segment.touched != 0) return;
  if (segment.reclaimed) {
    for (Catalog::Kept* kept : held_by(segment)) {  // written when it was being reclaimed
      catalog_.count_evicted(*kept);
      catalog_.forget(*kept);
    }
    segment.reclaimed = false;
    segment.state = State::kFree;
    segment.written.clear();
    segment.tombstones.clear();
  } else if (std::exchange(segment.summary_due, false)) {
    const std::optional<std::vector<std::byte>> summary = write_summary(
        {log_->identity(), segment.filling, true, 0}, entries_of(segment), log_->segment_bytes());
    if (summary) ring_->submit(std::make_unique<WriteSummary>(*this, index, *summary));
  }
}

std::vector<Entry> RawBlockTier::entries_of(Segment& segment) {
  std::vector<Entry> entries;
  for (const Catalog::Kept* kept : held_by(segment))
    entries.push_back({catalog_.record_of(*kept), kept->place, Kind::kRecord});
  for (const Tombstone& tombstone : segment.tombstones) {
    lmcd_tier_record_t record{};
    record.key = tombstone.name.key;
    record.part = tombstone.name.part;
    record.length = 1;
    entries.push_back({record, tombstone.offset, Kind::kTombstone});
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  return entries;
}

void RawBlockTier::fail_waiting(const char* reason) {
  for (std::unique_ptr<Append>& step : std::exchange(waiting_, {}))
    step->give_up(Ending::of(fault(LMCD_E_IO, "%s", reason)));
}

lmcd_tier_capabilities_t RawBlockTier::capabilities() const {
  return desk_.capabilities(LMCD_TIER_DURABLE,
                            std::min(catalog_.capacity_bytes(), log_->data_bytes() - kBlockBytes));
}

lmcd_tier_usage_t RawBlockTier::usage() const {
  lmcd_tier_usage_t out = catalog_.usage();
  out.in_flight = desk_.in_flight();
  return out;
}

const lmcd_tier_module_t* raw_block_module() {
  static constexpr lmcd_tier_module_t kModule = Table<RawBlockTier>::of("raw_block");
  return &kModule;
}

}  // namespace lmcd::tier
