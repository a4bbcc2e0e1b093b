#include "lib/client/barrier.h"

#include <algorithm>
#include <cstring>

namespace lmcd::client {

lmcd_code_t report(lmcd_error_t* err, lmcd_code_t code, std::string_view text) {
  if (err == nullptr) return code;
  err->code = code;
  std::size_t length = std::min(text.size(), sizeof err->text - 1);
  if (length < text.size()) {
    while (length > 0 && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) --length;
  }
  std::memcpy(err->text, text.data(), length);
  err->text[length] = '\0';
  return code;
}

}  // namespace lmcd::client
