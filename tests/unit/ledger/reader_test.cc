// A reader of any bytes gets a fault or misses, never a read outside of the mapping (the
// sanitizers watch), and a header for another layout is told apart from a broken one.
#include "lib/ledger/reader.h"

#include <cstring>
#include <random>

#include <gtest/gtest.h>

#include "daemon/core/ledger.h"
#include "lib/base/reserved_array.h"

namespace lmcd::ledger {
namespace {

class ReaderTest : public testing::Test {
 protected:
  void SetUp() override {
    plan_.arena_bytes = 1 << 20;
    plan_.records = 64;
    bytes_ = core::Ledger::bytes_for(plan_);
    memory_ = std::move(Reservation::make(bytes_).value());
    core::Ledger::format(memory_.address(), plan_);
  }

  Header& header() { return *static_cast<Header*>(memory_.address()); }

  core::Ledger::Plan plan_;
  uint64_t bytes_ = 0;
  Reservation memory_;
};

TEST_F(ReaderTest, a_fresh_ledger_has_nothing) {
  auto reader = Reader::open(memory_.address(), bytes_);
  ASSERT_TRUE(reader.ok());
  const lmcd_key_t key{{1, 2, 3}};
  lmcd_presence_t presence;
  reader.value().lookup(0, {&key, 1}, &presence);
  EXPECT_EQ(presence.hot, 0u);
}

TEST_F(ReaderTest, another_layout_is_named) {
  header().version = kLedgerVersion + 1;
  EXPECT_EQ(Reader::open(memory_.address(), bytes_).status().code(), LMCD_E_VERSION);
  header().version = kLedgerVersion;
  header().magic = 0;
  EXPECT_EQ(Reader::open(memory_.address(), bytes_).status().code(), LMCD_E_CORRUPT);
}

TEST_F(ReaderTest, tables_outside_of_the_mapping_are_refused) {
  const uint64_t offset = header().record_offset;
  for (uint64_t wrong : {uint64_t{0}, bytes_, ~uint64_t{0} - 63, offset + 1}) {
    header().record_offset = wrong;
    EXPECT_EQ(Reader::open(memory_.address(), bytes_).status().code(), LMCD_E_CORRUPT) << wrong;
  }
  header().record_offset = offset;
  header().record_capacity = UINT32_MAX;
  EXPECT_FALSE(Reader::open(memory_.address(), bytes_).ok());
}

TEST_F(ReaderTest, random_tables_give_misses_and_no_harm) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  char* base = static_cast<char*>(memory_.address());
  std::vector<lmcd_key_t> keys(64);
  std::vector<lmcd_presence_t> presence(keys.size());
  std::vector<lmcd_grant_t> grants(keys.size());
  const lmcd_part_t part{};
  for (int round = 0; round < 50; ++round) {
    for (uint64_t at = header().index_offset; at + 8 <= bytes_; at += 8) {
      const uint64_t noise = random() % 3 == 0 ? random() % 70 : random();
      std::memcpy(base + at, &noise, 8);
    }
    for (lmcd_key_t& key : keys) {
      for (uint8_t& byte : key.bytes) byte = static_cast<uint8_t>(random());
    }
    auto reader = Reader::open(memory_.address(), bytes_);
    ASSERT_TRUE(reader.ok());
    reader.value().lookup(0, keys, presence.data());
    reader.value().locate(0, keys, {&part, 1}, grants.data());
    for (const lmcd_grant_t& grant : grants) EXPECT_EQ(grant.outcome, LMCD_ABSENT);
  }
}

}  // namespace
}  // namespace lmcd::ledger
