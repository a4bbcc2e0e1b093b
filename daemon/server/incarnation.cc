#include "daemon/server/incarnation.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "daemon/memory/identity.h"
#include "daemon/policy/registry.h"
#include "lib/base/bytes.h"
#include "lib/base/huge_pages.h"

namespace lmcd::server {
namespace {

bool shorter_than(int descriptor, uint64_t bytes) {
  struct stat facts;
  if (::fstat(descriptor, &facts) != 0 || !S_ISREG(facts.st_mode)) return false;  // a device
  return static_cast<uint64_t>(facts.st_size) < bytes;
}

// Tells the readers of a ledger that is not taken over that its daemon is gone for good.
void void_ledger(int descriptor) {
  if (shorter_than(descriptor, sizeof(ledger::Header))) return;
  Result<GuardedRegion> region =
      GuardedRegion::map(descriptor, sizeof(ledger::Header), Access::kReadWrite);
  if (!region.ok()) return;
  auto* header = reinterpret_cast<ledger::Header*>(region.value().address());
  if (header->magic == ledger::kMagic) header->voided.store(1, std::memory_order_release);
}

}  // namespace

Status draw_random(void* bytes, std::size_t count) {
  if (::getrandom(bytes, count, 0) == static_cast<ssize_t>(count)) return {};
  return fault(LMCD_E_IO, "no random numbers from the kernel");
}

Result<std::unique_ptr<Incarnation>> Incarnation::open(const Plan& plan, const Parts& parts) {
  LMCD_ASSIGN(std::optional<memory::SharedMemory> found, parts.backing.attach());
  FileDescriptor old_ledger;
  if (found) {
    const uint64_t found_bytes = found->arena_bytes;
    LMCD_ASSIGN(old_ledger, found->ledger.duplicate());
    std::unique_ptr<Incarnation> warm(new Incarnation(plan, parts));
    Status status = plan.cold ? fault(LMCD_E_INVALID, "asked for by --cold")
                              : warm->take_over(std::move(*found));
    if (status.ok()) return warm;
    parts.log.event(Severity::kWarning, "start.cold")
        .field("reason", status.text())
        .field("arena_bytes", found_bytes);
  }
  std::unique_ptr<Incarnation> fresh(new Incarnation(plan, parts));
  LMCD_ASSIGN(
      memory::SharedMemory memory,
      parts.backing.create(plan.arena_bytes, core::Ledger::bytes_for(fresh->ledger_plan())));
  // Only now, so that a start that fails (a size that cannot be had) costs nothing.
  if (old_ledger.valid()) void_ledger(old_ledger.get());
  LMCD_TRY(fresh->begin(std::move(memory)));
  return fresh;
}

core::Ledger::Plan Incarnation::ledger_plan() const {
  core::Ledger::Plan plan;
  plan.arena_bytes = memory_.arena_bytes != 0 ? memory_.arena_bytes : plan_.arena_bytes;
  plan.align_bytes = plan_.align_bytes;
  plan.records = plan_.records;
  plan.state_id = plan_.state_id;
  return plan;
}

Status Incarnation::map(memory::SharedMemory memory) {
  memory_ = std::move(memory);
  LMCD_ASSIGN(arena_for_clients_, memory_.arena_for_clients());
  LMCD_ASSIGN(ledger_for_clients_, memory_.ledger_for_clients());
  LMCD_ASSIGN(ledger_region_,
              GuardedRegion::map(memory_.ledger.get(), memory_.ledger_bytes, Access::kReadWrite));
  return make_policy();
}

Status Incarnation::make_policy() {
  LMCD_ASSIGN(policy_, policy::make_policy(plan_.policy, {plan_.records, memory_.arena_bytes}));
  return {};
}

Status Incarnation::open_arena(uint64_t populated_bytes) {
  memory::Frontier::Options options;
  options.populated_bytes = populated_bytes;
  LMCD_ASSIGN(arena_, memory::Arena::open(memory_, options));
  if (!plan_.eager) return {};
  arena_->frontier().want(memory_.arena_bytes);
  return arena_->frontier().wait(memory_.arena_bytes);
}

// Faults when what the ledger says may not be what the medium has.
Status Incarnation::check_epoch(const ledger::Header& header) const {
  if (!parts_.backing.outlives_boot() || header.clean.load() == 1) return {};
  LMCD_ASSIGN(auto boot_id, memory::boot_id());
  if (std::memcmp(header.boot_id, boot_id.data(), boot_id.size()) == 0) return {};
  return fault(LMCD_E_CORRUPT, "ledger: the machine went down without an orderly stop of lmcd");
}

Status Incarnation::take_over(memory::SharedMemory memory) {
  // Whole huge pages may have made the arena a little larger than it was asked for.
  if (memory.arena_bytes != plan_.arena_bytes &&
      memory.arena_bytes != round_up(plan_.arena_bytes, kHugePageBytes)) {
    return fault(LMCD_E_INVALID, "arena: of %" PRIu64 " bytes, asked for are %" PRIu64,
                 memory.arena_bytes, plan_.arena_bytes);
  }
  if (memory.ledger_bytes == 0) return fault(LMCD_E_CORRUPT, "ledger: it is empty");
  LMCD_TRY(map(std::move(memory)));
  LMCD_ASSIGN(core::Ledger ledger,
              core::Ledger::attach(ledger_region_.address(), memory_.ledger_bytes, ledger_plan()));
  LMCD_TRY(check_epoch(ledger.header()));
  const uint64_t populated = std::min(ledger.header().frontier_bytes.load(), memory_.arena_bytes);
  LMCD_ASSIGN(store_, core::Store::adopt(ledger, plan_.store, *policy_, parts_.clock, parts_.events,
                                         &adopted_));
  if (ledger_region_.lost()) return fault(LMCD_E_CORRUPT, "ledger: it is shorter than it says");
  LMCD_TRY(open_arena(populated));
  warm_ = true;
  ledger::Header& header = store_->ledger().header();
  LMCD_ASSIGN(auto boot_id, memory::boot_id());
  if (std::memcmp(header.boot_id, boot_id.data(), boot_id.size()) != 0) store_->writers_dead();
  std::copy(boot_id.begin(), boot_id.end(), header.boot_id);
  header.clean.store(0);
  header.daemon_pid.store(static_cast<uint32_t>(::getpid()));
  store_->accounts().require_quota(plan_.quota_required);
  return {};
}

Status Incarnation::begin(memory::SharedMemory memory) {
  LMCD_TRY(map(std::move(memory)));
  core::Ledger::Plan plan = ledger_plan();
  LMCD_TRY(draw_random(plan.incarnation, sizeof plan.incarnation));
  LMCD_TRY(draw_random(&plan.hash_seed, sizeof plan.hash_seed));
  LMCD_ASSIGN(auto boot_id, memory::boot_id());
  std::copy(boot_id.begin(), boot_id.end(), plan.boot_id);
  core::Ledger ledger = core::Ledger::format(ledger_region_.address(), plan);
  ledger.header().daemon_pid.store(static_cast<uint32_t>(::getpid()));
  LMCD_ASSIGN(store_,
              core::Store::make(ledger, plan_.store, *policy_, parts_.clock, parts_.events));
  store_->accounts().require_quota(plan_.quota_required);
  return open_arena(0);
}

bool Incarnation::lost() {
  if (ledger_region_.lost() || arena_->lost()) return true;
  // The daemon itself seldom touches the arena, so a shorter one is looked for as well.
  const uint64_t now_ms = parts_.clock.now_ms();
  if (now_ms - looked_ms_ < kLookMs) return false;
  looked_ms_ = now_ms;
  return shorter_than(memory_.ledger.get(), memory_.ledger_bytes) ||
         shorter_than(memory_.arena.get(), memory_.arena_bytes);
}

void Incarnation::look_ahead() {
  memory::Frontier& frontier = arena_->frontier();
  frontier.want(std::max(store_->high_water_bytes(), plan_.ahead_bytes));
  tell_populating_stopped();
  tell_tables_grown();
  store_->ledger().header().frontier_bytes.store(frontier.bytes(), std::memory_order_relaxed);
  store_->metrics().populated_bytes = frontier.bytes();
}

// Said once: what lies beyond the frontier is no worse than before, only slower.
void Incarnation::tell_populating_stopped() {
  if (told_stopped_) return;
  Status status = arena_->frontier().status();
  if (status.ok()) return;
  told_stopped_ = true;
  parts_.log.event(Severity::kWarning, "arena.populate").field("reason", status.text());
}

void Incarnation::tell_tables_grown() {
  constexpr uint32_t kStep = kHugePageBytes / sizeof(ledger::Record);
  if (store_->record_high() < told_records_ + kStep) return;
  told_records_ = store_->record_high();
  gatherer_.grown(store_->tables());
}

Status Incarnation::close() {
  store_->ledger().header().clean.store(1);
  return parts_.backing.sync(memory_);
}

void Incarnation::give_up() {
  store_->ledger().void_incarnation();
  // What cannot be unlinked is void all the same: its ledger says so.
  Status status = parts_.backing.discard();
  if (!status.ok())
    parts_.log.event(Severity::kError, "incarnation.discard").field("reason", status.text());
}

}  // namespace lmcd::server
