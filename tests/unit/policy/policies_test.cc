// What sets each policy apart from the others, on histories of a few objects of one size.
#include <memory>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/core/eviction.h"
#include "daemon/policy/registry.h"

namespace lmcd::policy {
namespace {

using core::kNoObject;
using core::ObjectId;

constexpr uint64_t kBytes = 4096;
constexpr uint32_t kObjects = 100;

// A full cache of 100 objects that evicts for each new one. Keys are numbers; ids are reused.
class Cache {
 public:
  explicit Cache(std::string_view policy, uint32_t objects = kObjects)
      : policy_(std::move(
            make_policy(policy, {.objects = objects, .bytes = objects * kBytes}).value())) {
    for (ObjectId id = objects; id-- > 0;) free_.push_back(id);
    keys_.resize(objects, kGone);
  }

  // Uses `key`, storing it if absent. Returns whether it was there.
  bool use(uint64_t key, uint32_t tenant = 0) {
    if (ObjectId id = find(key); id != kNoObject) {
      policy_->hit(id);
      return true;
    }
    if (free_.empty()) evict(policy_->victim());
    ObjectId id = free_.back();
    free_.pop_back();
    keys_[id] = key;
    policy_->insert({.id = id, .key_hash = key, .bytes = kBytes, .tenant = tenant});
    return false;
  }
  bool holds(uint64_t key) const { return find(key) != kNoObject; }
  void use_range(uint64_t from, uint64_t to, uint32_t tenant = 0) {
    for (uint64_t key = from; key < to; ++key) use(key, tenant);
  }
  uint32_t held_of_range(uint64_t from, uint64_t to) const {
    uint32_t held = 0;
    for (uint64_t key = from; key < to; ++key) held += holds(key);
    return held;
  }
  core::EvictionPolicy& policy() { return *policy_; }
  uint64_t key_of(ObjectId id) const { return id == kNoObject ? kGone : keys_[id]; }

  static constexpr uint64_t kGone = UINT64_MAX;

 private:
  ObjectId find(uint64_t key) const {
    for (ObjectId id = 0; id < keys_.size(); ++id)
      if (keys_[id] == key) return id;
    return kNoObject;
  }
  void evict(ObjectId id) {
    policy_->evicted(id, keys_[id]);
    keys_[id] = kGone;
    free_.push_back(id);
  }

  std::unique_ptr<core::EvictionPolicy> policy_;
  std::vector<ObjectId> free_;
  std::vector<uint64_t> keys_;
};

TEST(Lru, the_longest_unused_goes) {
  Cache cache("LRU", 3);
  cache.use_range(1, 4);
  cache.use(1);
  cache.use(9);
  EXPECT_TRUE(cache.holds(1));
  EXPECT_FALSE(cache.holds(2));
}

TEST(Arc, a_scan_leaves_what_is_used_often) {
  Cache cache("ARC");
  cache.use_range(0, 70);
  cache.use_range(0, 70);
  cache.use_range(1000, 2000);
  EXPECT_EQ(cache.held_of_range(0, 70), 70u);
}

TEST(Arc, keys_that_come_back_too_late_make_room_for_those_used_once) {
  Cache cache("ARC");
  cache.use_range(0, 100);
  cache.use_range(0, 100);
  // Pairs of uses 40 keys apart, more than a quarter of the cache: only a larger share for keys
  // used once can hold them that long.
  uint32_t late = 0;
  for (uint64_t key = 1000; key < 3000; ++key) {
    cache.use(key);
    bool hit = cache.use(key - 40);
    if (key >= 2900) late += hit;
  }
  EXPECT_EQ(late, 100u);
}

TEST(Arc, a_quarter_is_always_left_to_those_used_once) {
  Cache cache("ARC");
  cache.use_range(0, 100);
  cache.use_range(0, 100);
  // Ghosts of `often` come back again and again and would take all.
  for (int round = 0; round < 50; ++round) cache.use_range(0, 110);
  cache.use_range(1000, 1100);
  EXPECT_GE(cache.held_of_range(1000, 1100), kObjects / 4);
}

TEST(S3Fifo, a_scan_passes_through_a_tenth) {
  Cache cache("S3FIFO");
  cache.use_range(0, 90);
  cache.use_range(0, 90);
  cache.use_range(1000, 2000);
  EXPECT_EQ(cache.held_of_range(0, 90), 90u);
}

TEST(S3Fifo, one_hit_is_enough_to_stay) {
  Cache cache("S3FIFO");
  cache.use_range(0, 100);
  cache.use(7);
  cache.use_range(1000, 1200);
  EXPECT_TRUE(cache.holds(7));
  EXPECT_FALSE(cache.holds(8));
}

TEST(S3Fifo, a_ghost_returns_to_the_main_queue) {
  Cache cache("S3FIFO");
  cache.use_range(0, 150);
  ASSERT_FALSE(cache.holds(40));
  cache.use(40);
  cache.use_range(1000, 1200);
  EXPECT_TRUE(cache.holds(40));
}

TEST(IsolatedLru, the_arena_is_shared_in_proportion_to_quotas) {
  Cache cache("IsolatedLRU");
  cache.policy().set_quota(1, 300 * kBytes);
  cache.policy().set_quota(2, 100 * kBytes);
  cache.use_range(1000, 1080, 1);
  cache.use_range(2000, 2500, 2);
  EXPECT_NEAR(cache.held_of_range(1000, 1080), 75, 1);
  EXPECT_NEAR(cache.held_of_range(2000, 2500), 25, 1);
}

TEST(IsolatedLru, a_burst_costs_nothing_to_those_below_their_share) {
  Cache cache("IsolatedLRU");
  cache.policy().set_quota(1, 100 * kBytes);
  cache.policy().set_quota(2, 100 * kBytes);
  cache.use_range(1000, 1040, 1);
  cache.use_range(2000, 9000, 2);
  EXPECT_EQ(cache.held_of_range(1000, 1040), 40u);
}

TEST(IsolatedLru, a_tenant_without_quota_gives_first) {
  Cache cache("IsolatedLRU");
  cache.policy().set_quota(1, 10 * kBytes);
  cache.use_range(1000, 1090, 1);
  cache.use_range(3000, 3010, 3);
  cache.use_range(1090, 1100, 1);
  EXPECT_EQ(cache.held_of_range(3000, 3010), 0u);
  EXPECT_EQ(cache.held_of_range(1000, 1100), 100u);
}

TEST(IsolatedLru, a_tenant_at_its_quota_gives_its_own_oldest) {
  Cache cache("IsolatedLRU");
  cache.use_range(1000, 1010, 1);
  cache.use_range(2000, 2010, 2);
  cache.use(2000, 2);
  EXPECT_EQ(cache.key_of(cache.policy().victim_of(2)), 2001u);
  EXPECT_EQ(cache.policy().victim_of(77), kNoObject);
}

TEST(IsolatedLru, a_tenant_whose_objects_are_all_withheld_is_passed_over) {
  Cache cache("IsolatedLRU", 4);
  cache.policy().set_quota(2, 100 * kBytes);
  cache.use_range(1000, 1002, 1);
  cache.use_range(2000, 2002, 2);
  ObjectId first = cache.policy().victim();
  ASSERT_EQ(cache.key_of(first), 1000u);
  cache.policy().withhold(first);
  ObjectId second = cache.policy().victim();
  ASSERT_EQ(cache.key_of(second), 1001u);
  cache.policy().withhold(second);
  EXPECT_EQ(cache.key_of(cache.policy().victim()), 2000u);
  cache.policy().offer(second);
  EXPECT_EQ(cache.key_of(cache.policy().victim()), 1001u);
}

}  // namespace
}  // namespace lmcd::policy
