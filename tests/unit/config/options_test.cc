// The table of options is well-formed: names are unique and spelled one way, every default is
// valid, every range can be read.
#include "daemon/config/options.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "daemon/config/spelling.h"

namespace lmcd::config {
namespace {

TEST(OptionTable, every_name_is_unique_and_canonical) {
  std::set<std::string_view> names;
  auto take = [&](std::string_view name) {
    EXPECT_EQ(canonical(name), name);
    EXPECT_TRUE(names.insert(name).second) << name << " stands twice";
  };
  for (const Option& option : options()) take(option.name);
  for (const LaterOption& option : later_options()) take(option.name);
  for (const Alias& alias : aliases()) take(alias.alias);
}

TEST(OptionTable, every_alias_names_an_option) {
  for (const Alias& alias : aliases())
    EXPECT_NE(find_option(alias.name), nullptr) << alias.alias;
}

TEST(OptionTable, every_default_is_valid) {
  for (const Option& option : options()) {
    if (option.required() || option.derived()) continue;
    Options out;
    EXPECT_TRUE(option.read(out, option.initial).ok()) << option.name;
  }
}

TEST(OptionTable, every_range_bounds_what_it_names) {
  for (const Option& option : options()) {
    std::size_t dots = option.valid.find("..");
    if (dots == std::string_view::npos) continue;
    Options out;
    EXPECT_TRUE(option.read(out, option.valid.substr(0, dots)).ok()) << option.name;
    EXPECT_TRUE(option.read(out, option.valid.substr(dots + 2)).ok()) << option.name;
    EXPECT_FALSE(option.read(out, "-1").ok()) << option.name;
    EXPECT_FALSE(option.read(out, "1e30").ok()) << option.name;
    EXPECT_FALSE(option.read(out, "nan").ok()) << option.name;
    EXPECT_FALSE(option.read(out, "").ok()) << option.name;
  }
}

TEST(OptionTable, words_of_choices_follow_their_enumerators) {
  Options out = defaults();
  EXPECT_EQ(out.hash_algorithm, HashAlgorithm::kBlake3);
  EXPECT_EQ(out.transfer_mode, TransferMode::kAuto);
  EXPECT_EQ(out.verify, Verify::kCold);
  EXPECT_EQ(out.l1_backing, Backing::kPosixShm);
  EXPECT_EQ(out.log_format, LogFormat::kLogfmt);
  ASSERT_TRUE(find_option("l1-backing")->read(out, "file").ok());
  EXPECT_EQ(out.l1_backing, Backing::kFile);
  ASSERT_TRUE(find_option("supported-transfer-mode")->read(out, "lmcache_driven").ok());
  EXPECT_EQ(out.transfer_mode, TransferMode::kDaemonDriven);
  ASSERT_TRUE(find_option("log-format")->read(out, "json").ok());
  EXPECT_EQ(out.log_format, LogFormat::kJson);
  ASSERT_TRUE(find_option("hash-algorithm")->read(out, "sha256_cbor").ok());
  EXPECT_EQ(out.hash_algorithm, HashAlgorithm::kSha256Cbor);
  ASSERT_TRUE(find_option("verify")->read(out, "always").ok());
  EXPECT_EQ(out.verify, Verify::kAlways);
}

TEST(OptionTable, a_policy_is_known_in_any_case) {
  Options out;
  ASSERT_TRUE(find_option("eviction-policy")->read(out, "isolatedlru").ok());
  EXPECT_EQ(out.eviction_policy, "IsolatedLRU");
}

}  // namespace
}  // namespace lmcd::config
