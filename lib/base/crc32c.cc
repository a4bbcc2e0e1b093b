#include "lib/base/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace lmcd {
namespace {

// Polynomials over GF(2) modulo Castagnoli's, bits reversed as the crc has them: the top bit
// of a word is x^0.
constexpr uint32_t kPolynomial = 0x82f63b78;
constexpr uint32_t kOne = uint32_t{1} << 31;

constexpr uint32_t times_x(uint32_t a) { return (a >> 1) ^ (kPolynomial & (0 - (a & 1))); }

constexpr uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int bit = 31; bit >= 0; --bit) {
    product ^= b & (0 - ((a >> bit) & 1));  // a mask: a branch would be a coin toss
    b = times_x(b);
  }
  return product;
}

// kSquares[k] is x to the 2^k.
constexpr std::array<uint32_t, 67> make_squares() {
  std::array<uint32_t, 67> squares{times_x(kOne)};
  for (std::size_t k = 1; k < squares.size(); ++k)
    squares[k] = multiply(squares[k - 1], squares[k - 1]);
  return squares;
}
constexpr auto kSquares = make_squares();

// x to the exponent * 2^shift.
constexpr uint32_t power_of_x(uint64_t exponent, std::size_t shift = 0) {
  uint32_t result = kOne;
  for (std::size_t k = shift; exponent != 0; exponent >>= 1, ++k)
    if (exponent & 1) result = multiply(result, kSquares[k]);
  return result;
}

using Tables = std::array<std::array<uint32_t, 256>, 8>;

// tables[k][b]: what byte b does to the crc once k further bytes have passed.
constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = times_x(crc);
    tables[0][byte] = crc;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (std::size_t k = 1; k < 8; ++k) {
      uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

#if defined(__x86_64__)

uint64_t word_at(const unsigned char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

[[gnu::target("sse4.2")]] uint32_t serial(uint32_t crc, const unsigned char* at,
                                          std::size_t length) {
  uint64_t wide = crc;
  for (; length >= 8; at += 8, length -= 8) wide = _mm_crc32_u64(wide, word_at(at));
  crc = static_cast<uint32_t>(wide);
  for (; length > 0; ++at, --length) crc = _mm_crc32_u8(crc, *at);
  return crc;
}

// Moves `crc` past the bytes that `factor`, x^(8 * bytes - 33), stands for. The product of two
// reversed words comes out one place low, and the crc instruction multiplies by x^32: hence 33.
[[gnu::target("sse4.2,pclmul")]] uint64_t skip(uint64_t crc, uint32_t factor) {
  __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(crc)),
                                         _mm_cvtsi32_si128(static_cast<int>(factor)), 0);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

// Takes 3 * kStride bytes at a time off the front.
template <std::size_t kStride>
[[gnu::target("sse4.2,pclmul")]] uint32_t interleaved(uint32_t crc, const unsigned char*& at,
                                                      std::size_t& length) {
  constexpr uint32_t kPastOne = power_of_x(8 * kStride - 33);
  constexpr uint32_t kPastTwo = power_of_x(16 * kStride - 33);
  for (; length >= 3 * kStride; at += 3 * kStride, length -= 3 * kStride) {
    uint64_t a = crc, b = 0, c = 0;
    for (std::size_t i = 0; i < kStride; i += 8) {
      a = _mm_crc32_u64(a, word_at(at + i));
      b = _mm_crc32_u64(b, word_at(at + kStride + i));
      c = _mm_crc32_u64(c, word_at(at + 2 * kStride + i));
    }
    crc = static_cast<uint32_t>(skip(a, kPastTwo) ^ skip(b, kPastOne) ^ c);
  }
  return crc;
}

uint32_t extend_sse42(uint32_t crc, const unsigned char* at, std::size_t length) {
  crc = interleaved<4096>(~crc, at, length);
  crc = interleaved<256>(crc, at, length);
  return ~serial(crc, at, length);
}

#endif

}  // namespace

uint32_t crc32c_extend(uint32_t crc, const void* bytes, std::size_t length) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
    return extend_sse42(crc, static_cast<const unsigned char*>(bytes), length);
#endif
  return crc32c_extend_portable(crc, bytes, length);
}

uint32_t crc32c_extend_portable(uint32_t crc, const void* bytes, std::size_t length) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  crc = ~crc;
  for (; length >= 8; at += 8, length -= 8) {
    crc = kTables[7][at[0] ^ (crc & 0xff)] ^ kTables[6][at[1] ^ ((crc >> 8) & 0xff)] ^
          kTables[5][at[2] ^ ((crc >> 16) & 0xff)] ^ kTables[4][at[3] ^ (crc >> 24)] ^
          kTables[3][at[4]] ^ kTables[2][at[5]] ^ kTables[1][at[6]] ^ kTables[0][at[7]];
  }
  for (; length > 0; ++at, --length) crc = (crc >> 8) ^ kTables[0][(crc ^ *at) & 0xff];
  return ~crc;
}

Crc32cShift::Crc32cShift(uint64_t length) : length_(length), power_(power_of_x(length, 3)) {}

uint32_t Crc32cShift::operator()(uint32_t crc) const { return multiply(crc, power_); }

}  // namespace lmcd
