#include "lib/keys/algorithm.h"

namespace lmcd::keys {

const Algorithm* find_algorithm(std::string_view name) {
  for (const Algorithm* algorithm : {&kBlake3, &kSha256Cbor}) {
    if (algorithm->name == name) return algorithm;
  }
  return nullptr;
}

}  // namespace lmcd::keys
