#include "lib/ledger/index.h"

#include <cassert>

namespace lmcd::ledger {
namespace {

uint64_t slot_for(uint64_t hash, uint32_t record) {
  return (hash >> 32) << 32 | (uint64_t{record} + 1);
}

}  // namespace

bool Index::insert(uint64_t hash, uint32_t record) {
  uint64_t at = hash & mask_;
  for (uint32_t probe = 0; probe < kProbes; ++probe, at = (at + 1) & mask_) {
    for (std::atomic<uint64_t>& place : buckets_[at].slots) {
      if (place.load(std::memory_order_relaxed) != 0) continue;
      // The way there is opened before the entry stands, so no reader stops short of it.
      for (uint64_t back = hash & mask_; back != at; back = (back + 1) & mask_)
        buckets_[back].passed.fetch_add(1, std::memory_order_release);
      place.store(slot_for(hash, record), std::memory_order_release);
      return true;
    }
  }
  return false;
}

void Index::erase(uint64_t hash, uint32_t record) {
  uint32_t probes = 0;
  std::atomic<uint64_t>* place = slot_of(hash, record, &probes);
  assert(place != nullptr);
  place->store(0, std::memory_order_release);
  for (uint32_t probe = 0; probe < probes; ++probe)
    buckets_[(hash + probe) & mask_].passed.fetch_sub(1, std::memory_order_release);
}

void Index::replace(uint64_t hash, uint32_t record, uint32_t successor) {
  uint32_t probes = 0;
  std::atomic<uint64_t>* place = slot_of(hash, record, &probes);
  assert(place != nullptr);
  place->store(slot_for(hash, successor), std::memory_order_release);
}

std::atomic<uint64_t>* Index::slot_of(uint64_t hash, uint32_t record, uint32_t* probes) const {
  const uint64_t wanted = slot_for(hash, record);
  for (uint32_t probe = 0; probe < kProbes; ++probe) {
    for (std::atomic<uint64_t>& place : buckets_[(hash + probe) & mask_].slots) {
      if (place.load(std::memory_order_relaxed) == wanted) {
        *probes = probe;
        return &place;
      }
    }
  }
  return nullptr;
}

}  // namespace lmcd::ledger
