// The gatherer puts huge pages under what a table uses and not beyond, and ends at once.
#include "daemon/memory/gatherer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "lib/base/guarded.h"
#include "lib/base/huge_pages.h"

namespace lmcd::memory {
namespace {

constexpr uint64_t kLength = 8 * kHugePageBytes;

struct GathererTest : testing::Test {
  GathererTest() : file(memfd_create("test", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(file.get(), kLength), 0);
    region = std::move(GuardedRegion::map(file.get(), kLength, Access::kReadWrite).value());
    for (uint64_t at = 0; at < kLength; at += kHugePageBytes) region.address()[at] = std::byte{1};
  }
  // A huge page that took a small one in has all of its blocks.
  uint64_t allocated() {
    struct stat facts;
    EXPECT_EQ(fstat(file.get(), &facts), 0);
    return static_cast<uint64_t>(facts.st_blocks) * 512;
  }
  bool wait_for(uint64_t bytes) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (allocated() < bytes && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    return allocated() >= bytes;
  }
  bool kernel_gives_any() {
    return gather_huge_pages(region.address() + kLength - kHugePageBytes, kHugePageBytes) == 0;
  }

  FileDescriptor file;
  GuardedRegion region;
};

TEST_F(GathererTest, it_follows_a_table_in_whole_huge_pages) {
  if (!kernel_gives_any()) GTEST_SKIP() << "this kernel has no huge page for shared memory";
  const uint64_t before = allocated();
  const uint64_t more = kHugePageBytes - 4096;
  Gatherer gatherer;
  gatherer.grown({{{region.address(), 2 * kHugePageBytes + 4096}}});
  EXPECT_TRUE(wait_for(before + 2 * more));
  gatherer.grown({{{region.address(), 4 * kHugePageBytes - 1}}});
  EXPECT_TRUE(wait_for(before + 3 * more));
  EXPECT_EQ(allocated(), before + 3 * more) << "none beyond what is in use";
}

TEST_F(GathererTest, it_ends_though_much_is_to_do) {
  Gatherer gatherer;
  gatherer.grown({{{region.address(), kLength},
                   {region.address(), kLength},
                   {region.address(), kLength},
                   {region.address(), kLength}}});
}

}  // namespace
}  // namespace lmcd::memory
