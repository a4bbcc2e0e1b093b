// The hash algorithms of key chains: how the first parent and each link are made.
//
//   name          first parent                          link
//   blake3        BLAKE3(fingerprint | salt)            BLAKE3(parent | tokens)
//   sha256_cbor   SHA-256(CBOR([fingerprint, salt]))    SHA-256(CBOR([parent, [tokens], null]))
//
// Tokens are little-endian 32-bit numbers under blake3. CBOR is in its deterministic form (RFC
// 8949, 4.2): digests are byte strings, tokens integers, the salt a byte string or null when
// empty. A link of sha256_cbor is vLLM's sha256_cbor of a block without extra keys, whose parent
// is the link before. Keys outlive processes: what is written here never changes.
//
// Any thread; pure.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "include/lmcd.h"
#include "lib/base/status.h"

namespace lmcd::keys {

struct Algorithm {
  std::string_view name;
  // Faults: LMCD_E_UNSUPPORTED when this process cannot compute the hash.
  Result<lmcd_key_t> (*first_parent)(const lmcd_key_t& fingerprint, std::string_view salt);
  // Requires: first_parent succeeded in this process; tokens are not empty.
  lmcd_key_t (*link)(const lmcd_key_t& parent, std::span<const uint32_t> tokens);
};

extern const Algorithm kBlake3;
extern const Algorithm kSha256Cbor;

// Returns the algorithm of this name; nullptr when there is none.
const Algorithm* find_algorithm(std::string_view name);

}  // namespace lmcd::keys
