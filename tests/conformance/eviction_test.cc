// What the store relies on, run on every eviction policy of the registry:
//
//   - a proposal is live and not withheld; there is one whenever such an object exists;
//   - withholding costs an object neither its place nor, however many are withheld, time;
//   - demoted objects go first, refreshed ones late, ids may live again;
//   - any history agrees with a model, and the same history gives the same victims;
//   - memory: 16 bytes a live object, and a bound on what is remembered of those gone.
//
// noop, which proposes nothing, has a test of its own.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "daemon/core/eviction.h"
#include "daemon/policy/registry.h"

namespace lmcd::core {
namespace {

constexpr uint64_t kBytes = 4096;
using Order = std::vector<ObjectId>;

// The finalizer of splitmix64: what the store's hash looks like to a policy.
uint64_t hash_of(uint64_t key) {
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9;
  key = (key ^ (key >> 27)) * 0x94d049bb133111eb;
  return key ^ (key >> 31);
}

std::unique_ptr<EvictionPolicy> make(const std::string& name, uint32_t objects) {
  return std::move(
      policy::make_policy(name, {.objects = objects, .bytes = objects * kBytes}).value());
}

class Eviction : public testing::TestWithParam<std::string> {
 protected:
  static constexpr uint32_t kObjects = 1000;

  void insert(ObjectId id, uint32_t tenant = 0) {
    policy_->insert({.id = id, .key_hash = hash_of(id), .bytes = kBytes, .tenant = tenant});
  }
  void insert_range(ObjectId from, ObjectId to) {
    for (ObjectId id = from; id < to; ++id) insert(id);
  }
  // Evicts `most` objects, or until nothing is proposed.
  Order drain(std::size_t most = SIZE_MAX) {
    Order order;
    for (ObjectId id; order.size() < most && (id = policy_->victim()) != kNoObject;
         policy_->evicted(id, hash_of(id)))
      order.push_back(id);
    return order;
  }

  std::unique_ptr<EvictionPolicy> policy_ = make(GetParam(), kObjects);
};

TEST_P(Eviction, an_empty_policy_proposes_nothing) { EXPECT_EQ(policy_->victim(), kNoObject); }

TEST_P(Eviction, everything_is_proposed_once_in_the_end) {
  for (ObjectId id = 0; id < kObjects; ++id) insert(id, id % 7);
  for (ObjectId id = 0; id < kObjects; id += 3) policy_->hit(id);
  for (ObjectId id = 0; id < kObjects; id += 9) policy_->hit(id);
  Order order = drain();
  EXPECT_EQ(order.size(), kObjects);
  EXPECT_EQ(std::set<ObjectId>(order.begin(), order.end()).size(), kObjects);
}

TEST_P(Eviction, a_proposal_stands_until_something_changes) {
  insert_range(0, 100);
  for (ObjectId id = 0; id < 50; ++id) policy_->hit(id);
  EXPECT_EQ(policy_->victim(), policy_->victim());
}

TEST_P(Eviction, of_objects_used_alike_the_oldest_goes_first) {
  insert_range(0, 5);
  EXPECT_EQ(drain(), (Order{0, 1, 2, 3, 4}));
}

TEST_P(Eviction, a_hit_outlives_its_equals) {
  insert_range(0, kObjects);
  policy_->hit(1);
  EXPECT_FALSE(std::ranges::count(drain(kObjects / 2), 1u));
}

TEST_P(Eviction, a_refreshed_object_is_as_young_as_a_new_one) {
  insert_range(0, 4);
  policy_->refresh(0);
  EXPECT_EQ(drain(), (Order{1, 2, 3, 0}));
}

TEST_P(Eviction, a_demoted_object_goes_first) {
  insert_range(0, 5);
  policy_->hit(3);
  policy_->demote(3);
  EXPECT_EQ(drain().front(), 3u);
}

TEST_P(Eviction, a_hit_saves_a_demoted_object) {
  insert_range(0, kObjects);
  policy_->demote(3);
  policy_->hit(3);
  EXPECT_FALSE(std::ranges::count(drain(kObjects / 2), 3u));
}

TEST_P(Eviction, a_refresh_saves_a_demoted_object) {
  insert_range(0, 5);
  policy_->demote(3);
  policy_->refresh(3);
  EXPECT_EQ(drain().back(), 3u);
}

TEST_P(Eviction, a_withheld_object_is_not_proposed) {
  insert_range(0, 10);
  for (ObjectId id = 0; id < 10; id += 2) policy_->withhold(id);
  EXPECT_EQ(drain(), (Order{1, 3, 5, 7, 9}));
  policy_->offer(4);
  EXPECT_EQ(drain(), (Order{4}));
}

TEST_P(Eviction, withholding_says_nothing_about_age) {
  insert_range(0, 5);
  policy_->withhold(1);
  policy_->withhold(0);
  policy_->offer(0);
  EXPECT_EQ(policy_->victim(), 0u);
  policy_->offer(1);
  EXPECT_EQ(drain(), (Order{0, 1, 2, 3, 4}));
}

TEST_P(Eviction, what_was_passed_over_is_next_when_offered_again) {
  insert_range(0, 5);
  policy_->withhold(0);
  EXPECT_EQ(policy_->victim(), 1u);
  policy_->offer(0);
  EXPECT_EQ(policy_->victim(), 0u);
}

TEST_P(Eviction, a_withheld_object_may_be_used_resized_demoted_and_forgotten) {
  insert_range(0, 6);
  for (ObjectId id = 0; id < 4; ++id) policy_->withhold(id);
  EXPECT_EQ(policy_->victim(), 4u);
  policy_->hit(0);
  policy_->demote(1);
  policy_->resize(2, 7 * kBytes);
  policy_->forgotten(3);
  EXPECT_EQ(drain(), (Order{4, 5}));
  for (ObjectId id : {0, 2, 1}) policy_->offer(id);
  Order rest = drain();
  EXPECT_EQ(rest.front(), 1u);
  EXPECT_EQ(rest.size(), 3u);
}

TEST_P(Eviction, an_id_begins_each_life_afresh) {
  insert_range(0, 5);
  policy_->hit(0);
  policy_->withhold(0);
  policy_->forgotten(0);
  policy_->demote(1);
  policy_->evicted(1, hash_of(1));
  policy_->insert({.id = 1, .key_hash = hash_of(101), .bytes = kBytes});
  policy_->insert({.id = 0, .key_hash = hash_of(100), .bytes = kBytes});
  EXPECT_EQ(drain(), (Order{2, 3, 4, 1, 0}));
}

TEST_P(Eviction, objects_larger_than_the_arena_do_no_harm) {
  policy_->insert({.id = 0, .key_hash = hash_of(0), .bytes = 10 * kObjects * kBytes});
  insert(1);
  policy_->resize(1, UINT64_MAX);
  policy_->hit(0);
  EXPECT_EQ(drain().size(), 2u);
}

// One random history, driven through two policies and a model of which objects may go.
class History {
 public:
  History(const std::string& name, uint64_t seed)
      : first_(make(name, kIds)), second_(make(name, kIds)), dice_(seed) {}

  void step() {
    switch (pick(12)) {
      case 0:
      case 1:
      case 2: return insert();
      case 3:
      case 4: return both([id = any()](EvictionPolicy& p) { p.hit(id); }, any_exists());
      case 5: return both([id = any()](EvictionPolicy& p) { p.refresh(id); }, any_exists());
      case 6: return both([id = any()](EvictionPolicy& p) { p.demote(id); }, any_exists());
      case 7: return toggle();
      case 8: return resize();
      case 9: return forget();
      case 10: return quota();
      default: return evict();
    }
  }

 private:
  static constexpr uint32_t kIds = 60;
  static constexpr uint32_t kTenants = 5;
  struct Live {
    uint64_t key_hash;
    uint32_t tenant;
    bool withheld;
  };

  uint32_t pick(uint32_t count) { return static_cast<uint32_t>(dice_() % count); }
  bool any_exists() const { return !live_.empty(); }
  ObjectId any() {
    if (live_.empty()) return kNoObject;
    return std::next(live_.begin(), pick(static_cast<uint32_t>(live_.size())))->first;
  }
  template <typename Verb>
  void both(Verb&& verb, bool possible = true) {
    if (!possible) return;
    verb(*first_);
    verb(*second_);
  }

  void insert() {
    ObjectId id = pick(kIds);
    if (live_.contains(id)) return;
    Live object{hash_of(pick(200)), pick(kTenants), false};
    live_[id] = object;
    ObjectTrait trait{.id = id,
                      .key_hash = object.key_hash,
                      .bytes = (1 + pick(8)) * kBytes / 2,
                      .tenant = object.tenant};
    both([&](EvictionPolicy& p) { p.insert(trait); });
  }
  void toggle() {
    if (live_.empty()) return;
    ObjectId id = any();
    bool& withheld = live_[id].withheld;
    both([&](EvictionPolicy& p) { withheld ? p.offer(id) : p.withhold(id); });
    withheld = !withheld;
  }
  void resize() {
    ObjectId id = any();
    uint64_t bytes = (1 + pick(8)) * kBytes / 2;
    both([&](EvictionPolicy& p) { p.resize(id, bytes); }, any_exists());
  }
  void forget() {
    ObjectId id = any();
    both([&](EvictionPolicy& p) { p.forgotten(id); }, any_exists());
    live_.erase(id);
  }
  void quota() {
    uint32_t tenant = pick(kTenants);
    uint64_t bytes = pick(20) * kBytes;
    both([&](EvictionPolicy& p) { p.set_quota(tenant, bytes); });
  }
  void evict() {
    uint32_t tenant = pick(kTenants);
    check(first_->victim_of(tenant), second_->victim_of(tenant), &tenant);
    ObjectId victim = first_->victim();
    check(victim, second_->victim(), nullptr);
    if (victim == kNoObject) return;
    uint64_t key_hash = live_.at(victim).key_hash;
    both([&](EvictionPolicy& p) { p.evicted(victim, key_hash); });
    live_.erase(victim);
  }
  void check(ObjectId victim, ObjectId twin, const uint32_t* tenant) {
    ASSERT_EQ(victim, twin) << "the same history gave another victim";
    if (victim == kNoObject) {
      if (tenant) return;
      for (const auto& [id, object] : live_)
        ASSERT_TRUE(object.withheld) << "object " << id << " may go and was not proposed";
      return;
    }
    ASSERT_TRUE(live_.contains(victim)) << "object " << victim << " is not live";
    ASSERT_FALSE(live_[victim].withheld) << "object " << victim << " is withheld";
    if (tenant) {
      ASSERT_EQ(live_[victim].tenant, *tenant);
    }
  }

  std::unique_ptr<EvictionPolicy> first_;
  std::unique_ptr<EvictionPolicy> second_;
  std::mt19937_64 dice_;
  std::map<ObjectId, Live> live_;
};

TEST_P(Eviction, random_histories_agree_with_a_model) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(GetParam(), seed);
    for (int step = 0; step < 5000 && !HasFatalFailure(); ++step) history.step();
  }
}

// Seconds of `rounds` evictions and insertions behind `withheld` objects that are older.
double churn_seconds(const std::string& name, uint32_t withheld, uint32_t rounds) {
  constexpr uint32_t kOthers = 64;
  auto policy = make(name, withheld + kOthers);
  for (ObjectId id = 0; id < withheld + kOthers; ++id)
    policy->insert({.id = id, .key_hash = hash_of(id), .bytes = kBytes});
  for (ObjectId id = 0; id < withheld; ++id) policy->withhold(id);
  auto begin = std::chrono::steady_clock::now();
  for (uint32_t round = 0; round < rounds; ++round) {
    ObjectId id = policy->victim();
    if (id < withheld || id == kNoObject) {
      ADD_FAILURE() << "proposed " << id;
      break;
    }
    policy->evicted(id, hash_of(id));
    policy->insert({.id = id, .key_hash = hash_of(id + round), .bytes = kBytes});
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// A search that met the withheld objects again on each call would take some 10,000 times as long;
// one that meets each once, a few times.
TEST_P(Eviction, withheld_objects_are_passed_over_once_not_on_each_call) {
  constexpr uint32_t kRounds = 50'000;
  double free = churn_seconds(GetParam(), 0, kRounds);
  EXPECT_LT(churn_seconds(GetParam(), 100'000, kRounds), 100 * free + 0.01);
}

// Bytes of this process that are in memory.
uint64_t resident_bytes() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0, resident = 0;
  if (!file || std::fscanf(file, "%lu %lu", &total, &resident) != 2) ADD_FAILURE() << "no statm";
  if (file) std::fclose(file);
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

#if !defined(__has_feature)  // clang's way to ask
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
constexpr uint64_t kSlackBytes = 256 * 1024;

TEST_P(Eviction, a_live_object_takes_sixteen_bytes) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's shadow memory grows along";
  constexpr uint32_t kMany = 500'000;
  auto policy = make(GetParam(), 4 * kMany);
  uint64_t before = resident_bytes();
  for (ObjectId id = 0; id < kMany; ++id)
    policy->insert({.id = id, .key_hash = hash_of(id), .bytes = kBytes});
  EXPECT_LT(resident_bytes() - before, uint64_t{kMany} * 16 + kSlackBytes);
}

TEST_P(Eviction, what_is_remembered_of_the_gone_is_bounded) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer's shadow memory grows along";
  constexpr uint32_t kMany = 50'000;
  auto policy = make(GetParam(), kMany);
  for (ObjectId id = 0; id < kMany; ++id)
    policy->insert({.id = id, .key_hash = hash_of(id), .bytes = kBytes});
  std::vector<uint64_t> key_of(kMany);
  std::iota(key_of.begin(), key_of.end(), 0);
  uint64_t before = resident_bytes();
  for (uint64_t key = kMany; key < 20 * kMany; ++key) {
    ObjectId id = policy->victim();
    policy->evicted(id, hash_of(key_of[id]));
    // One key in three comes back, so that every kind of ghost is made.
    key_of[id] = key % 3 == 0 ? key - kMany / 2 : key;
    policy->insert({.id = id, .key_hash = hash_of(key_of[id]), .bytes = kBytes});
    if (key % 5 == 0) policy->hit(id);
  }
  // At most two ghosts of 24 bytes an object.
  EXPECT_LT(resident_bytes(), before + uint64_t{kMany} * 48 + kSlackBytes);
}

std::vector<std::string> policies_that_evict() {
  std::vector<std::string> names;
  for (std::string_view name : policy::policy_names())
    if (name != "noop") names.emplace_back(name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Policies, Eviction, testing::ValuesIn(policies_that_evict()),
                         [](const auto& about) { return about.param; });

TEST(Noop, nothing_is_ever_proposed) {
  auto policy = make("noop", 10);
  for (ObjectId id = 0; id < 10; ++id)
    policy->insert({.id = id, .key_hash = hash_of(id), .bytes = kBytes});
  policy->demote(1);
  policy->withhold(2);
  policy->offer(2);
  policy->forgotten(3);
  EXPECT_EQ(policy->victim(), kNoObject);
  EXPECT_EQ(policy->victim_of(0), kNoObject);
}

}  // namespace
}  // namespace lmcd::core
