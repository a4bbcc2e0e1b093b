#include "daemon/core/cold_book.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>

#include "lib/ledger/index.h"

namespace lmcd::core {

ColdBook::ColdBook(uint64_t seed, uint32_t limit)
    : seed_(seed), limit_(limit), numbers_(0, Hash{this}, Same{this}) {}

bool ColdBook::KeyOrder::operator()(const lmcd_key_t& a, const lmcd_key_t& b) const {
  return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) < 0;
}

template <typename Name, typename Order>
uint32_t ColdBook::Shared<Name, Order>::enter(const Name& name) {
  const auto [found, fresh] = numbers_.try_emplace(name, 0);
  if (fresh) {
    if (spare_.empty()) {
      found->second = static_cast<uint32_t>(rows_.size());
      rows_.emplace_back();
    } else {
      found->second = spare_.back();
      spare_.pop_back();
    }
    rows_[found->second] = {&found->first, {}, 0};
  }
  ++rows_[found->second].entries;
  return found->second;
}

template <typename Name, typename Order>
void ColdBook::Shared<Name, Order>::leave(uint32_t number) {
  if (--rows_[number].entries != 0) return;
  numbers_.erase(numbers_.find(*rows_[number].name));
  rows_[number] = {};
  spare_.push_back(number);
}

std::size_t ColdBook::Hash::operator()(const Name& name) const {
  return ledger::hash_key(name.key, uint32_t{name.part.group} << 16 | name.part.rank, book->seed_);
}

std::size_t ColdBook::Hash::operator()(uint32_t number) const {
  const Entry& entry = book->entries_[number];
  return (*this)(Name{entry.key, entry.part});
}

bool ColdBook::Same::operator()(const Name& a, uint32_t b) const {
  const Entry& entry = book->entries_[b];
  return a.part.rank == entry.part.rank && a.part.group == entry.part.group &&
         std::memcmp(a.key.bytes, entry.key.bytes, sizeof a.key.bytes) == 0;
}

uint32_t ColdBook::find_name(const lmcd_key_t& key, lmcd_part_t part) const {
  const auto found = numbers_.find(Name{key, part});
  return found == numbers_.end() ? kNone : *found;
}

bool ColdBook::is_of(uint32_t number, const lmcd_key_t& fingerprint) const {
  const lmcd_key_t& own = fingerprint_of(number);
  return std::memcmp(own.bytes, fingerprint.bytes, sizeof own.bytes) == 0;
}

uint32_t ColdBook::find(const lmcd_key_t& key, lmcd_part_t part,
                        const lmcd_key_t& fingerprint) const {
  if (empty()) return kNone;
  const uint32_t number = find_name(key, part);
  if (number == kNone || entries_[number].tiers == 0 || !is_of(number, fingerprint)) return kNone;
  return number;
}

bool ColdBook::may_add(const lmcd_key_t& key, lmcd_part_t part,
                       const lmcd_key_t& fingerprint) const {
  const uint32_t number = find_name(key, part);
  if (number == kNone) return true;
  return entries_[number].leaving == 0 && is_of(number, fingerprint);
}

uint32_t ColdBook::take_number() {
  if (!spare_.empty()) {
    const uint32_t number = spare_.back();
    spare_.pop_back();
    return number;
  }
  if (entries_.size() >= limit_) return kNone;
  entries_.emplace_back();
  return high() - 1;
}

uint32_t ColdBook::add(const Identity& identity, uint32_t tier) {
  assert(tier < kTiers);
  const auto bit = static_cast<uint8_t>(1u << tier);
  const uint32_t known = find_name(identity.key, identity.part);
  if (known != kNone) {
    Entry& entry = entries_[known];
    // Another length is another part: one of the two tiers is wrong, and the get will tell.
    if (entry.leaving != 0 || !is_of(known, identity.fingerprint) ||
        entry.length != identity.length) {
      return kNone;
    }
    entry.tiers |= bit;
    return known;
  }
  const uint32_t number = take_number();
  if (number == kNone) return kNone;
  Entry& entry = entries_[number];
  entry = {identity.key,
           identity.parent,
           identity.part,
           identity.length,
           identity.crc32c,
           identity.depth,
           0,
           0,
           bit,
           0,
           identity.has_crc};
  entry.meaning = meanings_.enter(identity.fingerprint);
  entry.tenant = tenants_.enter(std::string(identity.tenant));
  numbers_.insert(number);
  count(entry);
  return number;
}

void ColdBook::count(const Entry& entry) {
  for (Use* use : {&use_, &meanings_.use(entry.meaning), &tenants_.use(entry.tenant)}) {
    ++use->parts;
    use->bytes += entry.length;
  }
}

void ColdBook::discount(const Entry& entry) {
  for (Use* use : {&use_, &meanings_.use(entry.meaning), &tenants_.use(entry.tenant)}) {
    --use->parts;
    use->bytes -= entry.length;
  }
}

void ColdBook::free(uint32_t number) {
  numbers_.erase(number);
  Entry& entry = entries_[number];
  meanings_.leave(entry.meaning);
  tenants_.leave(entry.tenant);
  entry = {};
  spare_.push_back(number);
}

void ColdBook::remove(uint32_t number, uint32_t tier) {
  Entry& entry = entries_[number];
  if ((entry.tiers >> tier & 1) == 0) return;
  entry.tiers &= static_cast<uint8_t>(~(1u << tier));
  if (entry.tiers != 0) return;
  discount(entry);
  free(number);
}

void ColdBook::leave(uint32_t number) {
  Entry& entry = entries_[number];
  if (entry.tiers == 0) return;
  discount(entry);
  entry.leaving = entry.tiers;
  entry.tiers = 0;
  leaving_.push_back(number);
  ++leaving_count_;
}

void ColdBook::left(uint32_t number, uint32_t tier) {
  Entry& entry = entries_[number];
  if (entry.leaving == 0) return;
  entry.leaving &= static_cast<uint8_t>(~(1u << tier));
  if (entry.leaving != 0) return;
  --leaving_count_;
  free(number);
}

std::vector<uint32_t> ColdBook::take_leaving(std::size_t most) {
  const std::size_t count = std::min(most, leaving_.size());
  std::vector<uint32_t> taken(leaving_.end() - static_cast<std::ptrdiff_t>(count), leaving_.end());
  leaving_.resize(leaving_.size() - count);
  return taken;
}

}  // namespace lmcd::core
