// The index: from (space, key) to the record of an object's first part.
//
// Open addressing over buckets of one cache line: seven slots and a count of the entries that
// wanted this bucket and went on to a later one. An entry never moves, so a reader in another
// process, without locks, misses nothing that stays there; removal needs no tombstones, since a
// search goes on only past a bucket whose count says so.
//
// A slot names a record and 32 bits of the key's hash; it says "maybe", and the caller compares
// keys. The same code runs over the daemon's private memory, which alone it trusts, and over
// the mirror in the ledger, which clients read. One writer, any number of readers.
//
// Bounds: a search or insert looks at kProbes buckets at most. An insert past them fails, which
// only crafted keys bring about below a load of six sevenths.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>

#include "include/lmcd.h"

namespace lmcd::ledger {

struct alignas(64) Bucket {
  static constexpr uint32_t kSlots = 7;
  std::atomic<uint64_t> slots[kSlots];  // 0: empty; else tag << 32 | record + 1
  std::atomic<uint64_t> passed;         // entries that overflowed past this bucket
};
static_assert(sizeof(Bucket) == 64);

// The hash of a key in a namespace. Keys are digests, so mixing is all that is left to do; the
// seed (one an incarnation) keeps crafted sets of keys from being reused.
inline uint64_t hash_key(const lmcd_key_t& key, uint32_t space, uint64_t seed) {
  uint64_t a;
  uint64_t b;
  std::memcpy(&a, key.bytes, 8);
  std::memcpy(&b, key.bytes + 8, 8);
  uint64_t h = (a ^ seed) * 0x9e3779b97f4a7c15;
  h ^= h >> 32;
  h = (h ^ b ^ (uint64_t{space} << 32)) * 0xd6e8feb86659fd93;
  return h ^ h >> 32;
}

class Index {
 public:
  static constexpr uint32_t kProbes = 16;

  Index() = default;
  // Views `bucket_count` (a power of two) zeroed or earlier used buckets. Does not own them.
  Index(Bucket* buckets, uint32_t bucket_count) : buckets_(buckets), mask_(bucket_count - 1) {}

  void prefetch(uint64_t hash) const { __builtin_prefetch(&buckets_[hash & mask_]); }

  // Calls same(record) for each record that may be it until one answers true.
  // Returns that record, or kAbsent.
  template <typename Same>
  uint32_t find(uint64_t hash, Same same) const {
    const uint64_t tag = hash >> 32;
    uint64_t at = hash & mask_;
    for (uint32_t probe = 0; probe < kProbes; ++probe, at = (at + 1) & mask_) {
      const Bucket& bucket = buckets_[at];
      for (const std::atomic<uint64_t>& place : bucket.slots) {
        uint64_t slot = place.load(std::memory_order_acquire);
        if (slot >> 32 == tag && static_cast<uint32_t>(slot) != 0) {
          uint32_t record = static_cast<uint32_t>(slot) - 1;
          if (same(record)) return record;
        }
      }
      if (bucket.passed.load(std::memory_order_acquire) == 0) break;
    }
    return kAbsent;
  }

  // The record of the first slot with this tag, to be prefetched before find() asks about it;
  // kAbsent if the home bucket has none. Looks at all slots without a branch: which of them it
  // is, no processor predicts.
  uint32_t likely(uint64_t hash) const {
    const Bucket& bucket = buckets_[hash & mask_];
    uint32_t found = 0;
    for (uint32_t at = Bucket::kSlots; at-- > 0;) {
      const uint64_t slot = bucket.slots[at].load(std::memory_order_relaxed);
      const uint32_t entry = static_cast<uint32_t>(slot);
      found = (slot >> 32 == hash >> 32) & (entry != 0) ? entry : found;
    }
    return found - 1;
  }

  // Returns false when all of the buckets it may use are full.
  // Requires: the record is not in the index under this hash.
  bool insert(uint64_t hash, uint32_t record);
  // Requires: it was inserted with this hash.
  void erase(uint64_t hash, uint32_t record);
  // Lets the entry of `record` name `successor` instead, in one store.
  // Requires: `record` was inserted with this hash.
  void replace(uint64_t hash, uint32_t record, uint32_t successor);

  static constexpr uint32_t kAbsent = ~uint32_t{0};

 private:
  std::atomic<uint64_t>* slot_of(uint64_t hash, uint32_t record, uint32_t* probes) const;

  Bucket* buckets_ = nullptr;
  uint64_t mask_ = 0;
};

}  // namespace lmcd::ledger
