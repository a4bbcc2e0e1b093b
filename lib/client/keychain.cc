// The C entry points of key derivation: lib/keys behind the exception barrier. No session, no
// daemon, no state but the chain's own.
#include "lib/keys/keychain.h"

#include <memory>
#include <utility>

#include "lib/client/barrier.h"
#include "lib/keys/fingerprint.h"

struct lmcd_keychain {
  lmcd::keys::KeyChain chain;
};

namespace {

lmcd::Status missing(const char* argument) {
  return lmcd::fault(LMCD_E_INVALID, "%s is NULL", argument);
}

}  // namespace

lmcd_code_t lmcd_fingerprint(const char* description, lmcd_key_t* out, lmcd_error_t* err) {
  return lmcd::client::guard(err, [&]() -> lmcd::Status {
    if (description == nullptr) return missing("description");
    if (out == nullptr) return missing("out");
    LMCD_ASSIGN(*out, lmcd::keys::fingerprint(description));
    return {};
  });
}

lmcd_code_t lmcd_keychain_open(const lmcd_key_t* fingerprint, const char* salt,
                               uint32_t chunk_tokens, const char* algorithm, lmcd_keychain_t** out,
                               lmcd_error_t* err) {
  return lmcd::client::guard(err, [&]() -> lmcd::Status {
    if (out == nullptr) return missing("out");
    *out = nullptr;
    if (fingerprint == nullptr) return missing("fingerprint");
    lmcd::keys::KeyChain::Options options;
    options.fingerprint = *fingerprint;
    options.chunk_tokens = chunk_tokens;
    if (salt != nullptr) options.salt = salt;
    if (algorithm != nullptr) options.algorithm = algorithm;
    LMCD_ASSIGN(lmcd::keys::KeyChain chain, lmcd::keys::KeyChain::open(options));
    *out = new lmcd_keychain{std::move(chain)};
    return {};
  });
}

lmcd_code_t lmcd_keychain_extend(lmcd_keychain_t* chain, const uint32_t* tokens, size_t count,
                                 lmcd_key_t* keys, size_t capacity, size_t* written,
                                 lmcd_error_t* err) {
  return lmcd::client::guard(err, [&]() -> lmcd::Status {
    if (written == nullptr) return missing("written");
    *written = 0;
    if (chain == nullptr) return missing("chain");
    if (tokens == nullptr && count > 0) return missing("tokens");
    const size_t completed = chain->chain.completed_by(count);
    if (completed > capacity) {
      return lmcd::fault(LMCD_E_LIMIT, "%zu tokens complete %zu chunks: keys has room for %zu",
                         count, completed, capacity);
    }
    if (keys == nullptr && completed > 0) return missing("keys");
    chain->chain.extend({tokens, count}, keys);
    *written = completed;
    return {};
  });
}

lmcd_code_t lmcd_keychain_fork(const lmcd_keychain_t* chain, lmcd_keychain_t** out,
                               lmcd_error_t* err) {
  return lmcd::client::guard(err, [&]() -> lmcd::Status {
    if (out == nullptr) return missing("out");
    *out = nullptr;
    if (chain == nullptr) return missing("chain");
    *out = new lmcd_keychain(*chain);
    return {};
  });
}

void lmcd_keychain_close(lmcd_keychain_t* chain) { delete chain; }
