#include <openssl/sha.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "lib/keys/algorithm.h"

namespace lmcd::keys {
namespace {

static_assert(std::endian::native == std::endian::little, "heads are swapped to network order");

// Writes the few kinds of CBOR that a link is made of, each in its shortest form.
class Cbor {
 public:
  // Bytes of the longest head here: a type and 32 bits.
  static constexpr size_t kHeadBytes = 5;

  // Requires: what will be written fits into `capacity` bytes.
  explicit Cbor(size_t capacity)
      : bytes_(std::make_unique_for_overwrite<uint8_t[]>(capacity)), end_(bytes_.get()) {}

  void unsigned_integer(uint32_t value) { head(0, value); }
  void byte_string(const void* data, size_t length) {
    head(2, static_cast<uint32_t>(length));
    std::memcpy(end_, data, length);
    end_ += length;
  }
  void array(size_t count) { head(4, static_cast<uint32_t>(count)); }
  void null() { *end_++ = 0xf6; }

  const uint8_t* data() const { return bytes_.get(); }
  size_t size() const { return static_cast<size_t>(end_ - bytes_.get()); }

 private:
  void head(uint8_t type, uint32_t value) {
    const auto kind = static_cast<uint8_t>(type << 5);
    if (value < 24) {
      *end_++ = static_cast<uint8_t>(kind | value);
    } else if (value <= 0xff) {
      *end_++ = kind | 24;
      *end_++ = static_cast<uint8_t>(value);
    } else if (value <= 0xffff) {
      *end_++ = kind | 25;
      const uint16_t number = __builtin_bswap16(static_cast<uint16_t>(value));
      std::memcpy(end_, &number, sizeof number);
      end_ += sizeof number;
    } else {
      *end_++ = kind | 26;
      const uint32_t number = __builtin_bswap32(value);
      std::memcpy(end_, &number, sizeof number);
      end_ += sizeof number;
    }
  }

  std::unique_ptr<uint8_t[]> bytes_;
  uint8_t* end_;
};

bool digest(const Cbor& cbor, lmcd_key_t* out) {
  static_assert(sizeof out->bytes == SHA256_DIGEST_LENGTH);
  return SHA256(cbor.data(), cbor.size(), out->bytes) != nullptr;
}

Result<lmcd_key_t> first_parent(const lmcd_key_t& fingerprint, std::string_view salt) {
  Cbor cbor(sizeof fingerprint.bytes + salt.size() + 3 * Cbor::kHeadBytes);
  cbor.array(2);
  cbor.byte_string(fingerprint.bytes, sizeof fingerprint.bytes);
  if (salt.empty()) {
    cbor.null();
  } else {
    cbor.byte_string(salt.data(), salt.size());
  }
  lmcd_key_t out;
  if (!digest(cbor, &out)) {
    return fault(LMCD_E_UNSUPPORTED, "sha256_cbor: OpenSSL offers no SHA-256 in this process");
  }
  return out;
}

lmcd_key_t link(const lmcd_key_t& parent, std::span<const uint32_t> tokens) {
  Cbor cbor(sizeof parent.bytes + (tokens.size() + 4) * Cbor::kHeadBytes);
  cbor.array(3);
  cbor.byte_string(parent.bytes, sizeof parent.bytes);
  cbor.array(tokens.size());
  for (uint32_t token : tokens) cbor.unsigned_integer(token);
  cbor.null();
  lmcd_key_t out;
  // first_parent has shown that SHA-256 is there; a wrong key would be worse than no process.
  if (!digest(cbor, &out)) std::abort();
  return out;
}

}  // namespace

const Algorithm kSha256Cbor = {"sha256_cbor", first_parent, link};

}  // namespace lmcd::keys
