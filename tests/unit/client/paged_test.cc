// Proves that paged blocks go into extents and come back the same, that what is no longer valid is
// said to be so, and that a mapping can be populated in the background. The bytes of every block
// are compared.
#include <sys/stat.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

class Paged : public ClientTest {
 protected:
  static constexpr uint32_t kBlockBytes = 512;
  static constexpr uint32_t kBlocks = 16;

  void SetUp() override {
    daemon.ledger->add_space(3, "model: test");
    open_session();
    open_space();
    ASSERT_EQ(lmcd_mapping_open(session, &mapping, &error), LMCD_OK);
    for (std::vector<uint8_t>* tensor : {&keys_of_engine, &values_of_engine})
      tensor->resize(kBlocks * kBlockBytes);
    std::iota(keys_of_engine.begin(), keys_of_engine.end(), uint8_t{1});
    std::iota(values_of_engine.rbegin(), values_of_engine.rend(), uint8_t{7});
    pages = {page_of(keys_of_engine), page_of(values_of_engine)};
    copy.struct_size = sizeof copy;
    copy.page_count = 2;
    copy.pages = pages.data();
    copy.grants = grants.data();
    copy.block_ids = block_ids.data();
    copy.count = 2;
    copy.blocks_per_item = 2;
    copy.threads = 2;
    for (uint32_t i = 0; i < 2; ++i) {
      grants[i].outcome = LMCD_RESERVED;
      grants[i].record = i + 1;
      grants[i].incarnation = 0xabcd;
      grants[i].extent = {0, 0, 4096 * i, 4 * kBlockBytes};
    }
  }
  ~Paged() override { lmcd_mapping_close(mapping); }

  static lmcd_page_t page_of(std::vector<uint8_t>& tensor) {
    return {reinterpret_cast<uintptr_t>(tensor.data()), kBlockBytes, 0, kBlockBytes, 1, kBlocks, 0};
  }
  // The daemon commits what was gathered.
  void become_hot(const uint32_t* crcs) {
    for (uint32_t i = 0; i < 2; ++i) {
      grants[i].word = daemon.ledger->add_hot(i + 1, 3, key_of(static_cast<uint8_t>(i)),
                                              grants[i].extent.offset, 4 * kBlockBytes);
      grants[i].outcome = LMCD_LEASED;
      if (crcs != nullptr) {
        grants[i].has_crc = 1;
        grants[i].crc32c = crcs[i];
      }
    }
  }
  void forget_engine() {
    std::fill(keys_of_engine.begin(), keys_of_engine.end(), uint8_t{0});
    std::fill(values_of_engine.begin(), values_of_engine.end(), uint8_t{0});
  }

  lmcd_mapping_t* mapping = nullptr;
  std::vector<uint8_t> keys_of_engine, values_of_engine;
  std::array<lmcd_page_t, 2> pages{};
  std::array<lmcd_grant_t, 2> grants{};
  std::array<uint32_t, 4> block_ids{3, 1, 15, 8};
  lmcd_paged_copy_t copy{};
};

TEST_F(Paged, blocks_come_back_as_they_were) {
  const std::vector<uint8_t> keys = keys_of_engine;
  const std::vector<uint8_t> values = values_of_engine;
  uint32_t crcs[2] = {};
  copy.checksum = 1;
  ASSERT_EQ(lmcd_gather(mapping, &copy, crcs, &error), LMCD_OK) << error.text;
  EXPECT_EQ(crcs[0], lmcd_crc32c(0, daemon.ledger->arena(), 4 * kBlockBytes));
  become_hot(crcs);
  forget_engine();
  uint8_t valid[2] = {};
  ASSERT_EQ(lmcd_scatter(mapping, &copy, valid, &error), LMCD_OK) << error.text;
  EXPECT_EQ(valid[0] & valid[1], 1);
  for (uint32_t block : block_ids) {
    const std::size_t at = block * kBlockBytes;
    EXPECT_EQ(std::memcmp(&keys_of_engine[at], &keys[at], kBlockBytes), 0) << block;
    EXPECT_EQ(std::memcmp(&values_of_engine[at], &values[at], kBlockBytes), 0) << block;
  }
}

TEST_F(Paged, what_does_not_match_its_checksum_or_its_lease_is_not_valid) {
  uint32_t crcs[2] = {};
  copy.checksum = 1;
  ASSERT_EQ(lmcd_gather(mapping, &copy, crcs, &error), LMCD_OK) << error.text;
  become_hot(crcs);
  daemon.ledger->arena()[7] ^= std::byte{1};
  uint8_t valid[2] = {};
  ASSERT_EQ(lmcd_scatter(mapping, &copy, valid, &error), LMCD_OK) << error.text;
  EXPECT_EQ(valid[0], 0);
  EXPECT_EQ(valid[1], 1);
  copy.checksum = 0;
  daemon.ledger->record(2).word += 256;
  ASSERT_EQ(lmcd_scatter(mapping, &copy, valid, &error), LMCD_OK) << error.text;
  EXPECT_EQ(valid[0], 1) << "checksums were not asked for";
  EXPECT_EQ(valid[1], 0);
}

TEST_F(Paged, wrong_copies_are_named_and_touch_nothing) {
  uint8_t valid[2] = {};
  const auto expect_invalid = [&](const std::function<void()>& change, const char* named) {
    const lmcd_paged_copy_t before = copy;
    const auto grants_before = grants;
    const auto blocks_before = block_ids;
    change();
    EXPECT_EQ(lmcd_gather(mapping, &copy, nullptr, &error), LMCD_E_INVALID) << named;
    EXPECT_NE(std::string(error.text).find(named), std::string::npos) << error.text;
    copy = before;
    grants = grants_before;
    block_ids = blocks_before;
  };
  expect_invalid([&] { copy.page_count = 0; }, "page_count");
  expect_invalid([&] { copy.pages = nullptr; }, "pages");
  expect_invalid([&] { copy.grants = nullptr; }, "grants");
  expect_invalid([&] { copy.block_ids = nullptr; }, "block_ids");
  expect_invalid([&] { copy.count = 0; }, "count");
  expect_invalid([&] { copy.blocks_per_item = 0; }, "blocks_per_item");
  expect_invalid([&] { copy.blocks_per_item = 1; }, "item 0");
  expect_invalid([&] { copy.threads = 65; }, "65");
  expect_invalid([&] { copy.checksum = 2; }, "checksum");
  expect_invalid([&] { copy.checksum = 1; }, "crcs");
  expect_invalid([&] { grants[1].outcome = LMCD_LEASED; }, "grants[1]");
  expect_invalid([&] { grants[1].incarnation = 1; }, "grants[1]");
  expect_invalid([&] { block_ids[3] = kBlocks; }, "block_ids[1]");
  EXPECT_EQ(daemon.ledger->arena()[0], std::byte{0});
  EXPECT_EQ(lmcd_scatter(mapping, &copy, valid, &error), LMCD_E_INVALID) << "they are RESERVED";
  EXPECT_EQ(lmcd_scatter(mapping, &copy, nullptr, &error), LMCD_E_INVALID);
}

TEST_F(Paged, an_arena_is_populated_in_the_background) {
  ASSERT_EQ(lmcd_populate(mapping, nullptr, 0, &error), LMCD_OK) << error.text;
  uint64_t cpu_ns = 0;
  ASSERT_EQ(lmcd_populate_wait(mapping, 10'000, &cpu_ns, &error), LMCD_OK) << error.text;
  EXPECT_GT(cpu_ns, 0u);
  const std::size_t pages_of_arena = FakeLedger::kArenaBytes / 4096;
  lmcd_grant_t all{};
  all.outcome = LMCD_LEASED;
  all.incarnation = 0xabcd;
  all.extent.length = FakeLedger::kArenaBytes;
  std::vector<unsigned char> resident(pages_of_arena);
  ASSERT_EQ(mincore(lmcd_mapping_address(mapping, &all), FakeLedger::kArenaBytes, resident.data()),
            0);
  EXPECT_EQ(std::count_if(resident.begin(), resident.end(), [](auto r) { return r & 1; }),
            static_cast<std::ptrdiff_t>(pages_of_arena));
}

TEST_F(Paged, pages_past_the_frontier_are_not_asked_for) {
  daemon.ledger->header().frontier_bytes = 0;
  ASSERT_EQ(lmcd_populate(mapping, nullptr, 0, &error), LMCD_OK) << error.text;
  ASSERT_EQ(lmcd_populate(mapping, grants.data(), 1, &error), LMCD_OK) << error.text;
  ASSERT_EQ(lmcd_populate_wait(mapping, 10'000, nullptr, &error), LMCD_OK) << error.text;
  struct stat status {};
  fstat(daemon.ledger->arena_descriptor(), &status);
  EXPECT_LE(status.st_blocks * 512, 4096) << "only the grant's own page";
  grants[0].extent.offset = FakeLedger::kArenaBytes;
  EXPECT_EQ(lmcd_populate(mapping, grants.data(), 1, &error), LMCD_E_INVALID);
}

}  // namespace
}  // namespace lmcd::test
