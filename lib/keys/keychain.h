// Derives the keys of a growing run of tokens, one key a whole chunk.
//
//   tokens   |----chunk 0----|----chunk 1----|--pending--
//   keys   first parent -> key 0 --------> key 1
//
// Keeps the last key and the tokens after it, so a conversation that grows hashes only what is
// new. A copy is an independent chain that goes on from the same point. One thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/keys/algorithm.h"

namespace lmcd::keys {

class KeyChain {
 public:
  static constexpr uint32_t kMaxChunkTokens = 65536;
  static constexpr size_t kMaxSaltBytes = 256;

  struct Options {
    lmcd_key_t fingerprint = {};
    std::string_view salt;  // the tenant's cache_salt; empty for none
    uint32_t chunk_tokens = 256;
    std::string_view algorithm = "blake3";
  };

  // Faults: LMCD_E_INVALID for a value out of range or an unknown algorithm, LMCD_E_UNSUPPORTED
  // for one that this process cannot compute.
  static Result<KeyChain> open(const Options& options);

  // Returns the number of chunks that `count` more tokens complete.
  size_t completed_by(size_t count) const { return (pending_.size() + count) / chunk_tokens_; }

  // Takes more tokens and writes the keys of the chunks they complete.
  // Requires: keys has room for completed_by(tokens.size()).
  void extend(std::span<const uint32_t> tokens, lmcd_key_t* keys);

 private:
  KeyChain(const Algorithm& algorithm, uint32_t chunk_tokens, const lmcd_key_t& first_parent)
      : algorithm_(&algorithm), chunk_tokens_(chunk_tokens), parent_(first_parent) {}

  const Algorithm* algorithm_;
  uint32_t chunk_tokens_;
  lmcd_key_t parent_;
  std::vector<uint32_t> pending_;  // fewer than chunk_tokens_
};

}  // namespace lmcd::keys
