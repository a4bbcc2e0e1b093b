// An adapter opens the tier of its type, or the fault says what there is. Fields are checked by the
// tier as well, since a table may be used without the daemon's options.
#include "daemon/tier/registry.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/bytes.h"
#include "lib/base/manual_worker_pool.h"

namespace lmcd::tier {
namespace {

struct Registry : testing::Test {
  Registry() : loop(std::move(Loop::make(clock).value())) {}
  std::string refusal(const config::Adapter& adapter) {
    Result<std::unique_ptr<Tier>> tier = open_tier(adapter, *loop, pool);
    return tier.ok() ? "opened" : std::string(tier.status().text());
  }

  ManualClock clock;
  std::unique_ptr<Loop> loop;
  ManualWorkerPool pool;
};

TEST_F(Registry, opens_what_an_option_asks_for) {
  Result<config::Adapter> adapter =
      config::read_adapter(R"({"type": "mock", "max_size_gb": 2, "mock_bandwidth_gb": 0.5})");
  ASSERT_TRUE(adapter.ok());
  Result<std::unique_ptr<Tier>> tier = open_tier(adapter.value(), *loop, pool);
  ASSERT_TRUE(tier.ok());
  EXPECT_EQ(tier.value()->type(), "mock");
  EXPECT_EQ(tier.value()->usage().capacity_bytes, 2 * kGiB);
}

TEST_F(Registry, says_which_types_there_are) {
  const std::string text = refusal({"nixl_store", {}});
  EXPECT_TRUE(
      text.starts_with("tiers of type \"nixl_store\" come later; this version has mock, fs"))
      << text;
}

TEST_F(Registry, a_tier_names_the_field_that_is_wrong) {
  EXPECT_EQ(refusal({"mock", {{"max_size_gb", 1}, {"size", 1}}}),
            "tier of type \"mock\": field \"size\" is unknown; valid are max_size_gb and "
            "mock_bandwidth_gb");
  EXPECT_EQ(refusal({"mock", {{"max_size_gb", 1}}}),
            "tier of type \"mock\": field \"mock_bandwidth_gb\" takes a number above 0, up to "
            "1048576");
  EXPECT_EQ(refusal({"mock", {{"max_size_gb", -1}, {"mock_bandwidth_gb", 1}}}),
            "tier of type \"mock\": field \"max_size_gb\" takes a number above 0, up to 1048576");
}

}  // namespace
}  // namespace lmcd::tier
