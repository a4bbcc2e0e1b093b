// Queues keep order and bytes, and a withheld object is passed over without losing its place.
#include "daemon/policy/queues.h"

#include <vector>

#include <gtest/gtest.h>

namespace lmcd::policy {
namespace {

constexpr QueueId kA = 1;
constexpr QueueId kB = 2;
constexpr uint64_t kBytes = 4096;

class QueuesTest : public testing::Test {
 protected:
  std::vector<ObjectId> drain(QueueId queue) {
    std::vector<ObjectId> order;
    for (ObjectId id; (id = queues_.oldest(queue)) != kNoObject; queues_.remove(id))
      order.push_back(id);
    return order;
  }
  void fill(QueueId queue, std::vector<ObjectId> ids) {
    for (ObjectId id : ids) queues_.insert(id, queue, End::kYoung, kBytes);
  }
  using Order = std::vector<ObjectId>;

  Queues queues_ = std::move(Queues::make(100, kB).value());
};

TEST_F(QueuesTest, the_old_end_comes_first) {
  fill(kA, {1, 2, 3});
  queues_.insert(4, kA, End::kOld, kBytes);
  EXPECT_EQ(drain(kA), (Order{4, 1, 2, 3}));
}

TEST_F(QueuesTest, a_moved_object_is_in_the_other_queue_only) {
  fill(kA, {1, 2, 3});
  fill(kB, {7});
  queues_.move(2, kB, End::kYoung);
  queues_.move(3, kB, End::kOld);
  EXPECT_EQ(queues_.queue_of(2), kB);
  EXPECT_EQ(drain(kA), (Order{1}));
  EXPECT_EQ(drain(kB), (Order{3, 7, 2}));
}

TEST_F(QueuesTest, bytes_follow_the_objects) {
  fill(kA, {1, 2});
  queues_.resize(1, 3 * kBytes);
  EXPECT_EQ(queues_.bytes(kA), 4 * kBytes);
  queues_.move(1, kB, End::kYoung);
  EXPECT_EQ(queues_.bytes(kA), kBytes);
  EXPECT_EQ(queues_.bytes(kB), 3 * kBytes);
  queues_.remove(1);
  EXPECT_EQ(queues_.bytes(kB), 0u);
  EXPECT_EQ(queues_.queue_of(1), kNoQueue);
}

TEST_F(QueuesTest, odd_sizes_are_rounded_up_and_huge_ones_saturate) {
  queues_.insert(1, kA, End::kYoung, 1);
  EXPECT_EQ(queues_.bytes_of(1), kWeightUnitBytes);
  queues_.resize(1, UINT64_MAX);
  EXPECT_EQ(queues_.bytes(kA), UINT32_MAX * kWeightUnitBytes);
}

TEST_F(QueuesTest, a_withheld_object_that_was_not_reached_keeps_its_place) {
  fill(kA, {1, 2, 3});
  queues_.withhold(2);
  EXPECT_EQ(queues_.oldest(kA), 1u);
  queues_.offer(2);
  EXPECT_EQ(drain(kA), (Order{1, 2, 3}));
}

TEST_F(QueuesTest, one_that_was_set_aside_returns_as_the_next_to_go) {
  fill(kA, {1, 2, 3, 4});
  queues_.withhold(1);
  queues_.withhold(2);
  EXPECT_EQ(queues_.oldest(kA), 3u);
  queues_.offer(1);
  queues_.offer(2);
  EXPECT_EQ(drain(kA), (Order{2, 1, 3, 4}));
}

TEST_F(QueuesTest, one_that_is_set_aside_counts_and_may_be_moved_or_removed) {
  fill(kA, {1, 2, 3});
  queues_.withhold(1);
  queues_.withhold(2);
  EXPECT_EQ(queues_.oldest(kA), 3u);
  EXPECT_EQ(queues_.bytes(kA), 3 * kBytes);
  queues_.move(1, kA, End::kYoung);
  queues_.remove(2);
  queues_.offer(1);
  EXPECT_EQ(queues_.bytes(kA), 2 * kBytes);
  EXPECT_EQ(drain(kA), (Order{3, 1}));
}

TEST_F(QueuesTest, a_queue_of_withheld_objects_has_no_oldest) {
  fill(kA, {1});
  queues_.withhold(1);
  EXPECT_EQ(queues_.oldest(kA), kNoObject);
  fill(kA, {2});
  EXPECT_EQ(queues_.oldest(kA), 2u);
}

TEST_F(QueuesTest, marks_begin_at_zero_for_each_life_of_an_id) {
  fill(kA, {1});
  queues_.set_mark(1, 3);
  queues_.move(1, kB, End::kYoung);
  EXPECT_EQ(queues_.mark(1), 3);
  queues_.remove(1);
  fill(kA, {1});
  EXPECT_EQ(queues_.mark(1), 0);
}

}  // namespace
}  // namespace lmcd::policy
