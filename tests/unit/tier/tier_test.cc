// The face keeps its promises whatever the module does: one answer for what was accepted, on the
// loop's thread, none for what was not, and no belief in tokens that are not in flight. The module
// is one in C that the test completes by hand.
#include "daemon/tier/tier.h"

#include <gtest/gtest.h>

#include <thread>

#include "lib/base/manual_worker_pool.h"
#include "tests/unit/tier/odd_tier.h"

namespace lmcd::tier {
namespace {

struct TierFace : testing::Test {
  TierFace() : loop(std::move(Loop::make(clock).value())) { odd_tier_init(&odd); }
  ~TierFace() override { tier.reset(); }

  Result<std::unique_ptr<Tier>> try_open(std::span<const lmcd_tier_field_t> fields = {}) {
    return Tier::open(odd.module, fields, *loop, pool);
  }
  void open() { tier = std::move(try_open().value()); }
  Status ask() {
    return tier->exists({}, Tier::kNoDeadline, [this](const Tier::Completion& end) {
      answers.push_back(end.outcome);
      thread = std::this_thread::get_id();
    });
  }
  void turn() { ASSERT_TRUE(loop->turn(Loop::Wait::kNot).ok()); }

  ManualClock clock;
  std::unique_ptr<Loop> loop;
  ManualWorkerPool pool;
  odd_tier_t odd;
  std::unique_ptr<Tier> tier;
  std::vector<uint32_t> answers;
  std::thread::id thread;
};

TEST_F(TierFace, a_module_of_another_abi_is_refused) {
  odd.module.abi = 2;
  EXPECT_EQ(try_open().status().code(), LMCD_E_VERSION);
  odd.module.abi = LMCD_TIER_ABI;
  odd.module.struct_size -= 8;
  EXPECT_EQ(try_open().status().code(), LMCD_E_VERSION);
  EXPECT_EQ(odd.host, nullptr);
}

TEST_F(TierFace, the_text_of_a_refused_open_is_told) {
  const lmcd_tier_field_t field = {"x", nullptr, 1};
  Status status = try_open({&field, 1}).status();
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  EXPECT_EQ(status.text(), "tier of type \"odd\": field \"x\" is unknown");
}

TEST_F(TierFace, capabilities_without_sense_are_refused_and_the_tier_is_closed) {
  for (uint32_t limit : {0u, 65537u}) {
    odd.capabilities.queue_limit = limit;
    EXPECT_EQ(try_open().status().code(), LMCD_E_INVALID);
    EXPECT_EQ(odd.host, nullptr);
  }
  odd.capabilities.queue_limit = 1;
  odd.capabilities.align_bytes = 3;
  EXPECT_EQ(try_open().status().code(), LMCD_E_INVALID);
}

TEST_F(TierFace, what_another_thread_completes_is_answered_on_the_loop) {
  open();
  ASSERT_TRUE(ask().ok());
  std::thread([&] { odd_tier_complete(&odd, odd.token, LMCD_COLD); }).join();
  EXPECT_TRUE(answers.empty());
  turn();
  EXPECT_EQ(answers, std::vector<uint32_t>{LMCD_COLD});
  EXPECT_EQ(thread, std::this_thread::get_id());
  EXPECT_TRUE(tier->idle());
}

TEST_F(TierFace, what_was_not_accepted_is_never_answered) {
  open();
  odd.answer = LMCD_E_LIMIT;
  EXPECT_EQ(ask().code(), LMCD_E_LIMIT);
  EXPECT_TRUE(tier->idle());
  odd_tier_complete(&odd, odd.token, LMCD_COLD);
  turn();
  EXPECT_TRUE(answers.empty());
}

TEST_F(TierFace, a_token_that_is_not_in_flight_is_ignored) {
  open();
  ASSERT_TRUE(ask().ok());
  const uint64_t first = odd.token;
  odd_tier_complete(&odd, first, LMCD_COLD);
  turn();
  ASSERT_TRUE(ask().ok());
  ASSERT_NE(odd.token, first);
  for (uint64_t stray : {first, odd.token + 1, UINT64_MAX}) {
    odd_tier_complete(&odd, stray, LMCD_COLD);
    turn();
  }
  EXPECT_EQ(answers.size(), 1u);
  EXPECT_FALSE(tier->idle());
  odd_tier_complete(&odd, odd.token, LMCD_ABSENT);
  turn();
  EXPECT_EQ(answers, (std::vector<uint32_t>{LMCD_COLD, LMCD_ABSENT}));
}

TEST_F(TierFace, no_more_are_begun_than_the_module_says) {
  open();
  ASSERT_TRUE(ask().ok());
  const uint64_t first = odd.token;
  ASSERT_TRUE(ask().ok());
  const uint64_t second = odd.token;
  EXPECT_EQ(ask().code(), LMCD_E_LIMIT);
  EXPECT_EQ(odd.token, second);
  odd_tier_complete(&odd, first, LMCD_ABSENT);
  odd_tier_complete(&odd, second, LMCD_ABSENT);
  turn();
  EXPECT_EQ(answers.size(), 2u);
}

TEST_F(TierFace, a_wake_comes_once_at_its_time) {
  open();
  odd.host->wake_at(odd.host->context, odd.host->now_ms(odd.host->context) + 5);
  clock.advance_ms(4);
  turn();
  EXPECT_EQ(odd.wakes, 0u);
  clock.advance_ms(1);
  turn();
  turn();
  EXPECT_EQ(odd.wakes, 1u);
}

}  // namespace
}  // namespace lmcd::tier
