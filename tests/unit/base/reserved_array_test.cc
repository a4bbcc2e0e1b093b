// A ReservedArray is zeros until written, costs only the pages that were touched (seen with
// mincore), and a size that cannot be had is a fault.
#include "lib/base/reserved_array.h"

#include <sys/mman.h>

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace lmcd {
namespace {

constexpr uint64_t kPageBytes = 4096;

uint64_t resident_pages(void* address, uint64_t length) {
  std::vector<unsigned char> pages(length / kPageBytes);
  EXPECT_EQ(mincore(address, length, pages.data()), 0);
  uint64_t resident = 0;
  for (unsigned char page : pages) resident += page & 1;
  return resident;
}

TEST(ReservedArray, elements_begin_as_zero_and_keep_what_is_written) {
  auto made = ReservedArray<uint32_t>::make(1000);
  ASSERT_TRUE(made.ok());
  auto& array = made.value();
  EXPECT_EQ(array.size(), 1000u);
  EXPECT_EQ(array[999], 0u);
  array[999] = 7;
  EXPECT_EQ(array[999], 7u);
  EXPECT_EQ(array[998], 0u);
}

TEST(ReservedArray, memory_is_used_only_where_it_is_touched) {
  constexpr uint64_t kLength = 64 * kMiB;
  auto made = ReservedArray<uint64_t>::make(kLength / sizeof(uint64_t));
  ASSERT_TRUE(made.ok());
  auto& array = made.value();
  array[0] = 1;
  array[array.size() / 2] = 1;
  array[array.size() - 1] = 1;
  EXPECT_EQ(resident_pages(&array[0], kLength), 3u);
}

TEST(ReservedArray, moving_leaves_the_elements_where_they_are) {
  auto made = ReservedArray<uint64_t>::make(10);
  ASSERT_TRUE(made.ok());
  ReservedArray<uint64_t> first = std::move(made.value());
  first[3] = 42;
  uint64_t* where = &first[0];
  ReservedArray<uint64_t> second;
  second = std::move(first);
  EXPECT_EQ(&second[0], where);
  EXPECT_EQ(second[3], 42u);
}

TEST(ReservedArray, an_empty_array_needs_no_memory) {
  auto made = ReservedArray<uint64_t>::make(0);
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made.value().size(), 0u);
}

TEST(ReservedArray, a_size_that_cannot_be_addressed_is_a_fault) {
  auto overflowing = ReservedArray<uint64_t>::make(UINT64_MAX / 4);
  ASSERT_FALSE(overflowing.ok());
  EXPECT_EQ(overflowing.status().code(), LMCD_E_NO_MEMORY);
  auto too_large = ReservedArray<uint64_t>::make(uint64_t{1} << 57);
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.status().code(), LMCD_E_NO_MEMORY);
}

}  // namespace
}  // namespace lmcd
