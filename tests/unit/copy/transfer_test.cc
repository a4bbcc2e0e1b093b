// Gather and scatter move exactly the bytes the layout names, whatever the layout: random ones
// are held byte by byte against a run-by-run reference, on every kernel this CPU has and 1 to 4
// threads, in memory whose every other byte must stay as it was. Checksums are held against a
// crc worked bit by bit. A failing case prints its seed; LMCD_SEED=<seed> replays it alone.
#include "lib/copy/transfer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/copy/engine.h"

namespace lmcd::copy {
namespace {

constexpr std::size_t kGuardBytes = 256;

uint32_t bitwise_crc32c(std::span<const std::byte> bytes) {
  uint32_t crc = 0xffffffff;
  for (std::byte byte : bytes) {
    crc ^= static_cast<uint32_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  uint64_t between(uint64_t low, uint64_t high) { return low + engine_() % (high - low + 1); }
  bool chance(unsigned percent) { return between(1, 100) <= percent; }
  void fill(std::span<std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(uint64_t)) {
      uint64_t word = engine_();
      std::memcpy(&bytes[at], &word, std::min(sizeof word, bytes.size() - at));
    }
  }
  std::mt19937_64& bits() { return engine_; }

 private:
  std::mt19937_64 engine_;
};

uint32_t random_run_bytes(Random& random) {
  constexpr uint32_t kUsual[] = {64, 512, 4096, 16384, 18432, 32768, 65536};
  if (random.chance(40)) return kUsual[random.between(0, std::size(kUsual) - 1)];
  if (random.chance(5)) return static_cast<uint32_t>(random.between(1, 400000));
  return static_cast<uint32_t>(random.between(1, random.chance(60) ? 3000 : 70000));
}

// Offsets of the runs first, addresses when the memory is there.
Engine random_engine(Random& random, uint32_t block_count) {
  Engine engine;
  uint64_t end = kGuardBytes;
  for (uint64_t left = random.between(1, 4); left > 0; --left) {
    uint32_t run_bytes = random_run_bytes(random);
    auto run_count = static_cast<uint32_t>(random.between(1, 3));
    auto gap = [&] { return random.chance(50) ? 0 : random.between(1, 300); };
    uint64_t block_stride, run_stride;
    if (random.chance(50)) {
      run_stride = run_bytes + gap();
      block_stride = run_stride * run_count + gap();
    } else {
      block_stride = run_bytes + gap();
      run_stride = block_stride * block_count + gap();
    }
    end += random.chance(30) ? 0 : random.between(0, 100);
    engine.pages.push_back({end, block_stride, run_stride, run_bytes, run_count, block_count, 0});
    end += (block_count - 1) * block_stride + (run_count - 1) * run_stride + run_bytes;
  }
  engine.memory.resize(end + kGuardBytes);
  for (Page& page : engine.pages) page.base += reinterpret_cast<uint64_t>(engine.memory.data());
  random.fill(engine.memory);
  return engine;
}

// Extents in one piece of memory, with room between them.
struct Case {
  Engine engine;
  std::vector<std::byte> arena;
  std::vector<std::vector<uint32_t>> block_ids;
  std::vector<uint64_t> offsets;

  std::vector<Item> items() {
    std::vector<Item> items;
    for (std::size_t i = 0; i < block_ids.size(); ++i)
      items.push_back(
          {arena.data() + offsets[i], block_ids[i].size() * engine.block_bytes(), block_ids[i]});
    return items;
  }
};

Case random_case(Random& random) {
  Case made;
  auto block_count = static_cast<uint32_t>(random.between(1, 8));
  made.engine = random_engine(random, block_count);
  std::vector<uint32_t> ids(block_count);
  std::iota(ids.begin(), ids.end(), 0);
  std::shuffle(ids.begin(), ids.end(), random.bits());
  uint64_t end = kGuardBytes;
  for (std::size_t at = 0; at < ids.size();) {
    std::size_t count = random.between(1, ids.size() - at);
    made.block_ids.emplace_back(ids.begin() + at, ids.begin() + at + count);
    at += count;
    if (random.chance(70)) end += random.between(0, 100);
    made.offsets.push_back(end);
    end += count * made.engine.block_bytes();
  }
  made.arena.resize(end + kGuardBytes);
  random.fill(made.arena);
  return made;
}

void expect_same(std::span<const std::byte> actual, std::span<const std::byte> expected,
                 const char* memory) {
  ASSERT_EQ(actual.size(), expected.size());
  if (std::memcmp(actual.data(), expected.data(), actual.size()) == 0) return;
  auto [at, _] = std::mismatch(actual.begin(), actual.end(), expected.begin());
  ADD_FAILURE() << memory << " differs at byte " << at - actual.begin() << " of " << actual.size();
}

void check_gather(Case& made, const Transfer& transfer, Crew& crew, bool checksum) {
  std::vector<std::byte> expected = made.arena;
  for (std::size_t i = 0; i < made.block_ids.size(); ++i)
    made.engine.for_each_run(made.block_ids[i], [&](uint64_t paged, uint64_t flat, uint32_t bytes) {
      std::memcpy(&expected[made.offsets[i] + flat], &made.engine.memory[paged], bytes);
    });
  std::vector<std::byte> engine_before = made.engine.memory;
  std::vector<uint32_t> crcs(checksum ? transfer.items.size() : 0);
  Status status = gather(transfer, crew, crcs);
  ASSERT_TRUE(status.ok()) << status.text();
  expect_same(made.arena, expected, "arena");
  expect_same(made.engine.memory, engine_before, "engine");
  for (std::size_t i = 0; i < crcs.size(); ++i)
    EXPECT_EQ(crcs[i], bitwise_crc32c({transfer.items[i].extent, transfer.items[i].length}));
}

// Leaves out some blocks, or all, of some items.
void leave_out_blocks(Case& made, Random& random) {
  for (std::vector<uint32_t>& ids : made.block_ids) {
    if (random.chance(70)) continue;
    const unsigned percent = random.chance(20) ? 100 : 50;
    for (uint32_t& id : ids) id = random.chance(percent) ? kNoBlock : id;
  }
}

void check_scatter(Case& made, Transfer transfer, Crew& crew, Random& random) {
  random.fill(made.arena);
  leave_out_blocks(made, random);
  std::vector<std::byte> expected = made.engine.memory;
  for (std::size_t i = 0; i < made.block_ids.size(); ++i)
    made.engine.for_each_run(made.block_ids[i], [&](uint64_t paged, uint64_t flat, uint32_t bytes) {
      std::memcpy(&expected[paged], &made.arena[made.offsets[i] + flat], bytes);
    });
  std::vector<std::byte> arena_before = made.arena;

  // Every item expects its crc, a wrong one, or none.
  std::vector<Item> items(transfer.items.begin(), transfer.items.end());
  std::vector<uint8_t> expected_intact(items.size(), 1);
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::span<const uint32_t> ids = items[i].block_ids;
    const bool whole = std::find(ids.begin(), ids.end(), kNoBlock) == ids.end();
    if (!whole || random.chance(40)) continue;
    items[i].expected_crc = bitwise_crc32c({items[i].extent, items[i].length});
    if (!random.chance(30)) continue;
    *items[i].expected_crc ^= uint32_t{1} << random.between(0, 31);
    expected_intact[i] = 0;
  }
  std::vector<uint8_t> intact(items.size(), 9);
  Status status =
      scatter({transfer.layout, items, transfer.threads, transfer.kernel}, crew, intact);
  ASSERT_TRUE(status.ok()) << status.text();
  expect_same(made.engine.memory, expected, "engine");
  expect_same(made.arena, arena_before, "arena");
  EXPECT_EQ(intact, expected_intact);
}

void check_seed(uint64_t seed, Crew& crew) {
  SCOPED_TRACE("LMCD_SEED=" + std::to_string(seed));
  Random random(seed);
  Case made = random_case(random);
  Result<Layout> layout = Layout::make(made.engine.pages, Memory::whole_process());
  ASSERT_TRUE(layout.ok()) << layout.status().text();
  std::vector<const Kernel*> kernels = usable_kernels();
  const Kernel& kernel = *kernels[random.between(0, kernels.size() - 1)];
  auto threads = static_cast<uint32_t>(random.between(1, 4));
  SCOPED_TRACE(std::string(kernel.name) + ", threads " + std::to_string(threads));
  std::vector<Item> items = made.items();
  Transfer transfer{layout.value(), items, threads, kernel};
  check_gather(made, transfer, crew, random.chance(50));
  check_scatter(made, transfer, crew, random);
}

TEST(Transfer, random_layouts_are_copied_to_the_byte) {
  std::unique_ptr<Crew> crew = std::move(Crew::start(3).value());
  if (const char* seed = std::getenv("LMCD_SEED"))
    return check_seed(std::strtoull(seed, nullptr, 10), *crew);
  for (uint64_t seed = 1; seed <= 200 && !HasFailure(); ++seed) check_seed(seed, *crew);
}

// A kernel that is cancelled by its own first bytes.
std::atomic<bool> g_cancelled{false};

void cancel_and_stream(const Lane* lanes, uint32_t count, std::size_t bytes) {
  g_cancelled = true;
  fastest_kernel().stream(lanes, count, bytes);
}

TEST(Transfer, a_cancel_is_heeded_in_the_middle_of_an_item) {
  constexpr uint32_t kRunBytes = 1 << 20;
  std::vector<std::byte> memory(8 * kRunBytes, std::byte{1});
  std::vector<std::byte> extent(8 * kRunBytes, std::byte{2});
  const Page page{reinterpret_cast<uintptr_t>(memory.data()), kRunBytes, 0, kRunBytes, 1, 8, 0};
  const Layout layout = std::move(Layout::make({&page, 1}, Memory::whole_process()).value());
  const uint32_t blocks[] = {0, 1, 2, 3, 4, 5, 6, 7};
  const Item item{extent.data(), extent.size(), blocks, {}};
  Kernel kernel = fastest_kernel();
  kernel.stream = cancel_and_stream;
  std::unique_ptr<Crew> alone = std::move(Crew::start(0).value());
  Transfer transfer{layout, {&item, 1}, 1, kernel, &g_cancelled};
  EXPECT_EQ(gather(transfer, *alone, {}).code(), LMCD_E_TIMEOUT);
  EXPECT_EQ(extent.front(), std::byte{1});
  EXPECT_EQ(extent[4 * kRunBytes], std::byte{2}) << "it went on";
  EXPECT_EQ(extent.back(), std::byte{2});
}

class BadTransfer : public testing::Test {
 protected:
  BadTransfer() {
    Page page{0, 64, 64, 64, 1, 8, 0};
    layout_ = std::make_unique<Layout>(std::move(
        Layout::make({&page, 1}, {reinterpret_cast<uintptr_t>(memory_), sizeof memory_}).value()));
  }

  // The text of the fault that both directions give; neither may touch a byte.
  std::string fault_text(std::span<const Item> items, uint32_t threads = 1) {
    Transfer transfer{*layout_, items, threads};
    std::vector<uint8_t> intact(items.size(), 9);
    Status gathered = gather(transfer, *crew_, {});
    Status scattered = scatter(transfer, *crew_, intact);
    EXPECT_EQ(gathered.text(), scattered.text());
    EXPECT_EQ(gathered.code(), gathered.ok() ? LMCD_OK : LMCD_E_INVALID);
    if (!gathered.ok()) {
      EXPECT_TRUE(std::all_of(std::begin(memory_), std::end(memory_),
                              [](std::byte b) { return b == std::byte{1}; }));
      EXPECT_TRUE(std::all_of(std::begin(extent_), std::end(extent_),
                              [](std::byte b) { return b == std::byte{2}; }));
    }
    return std::string(gathered.text());
  }

  std::byte memory_[512];
  std::byte extent_[512];
  std::unique_ptr<Layout> layout_;
  std::unique_ptr<Crew> crew_ = std::move(Crew::start(0).value());

  void SetUp() override {
    std::memset(memory_, 1, sizeof memory_);
    std::memset(extent_, 2, sizeof extent_);
  }
};

TEST_F(BadTransfer, is_named_and_moves_nothing) {
  const uint32_t two[] = {1, 2};
  const uint32_t beyond[] = {7, 8};
  Item good{extent_, 128, two};
  struct Bad {
    Item second;
    const char* text;
  } cases[] = {
      {{extent_ + 128, 128, {}}, "item 1: names no blocks"},
      {{nullptr, 128, two}, "item 1: its extent is null"},
      {{extent_ + 128, 127, two},
       "item 1: an extent of 127 bytes for 2 blocks of 64 bytes; they must be equal"},
      {{extent_ + 128, 128, beyond}, "item 1: block_ids[1] is 8; valid: 0 to 7"},
      {{reinterpret_cast<std::byte*>(UINTPTR_MAX - 100), 128, two},
       "item 1: 128 bytes from its address pass 2^64"},
  };
  for (const Bad& bad : cases) {
    Item items[] = {good, bad.second};
    EXPECT_EQ(fault_text(items), bad.text);
  }
  EXPECT_EQ(fault_text({&good, 1}, 0), "threads is 0; valid: 1 to 64");
  EXPECT_EQ(fault_text({&good, 1}, 65), "threads is 65; valid: 1 to 64");
}

TEST_F(BadTransfer, is_not_one_without_items_or_with_more_threads_than_the_crew_has) {
  const uint32_t two[] = {1, 2};
  Item item{extent_, 128, two};
  EXPECT_EQ(fault_text({}), "");
  EXPECT_EQ(fault_text({&item, 1}, 64), "");
}

}  // namespace
}  // namespace lmcd::copy
