// A restart over a ledger in which anything may be wrong: numbers flipped, records copied over
// others, tables of noise. It is adopted in part or refused; what is adopted obeys every rule
// (the allocator's books are exact, each extent has one owner), and a clear gives back every byte.
#include <random>

#include "tests/unit/core/store_fixture.h"

namespace lmcd::core {
namespace {

constexpr uint64_t kExtents = 64;

class BrokenLedger : public StoreTest, public testing::WithParamInterface<int> {
 protected:
  void fill() {
    start(kExtents, {}, 128);
    for (uint64_t n = 0; n < 8; ++n) {
      reserve(kSession, n + 1, keys_of(n * 10 + 1, 5), {}, kAlign * (1 + n % 3));
      if (n % 4 != 3) store_->commit(kSession, n + 1, {}, {}).code();
    }
    store_.reset();
    policy_ = std::make_unique<PlainLru>();
  }

  ledger::Record* records() {
    char* base = static_cast<char*>(memory_.address());
    auto* header = static_cast<ledger::Header*>(memory_.address());
    return reinterpret_cast<ledger::Record*>(base + header->record_offset);
  }

  void damage(std::mt19937_64& random) {
    char* table = reinterpret_cast<char*>(records());
    const uint64_t bytes = 128 * sizeof(ledger::Record);
    switch (random() % 4) {
      case 0:
        for (int i = 0; i < 20; ++i) table[random() % bytes] ^= static_cast<char>(random());
        break;
      case 1:
        std::memcpy(table + random() % 40 * sizeof(ledger::Record),
                    table + random() % 40 * sizeof(ledger::Record), sizeof(ledger::Record));
        break;
      case 2:
        records()[random() % 40].offset = random() % (kExtents + 8) * kAlign / (1 + random() % 2);
        records()[random() % 40].length = static_cast<uint32_t>(random());
        break;
      default:
        for (uint64_t at = 0; at + 8 <= bytes; at += 8) {
          const uint64_t noise = random() % 4 == 0 ? random() : random() % 64 * kAlign;
          std::memcpy(table + at, &noise, 8);
        }
        static_cast<ledger::Header*>(memory_.address())->record_high.store(
            static_cast<uint32_t>(random() % 1000));
    }
  }
};

TEST_P(BrokenLedger, is_refused_or_adopted_by_the_rules) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 12; ++round) {
    fill();
    damage(random);
    auto ledger = Ledger::attach(memory_.address(), Ledger::bytes_for(plan_), plan_);
    ASSERT_TRUE(ledger.ok());
    Adopted found;
    auto adopted = Store::adopt(ledger.value(), {}, *policy_, clock_, events_, &found);
    if (!adopted.ok()) {
      EXPECT_EQ(adopted.status().code(), LMCD_E_CORRUPT);
      continue;
    }
    store_ = std::move(adopted.value());
    const Metrics& now = store_->snapshot();
    EXPECT_LE(now.hot_bytes + now.quarantined_bytes, now.used_bytes);
    open_sessions();
    reserve(kSession, 900, keys_of(5000, 4));
    store_->commit(kSession, 900, {}, {}).code();
    std::vector<LivenessSlot> slots;
    store_->for_each_quarantined_slot([&](LivenessSlot slot) { slots.push_back(slot); });
    for (LivenessSlot slot : slots) store_->writer_dead(slot);
    store_->clear({}, true);
    EXPECT_EQ(store_->snapshot().free_bytes, kExtents * kAlign);
    EXPECT_EQ(store_->snapshot().holes, 1u);
    store_.reset();
    policy_ = std::make_unique<PlainLru>();
  }
}

INSTANTIATE_TEST_SUITE_P(Random, BrokenLedger, testing::Range(0, 5));

}  // namespace
}  // namespace lmcd::core
