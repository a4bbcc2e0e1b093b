// Every policy is found by its name in any spelling, and an unknown name is told the valid ones.
#include "daemon/policy/registry.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace lmcd::policy {
namespace {

constexpr core::EvictionLimits kLimits{.objects = 16, .bytes = 16 * 4096};

TEST(Registry, all_listed_names_can_be_made) {
  EXPECT_EQ(policy_names().size(), 5u);
  for (std::string_view name : policy_names())
    EXPECT_TRUE(make_policy(name, kLimits).ok()) << name;
}

TEST(Registry, names_are_compared_without_case_and_dashes) {
  for (const char* name : {"lru", "Arc", "s3-fifo", "S3_FIFO", "s3fifo", "isolatedlru",
                           "isolated_lru", "NoOp"})
    EXPECT_TRUE(make_policy(name, kLimits).ok()) << name;
}

TEST(Registry, an_unknown_name_is_told_the_valid_ones) {
  auto made = make_policy("LFU", kLimits);
  ASSERT_FALSE(made.ok());
  Status status = made.status();
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  EXPECT_EQ(status.text(),
            "eviction policy \"LFU\" is unknown; valid are LRU, ARC, S3FIFO, IsolatedLRU, noop");
}

TEST(Registry, the_default_is_one_of_them) {
  EXPECT_TRUE(std::ranges::count(policy_names(), kDefaultPolicy) == 1);
}

}  // namespace
}  // namespace lmcd::policy
