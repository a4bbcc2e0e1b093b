// The frontier populates what it is told to and no more, changes no byte, gives up with a reason
// when there is no more memory, and stops at once. What is populated is read off the file's
// allocated blocks.
#include "daemon/memory/frontier.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "daemon/memory/arena.h"
#include "lib/base/bytes.h"

namespace lmcd::memory {
namespace {

constexpr uint64_t kStep = 64 * kKiB;
constexpr uint64_t kLength = 64 * kStep;

struct FrontierTest : testing::Test {
  FrontierTest() : file(memfd_create("test", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(file.get(), kLength), 0);
    region = std::move(GuardedRegion::map(file.get(), kLength, Access::kReadWrite).value());
  }
  uint64_t allocated() {
    struct stat facts;
    EXPECT_EQ(fstat(file.get(), &facts), 0);
    return static_cast<uint64_t>(facts.st_blocks) * 512;
  }

  FileDescriptor file;
  GuardedRegion region;
};

TEST_F(FrontierTest, the_initial_part_is_populated_unasked_and_nothing_beyond) {
  Frontier frontier(region, {.initial_bytes = 3 * kStep - 1, .step_bytes = kStep});
  ASSERT_TRUE(frontier.wait(3 * kStep).ok());
  EXPECT_EQ(frontier.bytes(), 3 * kStep);
  EXPECT_EQ(allocated(), 3 * kStep);
  EXPECT_EQ(frontier.measures().populated_bytes, 3 * kStep);
  EXPECT_GT(frontier.measures().busy_ns, 0u);
}

TEST_F(FrontierTest, it_runs_a_window_ahead_of_what_is_wanted_and_never_back) {
  Frontier frontier(region, {.window_bytes = 2 * kStep, .step_bytes = kStep});
  frontier.want(kStep);
  ASSERT_TRUE(frontier.wait(3 * kStep).ok());
  frontier.want(0);
  frontier.want(4 * kStep);
  ASSERT_TRUE(frontier.wait(6 * kStep).ok());
  EXPECT_EQ(allocated(), 6 * kStep);
}

TEST_F(FrontierTest, it_ends_with_the_region_however_much_is_wanted) {
  Frontier frontier(region, {.window_bytes = kStep, .step_bytes = kStep});
  frontier.want(~uint64_t{0});
  ASSERT_TRUE(frontier.wait(kLength).ok());
  EXPECT_EQ(frontier.bytes(), kLength);
  EXPECT_EQ(allocated(), kLength);
}

TEST_F(FrontierTest, what_is_known_to_be_populated_is_passed_over) {
  Frontier frontier(region,
                    {.populated_bytes = 4 * kStep, .window_bytes = kStep, .step_bytes = kStep});
  EXPECT_EQ(frontier.bytes(), 4 * kStep);
  frontier.want(4 * kStep);
  ASSERT_TRUE(frontier.wait(5 * kStep).ok());
  EXPECT_EQ(allocated(), kStep);
}

TEST_F(FrontierTest, nonsense_about_what_is_populated_is_cut_to_the_region) {
  Frontier frontier(region, {.populated_bytes = ~uint64_t{0}, .step_bytes = kStep});
  EXPECT_EQ(frontier.bytes(), kLength);
}

TEST_F(FrontierTest, memory_that_is_gone_ends_it_with_a_reason_and_every_wait_with_it) {
  ASSERT_EQ(ftruncate(file.get(), 2 * kStep), 0);
  Frontier frontier(region, {.initial_bytes = kLength, .step_bytes = kStep});
  Status status = frontier.wait(kLength);
  EXPECT_EQ(status.code(), LMCD_E_NO_MEMORY);
  EXPECT_EQ(std::string(status.text()).substr(0, 45),
            "populate the arena at 131072 of 4194304 bytes");
  EXPECT_EQ(frontier.bytes(), 2 * kStep);
  EXPECT_TRUE(frontier.wait(2 * kStep).ok());
}

TEST_F(FrontierTest, it_stops_in_the_middle) {
  for (int i = 0; i < 50; ++i)
    Frontier frontier(region, {.initial_bytes = kLength, .step_bytes = kStep});
}

using Populate = int (*)(std::byte*, uint64_t);
struct PopulateTest : FrontierTest, testing::WithParamInterface<Populate> {};

TEST_P(PopulateTest, pages_come_and_no_byte_changes_under_a_writer) {
  std::memset(region.address(), 0x5a, kLength / 2);
  // One thread counts in the pages that are being populated; a lost update would show.
  std::atomic<bool> stop{false};
  auto* counter = reinterpret_cast<std::atomic<uint64_t>*>(region.address() + kLength / 2);
  uint64_t counted = 0;
  std::thread writer([&] {
    while (!stop.load()) counter->store(++counted, std::memory_order_relaxed);
  });
  for (int i = 0; i < 20; ++i) EXPECT_EQ(GetParam()(region.address(), kLength), 0);
  stop.store(true);
  writer.join();
  EXPECT_EQ(allocated(), kLength);
  EXPECT_EQ(counter->load(), counted);
  for (uint64_t at = 0; at < kLength / 2; ++at) ASSERT_EQ(region.address()[at], std::byte{0x5a});
}

INSTANTIATE_TEST_SUITE_P(Ways, PopulateTest, testing::Values(populate, populate_by_touch));

TEST(Arena, is_mapped_populated_and_survives_being_shortened) {
  SharedMemory memory;
  memory.arena.reset(memfd_create("arena", MFD_CLOEXEC));
  memory.arena_bytes = kLength;
  ASSERT_EQ(ftruncate(memory.arena.get(), kLength), 0);
  auto arena =
      std::move(Arena::open(memory, {.initial_bytes = kLength, .step_bytes = kStep}).value());
  ASSERT_TRUE(arena->frontier().wait(kLength).ok());
  std::memset(arena->address(), 1, arena->length());
  EXPECT_FALSE(arena->lost());
  ASSERT_EQ(ftruncate(memory.arena.get(), 0), 0);
  std::memset(arena->address(), 1, arena->length());
  EXPECT_TRUE(arena->lost());
}

}  // namespace
}  // namespace lmcd::memory
