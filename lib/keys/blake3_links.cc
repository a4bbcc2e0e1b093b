#include <blake3.h>

#include <bit>

#include "lib/keys/algorithm.h"

namespace lmcd::keys {
namespace {

static_assert(std::endian::native == std::endian::little,
              "tokens are hashed as they lie in memory");
static_assert(sizeof(lmcd_key_t) == BLAKE3_OUT_LEN);

lmcd_key_t digest(const lmcd_key_t& first, const void* rest, size_t length) {
  blake3_hasher hasher;
  blake3_hasher_init(&hasher);
  blake3_hasher_update(&hasher, first.bytes, sizeof first.bytes);
  blake3_hasher_update(&hasher, rest, length);
  lmcd_key_t out;
  blake3_hasher_finalize(&hasher, out.bytes, sizeof out.bytes);
  return out;
}

Result<lmcd_key_t> first_parent(const lmcd_key_t& fingerprint, std::string_view salt) {
  return digest(fingerprint, salt.data(), salt.size());
}

lmcd_key_t link(const lmcd_key_t& parent, std::span<const uint32_t> tokens) {
  return digest(parent, tokens.data(), tokens.size_bytes());
}

}  // namespace

const Algorithm kBlake3 = {"blake3", first_parent, link};

}  // namespace lmcd::keys
