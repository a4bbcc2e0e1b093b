// Layout lets nothing through that would copy outside of the memory it was given, or two runs
// onto each other, and says which page and which field is wrong.
#include "lib/copy/layout.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace lmcd::copy {
namespace {

constexpr Memory kMemory{0x10000, 1 << 20};

Page good() { return {4096, 256, 128, 128, 2, 16, 0}; }

std::string fault_text(const Page& page, Memory memory = kMemory) {
  Page pages[] = {good(), page};
  Result<Layout> layout = Layout::make(pages, memory);
  if (layout.ok()) return "";
  Status status = layout.status();
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  return std::string(status.text());
}

TEST(Layout, bases_become_addresses_and_sizes_add_up) {
  Page pages[] = {good(), {65536, 100, 5000, 100, 3, 8, 0}};
  Result<Layout> layout = Layout::make(pages, kMemory);
  ASSERT_TRUE(layout.ok());
  EXPECT_EQ(layout.value().block_bytes(), 256u + 300u);
  EXPECT_EQ(layout.value().block_count(), 8u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(layout.value().planes()[1].address), 0x10000u + 65536u);
  EXPECT_EQ(layout.value().planes()[1].bytes_before, 256u);
}

TEST(Layout, the_page_with_the_fewest_blocks_bounds_the_ids) {
  Page few = good();
  few.block_count = 3;
  for (bool first : {true, false}) {
    Page pages[] = {first ? few : good(), first ? good() : few};
    EXPECT_EQ(Layout::make(pages, kMemory).value().block_count(), 3u);
  }
}

TEST(Layout, each_wrong_field_is_named) {
  struct Case {
    std::function<void(Page&)> spoil;
    const char* text;
  } cases[] = {
      {[](Page& page) { page.run_bytes = 0; }, "page 1: run_bytes is 0"},
      {[](Page& page) { page.run_count = 0; }, "page 1: run_count is 0"},
      {[](Page& page) { page.block_count = 0; }, "page 1: block_count is 0"},
      {[](Page& page) { page.reserved = 7; }, "page 1: reserved is 7; it must be 0"},
      {[](Page& page) { page.block_stride = UINT64_MAX / 2; }, "pass 2^64 bytes"},
      {[](Page& page) { page.run_stride = UINT64_MAX; }, "pass 2^64 bytes"},
      {[](Page& page) { page.base = UINT64_MAX - 100; }, "page 1: 4096 bytes from base"},
      {[](Page& page) { page.base = (1 << 20) - 4095; }, "pass the end of the memory at 1048576"},
      {[](Page& page) { page.block_stride = 0; }, "page 1: runs of 128 bytes overlap"},
      {[](Page& page) { page.run_stride = 127; }, "valid: block_stride >= 255"},
      {[](Page& page) { page.block_stride = 255; }, "valid: block_stride >= 256"},
      {[](Page& page) { page.block_stride = 128, page.run_stride = 15 * 128 + 127; },
       "or run_stride >= 2048"},
  };
  for (const Case& bad : cases) {
    Page page = good();
    bad.spoil(page);
    std::string text = fault_text(page);
    EXPECT_NE(text.find(bad.text), std::string::npos) << bad.text << " <> " << text;
  }
}

TEST(Layout, a_page_may_end_with_the_memory) {
  Page page = good();
  page.base = (1 << 20) - 4096;
  EXPECT_EQ(fault_text(page), "");
}

TEST(Layout, strides_of_one_block_or_one_run_do_not_matter) {
  EXPECT_EQ(fault_text({0, 0, 128, 128, 2, 1, 0}), "");
  EXPECT_EQ(fault_text({0, 128, 0, 128, 1, 16, 0}), "");
}

TEST(Layout, k_of_all_blocks_may_stand_before_v_of_all_blocks) {
  EXPECT_EQ(fault_text({0, 128, 16 * 128, 128, 2, 16, 0}), "");
}

TEST(Layout, a_null_address_is_refused) {
  Page page = good();
  page.base = 0;
  EXPECT_EQ(fault_text(page, Memory::whole_process()), "page 1: base is 0");
}

TEST(Layout, the_number_of_pages_has_a_limit) {
  EXPECT_EQ(Layout::make({}, kMemory).status().text(), "0 pages; valid: 1 to 16384");
  std::vector<Page> pages(kMaxPages + 1, good());
  EXPECT_EQ(Layout::make(pages, kMemory).status().text(), "16385 pages; valid: 1 to 16384");
  pages.pop_back();
  EXPECT_TRUE(Layout::make(pages, kMemory).ok());
}

}  // namespace
}  // namespace lmcd::copy
