// What a policy remembers of keys that are gone: the most recently evicted, in order.
//
// Bounded by a number of keys fixed when made and by bytes that the caller trims to; past
// either the oldest is forgotten. A key is known by 32 bits of its hash: with a million ghosts
// one recall in 4,000 is mistaken, which costs a policy one misplaced object and nobody a
// wrong byte. 24 bytes a ghost at the peak number of them. Loop thread only.
//
// The table grows by linear hashing (Litwin 1980), one bucket an insertion, so no insertion
// ever pays for rehashing the others.
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/reserved_array.h"
#include "lib/base/status.h"

namespace lmcd::policy {

class Ghosts {
 public:
  // Makes room for `keys_max` keys.
  static Result<Ghosts> make(uint32_t keys_max);

  // Remembers a key as the youngest, forgetting the oldest if there is no room.
  void remember(uint64_t key_hash, uint64_t bytes);
  // Forgets a key that has come back. Returns the bytes it had, or nothing if not remembered.
  std::optional<uint64_t> recall(uint64_t key_hash);
  // Forgets the oldest until at most `bytes` are remembered.
  void trim(uint64_t bytes);

  uint64_t bytes() const { return bytes_; }
  uint32_t count() const { return count_; }

 private:
  // Entry 0 is the ring's sentinel: its `younger` is the oldest ghost, its `older` the youngest.
  // Free entries are chained by `next`.
  struct Entry {
    uint32_t fingerprint;
    uint32_t weight;
    uint32_t older;
    uint32_t younger;
    uint32_t next;
  };

  Ghosts(ReservedArray<Entry> entries, ReservedArray<uint32_t> buckets)
      : entries_(std::move(entries)), buckets_(std::move(buckets)) {}

  uint32_t& bucket_of(uint32_t fingerprint);
  void split_bucket();
  uint32_t take_entry();
  void forget(uint32_t index);

  ReservedArray<Entry> entries_;
  ReservedArray<uint32_t> buckets_;
  uint32_t bucket_count_ = 1;
  uint32_t used_ = 0;  // entries ever used; free ones among them are chained from free_
  uint32_t free_ = 0;
  uint32_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace lmcd::policy
