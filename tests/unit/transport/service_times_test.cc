// What the loop's time was spent on is counted once, in the bucket that has it.
#include "daemon/transport/service_times.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "lib/wire/messages.h"

namespace lmcd::transport {
namespace {

using Buckets = std::vector<uint64_t>;

Buckets buckets_after(uint64_t nanoseconds) {
  ServiceTimes times;
  times.count(wire::Ping::kOpcode, nanoseconds);
  const admin::VerbFacts facts = times.facts().at(0);
  EXPECT_EQ(facts.name, "Ping");
  EXPECT_EQ(facts.count, 1u);
  EXPECT_EQ(facts.nanoseconds, nanoseconds);
  // The facts view what they are of: copied before it ends.
  return {facts.buckets.begin(), facts.buckets.end()};
}

std::size_t bucket_of(uint64_t nanoseconds) {
  const Buckets buckets = buckets_after(nanoseconds);
  EXPECT_EQ(std::accumulate(buckets.begin(), buckets.end(), uint64_t{0}), 1u);
  return static_cast<std::size_t>(std::find(buckets.begin(), buckets.end(), 1u) - buckets.begin());
}

TEST(ServiceTimes, a_bucket_ends_below_its_power_of_two) {
  EXPECT_EQ(bucket_of(0), 0u);
  EXPECT_EQ(bucket_of(1023), 0u);
  EXPECT_EQ(bucket_of(1024), 1u);
  EXPECT_EQ(bucket_of(2047), 1u);
  EXPECT_EQ(bucket_of(2048), 2u);
}

TEST(ServiceTimes, the_last_bucket_has_all_above) {
  const std::size_t last = admin::VerbFacts::kBuckets - 1;
  EXPECT_EQ(bucket_of((uint64_t{1} << (admin::VerbFacts::kLeastPower + last)) - 1), last);
  EXPECT_EQ(bucket_of(UINT64_MAX), last);
}

TEST(ServiceTimes, only_what_occurred_is_told) {
  ServiceTimes times;
  EXPECT_TRUE(times.facts().empty());
  times.count(wire::Reserve::kOpcode, 10);
  times.count(wire::Reserve::kOpcode, 5000);
  times.count(65535, 10);  // no message has such an opcode
  ASSERT_EQ(times.facts().size(), 1u);
  EXPECT_EQ(times.facts()[0].count, 2u);
}

}  // namespace
}  // namespace lmcd::transport
