#include "daemon/tier/mock/mock_tier.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>

#include "daemon/tier/registry.h"
#include "daemon/tier/table.h"
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"

namespace lmcd::tier {
namespace {

constexpr uint64_t kRetryNs = 1'000'000;     // when the pool was full
constexpr double kLongestNs = 1e15;          // eleven days: no sum of these overflows
constexpr double kGreatestGb = 1024 * 1024;  // as daemon/config/adapters.def has it

bool moves_bytes(Verb verb) { return verb == Verb::kPut || verb == Verb::kGet; }

}  // namespace

// A request on its way. Owned by waiting_, then by its job in the pool.
struct MockTier::Operation {
  MockTier& tier;
  Request request;
  Bytes kept;                          // get: what is delivered
  std::unique_ptr<std::byte[]> taken;  // put: the tier's copy
  lmcd_code_t code = LMCD_OK;          // of the copy

  // On a worker.
  void work() {
    const lmcd_tier_record_t& record = request.record;
    if (request.verb == Verb::kGet) {
      std::memcpy(request.target, kept.get(), record.length);
      // Of what was delivered, not of what was read.
      if (crc32c(request.target, record.length) != record.crc32c) code = LMCD_E_CORRUPT;
      return;
    }
    taken.reset(new (std::nothrow) std::byte[record.length]);
    if (!taken) {
      code = LMCD_E_NO_MEMORY;
      return;
    }
    std::memcpy(taken.get(), request.source, record.length);
    // Of the copy: the source is memory that others can reach.
    const uint32_t crc = crc32c(taken.get(), record.length);
    if (request.checksummed && crc != record.crc32c) code = LMCD_E_CORRUPT;
    request.record.crc32c = crc;
  }
};

MockTier::MockTier(const lmcd_tier_host_t& host, Options options)
    : host_(host), options_(options) {}

MockTier::~MockTier() = default;

bool MockTier::NameOrder::operator()(const RecordName& one, const RecordName& other) const {
  const int order = std::memcmp(&one.key, &other.key, sizeof one.key);
  if (order != 0) return order < 0;
  return std::pair(one.part.rank, one.part.group) < std::pair(other.part.rank, other.part.group);
}

Result<std::unique_ptr<MockTier>> MockTier::open(const lmcd_tier_host_t& host, Fields& fields) {
  const double size_gb = fields.number("max_size_gb", 0, kGreatestGb);
  const double bandwidth_gb = fields.number("mock_bandwidth_gb", 0, kGreatestGb);
  LMCD_TRY(fields.finish());
  const auto gib = static_cast<double>(kGiB);
  const Options options{std::max<uint64_t>(1, static_cast<uint64_t>(size_gb * gib)),
                        bandwidth_gb * gib};
  return std::make_unique<MockTier>(host, options);
}

Status MockTier::check(const Request& request) const {
  const bool whole = request.record.length > 0 && (request.source || request.target);
  if (moves_bytes(request.verb) && !whole) return fault(LMCD_E_INVALID, "no bytes were given");
  if (!std::memchr(request.record.tenant, 0, sizeof request.record.tenant))
    return fault(LMCD_E_INVALID, "the tenant does not end in NUL");
  if (request.verb == Verb::kList &&
      (!request.listed || request.list_capacity == 0 || request.list_capacity > kListLimit))
    return fault(LMCD_E_INVALID, "a list takes 1 to %u records", kListLimit);
  if (in_flight_ == kQueueLimit) return fault(LMCD_E_LIMIT, "the queue is full");
  return {};
}

// What finds nothing to move takes no time.
uint64_t MockTier::cost_ns(const Request& request) const {
  if (!moves_bytes(request.verb) || request.record.length > options_.capacity_bytes) return 0;
  const bool there = index_.contains(request.name());
  if (there == (request.verb == Verb::kPut)) return 0;
  const double seconds = static_cast<double>(request.record.length) / options_.bytes_per_second;
  return static_cast<uint64_t>(std::min(std::ceil(seconds * 1e9), kLongestNs));
}

lmcd_code_t MockTier::begin(Request request) {
  if (Status status = check(request); !status.ok()) return status.code();
  uint64_t due_ns = std::max(now_ns(), channel_free_ns_) + cost_ns(request);
  const uint64_t deadline_ms = std::min<uint64_t>(request.deadline_ms, UINT64_MAX / 1'000'000);
  if (deadline_ms != 0 && due_ns > deadline_ms * 1'000'000)
    due_ns = std::max(now_ns(), deadline_ms * 1'000'000 + 1);
  else
    channel_free_ns_ = due_ns;
  ++in_flight_;
  waiting_.emplace(due_ns, new Operation{*this, request, nullptr, nullptr});
  arm();
  return LMCD_OK;
}

void MockTier::arm() {
  if (!waiting_.empty())
    host_.wake_at(host_.context, (waiting_.begin()->first + 999'999) / 1'000'000);
}

void MockTier::wake() {
  const uint64_t now = now_ns();
  // What is put off by a full pool is due later than now, so this ends.
  while (!waiting_.empty() && waiting_.begin()->first <= now)
    land(std::move(waiting_.extract(waiting_.begin()).mapped()));
  arm();
}

void MockTier::cancel() {
  for (auto& [due_ns, operation] : waiting_) finish(operation->request, LMCD_E_TIMEOUT, LMCD_NONE);
  waiting_.clear();
  channel_free_ns_ = 0;
}

// The channel is done with an operation, or its deadline has passed.
void MockTier::land(std::unique_ptr<Operation> operation) {
  const Request& request = operation->request;
  if (request.deadline_ms != 0 && host_.now_ms(host_.context) > request.deadline_ms)
    return finish(request, LMCD_E_TIMEOUT, LMCD_NONE);
  if (std::optional<uint32_t> outcome = decide(*operation))
    return finish(request, operation->code, *outcome);
  copy(std::move(operation));
}

// Returns the outcome of what needs no copy.
std::optional<uint32_t> MockTier::decide(Operation& operation) {
  Request& request = operation.request;
  auto found = index_.find(request.name());
  const bool there = found != index_.end();
  switch (request.verb) {
    case Verb::kExists:
      return there ? LMCD_COLD : LMCD_ABSENT;
    case Verb::kRemove:
      if (there) forget(found);
      return LMCD_ABSENT;
    case Verb::kList:
      return LMCD_NONE;
    case Verb::kGet:
      if (!there) return LMCD_ABSENT;
      if (found->second.record.length != request.record.length) {
        forget(found);
        operation.code = LMCD_E_CORRUPT;
        return LMCD_NONE;
      }
      request.record = found->second.record;
      operation.kept = found->second.bytes;
      return std::nullopt;
    case Verb::kPut:
      if (there) return LMCD_EXISTS;
      if (!make_room(request.record.length)) return LMCD_NO_SPACE;
      return std::nullopt;
  }
  return LMCD_NONE;
}

// Forgets the oldest until `bytes` fit beside what is being written.
bool MockTier::make_room(uint64_t bytes) {
  if (bytes > options_.capacity_bytes - writing_bytes_) return false;
  while (kept_bytes_ > options_.capacity_bytes - writing_bytes_ - bytes) {
    Index::iterator oldest = order_.begin()->second;
    ++evicted_records_;
    evicted_bytes_ += oldest->second.record.length;
    forget(oldest);
  }
  return true;
}

void MockTier::copy(std::unique_ptr<Operation> operation) {
  lmcd_tier_job_t job{};
  job.work = [](void* context) { static_cast<Operation*>(context)->work(); };
  job.done = [](void* context) {
    std::unique_ptr<Operation> done(static_cast<Operation*>(context));
    done->tier.copied(*done);
  };
  job.context = operation.get();
  const Request& request = operation->request;
  if (host_.submit(host_.context, &job) != LMCD_OK) {
    operation->kept = nullptr;
    waiting_.emplace(now_ns() + kRetryNs, std::move(operation));
    return;
  }
  if (request.verb == Verb::kPut) writing_bytes_ += request.record.length;
  operation.release();  // to the job
}

void MockTier::copied(Operation& operation) {
  const Request& request = operation.request;
  if (request.verb == Verb::kPut) {
    writing_bytes_ -= request.record.length;
    return keep(operation);
  }
  if (operation.code == LMCD_OK) return finish(request, LMCD_OK, LMCD_LOADED);
  auto found = index_.find(request.name());
  if (found != index_.end() && found->second.bytes == operation.kept) forget(found);
  finish(request, operation.code, LMCD_NONE);
}

void MockTier::keep(Operation& operation) {
  const lmcd_tier_record_t& record = operation.request.record;
  if (operation.code != LMCD_OK) return finish(operation.request, operation.code, LMCD_NONE);
  auto [kept, fresh] = index_.try_emplace(operation.request.name());
  if (!fresh) return finish(operation.request, LMCD_OK, LMCD_EXISTS);
  kept->second = {record, Bytes(std::move(operation.taken)), next_sequence_++};
  order_.emplace(kept->second.sequence, kept);
  kept_bytes_ += record.length;
  tenant_bytes_[record.tenant] += record.length;
  finish(operation.request, LMCD_OK, LMCD_STORED);
}

void MockTier::list(const Request& request, lmcd_tier_completion_t& completion) const {
  auto at = order_.lower_bound(request.cursor);
  while (at != order_.end() && completion.count < request.list_capacity)
    request.listed[completion.count++] = (at++)->second->second.record;
  completion.cursor = at == order_.end() ? 0 : at->first;
}

void MockTier::forget(Index::iterator kept) {
  const lmcd_tier_record_t& record = kept->second.record;
  auto account = tenant_bytes_.find(record.tenant);
  assert(account != tenant_bytes_.end() && account->second >= record.length);
  if ((account->second -= record.length) == 0) tenant_bytes_.erase(account);
  kept_bytes_ -= record.length;
  order_.erase(kept->second.sequence);
  index_.erase(kept);
}

void MockTier::finish(const Request& request, lmcd_code_t code, uint32_t outcome) {
  lmcd_tier_completion_t completion{};
  completion.struct_size = sizeof completion;
  completion.code = code;
  completion.outcome = outcome;
  completion.token = request.token;
  if (request.verb == Verb::kList && code == LMCD_OK) list(request, completion);
  --in_flight_;
  faults_ += code != LMCD_OK;
  last_code_ = code;
  host_.complete(host_.context, &completion);
}

lmcd_tier_capabilities_t MockTier::capabilities() const {
  lmcd_tier_capabilities_t out{};
  out.queue_limit = kQueueLimit;
  out.align_bytes = 1;
  out.record_max_bytes = options_.capacity_bytes;
  return out;
}

lmcd_tier_usage_t MockTier::usage() const {
  lmcd_tier_usage_t out{};
  out.in_flight = in_flight_;
  out.capacity_bytes = options_.capacity_bytes;
  out.used_bytes = kept_bytes_ + writing_bytes_;
  out.records = index_.size();
  out.evicted_records = evicted_records_;
  out.evicted_bytes = evicted_bytes_;
  return out;
}

lmcd_tier_health_t MockTier::health() const {
  lmcd_tier_health_t out{};
  out.faults = faults_;
  if (last_code_ == LMCD_OK) return out;
  out.state = LMCD_TIER_DEGRADED;
  std::snprintf(out.text, sizeof out.text, "the last operation ended with code %d", last_code_);
  return out;
}

uint64_t MockTier::tenant_bytes(const char* tenant) const {
  auto account = tenant_bytes_.find(tenant);
  return account == tenant_bytes_.end() ? 0 : account->second;
}

uint64_t MockTier::namespace_bytes(const lmcd_key_t& fingerprint) const {
  uint64_t bytes = 0;
  for (const auto& [name, kept] : index_)
    if (std::memcmp(&kept.record.fingerprint, &fingerprint, sizeof fingerprint) == 0)
      bytes += kept.record.length;
  return bytes;
}

const lmcd_tier_module_t* mock_module() {
  static constexpr lmcd_tier_module_t kModule = Table<MockTier>::of("mock");
  return &kModule;
}

}  // namespace lmcd::tier
