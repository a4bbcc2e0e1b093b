// crc32c is what its definition says, by whichever way it is computed: held against a crc
// worked bit by bit, at every small length and alignment, and at random large ones.
#include "lib/base/crc32c.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string_view>
#include <vector>

namespace lmcd {
namespace {

uint32_t bitwise(const unsigned char* at, std::size_t length) {
  uint32_t crc = 0xffffffff;
  for (std::size_t i = 0; i < length; ++i) {
    crc ^= at[i];
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

std::vector<unsigned char> noise(std::size_t length) {
  std::mt19937_64 random(1);
  std::vector<unsigned char> bytes(length);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
  return bytes;
}

// RFC 3720, appendix B.4, and the check value of the catalogue of crc algorithms.
TEST(Crc32c, published_vectors_come_out) {
  unsigned char bytes[32] = {};
  EXPECT_EQ(crc32c(bytes, 32), 0x8a9136aau);
  std::memset(bytes, 0xff, 32);
  EXPECT_EQ(crc32c(bytes, 32), 0x62a8ab43u);
  for (unsigned char i = 0; i < 32; ++i) bytes[i] = i;
  EXPECT_EQ(crc32c(bytes, 32), 0x46dd794eu);
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c_extend_portable(0, "123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c("", 0), 0u);
}

TEST(Crc32c, every_small_length_and_alignment_agrees_with_the_definition) {
  std::vector<unsigned char> bytes = noise(1200);
  for (std::size_t start = 0; start < 9; ++start) {
    for (std::size_t length = 0; length < 1100; ++length) {
      uint32_t expected = bitwise(&bytes[start], length);
      ASSERT_EQ(crc32c(&bytes[start], length), expected) << start << " " << length;
      ASSERT_EQ(crc32c_extend_portable(0, &bytes[start], length), expected)
          << start << " " << length;
    }
  }
}

TEST(Crc32c, pieces_extend_and_combine_to_the_whole) {
  std::vector<unsigned char> bytes = noise(200000);
  std::mt19937_64 random(2);
  for (int round = 0; round < 50; ++round) {
    std::size_t length = random() % bytes.size();
    std::size_t cut = length == 0 ? 0 : random() % length;
    uint32_t whole = bitwise(bytes.data(), length);
    uint32_t front = crc32c(bytes.data(), cut);
    uint32_t back = crc32c(bytes.data() + cut, length - cut);
    ASSERT_EQ(crc32c(bytes.data(), length), whole) << length;
    ASSERT_EQ(crc32c_extend(front, bytes.data() + cut, length - cut), whole)
        << length << " " << cut;
    ASSERT_EQ(crc32c_combine(front, back, length - cut), whole) << length << " " << cut;
  }
}

TEST(Crc32c, combining_with_nothing_changes_nothing) {
  EXPECT_EQ(crc32c_combine(0x12345678, 0, 0), 0x12345678u);
  EXPECT_EQ(crc32c_combine(0, 0x12345678, 77), 0x12345678u);
}

// Lengths of four gigabytes and more are shifted by their true value, not modulo 2^32.
TEST(Crc32c, a_shift_past_4_gib_is_that_of_its_parts) {
  uint64_t length = (uint64_t{5} << 30) + 3;
  uint32_t crc = 0xdeadbeef;
  uint32_t stepwise = crc;
  for (int i = 0; i < 5; ++i) stepwise = Crc32cShift(uint64_t{1} << 30)(stepwise);
  EXPECT_EQ(Crc32cShift(length)(crc), Crc32cShift(3)(stepwise));
}

}  // namespace
}  // namespace lmcd
