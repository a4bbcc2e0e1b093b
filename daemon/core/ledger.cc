#include "daemon/core/ledger.h"

#include <algorithm>
#include <cstring>

#include "lib/base/sync_point.h"
#include "lib/ledger/racy.h"
#include "lib/ledger/reader.h"

namespace lmcd::core {
namespace {

using ledger::peek;
using ledger::poke;

ledger::Shape shape_of(const Ledger::Plan& plan) {
  ledger::Shape shape{};
  shape.magic = ledger::kMagic;
  shape.version = ledger::kLedgerVersion;
  shape.align_bytes = plan.align_bytes;
  std::copy(plan.incarnation, plan.incarnation + 16, shape.incarnation);
  std::copy(plan.boot_id, plan.boot_id + 16, shape.boot_id);
  shape.arena_bytes = plan.arena_bytes;
  shape.hash_seed = plan.hash_seed;
  shape.space_capacity = Ledger::kSpaces;
  shape.tenant_capacity = Ledger::kTenants;
  shape.bucket_count = ledger::bucket_count_for(plan.records);
  shape.record_capacity = plan.records;
  ledger::lay_out(shape);
  return shape;
}

}  // namespace

uint64_t Ledger::bytes_for(const Plan& plan) { return shape_of(plan).ledger_bytes; }

Ledger::Ledger(void* memory, const ledger::Shape& shape)
    : shape_(shape), header_(static_cast<ledger::Header*>(memory)) {
  char* base = static_cast<char*>(memory);
  spaces_ = reinterpret_cast<ledger::SpaceEntry*>(base + shape.space_offset);
  tenants_ = reinterpret_cast<ledger::TenantEntry*>(base + shape.tenant_offset);
  buckets_ = reinterpret_cast<ledger::Bucket*>(base + shape.index_offset);
  records_ = reinterpret_cast<ledger::Record*>(base + shape.record_offset);
}

Ledger Ledger::format(void* memory, const Plan& plan) {
  ledger::Header& header = *static_cast<ledger::Header*>(memory);
  ledger::Shape shape = shape_of(plan);
  const uint64_t magic = shape.magic;
  shape.magic = 0;
  static_cast<ledger::Shape&>(header) = shape;
  plan.state_id.copy(header.state_id, sizeof header.state_id);
  std::atomic_thread_fence(std::memory_order_release);
  poke(header.magic, magic);  // last: a ledger cut short while being made is none
  shape.magic = magic;
  return Ledger(memory, shape);
}

Result<Ledger> Ledger::attach(void* memory, uint64_t bytes, const Plan& plan) {
  LMCD_ASSIGN(ledger::Reader reader, ledger::Reader::open(memory, bytes));
  const ledger::Shape& found = reader.shape();
  const ledger::Shape planned = shape_of(plan);
  if (found.arena_bytes != planned.arena_bytes || found.align_bytes != planned.align_bytes ||
      found.record_capacity != planned.record_capacity ||
      found.ledger_bytes != planned.ledger_bytes || found.index_offset != planned.index_offset ||
      found.space_offset != planned.space_offset ||
      found.tenant_offset != planned.tenant_offset ||
      found.record_offset != planned.record_offset ||
      found.bucket_count != planned.bucket_count ||
      found.space_capacity != planned.space_capacity ||
      found.tenant_capacity != planned.tenant_capacity) {
    return fault(LMCD_E_INVALID,
                 "ledger: made for an arena of %llu bytes with %u records, asked for are %llu "
                 "and %u",
                 (unsigned long long)found.arena_bytes, found.record_capacity,
                 (unsigned long long)planned.arena_bytes, planned.record_capacity);
  }
  if (reader.header().voided.load() != 0) return fault(LMCD_E_INVALID, "ledger: it was given up");
  char state_id[sizeof reader.header().state_id] = {};
  plan.state_id.copy(state_id, sizeof state_id);
  if (std::memcmp(reader.header().state_id, state_id, sizeof state_id) != 0) {
    return fault(LMCD_E_INVALID,
                 "ledger: who writes in the arena is known to another state directory (%.40s)",
                 reader.header().state_id);
  }
  return Ledger(memory, found);
}

void Ledger::publish(uint32_t number, const Identity& identity, uint64_t word) {
  ledger::Record& record = records_[number];
  // The word that freed the record comes before what is written of its next part.
  std::atomic_thread_fence(std::memory_order_release);
  poke(record.key, identity.key);
  poke(record.parent, identity.parent);
  poke(record.offset, identity.offset);
  poke(record.length, identity.length);
  poke(record.crc32c, 0u);
  poke(record.label, ledger::to_word({identity.space % kSpaces, identity.part, false}));
  poke(record.tenant, identity.tenant);
  poke(record.depth, identity.depth);
  poke(record.owner_slot, identity.owner_slot);
  poke(record.owner_session, identity.owner_session);
  poke(record.owner_lease, identity.owner_lease);
  record.next_part.store(ledger::kNone, std::memory_order_relaxed);
  record.hot_groups.store(0, std::memory_order_relaxed);
  record.pending_groups.store(1u << identity.part.group, std::memory_order_relaxed);
  record.pinned.store(0, std::memory_order_relaxed);
  record.hits.store(0, std::memory_order_relaxed);
  record.forgotten.store(0, std::memory_order_relaxed);
  LMCD_SYNC_POINT("reserve.before_publish");
  if (number >= header_->record_high.load(std::memory_order_relaxed))
    header_->record_high.store(number + 1, std::memory_order_release);
  set_word(number, word);
}

// Writes only what changes: a warm start, which finds a million of them right, dirties none.
void Ledger::set_groups(uint32_t number, uint32_t hot, uint32_t pending) {
  ledger::Record& record = records_[number];
  if (record.pending_groups.load(std::memory_order_relaxed) != pending)
    record.pending_groups.store(pending, std::memory_order_relaxed);
  if (record.hot_groups.load(std::memory_order_relaxed) != hot)
    record.hot_groups.store(hot, std::memory_order_release);
}

void Ledger::set_checksum(uint32_t number, uint32_t crc32c) {
  poke(records_[number].crc32c, crc32c);
  ledger::Label label = ledger::to_label(peek(records_[number].label));
  label.has_crc = true;
  poke(records_[number].label, ledger::to_word(label));
}

uint32_t Ledger::write_space(uint32_t place, std::string_view description,
                             const lmcd_key_t& fingerprint, uint32_t rank_count,
                             std::span<const lmcd_group_t> groups) {
  ledger::SpaceEntry& entry = spaces_[place];
  uint32_t used = entry.used.load(std::memory_order_relaxed);
  if (ledger::is_set(used)) entry.used.store(++used, std::memory_order_relaxed);
  // A reader that sees any of what follows sees that the entry is being written.
  std::atomic_thread_fence(std::memory_order_release);
  entry.rank_count = rank_count;
  entry.group_count = static_cast<uint32_t>(groups.size());
  std::copy(groups.begin(), groups.end(), entry.groups);
  std::memcpy(entry.fingerprint, fingerprint.bytes, sizeof entry.fingerprint);
  entry.description_bytes = static_cast<uint32_t>(description.size());
  std::copy(description.begin(), description.end(), entry.description);
  LMCD_SYNC_POINT("space.before_used");
  entry.used.store(++used, std::memory_order_release);
  return ledger::space_number(used, place, kSpaces);
}

void Ledger::write_tenant(uint32_t number, std::string_view salt) {
  ledger::TenantEntry& entry = tenants_[number];
  entry.used.store(0, std::memory_order_release);
  entry.salt_bytes = static_cast<uint32_t>(salt.size());
  std::copy(salt.begin(), salt.end(), entry.salt);
  entry.used.store(1, std::memory_order_release);
}

void Ledger::clear_index() {
  for (uint32_t i = 0; i < shape_.bucket_count; ++i) {
    ledger::Bucket& bucket = buckets_[i];
    for (std::atomic<uint64_t>& tag : bucket.tags) tag.store(0, std::memory_order_relaxed);
    for (std::atomic<uint32_t>& entry : bucket.entries) entry.store(0, std::memory_order_relaxed);
    bucket.passed.store(0, std::memory_order_relaxed);
  }
}

}  // namespace lmcd::core
