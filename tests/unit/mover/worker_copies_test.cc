// Copies by the daemon: bytes arrive whole in both directions, every transfer is answered once,
// nothing touches a segment after its `done`, and nothing stays leased or reserved.
#include "daemon/mover/worker_copies.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "lib/base/manual_worker_pool.h"
#include "tests/unit/core/store_fixture.h"

namespace lmcd::mover {
namespace {

constexpr uint32_t kBlocks = 64;
constexpr uint32_t kRunBytes = 3072;
constexpr uint32_t kPages = 2;
constexpr uint32_t kBlocksPerItem = 4;
constexpr uint64_t kItemBytes = uint64_t{kRunBytes} * kPages * kBlocksPerItem;
constexpr uint64_t kSegmentBytes = uint64_t{kBlocks} * kRunBytes * kPages;

class Copying : public core::StoreTest {
 protected:
  void begin(WorkerCopies::Checksums checksums = WorkerCopies::Checksums::kOff,
             uint32_t jobs_in_pool = 2) {
    start(64);
    arena_file_ = memory_file(64 * kAlign);
    arena_ =
        std::move(GuardedRegion::map(arena_file_.get(), 64 * kAlign, Access::kReadWrite).value());
    auto made =
        WorkerCopies::make(*store_, pool_, arena_,
                           {.session = 99, .checksums = checksums, .jobs_in_pool = jobs_in_pool});
    ASSERT_TRUE(made.ok());
    copies_ = std::move(made.value());
    engine_file_ = memory_file(kSegmentBytes);
    engine_ = std::move(
        GuardedRegion::map(engine_file_.get(), kSegmentBytes, Access::kReadWrite).value());
    std::mt19937_64 random(7);
    for (uint64_t i = 0; i < kSegmentBytes; ++i) engine_.address()[i] = std::byte(random());
    segment_ = open_segment().value();
  }

  static FileDescriptor memory_file(uint64_t bytes) {
    FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
    EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
    return file;
  }

  Result<uint32_t> open_segment(uint64_t length = kSegmentBytes,
                                core::SessionId session = kSession) {
    lmcd_page_t pages[kPages];
    for (uint32_t i = 0; i < kPages; ++i)
      pages[i] = {uint64_t{i} * kBlocks * kRunBytes, kRunBytes, 0, kRunBytes, 1, kBlocks, 0};
    FileDescriptor copy(dup(engine_file_.get()));
    return copies_->open_segment(session, std::move(copy), {length, 0, pages, {}, "kv"});
  }

  Transfer transfer_of(const std::vector<lmcd_key_t>& keys, const std::vector<uint32_t>& blocks) {
    static const lmcd_part_t part{};
    Transfer transfer;
    transfer.request = next_request_++;
    transfer.segment = segment_;
    transfer.space = space_;
    transfer.blocks_per_item = kBlocksPerItem;
    transfer.keys = keys;
    transfer.parts = {&part, 1};
    transfer.block_ids = blocks;
    return transfer;
  }

  Copies::Answer into(std::vector<uint32_t>* outcomes) {
    return [this, outcomes](Result<std::vector<uint32_t>> result) {
      ++answers_;
      if (result.ok()) *outcomes = std::move(result.value());
      else fault_ = result.status();
    };
  }

  static std::vector<uint32_t> blocks_from(uint32_t first, uint32_t items) {
    std::vector<uint32_t> blocks;
    for (uint32_t i = 0; i < items * kBlocksPerItem; ++i) blocks.push_back(first + i);
    return blocks;
  }

  std::vector<std::byte> block_bytes(uint32_t first, uint32_t items) {
    std::vector<std::byte> bytes;
    for (uint32_t page = 0; page < kPages; ++page) {
      const std::byte* from = engine_.address() + (uint64_t{page} * kBlocks + first) * kRunBytes;
      bytes.insert(bytes.end(), from, from + uint64_t{items} * kBlocksPerItem * kRunBytes);
    }
    return bytes;
  }

  std::vector<uint32_t> store_items(uint64_t from_key, uint32_t first_block, uint32_t items) {
    std::vector<uint32_t> outcomes;
    const auto keys = core::keys_of(from_key, items);
    const auto blocks = blocks_from(first_block, items);
    copies_->store(kSession, transfer_of(keys, blocks), into(&outcomes));
    pool_.run_all();
    return outcomes;
  }

  std::vector<uint32_t> load_items(uint64_t from_key, uint32_t first_block, uint32_t items) {
    std::vector<uint32_t> outcomes;
    const auto keys = core::keys_of(from_key, items);
    const auto blocks = blocks_from(first_block, items);
    copies_->load(kSession, transfer_of(keys, blocks), into(&outcomes));
    pool_.run_all();
    return outcomes;
  }

  ManualWorkerPool pool_;
  FileDescriptor arena_file_;
  GuardedRegion arena_;
  FileDescriptor engine_file_;
  GuardedRegion engine_;
  std::unique_ptr<WorkerCopies> copies_;
  uint32_t segment_ = 0;
  uint64_t next_request_ = 1;
  int answers_ = 0;
  Status fault_;
};

using Outcomes = std::vector<uint32_t>;

TEST_F(Copying, what_was_stored_is_loaded_into_other_blocks) {
  begin();
  EXPECT_EQ(store_items(1, 0, 2), (Outcomes{LMCD_STORED, LMCD_STORED}));
  EXPECT_EQ(load_items(1, 32, 3), (Outcomes{LMCD_LOADED, LMCD_LOADED, LMCD_ABSENT}));
  EXPECT_EQ(block_bytes(0, 2), block_bytes(32, 2));
  EXPECT_EQ(store_items(1, 0, 2), (Outcomes{LMCD_EXISTS, LMCD_EXISTS}));
  EXPECT_EQ(store_->metrics().read_leases, 0u);
  EXPECT_EQ(store_->metrics().write_leases, 0u);
}

TEST_F(Copying, nothing_is_visible_before_the_bytes_are_there) {
  begin();
  Outcomes outcomes;
  const auto keys = core::keys_of(1, 1);
  const auto blocks = blocks_from(0, 1);
  copies_->store(kSession, transfer_of(keys, blocks), into(&outcomes));
  EXPECT_EQ(lookup(core::key_of(1)).hot, 0u);
  EXPECT_EQ(store_->use_of(kSession).held_bytes, kItemBytes) << "it is written for that session";
  pool_.work();
  EXPECT_EQ(lookup(core::key_of(1)).hot, 0u);
  EXPECT_EQ(answers_, 0);
  pool_.complete();
  EXPECT_EQ(lookup(core::key_of(1)).hot, 1u);
  EXPECT_EQ(answers_, 1);
}

TEST_F(Copying, a_flipped_byte_is_a_miss_and_the_object_goes) {
  begin(WorkerCopies::Checksums::kAlways);
  store_items(1, 0, 1);
  auto grants = acquire(kSession, 50, {core::key_of(1)});
  store_->release(kSession, 50).code();
  arena_.address()[grants[0].offset + 5] ^= std::byte{1};
  EXPECT_EQ(load_items(1, 32, 1), (Outcomes{LMCD_ABSENT}));
  EXPECT_EQ(store_->metrics().checksum_failures_total, 1u);
  EXPECT_EQ(lookup(core::key_of(1)).hot, 0u);
}

TEST_F(Copying, a_cancelled_transfer_is_answered_before_its_cancel) {
  begin();
  Outcomes outcomes{77};
  const auto keys = core::keys_of(1, 1);
  const auto blocks = blocks_from(0, 1);
  const Transfer transfer = transfer_of(keys, blocks);
  copies_->store(kSession, transfer, into(&outcomes));
  bool cancelled = false;
  const Status status = copies_->cancel(kSession, transfer.request, [&] {
    EXPECT_EQ(answers_, 1);
    cancelled = true;
  });
  EXPECT_TRUE(status.ok());
  EXPECT_FALSE(cancelled);
  pool_.run_all();
  EXPECT_TRUE(cancelled);
  EXPECT_EQ(outcomes, (Outcomes{LMCD_NONE}));
  EXPECT_EQ(free_extents(), 64u);
  bool unknown = false;
  EXPECT_TRUE(copies_->cancel(kSession, 12345, [&] { unknown = true; }).ok());
  EXPECT_TRUE(unknown);
}

TEST_F(Copying, a_storm_of_cancels_is_bounded) {
  begin();
  Outcomes outcomes;
  const auto keys = core::keys_of(1, 1);
  const auto blocks = blocks_from(0, 1);
  const Transfer transfer = transfer_of(keys, blocks);
  copies_->store(kSession, transfer, into(&outcomes));
  int cancelled = 0;
  int refused = 0;
  for (int i = 0; i < 1000; ++i) {
    const Status status = copies_->cancel(kSession, transfer.request, [&] { ++cancelled; });
    refused += status.code() == LMCD_E_LIMIT;
  }
  EXPECT_EQ(refused, 1000 - 16);
  pool_.run_all();
  EXPECT_EQ(cancelled, 16);
  EXPECT_EQ(answers_, 1);
  EXPECT_EQ(free_extents(), 64u);
}

TEST_F(Copying, what_is_in_flight_takes_only_so_much_memory) {
  begin();
  store_items(1, 0, 1);
  // The same object again and again: nothing of the arena bounds that.
  const std::vector<lmcd_key_t> keys(16384, core::key_of(1));
  std::vector<uint32_t> blocks;
  for (std::size_t i = 0; i < keys.size() * kBlocksPerItem; ++i) blocks.push_back(i % kBlocks);
  Outcomes outcomes;
  uint32_t taken = 0;
  fault_ = {};
  while (taken < 64 && fault_.ok()) {
    copies_->load(kSession, transfer_of(keys, blocks), into(&outcomes));
    taken += fault_.ok();
  }
  EXPECT_EQ(fault_.code(), LMCD_E_LIMIT) << taken;
  EXPECT_LT(taken, 16u);
  EXPECT_GE(taken, 4u);
  pool_.run_all();
  fault_ = {};
  copies_->load(kSession, transfer_of(keys, blocks), into(&outcomes));
  EXPECT_TRUE(fault_.ok()) << "what has landed takes nothing";
  pool_.run_all();
}

TEST_F(Copying, a_process_has_only_so_many_segments) {
  begin();
  store_->open_session(21, 5, 4711);
  store_->open_session(22, 6, 4711);
  for (int i = 0; i < 256; ++i)
    ASSERT_TRUE(open_segment(kSegmentBytes, i % 2 == 0 ? 21 : 22).ok()) << i;
  EXPECT_EQ(open_segment(kSegmentBytes, 22).status().code(), LMCD_E_LIMIT);
  EXPECT_TRUE(open_segment(kSegmentBytes, kOther).ok());
  copies_->close_session(21, [] {});
  EXPECT_TRUE(open_segment(kSegmentBytes, 22).ok());
}

TEST_F(Copying, sessions_take_turns) {
  begin(WorkerCopies::Checksums::kOff, 1);
  const uint32_t others = open_segment(kSegmentBytes, kOther).value();
  std::vector<int> order;
  const auto blocks = blocks_from(0, 1);
  auto store_one = [&](core::SessionId session, uint64_t key, int name) {
    const auto keys = core::keys_of(key, 1);
    Transfer transfer = transfer_of(keys, blocks);
    if (session == kOther) transfer.segment = others;
    copies_->store(session, transfer, [&order, name](Result<Outcomes>) { order.push_back(name); });
  };
  for (int i = 1; i <= 4; ++i) store_one(kSession, static_cast<uint64_t>(i), i);
  store_one(kOther, 10, 100);
  store_one(kOther, 11, 101);
  EXPECT_EQ(pool_.in_flight(), 1u);
  pool_.run_all();
  EXPECT_EQ(order, (std::vector<int>{1, 100, 2, 101, 3, 4}));
}

TEST_F(Copying, a_closed_session_waits_for_its_workers_and_answers_no_more) {
  begin();
  Outcomes outcomes;
  const auto keys = core::keys_of(1, 1);
  const auto blocks = blocks_from(0, 1);
  copies_->store(kSession, transfer_of(keys, blocks), into(&outcomes));
  bool done = false;
  copies_->close_session(kSession, [&] { done = true; });
  EXPECT_FALSE(done);
  pool_.run_all();
  EXPECT_TRUE(done);
  EXPECT_EQ(answers_, 0);
  EXPECT_TRUE(copies_->segments(10).empty());
  EXPECT_EQ(free_extents(), 64u);
}

TEST_F(Copying, a_segment_cut_short_loses_its_bytes_and_nothing_else) {
  begin();
  Outcomes outcomes;
  const auto keys = core::keys_of(1, 1);
  const auto blocks = blocks_from(40, 1);
  copies_->store(kSession, transfer_of(keys, blocks), into(&outcomes));
  ASSERT_EQ(ftruncate(engine_file_.get(), 0), 0);
  pool_.run_all();
  EXPECT_EQ(outcomes, (Outcomes{LMCD_NONE}));
  EXPECT_EQ(free_extents(), 64u);
  load_items(1, 0, 1);
  EXPECT_EQ(fault_.code(), LMCD_E_IO);
}

TEST_F(Copying, bad_requests_are_named) {
  begin();
  Outcomes outcomes;
  auto keys = core::keys_of(1, 1);
  auto blocks = std::vector<uint32_t>{0, 1, 2, kBlocks};
  copies_->store(kSession, transfer_of(keys, blocks), into(&outcomes));
  EXPECT_EQ(fault_.text(), "transfer: item 0 names block 64 of 64");
  Transfer transfer = transfer_of(keys, blocks);
  transfer.segment = 17;
  copies_->load(kSession, transfer, into(&outcomes));
  EXPECT_EQ(fault_.code(), LMCD_E_NOT_FOUND);
  EXPECT_EQ(open_segment(kSegmentBytes * 2).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(open_segment(kSegmentBytes / 2).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(copies_->close_segment(kSession, 55, [] {}).code(), LMCD_E_NOT_FOUND);
}

TEST_F(Copying, closing_a_segment_waits_for_its_transfers) {
  begin();
  Outcomes outcomes;
  const auto keys = core::keys_of(1, 2);
  const auto blocks = blocks_from(0, 2);
  copies_->store(kSession, transfer_of(keys, blocks), into(&outcomes));
  bool done = false;
  ASSERT_TRUE(copies_->close_segment(kSession, segment_, [&] { done = true; }).ok());
  EXPECT_FALSE(done);
  pool_.run_all();
  EXPECT_TRUE(done);
  EXPECT_EQ(answers_, 1);
}

}  // namespace
}  // namespace lmcd::mover
