// The index finds what was put in and nothing else, through any history of insertions and removals,
// its overflow counts return to zero, and a crafted crowd of keys is refused, not searched for.
#include "lib/ledger/index.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "lib/ledger/layout.h"

namespace lmcd::ledger {
namespace {

class IndexTest : public testing::Test {
 protected:
  static constexpr uint32_t kBuckets = 256;

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
    if (held.size() < kBuckets * 4 && random() % 2 == 0) {
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

TEST_F(IndexTest, replace_lets_an_entry_name_another_record_as_whole_as_before) {
  ASSERT_TRUE(index_.insert(77, 5));
  index_.set_whole(77, 5, true);
  index_.replace(77, 5, 9);
  EXPECT_EQ(find(77, 5), Index::kAbsent);
  EXPECT_EQ(find(77, 9), 9u);
  EXPECT_TRUE(index_.look(77).whole());
}

TEST_F(IndexTest, the_hash_alone_tells_the_record_and_whether_it_is_whole) {
  const uint64_t far_bucket = uint64_t{200} << 56;  // another bucket than that of small numbers
  for (uint32_t record = 0; record < 12; ++record)
    ASSERT_TRUE(index_.insert(10 + 2 * record, record));
  index_.set_whole(10 + 2 * 7, 7, true);
  for (uint32_t record = 0; record < 12; ++record) {
    const Index::Entry entry = index_.look(10 + 2 * record);
    EXPECT_EQ(entry.record(), record) << "though a bucket has five places";
    EXPECT_EQ(entry.whole(), record == 7);
  }
  EXPECT_FALSE(index_.look(far_bucket).present());
  index_.set_whole(10 + 2 * 7, 7, false);
  EXPECT_FALSE(index_.look(10 + 2 * 7).whole());
  index_.erase(10 + 2 * 7, 7);
  EXPECT_FALSE(index_.look(10 + 2 * 7).present());
}

TEST_F(IndexTest, a_mirror_has_each_change) {
  std::vector<Bucket> shown(kBuckets);
  Index writer(buckets_.data(), kBuckets, shown.data());
  const Index reader(shown.data(), kBuckets);
  std::mt19937_64 random(3);
  for (uint32_t record = 0; record < 1000; ++record) {
    const uint64_t hash = random();
    ASSERT_TRUE(writer.insert(hash, record));
    writer.set_whole(hash, record, record % 3 == 0);
    if (record % 2 == 0)
      writer.erase(hash, record);
    else if (record % 5 == 0)
      writer.replace(hash, record, record + 5000);
  }
  for (uint32_t bucket = 0; bucket < kBuckets; ++bucket) {
    EXPECT_EQ(shown[bucket].passed.load(), buckets_[bucket].passed.load());
    for (uint32_t slot = 0; slot < Bucket::kSlots; ++slot) {
      EXPECT_EQ(shown[bucket].tags[slot].load(), buckets_[bucket].tags[slot].load());
      EXPECT_EQ(shown[bucket].entries[slot].load(), buckets_[bucket].entries[slot].load());
    }
  }
  random.seed(3);
  for (uint32_t record = 0; record < 1000; ++record) {
    const uint32_t shown_as = record % 5 == 0 ? record + 5000 : record;
    EXPECT_EQ(reader.look(random()).record(), record % 2 == 0 ? Index::kRecordsMax : shown_as);
  }
}

TEST_F(IndexTest, it_takes_every_record_that_it_is_planned_for) {
  constexpr uint32_t kRecords = 1 << 18;
  std::vector<Bucket> buckets(bucket_count_for(kRecords));
  Index index(buckets.data(), static_cast<uint32_t>(buckets.size()));
  std::mt19937_64 random(9);
  for (uint32_t record = 0; record < kRecords; ++record)
    ASSERT_TRUE(index.insert(random(), record));
}

TEST_F(IndexTest, a_crowd_of_keys_with_one_hash_is_refused) {
  uint32_t taken = 0;
  while (taken < 10000 && index_.insert(3, taken)) ++taken;
  EXPECT_EQ(taken, Index::kProbes * Bucket::kSlots);
  for (uint32_t record = 0; record < taken; ++record) EXPECT_EQ(find(3, record), record);
  EXPECT_TRUE(index_.insert(uint64_t{128} << 56, 50000)) << "others find their place";
}

}  // namespace
}  // namespace lmcd::ledger
