// A segment is mapped only when it is memory, as long as it says, and each of its pages lies
// within: every way to be wrong is refused by name, at the exact byte, and with numbers that
// overflow.
#include "daemon/memory/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "tests/scratch_directory.h"

namespace lmcd::memory {
namespace {

constexpr uint64_t kLength = 1 << 20;

FileDescriptor memory() {
  FileDescriptor file(memfd_create("kv", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(file.get(), kLength), 0);
  return file;
}

// 16 blocks of 4 runs of 1 KiB, which end exactly at 64 KiB.
lmcd_page_t page(uint64_t base = 0) {
  return {.base = base,
          .block_stride = 4096,
          .run_stride = 1024,
          .run_bytes = 1024,
          .run_count = 4,
          .block_count = 16};
}

TEST(Segment, pages_are_found_by_group) {
  FileDescriptor file = memory();
  lmcd_page_t window = page(65536);
  window.block_count = 8;
  window.run_count = 2;
  auto opened = Segment::open(
      file.get(),
      {.length = kLength, .pages = {window, page(0), page(131072)}, .groups = {3, 0, 0}});
  ASSERT_TRUE(opened.ok());
  Segment& segment = opened.value();
  ASSERT_EQ(segment.pages_of(0).size(), 2u);
  EXPECT_EQ(segment.pages_of(0)[1].base, 131072u);
  EXPECT_EQ(segment.block_bytes_of(0), 8192u);
  EXPECT_EQ(segment.block_count_of(0), 16u);
  ASSERT_EQ(segment.pages_of(3).size(), 1u);
  EXPECT_EQ(segment.block_bytes_of(3), 2048u);
  EXPECT_EQ(segment.block_count_of(3), 8u);
  EXPECT_TRUE(segment.pages_of(1).empty());
  EXPECT_EQ(segment.block_bytes_of(99), 0u);
}

TEST(Segment, is_shared_with_its_engine_and_survives_its_malice) {
  FileDescriptor file = memory();
  auto opened = Segment::open(file.get(), {.length = kLength, .pages = {page()}, .groups = {}});
  ASSERT_TRUE(opened.ok());
  ASSERT_EQ(pwrite(file.get(), "kv", 2, 100), 2);
  EXPECT_EQ(std::memcmp(opened.value().address() + 100, "kv", 2), 0);
  ASSERT_EQ(ftruncate(file.get(), 0), 0);
  std::memset(opened.value().address(), 1, kLength);
  EXPECT_TRUE(opened.value().lost());
}

struct Wrong {
  const char* what;
  void (*spoil)(lmcd_page_t&);
};

struct SegmentPage : testing::TestWithParam<Wrong> {};

TEST_P(SegmentPage, out_of_bounds_is_refused) {
  lmcd_page_t spoiled = page(kLength - 65536);
  ASSERT_TRUE(check_page(spoiled, kLength, 7).ok());
  GetParam().spoil(spoiled);
  Status status = check_page(spoiled, kLength, 7);
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  EXPECT_NE(status.text().find("page 7"), std::string_view::npos) << status.text();
}

constexpr uint64_t kHuge = ~uint64_t{0};
INSTANTIATE_TEST_SUITE_P(
    Ways, SegmentPage,
    testing::Values(Wrong{"base by one", [](lmcd_page_t& p) { ++p.base; }},
                    Wrong{"base wraps", [](lmcd_page_t& p) { p.base = kHuge - 100; }},
                    Wrong{"one block more", [](lmcd_page_t& p) { ++p.block_count; }},
                    Wrong{"most blocks", [](lmcd_page_t& p) { p.block_count = ~0u; }},
                    Wrong{"block stride by one", [](lmcd_page_t& p) { ++p.block_stride; }},
                    Wrong{"block stride wraps",
                          [](lmcd_page_t& p) { p.block_stride = kHuge / 15 + 1; }},
                    Wrong{"run stride by one", [](lmcd_page_t& p) { ++p.run_stride; }},
                    Wrong{"run stride wraps", [](lmcd_page_t& p) { p.run_stride = kHuge / 3 + 1; }},
                    Wrong{"one run more", [](lmcd_page_t& p) { ++p.run_count; }},
                    Wrong{"run bytes by one", [](lmcd_page_t& p) { ++p.run_bytes; }},
                    Wrong{"no run bytes", [](lmcd_page_t& p) { p.run_bytes = 0; }},
                    Wrong{"no runs", [](lmcd_page_t& p) { p.run_count = 0; }},
                    Wrong{"no blocks", [](lmcd_page_t& p) { p.block_count = 0; }},
                    Wrong{"runs overlap", [](lmcd_page_t& p) { p.run_stride = 1023; }},
                    Wrong{"blocks overlap", [](lmcd_page_t& p) { p.block_stride = 0; }}),
    [](const auto& instance) {
      std::string name = instance.param.what;
      for (char& c : name) c = c == ' ' ? '_' : c;
      return name;
    });

std::string refusal(int descriptor, Segment::Description description) {
  auto opened = Segment::open(descriptor, std::move(description));
  if (opened.ok()) return "accepted";
  Status status = opened.status();
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  return std::string(status.text());
}

TEST(Segment, a_description_that_does_not_fit_is_refused_by_name) {
  FileDescriptor file = memory();
  EXPECT_EQ(refusal(file.get(), {.length = kLength + 1, .pages = {page()}, .groups = {}}),
            "segment: length is 1048577, the memory has 1048576 bytes");
  EXPECT_EQ(refusal(file.get(), {.length = 0, .pages = {page()}, .groups = {}}),
            "segment: length is 0, the memory has 1048576 bytes");
  EXPECT_EQ(refusal(file.get(), {.length = kLength, .pages = {}, .groups = {}}),
            "segment: 0 pages, want 1 to 4096");
  EXPECT_EQ(refusal(file.get(), {.length = kLength, .pages = {page()}, .groups = {0, 1}}),
            "segment: 2 page groups for 1 pages, want none or as many");
  EXPECT_EQ(refusal(file.get(), {.length = kLength, .pages = {page()}, .groups = {16}}),
            "segment: page 0 is of group 16, want below 16");
  ASSERT_EQ(ftruncate(file.get(), off_t{1} << 45), 0);
  EXPECT_EQ(refusal(file.get(), {.length = uint64_t{1} << 45, .pages = {page()}, .groups = {}})
                .substr(0, 51),
            "segment: length is 35184372088832, this machine has");
}

TEST(Segment, what_is_no_memory_is_refused) {
  const std::string want =
      "segment: the descriptor is of no shared memory (want memfd or shm_open)";
  Segment::Description description{.length = 4096, .pages = {page()}, .groups = {}};
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  FileDescriptor a(ends[0]), b(ends[1]);
  EXPECT_EQ(refusal(a.get(), description), want);
  FileDescriptor proc(open("/proc/self/status", O_RDONLY));
  EXPECT_EQ(refusal(proc.get(), description), want);
  EXPECT_EQ(refusal(-1, description), "segment: descriptor -1: Bad file descriptor");
}

TEST(Segment, memory_that_may_only_be_read_is_refused) {
  FileDescriptor file = memory();
  FileDescriptor reader = std::move(reopen(file.get(), Access::kReadOnly).value());
  EXPECT_FALSE(
      Segment::open(reader.get(), {.length = kLength, .pages = {page()}, .groups = {}}).ok());
}

}  // namespace
}  // namespace lmcd::memory
