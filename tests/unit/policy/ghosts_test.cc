// Ghosts are remembered until they come back, are the oldest of too many, or are trimmed; the
// growing table agrees with a map through a long random history.
#include "daemon/policy/ghosts.h"

#include <deque>
#include <random>
#include <unordered_map>

#include <gtest/gtest.h>

namespace lmcd::policy {
namespace {

constexpr uint64_t kBytes = 4096;

Ghosts make_ghosts(uint32_t keys_max) { return std::move(Ghosts::make(keys_max).value()); }

TEST(Ghosts, a_key_comes_back_once_with_its_bytes) {
  Ghosts ghosts = make_ghosts(10);
  ghosts.remember(5, 3 * kBytes);
  EXPECT_EQ(ghosts.recall(6), std::nullopt);
  EXPECT_EQ(ghosts.recall(5), 3 * kBytes);
  EXPECT_EQ(ghosts.recall(5), std::nullopt);
  EXPECT_EQ(ghosts.bytes(), 0u);
}

TEST(Ghosts, the_oldest_makes_room_for_the_youngest) {
  Ghosts ghosts = make_ghosts(3);
  for (uint64_t key = 1; key <= 5; ++key) ghosts.remember(key, kBytes);
  EXPECT_EQ(ghosts.count(), 3u);
  EXPECT_EQ(ghosts.recall(2), std::nullopt);
  EXPECT_TRUE(ghosts.recall(3));
  EXPECT_TRUE(ghosts.recall(5));
}

TEST(Ghosts, trimming_forgets_the_oldest_first) {
  Ghosts ghosts = make_ghosts(10);
  for (uint64_t key = 1; key <= 5; ++key) ghosts.remember(key, kBytes);
  ghosts.trim(2 * kBytes);
  EXPECT_EQ(ghosts.count(), 2u);
  EXPECT_EQ(ghosts.recall(3), std::nullopt);
  EXPECT_TRUE(ghosts.recall(4));
  ghosts.trim(0);
  EXPECT_EQ(ghosts.count(), 0u);
}

TEST(Ghosts, none_may_be_kept) {
  Ghosts ghosts = make_ghosts(0);
  ghosts.remember(1, kBytes);
  EXPECT_EQ(ghosts.recall(1), std::nullopt);
}

TEST(Ghosts, equal_fingerprints_are_told_apart_by_age_only) {
  Ghosts ghosts = make_ghosts(10);
  ghosts.remember(1, kBytes);
  ghosts.remember(1 + (uint64_t{1} << 32), 2 * kBytes);
  EXPECT_EQ(ghosts.recall(1), 2 * kBytes);
  EXPECT_EQ(ghosts.recall(1), kBytes);
  EXPECT_EQ(ghosts.recall(1), std::nullopt);
}

TEST(Ghosts, a_long_history_agrees_with_a_map) {
  constexpr uint32_t kMost = 1000;
  Ghosts ghosts = make_ghosts(kMost);
  std::deque<uint32_t> order;
  std::unordered_map<uint32_t, uint64_t> model;
  std::mt19937 dice(1);
  for (int step = 0; step < 50000; ++step) {
    // Spread over the whole word, so that both halves of a split bucket are used.
    uint32_t key = static_cast<uint32_t>(dice() % 3000) * 2654435761u;
    if (model.contains(key)) {
      ASSERT_EQ(ghosts.recall(key), model[key]) << "step " << step;
      std::erase(order, key);
      model.erase(key);
    } else {
      ASSERT_EQ(ghosts.recall(key), std::nullopt) << "step " << step;
      uint64_t bytes = (1 + dice() % 9) * kBytes;
      ghosts.remember(key, bytes);
      order.push_back(key);
      model[key] = bytes;
    }
    if (order.size() > kMost) {
      model.erase(order.front());
      order.pop_front();
    }
    ASSERT_EQ(ghosts.count(), order.size());
  }
}

}  // namespace
}  // namespace lmcd::policy
