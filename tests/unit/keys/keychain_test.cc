// Keys are the same for ever and do not depend on how the tokens arrive. The frozen digests were
// computed by other implementations (the blake3, hashlib and cbor2 packages of Python).
#include "lib/keys/keychain.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/unit/keys/hex.h"

namespace lmcd::keys {
namespace {

KeyChain::Options options(std::string_view algorithm, uint32_t chunk_tokens,
                          std::string_view salt = "") {
  KeyChain::Options options;
  for (uint8_t index = 0; index < 32; ++index) options.fingerprint.bytes[index] = index;
  options.algorithm = algorithm;
  options.chunk_tokens = chunk_tokens;
  options.salt = salt;
  return options;
}

KeyChain chain(std::string_view algorithm, uint32_t chunk_tokens, std::string_view salt = "") {
  auto result = KeyChain::open(options(algorithm, chunk_tokens, salt));
  EXPECT_TRUE(result.ok());
  return std::move(result.value());
}

// Every third token stands at an edge of CBOR's integer forms.
std::vector<uint32_t> tokens(uint32_t count) {
  constexpr uint32_t kEdges[] = {0, 1, 23, 24, 255, 256, 65535, 65536, 0xffffffff};
  std::vector<uint32_t> tokens;
  for (uint64_t index = 0; index < count; ++index) {
    tokens.push_back(index % 3 == 0 ? kEdges[index % 9]
                                    : static_cast<uint32_t>(index * 2654435761 % 152064));
  }
  return tokens;
}

std::vector<std::string> extend(KeyChain& chain, std::span<const uint32_t> tokens) {
  std::vector<lmcd_key_t> keys(chain.completed_by(tokens.size()));
  chain.extend(tokens, keys.data());
  std::vector<std::string> texts;
  for (const lmcd_key_t& key : keys) texts.push_back(hex(key));
  return texts;
}

struct Vector {
  const char* algorithm;
  const char* salt;
  uint32_t chunk_tokens;
  const char* first;
  const char* last;
};

constexpr Vector kVectors[] = {
    {"blake3", "", 1, "3aaaf7abe8d82e6fe3935776759e5e0d8699647a92fe4db87a4e14b98a69f5f8",
     "e6961bdbe1db955e846d60c24c0e6521686c8239447d2514ad23b9221c258268"},
    {"blake3", "", 256, "dbbcee2b50d7fb04bda7942a6107c675807d0938e3fe31e47af9271a26b381d4",
     "cf3a7f780a771081574d3d7b6cdb7ecad15029430bce92723a7b242c92f3b064"},
    {"blake3", "tenant-7", 1, "725e541f3f7205c122e388f7aca544eeed5851c926bc2813b9a0c8277df2906a",
     "d7d01ad0f5f302dabe44ece4309bd67ab45e28e00f02e39b58a2d42a4c11afae"},
    {"blake3", "tenant-7", 256, "5c4a052b088b86bd62d0f0606016f77e3785734719da376e2334b305f39aa539",
     "b88af42f61838adf9458aec11ba1b07971cc16c94cda93d618064f62adb37b1c"},
    {"sha256_cbor", "", 1, "e1ed38dfbc0404ce1e434af8528f4c2d0b742aa8be44d084143b9f2c09e63756",
     "8f1e99183d499d324482e2810e8c141ee81eb0f9b14f97588a7b5dab09d219d0"},
    {"sha256_cbor", "", 256, "dbfa175395ad29dac68ba448d3a83c2c944185d6d237861c7a3195ff7dced42d",
     "1cbf33854db98cef5a8778206ea12ed83011253fe49d2d697a77e9d1bb843b75"},
    {"sha256_cbor", "tenant-7", 1,
     "fb840cb313c631c61bba2f0614dfb8484b81b3057f5cb6eb2cf8685d1c0fdb51",
     "f713156eab2a340797efb1ed10ea350f4e6b74187bf2a327430eea567f52be12"},
    {"sha256_cbor", "tenant-7", 256,
     "72a28b2be6d9940a06b884999cb6c55d1c70c4460ecc2c8ed5fd3fa8016d8d2d",
     "97d2dffe4fbd037c736c5a270d824c06e9b992d8324435f9599c2785576e4b3b"},
};

TEST(KeyChain, keys_are_what_other_implementations_compute) {
  for (const Vector& vector : kVectors) {
    SCOPED_TRACE(std::string(vector.algorithm) + " " + vector.salt);
    KeyChain subject = chain(vector.algorithm, vector.chunk_tokens, vector.salt);
    const auto keys = extend(subject, tokens(1024));
    ASSERT_EQ(keys.size(), 1024 / vector.chunk_tokens);
    EXPECT_EQ(keys.front(), vector.first);
    EXPECT_EQ(keys.back(), vector.last);
  }
}

TEST(KeyChain, the_largest_chunk_is_one_key) {
  std::vector<uint32_t> many;
  for (uint64_t index = 0; index < 65536; ++index) {
    many.push_back(static_cast<uint32_t>(index * 2654435761 % 152064));
  }
  KeyChain blake3 = chain("blake3", 65536);
  KeyChain sha256 = chain("sha256_cbor", 65536);
  EXPECT_EQ(extend(blake3, many).at(0),
            "393b911ba8a5cfa2bad4238ac659b77819d19fe8581fa11a7394080e427c5278");
  EXPECT_EQ(extend(sha256, many).at(0),
            "a64ce732bfb5f5ab5d97b9e0e0d1c21c403b0fa8e1e93459a1dc4862fb204ff1");
}

TEST(KeyChain, keys_do_not_depend_on_how_the_tokens_arrive) {
  std::mt19937 engine(20);
  auto random = [&engine] { return static_cast<uint32_t>(engine()); };
  const auto all = tokens(3000);
  for (int round = 0; round < 100; ++round) {
    const char* algorithm = round % 2 ? "blake3" : "sha256_cbor";
    const uint32_t chunk_tokens = 1 + random() % 300;
    KeyChain whole = chain(algorithm, chunk_tokens);
    const auto expected = extend(whole, all);
    ASSERT_EQ(expected.size(), all.size() / chunk_tokens);

    KeyChain grown = chain(algorithm, chunk_tokens);
    std::vector<std::string> keys;
    for (std::span<const uint32_t> rest = all; !rest.empty();) {
      const auto count = std::min<size_t>(random() % (2 * chunk_tokens + 1), rest.size());
      for (std::string& key : extend(grown, rest.first(count))) keys.push_back(std::move(key));
      rest = rest.subspan(count);
    }
    ASSERT_EQ(keys, expected) << "chunk_tokens " << chunk_tokens;
  }
}

TEST(KeyChain, only_whole_chunks_get_keys) {
  KeyChain subject = chain("blake3", 256);
  EXPECT_EQ(subject.completed_by(255), 0u);
  EXPECT_TRUE(extend(subject, tokens(255)).empty());
  EXPECT_TRUE(extend(subject, {}).empty());
  EXPECT_EQ(subject.completed_by(1), 1u);
  EXPECT_EQ(subject.completed_by(256), 1u);
  EXPECT_EQ(subject.completed_by(257), 2u);
}

TEST(KeyChain, a_copy_goes_on_alone_from_the_same_point) {
  const auto all = tokens(1000);
  const std::span<const uint32_t> span = all;
  KeyChain one = chain("blake3", 64);
  extend(one, span.first(500));
  KeyChain other = one;
  const auto keys = extend(one, span.subspan(500));
  extend(other, std::vector<uint32_t>(12, 9));
  KeyChain third = chain("blake3", 64);
  const auto whole = extend(third, all);
  EXPECT_TRUE(std::equal(keys.begin(), keys.end(), whole.begin() + 7, whole.end()));
  EXPECT_NE(extend(other, span.subspan(512)), keys);
}

TEST(KeyChain, fingerprint_salt_algorithm_and_chunk_size_tell_keys_apart) {
  const auto all = tokens(256);
  auto first = [&all](const KeyChain::Options& options) {
    KeyChain chain = std::move(KeyChain::open(options).value());
    return extend(chain, all).at(0);
  };
  const auto plain = first(options("blake3", 256));
  auto other = options("blake3", 256);
  other.fingerprint.bytes[31] ^= 1;
  EXPECT_NE(first(other), plain);
  EXPECT_NE(first(options("blake3", 256, "t")), plain);
  EXPECT_NE(first(options("sha256_cbor", 256)), plain);
  EXPECT_NE(first(options("blake3", 128)), plain);
}

TEST(KeyChain, options_out_of_range_are_refused_by_name) {
  auto text = [](const KeyChain::Options& options) {
    return std::string(KeyChain::open(options).status().text());
  };
  EXPECT_EQ(text(options("blake3", 0)), "chunk_tokens 0: must be 1 to 65536");
  EXPECT_EQ(text(options("blake3", 65537)), "chunk_tokens 65537: must be 1 to 65536");
  EXPECT_EQ(text(options("blake3", 256, std::string(257, 's'))),
            "salt of 257 bytes: must be at most 256");
  EXPECT_EQ(text(options("md5", 256)), "algorithm \"md5\": must be blake3 or sha256_cbor");
  EXPECT_TRUE(KeyChain::open(options("blake3", 65536, std::string(256, 's'))).ok());
}

}  // namespace
}  // namespace lmcd::keys
