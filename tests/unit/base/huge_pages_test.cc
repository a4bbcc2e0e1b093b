// Huge pages come where memory is used, change no byte, also while others write, and their lack is
// no harm. Whether the kernel gives any is read off /proc/self/smaps.
#include "lib/base/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "lib/base/guarded.h"

namespace lmcd {
namespace {

constexpr uint64_t kLength = 4 * kHugePageBytes;

// What of the mapping that begins at `address` is mapped by huge pages.
uint64_t huge_bytes_at(const std::byte* address) {
  char begin[32];
  std::snprintf(begin, sizeof begin, "%lx-", reinterpret_cast<unsigned long>(address));
  std::ifstream maps("/proc/self/smaps");
  bool ours = false;
  uint64_t kib = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find('-') != std::string::npos && line.find(' ') != std::string::npos &&
        std::isxdigit(static_cast<unsigned char>(line[0])) && line.find(':') > line.find(' '))
      ours = line.rfind(begin, 0) == 0;
    std::istringstream words(line);
    std::string name;
    uint64_t value = 0;
    words >> name >> value;
    if (ours && (name == "ShmemPmdMapped:" || name == "AnonHugePages:")) kib += value;
  }
  return kib * kKiB;
}

struct HugePagesTest : testing::Test {
  HugePagesTest() : file(memfd_create("test", MFD_CLOEXEC)) {
    EXPECT_EQ(ftruncate(file.get(), kLength), 0);
    region = std::move(GuardedRegion::map(file.get(), kLength, Access::kReadWrite).value());
  }
  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(region.address()); }

  FileDescriptor file;
  GuardedRegion region;
};

TEST_F(HugePagesTest, a_region_that_can_have_them_begins_at_one) {
  EXPECT_EQ(reinterpret_cast<uintptr_t>(region.address()) % kHugePageBytes, 0u);
}

TEST_F(HugePagesTest, shared_memory_gets_them_without_a_setting_of_the_host) {
  for (uint64_t at = 0; at < kLength; at += 4096) bytes()[at] = static_cast<uint8_t>(at >> 12);
  const int error = gather_huge_pages(region.address(), kLength);
  if (error == EINVAL) GTEST_SKIP() << "this kernel collapses no shared memory";
  if (error != 0) GTEST_SKIP() << "no huge page is free: errno " << error;
  for (uint64_t at = 0; at < kLength; at += 4096)
    ASSERT_EQ(bytes()[at], static_cast<uint8_t>(at >> 12)) << at;
  EXPECT_EQ(huge_bytes_at(region.address()), kLength);
}

TEST_F(HugePagesTest, only_whole_ones_are_touched) {
  make_huge_pages(region.address() + 4096, kLength - 2 * 4096);
  struct stat facts;
  ASSERT_EQ(fstat(file.get(), &facts), 0);
  EXPECT_LE(static_cast<uint64_t>(facts.st_blocks) * 512, kLength - 2 * kHugePageBytes);
}

TEST_F(HugePagesTest, what_others_write_meanwhile_is_not_lost) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    while (!stop.load())
      for (uint64_t at = 0; at < kLength; at += 4096) bytes()[at] = bytes()[at] + 1;
  });
  for (int i = 0; i < 20; ++i) {
    gather_huge_pages(region.address(), kLength);
    // Small pages again.
    madvise(region.address(), kLength, MADV_DONTNEED);
  }
  stop.store(true);
  writer.join();
  for (uint64_t at = 4096; at < kLength; at += 4096)
    ASSERT_EQ(bytes()[at], bytes()[0]) << "a write to page " << at / 4096 << " was lost";
}

TEST_F(HugePagesTest, memory_that_is_gone_is_a_fault_and_no_signal) {
  ASSERT_EQ(ftruncate(file.get(), 0), 0);
  make_huge_pages(region.address(), kLength);
  EXPECT_NE(gather_huge_pages(region.address(), kLength), 0);
  EXPECT_FALSE(region.lost()) << "nobody touched it";
}

}  // namespace
}  // namespace lmcd
