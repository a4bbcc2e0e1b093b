// One thread changes the store, others read the ledger at the same time with no lock, as client
// processes do: bytes that validate are the bytes of their key, whatever was evicted and written
// meanwhile, and a pinned object is found by every single lookup. Run under ThreadSanitizer too.
#include <atomic>
#include <random>
#include <thread>

#include "tests/unit/core/store_fixture.h"

namespace lmcd::core {
namespace {

constexpr uint64_t kExtents = 32;
constexpr uint64_t kKeys = 100;
constexpr uint64_t kWordsPerExtent = 8;
constexpr int kRounds = 20000;
constexpr uint64_t kPinned = 1;

class LedgerRace : public StoreTest {
 protected:
  // The arena: what a client writes of its key, word by word.
  std::vector<std::atomic<uint64_t>> arena_ =
      std::vector<std::atomic<uint64_t>>(kExtents * kWordsPerExtent);

  std::atomic<uint64_t>* extent(uint64_t offset) {
    return &arena_[offset / kAlign * kWordsPerExtent];
  }

  void put_one(uint64_t lease, uint64_t number) {
    auto grants = reserve(kSession, lease, {key_of(number)});
    if (grants[0].outcome != LMCD_RESERVED) return;
    for (uint64_t i = 0; i < kWordsPerExtent; ++i)
      extent(grants[0].offset)[i].store(number, std::memory_order_relaxed);
    EXPECT_TRUE(store_->commit(kSession, lease, {}, {}).ok());
  }

  void write_all() {
    std::mt19937_64 random(1);
    for (int round = 0; round < kRounds; ++round) {
      put_one(static_cast<uint64_t>(round) + 2, 2 + random() % kKeys);
      if (round % 64 != 0) continue;
      const lmcd_key_t key = key_of(2 + random() % kKeys);
      store_->clear({.keys = {&key, 1}}, true);
      events_.events.clear();
    }
    done_.store(true);
  }

  void read_all(unsigned seed) {
    std::mt19937_64 random(seed);
    auto opened = ledger::Reader::open(memory_.address(), Ledger::bytes_for(plan_));
    const ledger::Reader& reader = opened.value();
    const lmcd_part_t part{};
    while (!done_.load()) {
      const uint64_t number = random() % 8 == 0 ? kPinned : 2 + random() % kKeys;
      const lmcd_key_t key = key_of(number);
      lmcd_grant_t grant;
      reader.locate(space_, {&key, 1}, {&part, 1}, &grant);
      if (number == kPinned && grant.outcome != LMCD_LEASED) missed_.fetch_add(1);
      if (grant.outcome != LMCD_LEASED) continue;
      uint64_t copied[kWordsPerExtent];
      for (uint64_t i = 0; i < kWordsPerExtent; ++i)
        copied[i] = extent(grant.extent.offset)[i].load(std::memory_order_relaxed);
      std::atomic_thread_fence(std::memory_order_acquire);
      if (!reader.holds(grant.record, grant.word)) continue;
      validated_.fetch_add(1);
      for (uint64_t word : copied) {
        if (word != number) wrong_.fetch_add(1);
      }
    }
  }

  std::atomic<bool> done_{false};
  std::atomic<uint64_t> validated_{0};
  std::atomic<uint64_t> wrong_{0};
  std::atomic<uint64_t> missed_{0};
};

TEST_F(LedgerRace, what_validates_is_whole_and_what_stays_is_found) {
  start(kExtents);
  put_one(1, kPinned);
  const lmcd_key_t pinned = key_of(kPinned);
  ASSERT_EQ(store_->pin({.keys = {&pinned, 1}}, true), 1u);
  std::thread first([this] { read_all(2); });
  std::thread second([this] { read_all(3); });
  write_all();
  first.join();
  second.join();
  EXPECT_EQ(wrong_.load(), 0u);
  EXPECT_EQ(missed_.load(), 0u);
  EXPECT_GT(validated_.load(), 0u);
}

}  // namespace
}  // namespace lmcd::core
