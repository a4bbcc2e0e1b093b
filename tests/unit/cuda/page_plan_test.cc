// Every slice that a warp of the page copy finds, replayed lane by lane on the host, moves the
// right bytes and no others, for pages of any shape and alignment. The reference goes run by run as
// the layout is defined (tests/unit/copy/engine.h). What a GPU adds to this is the launch alone.
#include "cuda/page_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

#include "tests/unit/copy/engine.h"

namespace lmcd::cuda {
namespace {

using Bytes = std::vector<std::byte>;

void fill(Bytes& bytes, std::mt19937_64& random) {
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
}

void copy_by_lanes(std::byte* to, const std::byte* from, uint32_t bytes) {
  for (uint32_t lane = 0; lane < kLanes; ++lane) copy_bytes(to, from, bytes, lane);
}

struct Shape {
  uint32_t run_bytes, run_count, gap_bytes, skew_bytes;
};

constexpr uint32_t kBlocks = 6;  // of each page
constexpr uint32_t kBlocksPerItem = 3;
constexpr std::size_t kMargin = 64;  // around each extent, to see what goes astray

// Pages one after another in one memory, each with gaps between its runs.
copy::Engine make_engine(std::span<const Shape> shapes, std::mt19937_64& random) {
  copy::Engine engine;
  uint64_t length = kMargin;
  for (const Shape& shape : shapes) {
    lmcd_page_t page{};
    page.run_bytes = shape.run_bytes;
    page.run_count = shape.run_count;
    page.run_stride = shape.run_bytes + shape.gap_bytes;
    page.block_stride = page.run_stride * shape.run_count;
    page.block_count = kBlocks;
    page.base = length + shape.skew_bytes;
    length = page.base + page.block_stride * kBlocks + kMargin;
    engine.pages.push_back(page);
  }
  engine.memory.resize(length);
  fill(engine.memory, random);
  for (lmcd_page_t& page : engine.pages)
    page.base += reinterpret_cast<uint64_t>(engine.memory.data());
  return engine;
}

struct PagePlanTest : testing::Test {
  void use(std::vector<Shape> shapes) {
    engine = make_engine(shapes, random);
    plans.resize(engine.pages.size());
    auto layout = copy::Layout::make(engine.pages, copy::Memory::whole_process());
    ASSERT_TRUE(layout.ok()) << layout.status().text();
    auto slices = plan_pages(layout.value(), engine.pages, kBlocksPerItem, plans);
    ASSERT_TRUE(slices.ok()) << slices.status().text();
    length = engine.block_bytes() * kBlocksPerItem;
    for (std::size_t i = 0; i < extents.size(); ++i) {
      extents[i].assign(length + 2 * kMargin, std::byte{0xee});
      addresses[i] = reinterpret_cast<uint64_t>(extents[i].data() + kMargin) + i * 4;
    }
    copy = {plans.data(),
            addresses.data(),
            ids.data(),
            static_cast<uint32_t>(plans.size()),
            static_cast<uint32_t>(extents.size()),
            kBlocksPerItem,
            slices.value()};
  }
  std::span<const uint32_t> ids_of(std::size_t item) const {
    return std::span(ids).subspan(item * kBlocksPerItem, kBlocksPerItem);
  }
  template <typename Move>
  void for_each_slice(Move move) {
    const uint64_t count = uint64_t{copy.item_slices} * copy.item_count;
    for (uint64_t number = 0; number < count; ++number) move(find_slice(copy, number));
  }
  void check_gather() {
    std::array<Bytes, 2> expected = extents;
    for (std::size_t i = 0; i < extents.size(); ++i)
      engine.for_each_run(ids_of(i), [&](uint64_t at, uint64_t flat, uint32_t bytes) {
        std::copy_n(engine.memory.begin() + static_cast<std::ptrdiff_t>(at), bytes,
                    expected[i].begin() + static_cast<std::ptrdiff_t>(kMargin + i * 4 + flat));
      });
    uint64_t moved = 0;
    for_each_slice([&](const Slice& slice) {
      copy_by_lanes(slice.flat, slice.paged, slice.bytes);
      moved += slice.bytes;
    });
    EXPECT_EQ(moved, length * extents.size()) << "each byte once";
    EXPECT_EQ(extents, expected);
  }
  void check_scatter() {
    for (Bytes& extent : extents) fill(extent, random);
    Bytes expected = engine.memory;
    for (std::size_t i = 0; i < extents.size(); ++i)
      engine.for_each_run(ids_of(i), [&](uint64_t at, uint64_t flat, uint32_t bytes) {
        std::copy_n(extents[i].begin() + static_cast<std::ptrdiff_t>(kMargin + i * 4 + flat), bytes,
                    expected.begin() + static_cast<std::ptrdiff_t>(at));
      });
    for_each_slice([](const Slice& slice) { copy_by_lanes(slice.paged, slice.flat, slice.bytes); });
    EXPECT_EQ(engine.memory, expected);
  }

  std::mt19937_64 random{7};
  copy::Engine engine;
  std::vector<PagePlan> plans;
  std::array<Bytes, 2> extents;
  std::array<uint64_t, 2> addresses{};
  std::vector<uint32_t> ids = {4, 0, 2, 5, 1, 3};  // no block twice
  uint64_t length = 0;
  PageCopy copy{};
};

TEST_F(PagePlanTest, one_page_of_whole_slices) {
  use({{2 * kSliceBytes, 1, 0, 0}});
  EXPECT_EQ(copy.item_slices, 2 * kBlocksPerItem);
  check_gather();
  check_scatter();
}

TEST_F(PagePlanTest, pages_of_different_shapes) {
  use({{4096, 2, 128, 0}, {4097, 1, 0, 0}, {16, 40, 16, 0}, {10'000, 3, 48, 0}, {8, 1, 0, 0}});
  check_gather();
  check_scatter();
}

TEST_F(PagePlanTest, any_shape_and_alignment) {
  for (int round = 0; round < 60; ++round) {
    SCOPED_TRACE(round);
    std::vector<Shape> shapes(1 + random() % 4);
    for (Shape& shape : shapes)
      shape = {static_cast<uint32_t>(1 + random() % 9000), static_cast<uint32_t>(1 + random() % 5),
               static_cast<uint32_t>(random() % 40), static_cast<uint32_t>(random() % 17)};
    use(shapes);
    check_gather();
    check_scatter();
  }
}

TEST_F(PagePlanTest, what_has_more_slices_than_numbers_is_refused) {
  const lmcd_page_t page = {0x1000, 1 << 20, 1 << 10, 1 << 10, 1 << 10, 8, 0};
  auto layout = copy::Layout::make({&page, 1}, copy::Memory::whole_process());
  ASSERT_TRUE(layout.ok()) << layout.status().text();
  PagePlan plan;
  EXPECT_EQ(plan_pages(layout.value(), {&page, 1}, 1 << 22, {&plan, 1}).status().code(),
            LMCD_E_LIMIT);
  EXPECT_TRUE(plan_pages(layout.value(), {&page, 1}, (1 << 22) - 1, {&plan, 1}).ok());
  EXPECT_EQ(plan_pages(layout.value(), {&page, 1}, 0, {&plan, 1}).status().code(), LMCD_E_INVALID);
}

TEST(CopyBytes, copies_all_and_only_these_at_every_alignment) {
  std::mt19937_64 random(11);
  Bytes from(6000), to(6000);
  fill(from, random);
  for (std::size_t from_skew = 0; from_skew < 17; ++from_skew) {
    for (std::size_t to_skew = 0; to_skew < 17; ++to_skew) {
      for (uint32_t bytes : {0u, 1u, 15u, 16u, 33u, 511u, 4096u}) {
        std::fill(to.begin(), to.end(), std::byte{0xee});
        Bytes expected = to;
        const auto target = static_cast<std::ptrdiff_t>(100 + to_skew);
        const auto source = static_cast<std::ptrdiff_t>(100 + from_skew);
        std::copy_n(from.begin() + source, bytes, expected.begin() + target);
        copy_by_lanes(to.data() + target, from.data() + source, bytes);
        ASSERT_EQ(to, expected) << from_skew << " " << to_skew << " " << bytes;
      }
    }
  }
}

}  // namespace
}  // namespace lmcd::cuda
