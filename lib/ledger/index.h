// The index: from (namespace, key) to the record of an object's first part.
//
// Open addressing over buckets of one cache line: five slots and a count of the entries that
// wanted this bucket and went on to a later one. An entry never moves, so a reader in another
// process, without locks, misses nothing that stays there; removal needs no tombstones, since a
// search goes on only past a bucket whose count says so.
//
// A slot has the key's whole hash and the number of its record. A search that must be right asks
// the caller to compare keys (find); a lookup, which is a hint and binds nobody, takes the 64 bits
// for the key (look), so that it reads one cache line a key and no record. For that the entry also
// says whether its object is whole: every part of every group committed.
//
// One writer, any number of readers. The daemon searches private memory, which alone it trusts,
// and each change goes to the mirror in the ledger too, which clients read.
//
// Bounds: a search or insert looks at kProbes buckets at most. An insert past them fails, which
// only crafted keys bring about at the load that bucket_count_for() plans for: sixteen buckets in
// a row are full there once in a hundred times, sixty-four once in 10^8 (the large deviations of a
// sum of Poisson counts).
#pragma once

#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>

#include "include/lmcd.h"
#include "lib/base/prefetch.h"

namespace lmcd::ledger {

struct alignas(64) Bucket {
  static constexpr uint32_t kSlots = 5;
  std::atomic<uint64_t> tags[kSlots];     // 0: empty; else the hash, made odd
  std::atomic<uint32_t> entries[kSlots];  // the record; the highest bit: its object is whole
  std::atomic<uint32_t> passed;           // entries that overflowed past this bucket
};
static_assert(sizeof(Bucket) == 64);

// Both halves of a product, folded (the step of wyhash): each bit of the result hangs on all bits.
inline uint64_t fold(uint64_t a, uint64_t b) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// The hash of a key in a namespace. The seed (one an incarnation) keeps crafted sets of keys from
// being reused.
inline uint64_t hash_key(const lmcd_key_t& key, uint32_t space, uint64_t seed) {
  const auto word = [&key](std::size_t at) {
    uint64_t value;
    std::memcpy(&value, key.bytes + at * sizeof value, sizeof value);
    return value;
  };
  const uint64_t low = fold(word(0) ^ seed, word(1) ^ 0xa0761d6478bd642f);
  const uint64_t high = fold(word(2) ^ seed, word(3) ^ 0xe7037ed1a0b428db);
  return fold(low ^ 0x8ebc6af09c88c6e3, high ^ 0x589965cc75374cc3 ^ uint64_t{space} << 32);
}

class Index {
 public:
  static constexpr uint32_t kProbes = 64;
  static constexpr uint32_t kAbsent = ~uint32_t{0};
  static constexpr uint32_t kRecordsMax = (uint32_t{1} << 31) - 1;

  // What a slot says, or that none does.
  class Entry {
   public:
    Entry() = default;
    explicit Entry(uint32_t word) : word_(word) {}
    bool present() const { return word_ != kAbsent; }
    // Whether the object is there with all its parts.
    bool whole() const { return word_ >= kWhole && present(); }
    // kRecordsMax when there is none.
    uint32_t record() const { return word_ & ~kWhole; }

   private:
    uint32_t word_ = kAbsent;
  };

  Index() = default;
  // Views `bucket_count` (at least one) zeroed or earlier used buckets, and as many zeroed ones of
  // a mirror, if there is one. Does not own them.
  Index(Bucket* buckets, uint32_t bucket_count, Bucket* mirror = nullptr)
      : buckets_(buckets), mirror_(mirror), bucket_count_(bucket_count) {}

  void prefetch(uint64_t hash) const { lmcd::prefetch(&buckets_[home_of(hash)]); }
  // The same before an insert, the mirror included.
  void prefetch_to_write(uint64_t hash) const {
    const uint32_t home = home_of(hash);
    lmcd::prefetch_to_write(&buckets_[home]);
    if (mirror_ != nullptr) lmcd::prefetch_to_write(&mirror_[home]);
  }

  // Calls same(record) for each record that may be it until one answers true.
  // Returns that record, or kAbsent.
  template <typename Same>
  uint32_t find(uint64_t hash, Same same) const {
    const uint64_t tag = tag_of(hash);
    uint32_t at = home_of(hash);
    for (uint32_t probe = 0; probe < kProbes; ++probe, at = after(at)) {
      const Bucket& bucket = buckets_[at];
      for (uint32_t slot = 0; slot < Bucket::kSlots; ++slot) {
        if (bucket.tags[slot].load(std::memory_order_acquire) != tag) continue;
        const Entry entry(bucket.entries[slot].load(std::memory_order_acquire));
        if (same(entry.record())) return entry.record();
      }
      if (bucket.passed.load(std::memory_order_acquire) == 0) break;
    }
    return kAbsent;
  }

  // What the hash alone tells. Wrong with a probability of 2^-60 a key, and at the moment of a
  // change.
  Entry look(uint64_t hash) const {
    const Bucket& home = buckets_[home_of(hash)];
    const Entry entry = look_in(home, tag_of(hash));
    if (entry.present() || home.passed.load(std::memory_order_acquire) == 0) return entry;
    return look_past(hash);
  }

  // Returns false when all of the buckets it may use are full.
  // Requires: the record is below kRecordsMax and not in the index under this hash.
  bool insert(uint64_t hash, uint32_t record);
  // The three below require that `record` was inserted with this hash.
  void erase(uint64_t hash, uint32_t record);
  // Lets the entry name `successor` instead, in one store.
  void replace(uint64_t hash, uint32_t record, uint32_t successor);
  void set_whole(uint64_t hash, uint32_t record, bool whole);

 private:
  static constexpr uint32_t kWhole = uint32_t{1} << 31;

  struct Place {
    uint32_t bucket;
    uint32_t slot;
    uint32_t probes;  // buckets passed on the way
  };

  // Any number of buckets will do: the hash as a fraction of 2^32 falls on one (Lemire's range
  // reduction).
  uint32_t home_of(uint64_t hash) const {
    return static_cast<uint32_t>((hash >> 32) * bucket_count_ >> 32);
  }
  uint32_t after(uint32_t bucket) const { return bucket + 1 == bucket_count_ ? 0 : bucket + 1; }

  static uint64_t tag_of(uint64_t hash) { return hash | 1; }

  // Looks at all slots without a branch: which of them it is, no processor predicts.
  static Entry look_in(const Bucket& bucket, uint64_t tag) {
    uint32_t same = 0;
#pragma GCC unroll 5
    for (uint32_t at = 0; at < Bucket::kSlots; ++at)
      same |= uint32_t{bucket.tags[at].load(std::memory_order_acquire) == tag} << at;
    if (same == 0) return {};
    const int slot = std::countr_zero(same);
    const uint32_t word = bucket.entries[slot].load(std::memory_order_acquire);
    // The slot may have got another key between the two loads.
    return bucket.tags[slot].load(std::memory_order_relaxed) == tag ? Entry(word) : Entry();
  }

  Entry look_past(uint64_t hash) const;
  Place place_of(uint64_t hash, uint32_t record) const;
  uint32_t entry_at(const Place& place) const;
  void set_entry(const Place& place, uint32_t word);
  void set_tag(const Place& place, uint64_t tag);
  void count_passes(uint32_t home, uint32_t probes, uint32_t change);

  Bucket* buckets_ = nullptr;
  Bucket* mirror_ = nullptr;
  uint32_t bucket_count_ = 0;
};

}  // namespace lmcd::ledger
