// Digests as the tests write them.
#pragma once

#include <string>

#include "include/lmcd.h"

namespace lmcd::keys {

inline std::string hex(const lmcd_key_t& key) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (uint8_t byte : key.bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace lmcd::keys
