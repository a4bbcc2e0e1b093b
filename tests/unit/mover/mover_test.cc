// Spill and prefetch over the mock tier: what was committed comes back byte for byte or not at
// all, nothing stays leased or reserved, a cold key never looks hot, and a tier that is slow,
// full or forgetful costs misses.
//
// The loop and the workers are real; every wait is a bounded number of turns.
#include "daemon/mover/mover.h"

#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/core/store_fixture.h"

namespace lmcd::mover {
namespace {

using core::ColdBook;
using core::key_of;
using core::keys_of;
using core::SpillWhen;
using core::StoreOptions;

constexpr uint64_t kExtents = 16;
constexpr const char* kFastTier =
    R"({"type": "mock", "max_size_gb": 0.0625, "mock_bandwidth_gb": 1024})";

class Moving : public core::StoreTest {
 protected:
  void TearDown() override {
    if (!mover_) return;
    mover_->stop();
    until([&] { return mover_->idle(); });
    mover_.reset();
  }

  void begin(StoreOptions options = {.spill = SpillWhen::kCommitted}, Mover::Options moving = {},
             const char* tier = kFastTier) {
    loop_ = std::move(Loop::make(real_clock_).value());
    options.tiers = 1;
    start(kExtents, options);
    FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(file.get(), kExtents * kAlign), 0);
    arena_ =
        std::move(GuardedRegion::map(file.get(), kExtents * kAlign, Access::kReadWrite).value());
    moving.prefetches.session = 99;
    moving.prefetches.arena_bytes = kExtents * kAlign;
    moving.spills.on_evict = options.spill == SpillWhen::kEvicted;
    auto made = Mover::make({*loop_, *store_, arena_, log_}, {config::read_adapter(tier).value()},
                            moving, [this] { ++landed_; });
    ASSERT_TRUE(made.ok()) << made.status().text();
    mover_ = std::move(made.value());
  }

  // Turns the loop until it holds.
  template <typename Holds>
  void until(Holds holds) {
    Timer pace(*loop_, [] {});
    for (int turn = 0; turn < 5000 && !holds(); ++turn) {
      pace.arm_in(1);
      ASSERT_TRUE(loop_->turn(Loop::Wait::kUntilDue).ok());
      mover_->turn();
    }
    ASSERT_TRUE(holds()) << "not in 5000 turns";
  }

  static std::byte content_of(uint64_t key, uint64_t at) {
    return static_cast<std::byte>(key * 131 + at * 7);
  }

  // Reserves, writes and commits object `n`. Returns false when there was no room.
  bool store(uint64_t n, std::string_view tenant = "") {
    const auto grant = reserve(kSession, ++lease_, {key_of(n)}, {}, kAlign, tenant)[0];
    if (grant.outcome != LMCD_RESERVED) return false;
    for (uint64_t at = 0; at < kAlign; ++at)
      arena_.address()[grant.offset + at] = content_of(n, at);
    EXPECT_TRUE(store_->commit(kSession, lease_, {}, {}).ok());
    mover_->turn();
    return true;
  }

  void store_and_spill(uint64_t from, uint64_t count) {
    for (uint64_t n = from; n < from + count; ++n) {
      ASSERT_TRUE(store(n));
      until([&] { return metric().spill_waiting_parts == 0 && metric().spilling_bytes == 0; });
    }
  }

  Ticket prefetch(const std::vector<lmcd_key_t>& keys, uint64_t within_ms = 60'000) {
    static const lmcd_part_t part{};
    return mover_->prefetches().begin({space_, keys, {&part, 1}}, real_clock_.now_ms() + within_ms);
  }

  // Whether object `n` is hot; what is hot has its bytes.
  bool read(uint64_t n) {
    const auto grant = acquire(kOther, ++lease_, {key_of(n)})[0];
    if (grant.outcome != LMCD_LEASED) return false;
    for (uint64_t at = 0; at < kAlign; ++at) {
      if (arena_.address()[grant.offset + at] == content_of(n, at)) continue;
      ADD_FAILURE() << "wrong byte " << at << " under key " << n;
      break;
    }
    EXPECT_TRUE(store_->release(kOther, lease_).ok());
    return true;
  }

  // Brings object `n` back if it has to, and reads it.
  bool fetch(uint64_t n) {
    if (read(n)) return true;
    Ticket ticket = prefetch({key_of(n)});
    until([&] { return lookup(key_of(n)).pending == 0; });
    return read(n);
  }

  const core::Metrics& metric() { return store_->snapshot(); }

  MonotonicClock real_clock_;
  Log log_{real_clock_, {}};
  std::unique_ptr<Loop> loop_;
  GuardedRegion arena_;
  std::unique_ptr<Mover> mover_;
  uint64_t lease_ = 0;
  int landed_ = 0;
};

TEST_F(Moving, what_is_evicted_is_cold_and_comes_back) {
  begin();
  store_and_spill(0, 3 * kExtents);
  EXPECT_EQ(metric().evicted_unspilled_parts_total, 0u);
  EXPECT_EQ(metric().cold_parts, 3 * kExtents);
  const lmcd_presence_t cold = lookup(key_of(0));  // and the ledger's index says nothing of it
  EXPECT_EQ(cold.hot, 0u);
  EXPECT_EQ(cold.cold, 1u);
  EXPECT_EQ(acquire(kOther, ++lease_, {key_of(0)})[0].outcome, uint32_t{LMCD_COLD});
  for (uint64_t n = 0; n < 3 * kExtents; ++n) EXPECT_TRUE(fetch(n)) << n;
  EXPECT_GT(landed_, 0);
}

TEST_F(Moving, a_part_on_its_way_is_pending_and_a_ticket_keeps_it) {
  begin();
  store_and_spill(0, 2 * kExtents);
  Ticket ticket = prefetch({key_of(0)});
  ASSERT_FALSE(ticket.empty());
  EXPECT_EQ(lookup(key_of(0)).pending, 1u);
  EXPECT_EQ(lookup(key_of(0)).cold, 0u);
  until([&] { return lookup(key_of(0)).hot == 1; });
  EXPECT_EQ(metric().undelivered_bytes, kAlign);
  store_and_spill(100, 2 * kExtents);  // would evict it
  EXPECT_TRUE(read(0));
  ticket = {};
  EXPECT_EQ(metric().undelivered_bytes, 0u);
  EXPECT_EQ(lookup(key_of(0)).hot, 0u) << "the hot copy goes with its last reader";
  EXPECT_EQ(lookup(key_of(0)).cold, 1u);
}

TEST_F(Moving, retained_it_stays_hot) {
  Mover::Options moving;
  moving.prefetches.retain = true;
  begin({.spill = SpillWhen::kCommitted}, moving);
  store_and_spill(0, 2 * kExtents);
  EXPECT_TRUE(fetch(0));
  EXPECT_EQ(lookup(key_of(0)).hot, 1u);
}

TEST_F(Moving, one_get_serves_all_who_ask) {
  begin();
  store_and_spill(0, 2 * kExtents);
  Ticket first = prefetch({key_of(0)});
  Ticket second = prefetch({key_of(0)});
  ASSERT_FALSE(second.empty());
  first = {};
  until([&] { return lookup(key_of(0)).hot == 1; });
  EXPECT_TRUE(read(0));
  EXPECT_EQ(metric().prefetched_parts_total, 1u);
}

TEST_F(Moving, what_nobody_waits_for_is_given_up) {
  Mover::Options moving;
  moving.prefetches.in_flight = 1;
  begin({.spill = SpillWhen::kCommitted}, moving);
  store_and_spill(0, 2 * kExtents);
  Ticket first = prefetch({key_of(0)});
  const uint64_t free_before = free_extents();
  Ticket second = prefetch({key_of(1)});
  second = {};
  EXPECT_EQ(metric().prefetch_cancelled_total, 1u);
  EXPECT_GE(free_extents(), free_before);
  EXPECT_EQ(lookup(key_of(1)).cold, 1u);
  until([&] { return lookup(key_of(0)).hot == 1; });
  EXPECT_EQ(metric().prefetching_bytes, 0u);
}

TEST_F(Moving, a_clear_reaches_the_tier_and_what_is_on_its_way) {
  begin();
  store_and_spill(0, 2 * kExtents);
  Ticket ticket = prefetch({key_of(0)});
  const lmcd_cleared_t cleared = store_->clear({}, true);
  EXPECT_EQ(cleared.objects, 2 * kExtents);
  EXPECT_EQ(lookup(key_of(0)).cold, 0u);
  EXPECT_EQ(lookup(key_of(1)).cold, 0u);
  EXPECT_EQ(metric().cold_bytes, 0u);
  until([&] { return metric().leaving_parts == 0 && metric().prefetching_bytes == 0; });
  EXPECT_EQ(mover_->tiers()[0].usage.records, 0u);
  EXPECT_EQ(free_extents(), kExtents);
  EXPECT_FALSE(read(0));
  EXPECT_TRUE(store(0)) << "the name is free again";
}

TEST_F(Moving, a_clear_takes_what_only_the_mover_holds) {
  begin({.spill = SpillWhen::kCommitted}, {},
        R"({"type": "mock", "max_size_gb": 1, "mock_bandwidth_gb": 0.0001})");
  ASSERT_TRUE(store(0));
  EXPECT_EQ(metric().spilling_bytes, kAlign);
  EXPECT_EQ(store_->clear({}, false).objects, 1u);
  until([&] { return metric().leaving_parts == 0 && metric().spilling_bytes == 0; });
  EXPECT_EQ(mover_->tiers()[0].usage.records, 0u) << "the tier took it after the clear";
  EXPECT_EQ(free_extents(), kExtents);
}

TEST_F(Moving, a_key_of_another_namespace_is_not_cold) {
  begin();
  store_and_spill(0, 2 * kExtents);
  space_ = open_space(1, 2);
  EXPECT_EQ(lookup(key_of(0)).cold, 0u);
  EXPECT_TRUE(prefetch({key_of(0)}).empty());
  EXPECT_EQ(acquire(kOther, ++lease_, {key_of(0)})[0].outcome, uint32_t{LMCD_ABSENT});
  store_and_spill(0, 1);
  EXPECT_EQ(lookup(key_of(0)).cold, 0u) << "the tier has another's bytes under this name";
}

TEST_F(Moving, a_tier_that_forgot_leads_to_a_miss) {
  begin({.spill = SpillWhen::kCommitted}, {},
        R"({"type": "mock", "max_size_gb": 0.00002, "mock_bandwidth_gb": 1024})");  // 5 extents
  store_and_spill(0, 2 * kExtents);
  EXPECT_FALSE(fetch(0));
  EXPECT_EQ(metric().prefetch_absent_total, 1u);
  EXPECT_EQ(lookup(key_of(0)).cold, 0u);
  EXPECT_EQ(lookup(key_of(0)).pending, 0u);
  EXPECT_EQ(metric().prefetching_bytes, 0u);
}

TEST_F(Moving, what_would_come_too_late_is_refused) {
  begin({.spill = SpillWhen::kCommitted}, {},
        R"({"type": "mock", "max_size_gb": 1, "mock_bandwidth_gb": 0.0002})");  // 20 ms each
  store_and_spill(0, 2 * kExtents);
  EXPECT_TRUE(fetch(0));  // measured
  Ticket few = prefetch(keys_of(1, 7), 70);
  EXPECT_EQ(metric().prefetch_slow_total, 1u);
  EXPECT_EQ(lookup(key_of(1)).pending, 1u);
  EXPECT_EQ(lookup(key_of(7)).cold, 1u);
}

TEST_F(Moving, a_request_with_too_small_a_hit_loads_nothing) {
  Mover::Options moving;
  moving.prefetches.min_hit_keys = 3;
  begin({.spill = SpillWhen::kCommitted}, moving);
  store_and_spill(0, 2 * kExtents);
  EXPECT_TRUE(prefetch({key_of(0), key_of(1), key_of(5000)}).empty());
  EXPECT_FALSE(prefetch(keys_of(0, 3)).empty());
}

TEST_F(Moving, half_of_the_arena_is_left_to_others) {
  begin();
  store_and_spill(0, 3 * kExtents);
  Ticket many = prefetch(keys_of(0, kExtents));
  EXPECT_EQ(metric().prefetching_bytes + metric().undelivered_bytes, kExtents / 2 * kAlign);
  EXPECT_EQ(metric().prefetch_busy_total, 1u);
  EXPECT_TRUE(store(1000));
}

TEST_F(Moving, with_skip_l1_the_hot_copy_goes_once_cold) {
  begin({.spill = SpillWhen::kCommitted, .drop_when_cold = true});
  store_and_spill(0, 2);
  EXPECT_EQ(metric().objects, 0u);
  EXPECT_EQ(free_extents(), kExtents);
  EXPECT_TRUE(fetch(0));
}

TEST_F(Moving, with_reused_only_what_is_used_again_is_spilled) {
  begin({.spill = SpillWhen::kReused});
  store_and_spill(0, 2);
  EXPECT_EQ(metric().cold_parts, 0u);
  EXPECT_TRUE(read(1));
  until([&] { return metric().cold_parts == 1; });
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
}

TEST_F(Moving, on_evict_keeps_a_reserve_and_loses_nothing) {
  begin({.spill = SpillWhen::kEvicted});
  store_and_spill(0, kExtents / 2);
  EXPECT_EQ(metric().cold_parts, 0u) << "there is room enough";
  for (uint64_t n = 100; n < 100 + 4 * kExtents; ++n) {
    ASSERT_TRUE(store(n));
    until([&] { return free_extents() >= kExtents / 8; });
  }
  EXPECT_EQ(metric().evicted_unspilled_parts_total, 0u);
  for (uint64_t n = 100; n < 100 + 4 * kExtents; ++n) EXPECT_TRUE(fetch(n)) << n;
}

TEST_F(Moving, a_burst_that_a_tier_cannot_take_is_counted_and_not_waited_for) {
  begin({.spill = SpillWhen::kCommitted}, {},
        R"({"type": "mock", "max_size_gb": 1, "mock_bandwidth_gb": 0.0002})");
  for (uint64_t n = 0; n < 4 * kExtents; ++n) EXPECT_TRUE(store(n)) << n;
  EXPECT_GT(metric().evicted_unspilled_parts_total, 0u);
}

TEST_F(Moving, a_drain_ends_when_all_that_is_hot_is_cold) {
  begin({.spill = SpillWhen::kReused});
  store_and_spill(0, 5);
  int drained = 0;
  ASSERT_TRUE(mover_->drain([&](const Status& status) { drained += status.ok(); }).ok());
  until([&] { return drained == 1; });
  EXPECT_EQ(metric().cold_parts, 5u);
}

TEST_F(Moving, accounts_of_a_tenant_are_those_of_its_hot_parts) {
  begin();
  ASSERT_TRUE(store(0, "anna"));
  until([&] { return metric().cold_parts == 1; });
  const auto anna = *store_->accounts().find("anna");
  EXPECT_EQ(store_->accounts().at(anna).used_bytes, kAlign);
  EXPECT_EQ(store_->cold().use_of_tenant("anna").bytes, kAlign);
  store_and_spill(100, kExtents);
  EXPECT_EQ(store_->accounts().at(anna).used_bytes, 0u);
  Ticket ticket = prefetch({key_of(0)});
  until([&] { return lookup(key_of(0)).hot == 1; });
  EXPECT_EQ(store_->accounts().at(*store_->accounts().find("anna")).used_bytes, kAlign);
  EXPECT_EQ(store_->cold().use_of_tenant("anna").bytes, kAlign) << "counted once";
}

TEST_F(Moving, what_a_dead_daemons_tier_wrote_to_rests) {
  begin({.spill = SpillWhen::kCommitted, .promoting_rest_ms = 500}, {},
        R"({"type": "mock", "max_size_gb": 1, "mock_bandwidth_gb": 0.0002})");
  store_and_spill(0, 1);
  store_->clear({}, false);  // whatever: the record below is made by hand
  until([&] { return metric().leaving_parts == 0; });
  lmcd_part_t part{};
  uint64_t length = kAlign;
  const lmcd_key_t key = key_of(9);
  core::ReserveRequest request{space_, "", nullptr, 0, {&key, 1}, {&part, 1}, {&length, 1}};
  request.promoting = true;
  wire::Grant grant;
  ASSERT_TRUE(store_->reserve(99, 7000, request, &grant).ok());
  EXPECT_EQ(lookup(key).pending, 1u);
  TearDown();
  restart({.promoting_rest_ms = 500});
  EXPECT_EQ(lookup(key).pending, 0u);
  EXPECT_EQ(free_extents(), kExtents - 1);
  store_->tick();
  EXPECT_EQ(free_extents(), kExtents - 1) << "its I/O may still land";
  clock_.advance_ms(500);
  store_->tick();
  EXPECT_EQ(free_extents(), kExtents);
}

}  // namespace
}  // namespace lmcd::mover
