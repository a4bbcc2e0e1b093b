// An adapter's JSON is checked field by field, and what it holds is never repeated.
#include "daemon/config/adapter.h"

#include <gtest/gtest.h>

#include "tests/unit/config/parsed.h"

namespace lmcd::config {
namespace {

constexpr const char* kMock = R"({"type": "mock", "max_size_gb": 2, "mock_bandwidth_gb": 0.5})";

std::string adapter_refusal(const char* json) { return refusal(flags({"--l2-adapter", json})); }

TEST(Adapter, a_mock_tier_is_read) {
  Result<Adapter> adapter = read_adapter(kMock);
  ASSERT_TRUE(adapter.ok());
  EXPECT_EQ(adapter.value().type, "mock");
  EXPECT_EQ(adapter.value().field("max_size_gb"), 2);
  EXPECT_EQ(adapter.value().field("mock_bandwidth_gb"), 0.5);
}

TEST(Adapter, tiers_are_taken_however_they_are_given_and_at_most_eight) {
  EXPECT_EQ(adapter_refusal(kMock), "taken");
  EXPECT_EQ(refusal({.file = "l2-adapter:\n  - type: mock\n    max_size_gb: 1\n"
                             "    mock_bandwidth_gb: 3\n"}),
            "taken");
  std::vector<const char*> nine;
  for (int tier = 0; tier < 9; ++tier) nine.insert(nine.end(), {"--l2-adapter", kMock});
  EXPECT_EQ(refusal(flags(nine)),
            "option \"l2-adapter\": 9 tiers are given; at most 8 are valid");
}

TEST(Adapter, every_field_is_checked) {
  EXPECT_EQ(adapter_refusal("{}"),
            "option \"l2-adapter\": needs a field \"type\", such as \"mock\"");
  EXPECT_EQ(adapter_refusal(R"({"type": "mock", "max_size_gb": 2})"),
            "option \"l2-adapter\": needs a field \"mock_bandwidth_gb\"");
  EXPECT_EQ(
      adapter_refusal(R"({"type": "mock", "max_size_gb": 0, "mock_bandwidth_gb": 1})"),
      "option \"l2-adapter\": field \"max_size_gb\" takes a number above 0, up to 1.04858e+06");
  EXPECT_EQ(adapter_refusal(R"({"type": "mock", "size": 1})"),
            "option \"l2-adapter\": has field \"size\", which type \"mock\" does not know");
  EXPECT_NE(adapter_refusal("{"), "taken");
  EXPECT_NE(adapter_refusal("[]"), "taken");
  EXPECT_NE(adapter_refusal(R"({"type": "mock", "type": "mock"})"), "taken");
}

TEST(Adapter, texts_and_flags_are_read_and_what_may_be_missing_may_be_missing) {
  Result<Adapter> adapter =
      read_adapter(R"({"type": "fs", "base_path": "/data/kv", "use_odirect": true})");
  ASSERT_TRUE(adapter.ok());
  ASSERT_EQ(adapter.value().fields.size(), 2u);
  EXPECT_EQ(adapter.value().fields[0].second.text, "/data/kv");
  EXPECT_EQ(adapter.value().field("use_odirect"), 1);
  EXPECT_EQ(adapter_refusal(R"({"type": "fs", "base_path": "/data/kv", "use_odirect": 1})"),
            "option \"l2-adapter\": field \"use_odirect\" takes true or false");
  EXPECT_EQ(adapter_refusal(R"({"type": "fs", "base_path": ""})"),
            "option \"l2-adapter\": field \"base_path\" takes a text that is not empty");
  EXPECT_EQ(adapter_refusal(R"({"type": "fs", "base_path": "/a", "max_capacity_gb": -1})"),
            "option \"l2-adapter\": field \"max_capacity_gb\" takes a number from 0 to "
            "1.04858e+06");
}

TEST(Adapter, a_type_of_later_is_refused_and_its_secrets_are_not_told) {
  const std::string text = adapter_refusal(R"({"type": "nixl_store", "secret": "hush"})");
  EXPECT_TRUE(text.starts_with(
      "option \"l2-adapter\": type \"nixl_store\" comes later; this version has \"mock\", \"fs\""))
      << text;
  EXPECT_EQ(text.find("hush"), std::string::npos);
  EXPECT_EQ(adapter_refusal(R"({"type": "s4", "key": "hush"})").find("hush"), std::string::npos);
  EXPECT_EQ(adapter_refusal(R"({"type": "mock", "max_size_gb": "hush"})").find("hush"),
            std::string::npos);
}

}  // namespace
}  // namespace lmcd::config
