#include "lib/ledger/index.h"

#include <cassert>

namespace lmcd::ledger {
namespace {

uint32_t free_slot(const Bucket& bucket) {
  uint32_t slot = Bucket::kSlots;
  for (uint32_t at = Bucket::kSlots; at-- > 0;)
    slot = bucket.tags[at].load(std::memory_order_relaxed) == 0 ? at : slot;
  return slot;
}

}  // namespace

bool Index::insert(uint64_t hash, uint32_t record) {
  assert(record < kRecordsMax);
  const uint32_t home = home_of(hash);
  Place place{home, 0, 0};
  while ((place.slot = free_slot(buckets_[place.bucket])) == Bucket::kSlots) {
    if (++place.probes == kProbes) return false;
    place.bucket = after(place.bucket);
  }
  // The way there is opened before the entry stands, so no reader stops short of it.
  if (place.probes > 0) count_passes(home, place.probes, 1);
  set_entry(place, record);
  set_tag(place, tag_of(hash));
  return true;
}

void Index::erase(uint64_t hash, uint32_t record) {
  const Place place = place_of(hash, record);
  set_tag(place, 0);
  if (place.probes > 0) count_passes(home_of(hash), place.probes, ~uint32_t{0});
}

void Index::replace(uint64_t hash, uint32_t record, uint32_t successor) {
  const Place place = place_of(hash, record);
  set_entry(place, (entry_at(place) & kWhole) | successor);
}

void Index::set_whole(uint64_t hash, uint32_t record, bool whole) {
  const Place place = place_of(hash, record);
  const uint32_t word = whole ? record | kWhole : record;
  if (entry_at(place) != word) set_entry(place, word);
}

Index::Entry Index::look_past(uint64_t hash) const {
  uint32_t at = home_of(hash);
  for (uint32_t probe = 1; probe < kProbes; ++probe) {
    at = after(at);
    const Bucket& bucket = buckets_[at];
    const Entry entry = look_in(bucket, tag_of(hash));
    if (entry.present()) return entry;
    if (bucket.passed.load(std::memory_order_acquire) == 0) break;
  }
  return {};
}

Index::Place Index::place_of(uint64_t hash, uint32_t record) const {
  const uint64_t tag = tag_of(hash);
  uint32_t at = home_of(hash);
  for (uint32_t probe = 0; probe < kProbes; ++probe, at = after(at)) {
    for (Place place{at, 0, probe}; place.slot < Bucket::kSlots; ++place.slot) {
      if (buckets_[place.bucket].tags[place.slot].load(std::memory_order_relaxed) == tag &&
          (entry_at(place) & ~kWhole) == record) {
        return place;
      }
    }
  }
  assert(!"the record is in the index");
  __builtin_unreachable();
}

uint32_t Index::entry_at(const Place& place) const {
  return buckets_[place.bucket].entries[place.slot].load(std::memory_order_relaxed);
}

void Index::set_entry(const Place& place, uint32_t word) {
  buckets_[place.bucket].entries[place.slot].store(word, std::memory_order_release);
  if (mirror_ != nullptr)
    mirror_[place.bucket].entries[place.slot].store(word, std::memory_order_release);
}

void Index::set_tag(const Place& place, uint64_t tag) {
  buckets_[place.bucket].tags[place.slot].store(tag, std::memory_order_release);
  if (mirror_ != nullptr)
    mirror_[place.bucket].tags[place.slot].store(tag, std::memory_order_release);
}

void Index::count_passes(uint32_t home, uint32_t probes, uint32_t change) {
  uint32_t bucket = home;
  for (uint32_t probe = 0; probe < probes; ++probe, bucket = after(bucket)) {
    const uint32_t passed = buckets_[bucket].passed.load(std::memory_order_relaxed) + change;
    buckets_[bucket].passed.store(passed, std::memory_order_release);
    if (mirror_ != nullptr) mirror_[bucket].passed.store(passed, std::memory_order_release);
  }
}

}  // namespace lmcd::ledger
