// Each fault comes as often as asked for, and leaves what lies behind the tier whole.
#include "tests/conformance/tier_fixture.h"

namespace lmcd::tier {
namespace {

struct FaultInjectTest : testing::Test, OpenedTier {
  void open(std::vector<std::pair<std::string, config::FieldValue>> fields) {
    fields.emplace_back("inner", R"({"type":"mock","max_size_gb":0.01,"mock_bandwidth_gb":1000})");
    OpenedTier::open({"fault_inject", std::move(fields)});
  }
  const lmcd_tier_record_t record = record_of(1, 1000);
  const Buffer bytes = pattern(1000, 1);
};

TEST_F(FaultInjectTest, an_error_touches_nothing) {
  open({{"error_rate", 1}});
  EXPECT_TRUE(put(record, bytes).is_fault(LMCD_E_IO));
  EXPECT_EQ(tier->usage().used_bytes, 0u);
  EXPECT_EQ(tier->health().faults, 1u);
  EXPECT_EQ(tier->health().state, uint32_t{LMCD_TIER_DEGRADED});
}

TEST_F(FaultInjectTest, no_space_is_an_outcome_of_puts) {
  open({{"no_space_rate", 1}});
  EXPECT_TRUE(put(record, bytes).is(LMCD_NO_SPACE));
  EXPECT_TRUE(exists(name_of(record)).is(LMCD_ABSENT));
}

TEST_F(FaultInjectTest, wrong_bytes_are_delivered_as_if_they_were_right) {
  open({{"wrong_rate", 1}});
  ASSERT_TRUE(put(record, bytes).is(LMCD_STORED));
  Buffer read(1000);
  ASSERT_TRUE(get(name_of(record), read).is(LMCD_LOADED));
  EXPECT_NE(read, bytes);
}

TEST_F(FaultInjectTest, what_hangs_ends_at_its_deadline_or_when_cancelled) {
  open({{"hang_rate", 1}});
  Answer timed, endless;
  ASSERT_TRUE(tier->exists(name_of(record), clock.now_ms() + 50, timed.take()).ok());
  ASSERT_TRUE(tier->exists(name_of(record), 0, endless.take()).ok());
  for (int ms = 1; ms <= 100; ++ms) {
    pass_ms(1);
    turn();  // what a timer ended is told in the turn after
    ASSERT_EQ(timed.count, ms > 50) << ms;
  }
  EXPECT_TRUE(timed.is_fault(LMCD_E_TIMEOUT));
  EXPECT_EQ(endless.count, 0);
  tier->cancel();
  turn();
  EXPECT_TRUE(endless.is_fault(LMCD_E_TIMEOUT));
}

TEST_F(FaultInjectTest, a_delay_comes_before_the_operation) {
  open({{"delay_ms", 20}});
  Answer answer;
  ASSERT_TRUE(tier->exists(name_of(record), 0, answer.take()).ok());
  for (int ms = 1; ms <= 19; ++ms) pass_ms(1);
  turn();
  EXPECT_EQ(answer.count, 0);
  settle();
  EXPECT_TRUE(answer.is(LMCD_ABSENT));
}

TEST_F(FaultInjectTest, a_seed_repeats_its_faults) {
  std::vector<int> runs[2];
  for (auto& codes : runs) {
    open({{"error_rate", 0.3}, {"seed", 7}});
    for (int n = 0; n < 200; ++n) codes.push_back(exists(name_of(record)).completion.code);
    close();
  }
  EXPECT_EQ(runs[0], runs[1]);
  const auto errors = std::count(runs[0].begin(), runs[0].end(), int{LMCD_E_IO});
  EXPECT_GT(errors, 30);
  EXPECT_LT(errors, 90);
}

TEST_F(FaultInjectTest, an_inner_tier_that_is_not_valid_is_told) {
  Result<std::unique_ptr<Tier>> opened =
      open_tier({"fault_inject", {{"inner", R"({"type":"none"})"}}}, *loop, pool);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().text().find("does not exist"), std::string::npos);
}

TEST(NativePlugin, a_library_that_is_none_is_told) {
  OpenedTier daemon;
  Result<std::unique_ptr<Tier>> opened =
      open_tier({"native_plugin", {{"library", "/none/tier.so"}}}, *daemon.loop, daemon.pool);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), LMCD_E_IO);
  opened = open_tier({"native_plugin", {{"library", "libm.so.6"}}}, *daemon.loop, daemon.pool);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), LMCD_E_VERSION);
}

}  // namespace
}  // namespace lmcd::tier
