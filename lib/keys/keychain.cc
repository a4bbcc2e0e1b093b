#include "lib/keys/keychain.h"

#include <algorithm>

namespace lmcd::keys {

Result<KeyChain> KeyChain::open(const Options& options) {
  if (options.chunk_tokens < 1 || options.chunk_tokens > kMaxChunkTokens) {
    return fault(LMCD_E_INVALID, "chunk_tokens %u: must be 1 to %u", options.chunk_tokens,
                 kMaxChunkTokens);
  }
  if (options.salt.size() > kMaxSaltBytes) {
    return fault(LMCD_E_INVALID, "salt of %zu bytes: must be at most %zu", options.salt.size(),
                 kMaxSaltBytes);
  }
  const Algorithm* algorithm = find_algorithm(options.algorithm);
  if (algorithm == nullptr) {
    return fault(LMCD_E_INVALID, "algorithm \"%.*s\": must be blake3 or sha256_cbor",
                 static_cast<int>(std::min<size_t>(options.algorithm.size(), 64)),
                 options.algorithm.data());
  }
  LMCD_ASSIGN(const lmcd_key_t parent, algorithm->first_parent(options.fingerprint, options.salt));
  return KeyChain(*algorithm, options.chunk_tokens, parent);
}

void KeyChain::extend(std::span<const uint32_t> tokens, lmcd_key_t* keys) {
  pending_.reserve(chunk_tokens_);  // here, so that no allocation can fail between two links
  if (!pending_.empty()) {
    const auto missing = std::min<size_t>(chunk_tokens_ - pending_.size(), tokens.size());
    pending_.insert(pending_.end(), tokens.begin(), tokens.begin() + missing);
    tokens = tokens.subspan(missing);
    if (pending_.size() < chunk_tokens_) return;
    *keys++ = parent_ = algorithm_->link(parent_, pending_);
  }
  for (; tokens.size() >= chunk_tokens_; tokens = tokens.subspan(chunk_tokens_)) {
    *keys++ = parent_ = algorithm_->link(parent_, tokens.first(chunk_tokens_));
  }
  pending_.assign(tokens.begin(), tokens.end());
}

}  // namespace lmcd::keys
