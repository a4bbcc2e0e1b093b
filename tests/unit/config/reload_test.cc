// Options that are read again: what may change does, the rest is named and stays.
#include "daemon/config/reload.h"

#include <gtest/gtest.h>

#include "tests/unit/config/parsed.h"

namespace lmcd::config {
namespace {

using Names = std::vector<std::string_view>;

Options read(std::vector<const char*> more) {
  return parsed(flags(std::move(more))).value().options;
}

TEST(Reload, takes_over_what_may_change) {
  Options given = read({});
  Options options = given;
  const Reloaded reloaded = reload(
      options, given, read({"--eviction-ratio", "0.5", "--worker-reap-timeout-seconds", "7"}));
  EXPECT_EQ(reloaded.changed, (Names{"worker-reap-timeout-seconds", "eviction-ratio"}));
  EXPECT_TRUE(reloaded.need_restart.empty());
  EXPECT_EQ(options.eviction_ratio, 0.5);
  EXPECT_EQ(options.worker_reap_timeout_ms, 7000u);
  EXPECT_EQ(options.source(Item::eviction_ratio), Source::kFlag);
}

TEST(Reload, names_what_needs_a_restart_each_time) {
  Options given = read({});
  Options options = given;
  const Options next = read({"--eviction-policy", "LRU"});
  for (int turn = 0; turn < 2; ++turn) {
    const Reloaded reloaded = reload(options, given, next);
    EXPECT_TRUE(reloaded.changed.empty());
    EXPECT_EQ(reloaded.need_restart, Names{"eviction-policy"});
  }
  EXPECT_EQ(options.eviction_policy, "ARC");
}

TEST(Reload, what_the_daemon_settled_itself_is_no_change) {
  Options given = read({});
  Options options = given;
  options.instance_id = "settled";
  const Reloaded reloaded = reload(options, given, read({}));
  EXPECT_TRUE(reloaded.changed.empty());
  EXPECT_TRUE(reloaded.need_restart.empty());
  EXPECT_EQ(options.instance_id, "settled");
}

TEST(Reload, an_option_that_is_given_no_more_has_its_default_again) {
  Options given = read({"--eviction-ratio", "0.5"});
  Options options = given;
  EXPECT_EQ(reload(options, given, read({})).changed, Names{"eviction-ratio"});
  EXPECT_EQ(options.eviction_ratio, 0.2);
  EXPECT_EQ(options.source(Item::eviction_ratio), Source::kDefault);
}

}  // namespace
}  // namespace lmcd::config
