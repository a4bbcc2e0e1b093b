// The hashes of a list of keys, each computed some places before its turn, so that what a key
// leads to is on its way from memory while others are worked on.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace lmcd::ledger {

// `hash(at)` returns the hash of key `at` and asks for its bucket (Index::prefetch). It is called
// once for each key, in order, kFar keys ahead; kFar is a power of two.
template <std::size_t kFar, typename Hash>
class Ahead {
 public:
  Ahead(std::size_t count, Hash hash) : count_(count), hash_(hash) {
    for (std::size_t at = 0; at < std::min(kFar, count); ++at) hashes_[at] = hash_(at);
  }

  // The hash of key `at`. Requires: called for each key, in order.
  uint64_t take(std::size_t at) {
    const uint64_t hash = hashes_[at % kFar];
    if (at + kFar < count_) hashes_[at % kFar] = hash_(at + kFar);
    return hash;
  }

  // The hash of a key whose turn has yet to come, less than kFar places on.
  uint64_t later(std::size_t at) const { return hashes_[at % kFar]; }

 private:
  const std::size_t count_;
  Hash hash_;
  uint64_t hashes_[kFar];
};

template <std::size_t kFar, typename Hash>
Ahead<kFar, Hash> hash_ahead(std::size_t count, Hash hash) {
  return Ahead<kFar, Hash>(count, hash);
}

}  // namespace lmcd::ledger
