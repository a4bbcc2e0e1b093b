#include "daemon/tier/catalog.h"

#include <algorithm>
#include <cassert>

namespace lmcd::tier {
namespace {

// A list looks at this many slots at most, free ones included, so that its turn is short.
constexpr std::size_t kSlotsPerList = 16384;

std::string bytes_of(const lmcd_key_t& key) {
  return {reinterpret_cast<const char*>(key.bytes), sizeof key.bytes};
}

}  // namespace

// Keys are digests, but a test's or a client's own may differ in any byte: all of them count.
std::size_t Catalog::Hash::operator()(const RecordName& name) const {
  uint64_t hash = uint64_t{name.part.rank} << 16 | name.part.group;
  for (std::size_t at = 0; at < sizeof name.key.bytes; at += 8) {
    uint64_t word;
    std::memcpy(&word, name.key.bytes + at, sizeof word);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  return hash * 0x9e3779b97f4a7c15;
}

Catalog::Kept* Catalog::find(const RecordName& name) {
  Shard& shard = shard_of(name);
  auto found = shard.find(name);
  return found == shard.end() ? nullptr : found->second;
}

Catalog::Kept& Catalog::take_slot() {
  if (free_slots_.empty()) {
    Kept& kept = slots_.emplace_back();
    kept.slot_ = static_cast<uint32_t>(slots_.size() - 1);
    return kept;
  }
  Kept& kept = slots_[free_slots_.back()];
  free_slots_.pop_back();
  return kept;
}

Catalog::Kept& Catalog::keep(const lmcd_tier_record_t& record, uint64_t place) {
  assert(record.length > 0);
  Kept& kept = take_slot();
  kept.name_ = {record.key, record.part};
  kept.crc32c_ = record.crc32c;
  kept.length_ = record.length;
  kept.place = place;
  kept.used = false;
  kept.space_ = charge(spaces_, bytes_of(record.fingerprint), record.length);
  kept.tenant_ = charge(tenants_, record.tenant, record.length);
  link_last(kept);
  const bool fresh = shard_of(kept.name_).emplace(kept.name_, &kept).second;
  assert(fresh);
  static_cast<void>(fresh);
  kept_bytes_ += record.length;
  ++records_;
  return kept;
}

void Catalog::forget(Kept& kept) {
  shard_of(kept.name_).erase(kept.name_);
  discharge(spaces_, kept.space_, kept.length_);
  discharge(tenants_, kept.tenant_, kept.length_);
  kept_bytes_ -= kept.length_;
  --records_;
  unlink(kept);
  kept.length_ = 0;
  free_slots_.push_back(kept.slot_);
}

lmcd_tier_record_t Catalog::record_of(const Kept& kept) const {
  lmcd_tier_record_t record{};
  record.key = kept.name_.key;
  record.part = kept.name_.part;
  record.crc32c = kept.crc32c_;
  record.length = kept.length_;
  std::memcpy(record.fingerprint.bytes, kept.space_->first.data(), sizeof record.fingerprint);
  std::memcpy(record.tenant, kept.tenant_->first.data(), kept.tenant_->first.size());
  return record;
}

bool Catalog::reserve(uint64_t bytes, std::vector<RecordName>& victims) {
  if (capacity_bytes_ != 0) {
    if (bytes > capacity_bytes_ - writing_bytes_) return false;
    if (!fits(bytes)) shrink(used_bytes() + bytes - capacity_bytes_, victims);
  }
  writing_bytes_ += bytes;
  return true;
}

void Catalog::shrink(uint64_t bytes, std::vector<RecordName>& victims) {
  const uint64_t goal = kept_bytes_ - std::min(kept_bytes_, bytes);
  while (kept_bytes_ > goal) {
    Kept& oldest = *first_;
    if (oldest.used) {  // a pass over all of them leaves none used, so this ends
      oldest.used = false;
      unlink(oldest);
      link_last(oldest);
      continue;
    }
    victims.push_back(oldest.name_);
    count_evicted(oldest);
    forget(oldest);
  }
}

void Catalog::count_evicted(const Kept& kept) {
  ++evicted_records_;
  evicted_bytes_ += kept.length_;
}

void Catalog::list(const Request& request, lmcd_tier_completion_t& completion) const {
  std::size_t slot = request.cursor;
  const std::size_t end = std::min(slots_.size(), slot + kSlotsPerList);
  for (; slot < end && completion.count < request.list_capacity; ++slot)
    if (slots_[slot].length_ != 0) request.listed[completion.count++] = record_of(slots_[slot]);
  completion.cursor = slot < slots_.size() ? slot : 0;
}

lmcd_tier_usage_t Catalog::usage() const {
  lmcd_tier_usage_t out{};
  out.capacity_bytes = capacity_bytes_;
  out.used_bytes = used_bytes();
  out.records = records_;
  out.evicted_records = evicted_records_;
  out.evicted_bytes = evicted_bytes_;
  return out;
}

uint64_t Catalog::tenant_bytes(const char* tenant) const {
  auto found = tenants_.find(tenant);
  return found == tenants_.end() ? 0 : found->second;
}

uint64_t Catalog::namespace_bytes(const lmcd_key_t& fingerprint) const {
  auto found = spaces_.find(bytes_of(fingerprint));
  return found == spaces_.end() ? 0 : found->second;
}

void Catalog::link_last(Kept& kept) {
  kept.before_ = last_;
  kept.after_ = nullptr;
  (last_ ? last_->after_ : first_) = &kept;
  last_ = &kept;
}

void Catalog::unlink(Kept& kept) {
  (kept.before_ ? kept.before_->after_ : first_) = kept.after_;
  (kept.after_ ? kept.after_->before_ : last_) = kept.before_;
}

Catalog::Account* Catalog::charge(Accounts& accounts, std::string name, uint64_t bytes) {
  auto account = accounts.try_emplace(std::move(name), 0).first;
  account->second += bytes;
  return &*account;
}

void Catalog::discharge(Accounts& accounts, Account* account, uint64_t bytes) {
  assert(account->second >= bytes);
  account->second -= bytes;
  if (account->second == 0) accounts.erase(account->first);
}

}  // namespace lmcd::tier
