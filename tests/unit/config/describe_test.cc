// What people and programs are told about the options is whole and names where values come from.
#include "daemon/config/describe.h"

#include <gtest/gtest.h>

#include "tests/unit/config/parsed.h"

namespace lmcd::config {
namespace {

TEST(Describe, help_names_every_option) {
  std::string text = usage();
  for (const Option& option : options())
    EXPECT_NE(text.find("--" + std::string(option.name)), std::string::npos) << option.name;
}

TEST(Describe, the_description_names_every_option) {
  std::string text = describe_options();
  for (const Option& option : options())
    EXPECT_NE(text.find("\"name\":\"" + std::string(option.name) + '"'), std::string::npos);
  for (const LaterOption& option : later_options())
    EXPECT_NE(text.find("\"name\":\"" + std::string(option.name) + '"'), std::string::npos);
  EXPECT_NE(text.find("\"environment\":\"LMCD_L1_SIZE_GB\""), std::string::npos);
}

TEST(Describe, the_effective_configuration_tells_value_and_source) {
  Given given = flags({"--chunk-size", "64"});
  given.file = "eviction-ratio: 0.3\n";
  std::string text = effective_config(parsed(given).value().options);
  EXPECT_NE(text.find(R"("chunk-size":{"value":64,"source":"flag"})"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("eviction-ratio":{"value":0.3,"source":"file"})"), std::string::npos);
  EXPECT_NE(text.find(R"("l1-size-gb":{"value":2,"source":"flag"})"), std::string::npos);
  EXPECT_NE(text.find(R"("verify":{"value":"cold","source":"default"})"), std::string::npos);
  EXPECT_EQ(text.find("test-"), std::string::npos);
}

}  // namespace
}  // namespace lmcd::config
