// Extents never overlap, free bytes are exact, neighbours merge, a full arena says so, and what
// a restart adopts is as if it had been placed. Checked against a map of every granule.
#include "daemon/core/allocator.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace lmcd::core {
namespace {

constexpr uint32_t kGranule = 4096;

Allocator make_allocator(uint64_t granules, uint32_t extents = 4096) {
  auto made = Allocator::make(granules * kGranule, kGranule, extents);
  EXPECT_TRUE(made.ok());
  return std::move(made.value());
}

TEST(Allocator, a_new_arena_is_used_from_its_low_end) {
  Allocator allocator = make_allocator(100);
  EXPECT_EQ(allocator.offset_of(*allocator.place(1)), 0u);
  EXPECT_EQ(allocator.offset_of(*allocator.place(kGranule + 1)), 1 * kGranule);
  EXPECT_EQ(allocator.offset_of(*allocator.place(kGranule)), 3 * kGranule);
  EXPECT_EQ(allocator.high_water_bytes(), 4 * kGranule);
  EXPECT_EQ(allocator.free_bytes(), 96 * kGranule);
}

TEST(Allocator, a_recycled_hole_is_used_before_new_ground) {
  Allocator allocator = make_allocator(100);
  ExtentId first = *allocator.place(10 * kGranule);
  allocator.place(10 * kGranule);
  allocator.free(first);
  EXPECT_EQ(allocator.offset_of(*allocator.place(10 * kGranule)), 0u);
  EXPECT_EQ(allocator.high_water_bytes(), 20 * kGranule);
}

TEST(Allocator, neighbours_merge_on_both_sides) {
  Allocator allocator = make_allocator(30);
  ExtentId a = *allocator.place(10 * kGranule);
  ExtentId b = *allocator.place(10 * kGranule);
  ExtentId c = *allocator.place(10 * kGranule);
  allocator.free(a);
  allocator.free(c);
  EXPECT_EQ(allocator.hole_count(), 2u);
  EXPECT_FALSE(allocator.place(11 * kGranule).has_value());
  allocator.free(b);
  EXPECT_EQ(allocator.hole_count(), 1u);
  EXPECT_EQ(allocator.largest_hole_bytes(), 30 * kGranule);
  EXPECT_TRUE(allocator.place(30 * kGranule).has_value());
  EXPECT_EQ(allocator.free_bytes(), 0u);
}

TEST(Allocator, random_histories_keep_the_books_exact) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  constexpr uint64_t kGranules = 3000;
  Allocator allocator = make_allocator(kGranules);
  std::map<ExtentId, uint64_t> placed;  // id -> granules
  std::vector<bool> taken(kGranules);
  uint64_t used = 0;
  for (int step = 0; step < 20000; ++step) {
    if (placed.size() < 400 && random() % 5 < 3) {
      const uint64_t length = 1 + random() % (kGranule * (random() % 4 == 0 ? 200 : 12));
      auto id = allocator.place(length);
      if (!id) continue;
      const uint64_t granules = (length + kGranule - 1) / kGranule;
      const uint64_t start = allocator.offset_of(*id) / kGranule;
      for (uint64_t g = start; g < start + granules; ++g) {
        ASSERT_LT(g, kGranules);
        ASSERT_FALSE(taken[g]) << "granule " << g << " handed out twice";
        taken[g] = true;
      }
      ASSERT_TRUE(placed.emplace(*id, granules).second);
      used += granules;
    } else if (!placed.empty()) {
      auto gone = std::next(placed.begin(), static_cast<long>(random() % placed.size()));
      const uint64_t start = allocator.offset_of(gone->first) / kGranule;
      for (uint64_t g = start; g < start + gone->second; ++g) taken[g] = false;
      used -= gone->second;
      allocator.free(gone->first);
      placed.erase(gone);
    }
    ASSERT_EQ(allocator.free_bytes(), (kGranules - used) * kGranule);
  }
  for (auto& [id, granules] : placed) allocator.free(id);
  EXPECT_EQ(allocator.hole_count(), 1u);
  EXPECT_EQ(allocator.largest_hole_bytes(), kGranules * kGranule);
}

TEST(Allocator, adopted_extents_are_like_placed_ones) {
  Allocator allocator = make_allocator(100);
  const Allocator::Occupied occupied[] = {{0, 5 * kGranule},
                                          {5 * kGranule, 1},
                                          {20 * kGranule, 30 * kGranule - 7},
                                          {98 * kGranule, 2 * kGranule}};
  ExtentId ids[4];
  allocator.adopt(occupied, ids);
  EXPECT_EQ(allocator.free_bytes(), (100 - 5 - 1 - 30 - 2) * kGranule);
  EXPECT_EQ(allocator.hole_count(), 2u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(allocator.offset_of(ids[i]), occupied[i].offset);
  EXPECT_TRUE(allocator.place(48 * kGranule).has_value());
  EXPECT_TRUE(allocator.place(14 * kGranule).has_value());
  EXPECT_EQ(allocator.free_bytes(), 0u);
  for (ExtentId id : ids) allocator.free(id);
  EXPECT_EQ(allocator.free_bytes(), 38 * kGranule);
}

}  // namespace
}  // namespace lmcd::core
