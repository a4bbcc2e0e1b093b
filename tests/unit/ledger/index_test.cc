// The index finds what was put in and nothing else, through any history of insertions and removals,
// its overflow counts return to zero, and a crafted crowd of keys is refused, not searched for.
#include "lib/ledger/index.h"

#include <map>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace lmcd::ledger {
namespace {

class IndexTest : public testing::Test {
 protected:
  static constexpr uint32_t kBuckets = 64;

  uint32_t find(uint64_t hash, uint32_t record) const {
    return index_.find(hash, [&](uint32_t candidate) { return candidate == record; });
  }

  std::vector<Bucket> buckets_ = std::vector<Bucket>(kBuckets);
  Index index_{buckets_.data(), kBuckets};
};

TEST_F(IndexTest, random_histories_agree_with_a_map) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  std::map<uint32_t, uint64_t> held;  // record -> hash
  for (int step = 0; step < 20000; ++step) {
    if (held.size() < kBuckets * 6 && random() % 2 == 0) {
      const uint32_t record = static_cast<uint32_t>(random() % 100000);
      const uint64_t hash = random();
      if (held.contains(record) || !index_.insert(hash, record)) continue;
      held[record] = hash;
    } else if (!held.empty()) {
      auto gone = std::next(held.begin(), static_cast<long>(random() % held.size()));
      index_.erase(gone->second, gone->first);
      EXPECT_EQ(find(gone->second, gone->first), Index::kAbsent);
      held.erase(gone);
    }
    if (step % 500 != 0) continue;
    for (auto [record, hash] : held) ASSERT_EQ(find(hash, record), record);
  }
  for (auto [record, hash] : held) index_.erase(hash, record);
  for (const Bucket& bucket : buckets_) EXPECT_EQ(bucket.passed.load(), 0u);
}

TEST_F(IndexTest, replace_lets_an_entry_name_another_record) {
  ASSERT_TRUE(index_.insert(77, 5));
  index_.replace(77, 5, 9);
  EXPECT_EQ(find(77, 5), Index::kAbsent);
  EXPECT_EQ(find(77, 9), 9u);
}

TEST_F(IndexTest, a_crowd_of_keys_with_one_hash_is_refused) {
  uint32_t taken = 0;
  while (taken < 10000 && index_.insert(3, taken)) ++taken;
  EXPECT_EQ(taken, Index::kProbes * Bucket::kSlots);
  for (uint32_t record = 0; record < taken; ++record) EXPECT_EQ(find(3, record), record);
  EXPECT_TRUE(index_.insert(40, 50000)) << "others find their place";
}

}  // namespace
}  // namespace lmcd::ledger
