#include "lib/keys/fingerprint.h"

#include <blake3.h>

#include <bit>

namespace lmcd::keys {
namespace {

constexpr char kContext[] = "lmcd namespace fingerprint 1";

// Returns the length of the printable UTF-8 sequence that `text` begins with; 0 when it begins
// with none (Unicode 15, table 3-7: no overlong form, no surrogate, nothing past U+10FFFF).
size_t printable_prefix(std::string_view text) {
  auto at = [text](size_t index) { return static_cast<uint8_t>(text[index]); };
  const uint8_t first = at(0);
  if (first < 0x80) return (first >= 0x20 && first != 0x7f) || first == '\n' ? 1 : 0;
  if (first < 0xc2 || first > 0xf4) return 0;
  const size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) return 0;
  const uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : first == 0xc2 ? 0xa0 : 0x80;
  const uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at(1) < low || at(1) > high) return 0;
  for (size_t index = 2; index < length; ++index) {
    if ((at(index) & 0xc0) != 0x80) return 0;
  }
  return length;
}

Status check(std::string_view description) {
  if (description.empty() || description.size() > kMaxDescriptionBytes) {
    return fault(LMCD_E_INVALID, "description of %zu bytes: must be 1 to %zu", description.size(),
                 kMaxDescriptionBytes);
  }
  for (size_t at = 0; at < description.size();) {
    const size_t length = printable_prefix(description.substr(at));
    if (length == 0) {
      return fault(LMCD_E_INVALID, "description: byte %zu (0x%02x) is not printable UTF-8", at,
                   static_cast<uint8_t>(description[at]));
    }
    at += length;
  }
  return {};
}

}  // namespace

Result<lmcd_key_t> fingerprint(std::string_view description) {
  static_assert(std::endian::native == std::endian::little);
  LMCD_TRY(check(description));
  blake3_hasher hasher;
  blake3_hasher_init_derive_key(&hasher, kContext);
  const uint64_t length = description.size();
  blake3_hasher_update(&hasher, &length, sizeof length);
  blake3_hasher_update(&hasher, description.data(), description.size());
  lmcd_key_t out;
  blake3_hasher_finalize(&hasher, out.bytes, sizeof out.bytes);
  return out;
}

}  // namespace lmcd::keys
