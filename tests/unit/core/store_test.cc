// The life of a part, arrow by arrow: what each verb answers, what the ledger shows to readers at
// each point, and that every byte of the arena comes back.
#include <functional>
#include <set>
#include <string>

#include "tests/unit/core/store_fixture.h"

namespace lmcd::core {
namespace {

using Life = StoreTest;

TEST_F(Life, nothing_uncommitted_is_readable) {
  start(8);
  auto grants = reserve(kSession, 1, {key_of(1)});
  EXPECT_EQ(grants[0].outcome, LMCD_RESERVED);
  EXPECT_EQ(lookup(key_of(1)).hot, 0u);
  EXPECT_EQ(lookup(key_of(1)).pending, 1u);
  EXPECT_EQ(acquire(kOther, 1, {key_of(1)})[0].outcome, LMCD_PENDING);

  ASSERT_TRUE(store_->commit(kSession, 1, {}, {}).ok());
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
  auto leased = acquire(kOther, 2, {key_of(1)});
  EXPECT_EQ(leased[0].outcome, LMCD_LEASED);
  EXPECT_EQ(leased[0].offset, grants[0].offset);
  EXPECT_TRUE(holds(leased[0], leased[0].word));
}

TEST_F(Life, a_second_writer_is_told_who_is_first) {
  start(8);
  reserve(kSession, 1, {key_of(1)});
  EXPECT_EQ(reserve(kOther, 1, {key_of(1)})[0].outcome, LMCD_PENDING);
  store_->commit(kSession, 1, {}, {}).code();
  EXPECT_EQ(reserve(kOther, 2, {key_of(1)})[0].outcome, LMCD_EXISTS);
}

TEST_F(Life, abort_gives_everything_back) {
  start(8);
  reserve(kSession, 1, keys_of(1, 5));
  EXPECT_EQ(free_extents(), 3u);
  ASSERT_TRUE(store_->abort(kSession, 1).ok());
  EXPECT_EQ(free_extents(), 8u);
  EXPECT_EQ(lookup(key_of(1)).pending, 0u);
  EXPECT_EQ(store_->commit(kSession, 1, {}, {}).code(), LMCD_E_LEASE_LOST);
}

TEST_F(Life, items_can_be_committed_one_by_one) {
  start(8);
  reserve(kSession, 1, keys_of(1, 3));
  const uint32_t second = 1;
  const uint32_t crc = 77;
  ASSERT_TRUE(store_->commit(kSession, 1, {&second, 1}, {&crc, 1}).ok());
  EXPECT_EQ(lookup(key_of(1)).hot, 0u);
  EXPECT_EQ(lookup(key_of(2)).hot, 1u);
  auto leased = acquire(kSession, 9, {key_of(2)});
  EXPECT_EQ(leased[0].has_crc, 1u);
  EXPECT_EQ(leased[0].crc32c, 77u);
  ASSERT_TRUE(store_->abort(kSession, 1).ok());
  EXPECT_EQ(free_extents(), 7u);
}

TEST_F(Life, a_full_arena_forgets_the_oldest_and_readers_notice) {
  start(4);
  for (uint64_t n = 1; n <= 4; ++n) put(n, {key_of(n)});
  auto seen = acquire(kOther, 1, {key_of(1)});
  store_->release(kOther, 1).code();
  put(5, {key_of(5)});  // key 2 is the oldest now
  EXPECT_EQ(lookup(key_of(2)).hot, 0u);
  EXPECT_TRUE(holds(seen[0], seen[0].word));
  put(6, {key_of(6)});
  put(7, {key_of(7)});
  put(8, {key_of(8)});
  EXPECT_FALSE(holds(seen[0], seen[0].word));
  EXPECT_EQ(store_->metrics().evicted_objects_total, 4u);
  EXPECT_EQ(store_->metrics().evicted_for_room_objects_total, 4u);
  EXPECT_EQ(events_.events.back().kind, LMCD_EVENT_COMMITTED);
}

TEST_F(Life, leased_and_pinned_objects_are_not_evicted) {
  start(2);
  put(1, {key_of(1)});
  put(2, {key_of(2)});
  acquire(kOther, 1, {key_of(1)});
  const lmcd_key_t pinned = key_of(2);
  EXPECT_EQ(store_->pin({.keys = {&pinned, 1}}, true), 1u);
  EXPECT_EQ(reserve(kSession, 3, {key_of(3)})[0].outcome, LMCD_NO_SPACE);
  store_->release(kOther, 1).code();
  EXPECT_EQ(reserve(kSession, 4, {key_of(3)})[0].outcome, LMCD_RESERVED);
  EXPECT_EQ(lookup(key_of(2)).hot, 1u);
}

TEST_F(Life, a_batch_does_not_evict_its_own_prefix) {
  start(4);
  put(1, keys_of(1, 3));
  auto grants = reserve(kSession, 2, keys_of(1, 6));
  EXPECT_EQ(grants[2].outcome, LMCD_EXISTS);
  EXPECT_EQ(grants[3].outcome, LMCD_RESERVED);
  EXPECT_EQ(grants[4].outcome, LMCD_NO_SPACE);
  EXPECT_EQ(grants[5].outcome, LMCD_NO_SPACE);
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
}

TEST_F(Life, a_lost_writer_leaves_a_quarantine_until_it_is_proved_dead) {
  start(4);
  auto grants = reserve(kSession, 1, keys_of(1, 2));
  store_->close_session(kSession);
  EXPECT_EQ(lookup(key_of(1)).pending, 0u);
  EXPECT_EQ(free_extents(), 2u);
  EXPECT_EQ(store_->snapshot().quarantined_parts, 2u);
  auto second = reserve(kOther, 1, keys_of(1, 2));
  EXPECT_EQ(second[0].outcome, LMCD_RESERVED);
  EXPECT_NE(second[0].offset, grants[0].offset);
  EXPECT_EQ(store_->writer_dead(2), 0u);
  EXPECT_EQ(store_->writer_dead(1), 2u);
  store_->abort(kOther, 1).code();
  EXPECT_EQ(free_extents(), 4u);
  EXPECT_EQ(store_->snapshot().quarantined_bytes, 0u);
}

TEST_F(Life, a_writer_past_its_time_loses_the_key_but_keeps_the_extent) {
  start(4, {.write_ttl_ms = 1000});
  reserve(kSession, 1, {key_of(1)});
  clock_.advance_ms(1000);
  store_->tick();
  EXPECT_EQ(lookup(key_of(1)).pending, 0u);
  EXPECT_EQ(free_extents(), 3u);
  reserve(kOther, 1, {key_of(1)});
  store_->commit(kOther, 1, {}, {}).code();
  // The late writer does not overwrite, and its word that it is done frees its extent.
  EXPECT_EQ(store_->commit(kSession, 1, {}, {}).code(), LMCD_E_LEASE_LOST);
  EXPECT_EQ(free_extents(), 3u);
  EXPECT_EQ(store_->snapshot().quarantined_parts, 0u);
}

TEST_F(Life, a_process_can_say_that_it_stopped_writing_for_a_lost_session) {
  start(4);
  reserve(kSession, 7, {key_of(1)});
  reserve(kSession, 8, {key_of(2)});
  store_->close_session(kSession);
  const uint64_t lease = 7;
  EXPECT_EQ(store_->writer_stopped(kOther, 1, {&lease, 1}), 0u);
  EXPECT_EQ(store_->writer_stopped(kSession, 2, {&lease, 1}), 0u);
  EXPECT_EQ(store_->writer_stopped(kSession, 1, {&lease, 1}), 1u);
  EXPECT_EQ(store_->snapshot().quarantined_parts, 1u);
}

TEST_F(Life, a_read_lease_past_its_time_lets_go) {
  start(1, {.read_ttl_ms = 500});
  put(1, {key_of(1)});
  auto leased = acquire(kOther, 1, {key_of(1)});
  clock_.advance_ms(400);
  const uint64_t lease = 1;
  store_->renew(kOther, {&lease, 1});
  clock_.advance_ms(400);
  store_->tick();
  EXPECT_EQ(reserve(kSession, 2, {key_of(2)})[0].outcome, LMCD_NO_SPACE);
  clock_.advance_ms(100);
  store_->tick();
  EXPECT_EQ(reserve(kSession, 3, {key_of(2)})[0].outcome, LMCD_RESERVED);
  EXPECT_FALSE(holds(leased[0], leased[0].word));
  EXPECT_TRUE(store_->release(kOther, 1).ok());
}

TEST_F(Life, a_posted_acquire_leases_only_what_is_still_there) {
  start(2);
  put(1, {key_of(1)});
  auto seen = acquire(kOther, 1, {key_of(1)});
  store_->release(kOther, 1).code();
  const wire::Sighting sightings[] = {{seen[0].record, 0, seen[0].word},
                                      {seen[0].record, 0, seen[0].word + 256},
                                      {4'000'000, 0, seen[0].word}};
  ASSERT_TRUE(store_->acquire_posted(kOther, 2, sightings).ok());
  EXPECT_EQ(store_->metrics().leased_objects, 1u);
  put(2, {key_of(2)});
  EXPECT_EQ(reserve(kSession, 3, keys_of(3, 2))[1].outcome, LMCD_NO_SPACE);
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
}

TEST_F(Life, an_object_is_hot_in_a_group_when_every_rank_has_committed) {
  start(16);
  space_ = open_space(2, 2);
  put(1, {key_of(1)}, {0, 0});
  EXPECT_EQ(lookup(key_of(1)).hot, 0u);
  put(2, {key_of(1)}, {1, 0});
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
  put(3, {key_of(1)}, {0, 1});
  put(4, {key_of(1)}, {1, 1});
  EXPECT_EQ(lookup(key_of(1)).hot, 3u);
  EXPECT_EQ(acquire(kOther, 1, {key_of(1)}, {1, 1})[0].outcome, LMCD_LEASED);
  EXPECT_EQ(store_->metrics().objects, 1u);
}

TEST_F(Life, the_first_part_can_be_lost_while_others_stay) {
  start(16);
  space_ = open_space(2, 1);
  reserve(kSession, 1, {key_of(1)}, {0, 0});
  reserve(kOther, 1, {key_of(1)}, {1, 0});
  store_->commit(kOther, 1, {}, {}).code();
  store_->abort(kSession, 1).code();
  EXPECT_EQ(acquire(kOther, 2, {key_of(1)}, {1, 0})[0].outcome, LMCD_LEASED);
  EXPECT_EQ(acquire(kOther, 3, {key_of(1)}, {0, 0})[0].outcome, LMCD_ABSENT);
  store_->release(kOther, 2).code();
  put(2, {key_of(1)}, {0, 0});
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
  store_->clear({}, false);
  EXPECT_EQ(free_extents(), 16u);
}

TEST_F(Life, clear_keeps_what_is_in_use_unless_forced) {
  start(8);
  put(1, keys_of(1, 3));
  auto leased = acquire(kOther, 1, {key_of(1)});
  reserve(kSession, 2, {key_of(9)});
  lmcd_cleared_t gentle = store_->clear({}, false);
  EXPECT_EQ(gentle.objects, 2u);
  EXPECT_EQ(gentle.kept, 2u);
  lmcd_cleared_t forced = store_->clear({}, true);
  EXPECT_EQ(forced.objects, 2u);
  EXPECT_EQ(lookup(key_of(1)).hot, 0u);
  // The reader goes on with its bytes; they are free when it is done.
  EXPECT_TRUE(holds(leased[0], leased[0].word));
  EXPECT_EQ(free_extents(), 6u);
  store_->release(kOther, 1).code();
  EXPECT_FALSE(holds(leased[0], leased[0].word));
  store_->abort(kSession, 2).code();
  EXPECT_EQ(free_extents(), 8u);
}

TEST_F(Life, a_restart_keeps_what_is_hot_and_rests_what_was_written) {
  start(8);
  put(1, keys_of(1, 3));
  auto leased = acquire(kOther, 5, {key_of(2)});
  const lmcd_key_t pinned = key_of(3);
  store_->pin({.keys = {&pinned, 1}}, true);
  reserve(kSession, 6, {key_of(9)}, {}, kAlign, "salt");
  Adopted found = restart();
  EXPECT_EQ(found.objects, 3u);
  EXPECT_EQ(found.quarantined, 1u);
  EXPECT_EQ(found.rejected, 0u);
  EXPECT_TRUE(holds(leased[0], leased[0].word)) << "a living reader is not disturbed";
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
  EXPECT_EQ(lookup(key_of(9)).pending, 0u);
  EXPECT_EQ(store_->snapshot().pinned_objects, 1u);
  EXPECT_EQ(free_extents(), 4u);
  const uint64_t lease = 6;
  EXPECT_EQ(store_->writer_stopped(kSession, 1, {&lease, 1}), 1u);
  EXPECT_EQ(free_extents(), 5u);
  store_->clear({}, true);
  EXPECT_EQ(free_extents(), 8u);
}

TEST_F(Life, no_part_of_a_forgotten_object_is_believed_beside_those_that_came_after) {
  start(16);
  space_ = open_space(2, 1);
  constexpr lmcd_part_t kFirst{0, 0};
  constexpr lmcd_part_t kSecond{1, 0};
  put(1, {key_of(1)}, kFirst);
  put(2, {key_of(1)}, kSecond);
  const auto old = acquire(kOther, 3, {key_of(1)}, kSecond);
  store_->clear({}, true);
  put(4, {key_of(1)}, kFirst);
  put(5, {key_of(1)}, kSecond);
  const auto young = acquire(kOther, 6, {key_of(1)}, kSecond);
  ASSERT_NE(old[0].offset, young[0].offset);
  EXPECT_EQ(restart().objects, 1u);
  open_sessions();
  EXPECT_EQ(acquire(kOther, 7, {key_of(1)}, kSecond)[0].offset, young[0].offset);
}

TEST_F(Life, a_pin_of_several_parts_outlives_restarts_and_ends_when_it_is_told_to) {
  start(16);
  space_ = open_space(2, 1);
  // The second part lies lower than the first: the next daemon meets it before.
  put(1, {key_of(9)});
  put(2, {key_of(1)}, {0, 0});
  Selector filler;
  const std::vector<lmcd_key_t> gone{key_of(9)};
  filler.keys = gone;
  store_->clear(filler, true);
  put(3, {key_of(1)}, {1, 0});
  EXPECT_EQ(store_->pin({}, true), 1u);
  restart();
  EXPECT_EQ(store_->snapshot().pinned_objects, 1u);
  restart();
  EXPECT_EQ(store_->snapshot().pinned_objects, 1u);
  EXPECT_EQ(store_->pin({}, false), 1u);
  restart();
  EXPECT_EQ(store_->snapshot().pinned_objects, 0u);
}

TEST_F(Life, a_ledger_of_another_state_directory_is_refused) {
  plan_.state_id = "one";
  start(4);
  Ledger::Plan other = plan_;
  EXPECT_TRUE(Ledger::attach(memory_.address(), Ledger::bytes_for(plan_), plan_).ok());
  other.state_id = "another";
  auto attached = Ledger::attach(memory_.address(), Ledger::bytes_for(other), other);
  EXPECT_EQ(attached.status().code(), LMCD_E_INVALID) << "who is alive would be asked of strangers";
}

TEST(LeaseBook, a_number_used_again_leaves_nothing_of_the_leases_before) {
  LeaseBook book;
  SessionBook& session = book.open(1, 1, 1);
  for (uint64_t turn = 0; turn < 50'000; ++turn) {
    Lease& lease = session.leases[7];
    book.expire_at(1, 7, lease, 1000 + turn);
    book.erase(1, 7);
  }
  EXPECT_LE(book.queued(), 4096u);
}

TEST_F(Life, a_forgotten_object_does_not_come_back_with_a_restart) {
  start(8);
  put(1, keys_of(1, 2));
  acquire(kOther, 1, keys_of(1, 2));
  store_->clear({}, true);
  Adopted found = restart();
  EXPECT_EQ(found.objects, 0u);
  EXPECT_EQ(free_extents(), 8u);
}

TEST_F(Life, quotas_bound_a_tenant_and_nobody_else) {
  start(8);
  ASSERT_TRUE(store_->accounts().set_quota("small", 2 * kAlign).ok());
  auto grants = reserve(kSession, 1, keys_of(1, 3), {}, kAlign, "small");
  EXPECT_EQ(grants[1].outcome, LMCD_RESERVED);
  EXPECT_EQ(grants[2].outcome, LMCD_REFUSED);
  EXPECT_EQ(reserve(kOther, 1, keys_of(10, 4))[3].outcome, LMCD_RESERVED);
}

TEST_F(Life, what_can_never_fit_evicts_nothing) {
  start(8);
  put(1, keys_of(1, 6));
  acquire(kOther, 1, {key_of(3)});
  const lmcd_key_t pinned = key_of(4);
  store_->pin({.keys = {&pinned, 1}}, true);
  EXPECT_EQ(store_->snapshot().evictable_bytes, 4 * kAlign);
  // Two extents are free and four may go: seven cannot be had.
  EXPECT_EQ(reserve(kSession, 2, {key_of(50)}, {}, 7 * kAlign)[0].outcome, LMCD_NO_SPACE);
  EXPECT_EQ(reserve(kSession, 2, {key_of(50)}, {}, 9 * kAlign)[0].outcome, LMCD_NO_SPACE);
  EXPECT_EQ(store_->metrics().evicted_objects_total, 0u);
  EXPECT_EQ(reserve(kSession, 2, {key_of(50)}, {}, 3 * kAlign)[0].outcome, LMCD_RESERVED);
}

TEST_F(Life, what_a_quota_can_never_grant_evicts_nothing) {
  start(16);
  ASSERT_TRUE(store_->accounts().set_quota("small", 4 * kAlign).ok());
  reserve(kSession, 1, keys_of(1, 4), {}, kAlign, "small");
  ASSERT_TRUE(store_->commit(kSession, 1, {}, {}).ok());
  acquire(kOther, 1, keys_of(1, 2));
  EXPECT_EQ(reserve(kSession, 2, {key_of(9)}, {}, 3 * kAlign, "small")[0].outcome, LMCD_REFUSED);
  EXPECT_EQ(store_->metrics().evicted_objects_total, 0u);
  EXPECT_EQ(reserve(kSession, 2, {key_of(9)}, {}, 2 * kAlign, "small")[0].outcome, LMCD_RESERVED);
  EXPECT_EQ(store_->metrics().evicted_objects_total, 2u);
  EXPECT_EQ(store_->metrics().evicted_for_quota_objects_total, 2u);
}

TEST_F(Life, a_quota_evicts_nothing_for_what_the_arena_cannot_hold) {
  start(8);
  ASSERT_TRUE(store_->accounts().set_quota("small", 8 * kAlign).ok());
  reserve(kSession, 1, keys_of(1, 2), {}, kAlign, "small");
  ASSERT_TRUE(store_->commit(kSession, 1, {}, {}).ok());
  reserve(kOther, 1, keys_of(20, 3));
  EXPECT_EQ(reserve(kSession, 2, {key_of(9)}, {}, 7 * kAlign, "small")[0].outcome, LMCD_NO_SPACE);
  EXPECT_EQ(store_->metrics().evicted_objects_total, 0u);
}

TEST_F(Life, a_session_limit_counts_quarantine_too) {
  start(8, {.write_ttl_ms = 10, .session_bytes = 2 * kAlign});
  reserve(kSession, 1, keys_of(1, 2));
  clock_.advance_ms(10);
  store_->tick();
  EXPECT_EQ(reserve(kSession, 2, {key_of(5)})[0].outcome, LMCD_REFUSED);
  store_->abort(kSession, 1).code();
  EXPECT_EQ(reserve(kSession, 3, {key_of(5)})[0].outcome, LMCD_RESERVED);
}

// An arena full of small objects whose ages are in no order of their places.
class Scattered : public StoreTest {
 protected:
  static constexpr uint64_t kObjects = 256;

  void fill(uint64_t step) {
    start(kObjects, {}, 2 * kObjects);
    for (uint64_t n = 0; n < kObjects; ++n) put(n + 1, {key_of(n)});
    for (uint64_t n = 0; n < kObjects; ++n) {
      acquire(kOther, n + 1, {key_of(n * step % kObjects)});
      store_->release(kOther, n + 1).code();
    }
  }
  uint32_t reserve_large(uint64_t lease, uint64_t extents) {
    return reserve(kSession, lease, {key_of(lease)}, {}, extents * kAlign)[0].outcome;
  }
};

TEST_F(Scattered, a_large_object_evicts_little_more_than_its_size) {
  fill(77);
  EXPECT_EQ(reserve_large(1000, 32), LMCD_RESERVED);
  EXPECT_LE(store_->metrics().evicted_objects_total, 2 * 32u);
}

TEST_F(Scattered, a_size_that_finds_no_run_does_not_empty_the_arena) {
  fill(77);
  // Every tenth stays: there is no run of 32.
  for (uint64_t n = 0; n < kObjects; n += 10) acquire(kOther, 5000 + n, {key_of(n)});
  for (uint64_t lease = 1000; lease < 1010; ++lease)
    EXPECT_EQ(reserve_large(lease, 32), LMCD_NO_SPACE);
  EXPECT_LE(store_->metrics().evicted_objects_total, 2 * 32u);
  EXPECT_EQ(reserve_large(1010, 4), LMCD_RESERVED) << "a smaller one finds room";
  for (uint64_t n = 0; n < kObjects; n += 10) store_->release(kOther, 5000 + n).code();
  clock_.advance_ms(1000);
  EXPECT_EQ(reserve_large(1011, 32), LMCD_RESERVED);
}

TEST_F(Life, a_process_that_connects_again_still_pays_for_its_quarantine) {
  constexpr ProcessId kProcess = 4711;
  start(8, {.session_bytes = 2 * kAlign});
  store_->open_session(21, 5, kProcess);
  reserve(21, 1, keys_of(1, 2));
  store_->close_session(21);
  // Another session, even with another liveness file, and one beside it: the same process.
  store_->open_session(22, 6, kProcess);
  store_->open_session(23, 5, kProcess);
  EXPECT_EQ(reserve(22, 1, {key_of(5)})[0].outcome, LMCD_REFUSED);
  EXPECT_EQ(store_->use_of(23).held_bytes, 2 * kAlign);
  EXPECT_EQ(reserve(kSession, 1, {key_of(5)})[0].outcome, LMCD_RESERVED);
  EXPECT_EQ(store_->writer_dead(5), 2u);
  EXPECT_EQ(store_->use_of(23).held_bytes, 0u);
  EXPECT_EQ(reserve(22, 2, {key_of(6)})[0].outcome, LMCD_RESERVED);
  ASSERT_TRUE(store_->commit(22, 2, {}, {}).ok());
  EXPECT_EQ(store_->use_of(22).held_bytes, 0u);
}

TEST_F(Life, a_restart_does_not_forget_whose_quarantine_it_is) {
  constexpr ProcessId kProcess = 4711;
  start(8, {.session_bytes = 2 * kAlign});
  reserve(kSession, 1, keys_of(1, 2));
  EXPECT_EQ(restart({.session_bytes = 2 * kAlign}).quarantined, 2u);
  store_->charge_quarantine(1, kProcess);
  store_->open_session(21, 1, kProcess);
  EXPECT_EQ(store_->use_of(21).held_bytes, 2 * kAlign);
  EXPECT_EQ(reserve(21, 1, {key_of(5)})[0].outcome, LMCD_REFUSED);
  EXPECT_EQ(store_->writer_stopped(kSession, 1, std::vector<uint64_t>{1}), 2u);
  EXPECT_EQ(store_->use_of(21).held_bytes, 0u);
}

TEST_F(Life, a_namespace_that_nobody_needs_makes_room_for_the_next) {
  start(8);
  put(1, {key_of(1)});
  const lmcd_group_t group{LMCD_GROUP_FULL, 0};
  auto open = [&](SessionId session, uint64_t n) {
    return store_->open_space(session, "s" + std::to_string(n), 1, {&group, 1});
  };
  // Sessions that come and go leave their namespaces behind; one has its own open all the time.
  const uint32_t kept = open(kOther, 0).value();
  std::set<uint32_t> numbers = {space_, kept};
  uint64_t next = 1;
  for (SessionId session = 100; session < 112; ++session) {
    store_->open_session(session, 7);
    for (int i = 0; i < 400; ++i) {
      auto opened = open(session, next++);
      ASSERT_TRUE(opened.ok()) << next << ": " << opened.status().text();
      EXPECT_TRUE(numbers.insert(opened.value()).second) << "a number came twice";
    }
    store_->close_session(session);
  }
  EXPECT_GT(numbers.size(), Ledger::kSpaces + 500u);
  EXPECT_EQ(open(kOther, 0).value(), kept);
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
  auto reader = ledger::Reader::open(memory_.address(), Ledger::bytes_for(plan_));
  EXPECT_TRUE(reader.value().has_space(kept));
  EXPECT_TRUE(reader.value().has_space(space_));
  EXPECT_TRUE(reader.value().has_space(*numbers.rbegin()));
  EXPECT_FALSE(reader.value().has_space(5)) << "an early one, given to others since";

  const uint32_t last = *numbers.rbegin();
  restart();
  open_sessions();
  EXPECT_EQ(lookup(key_of(1)).hot, 1u);
  EXPECT_EQ(open(kOther, 0).value(), kept);
  EXPECT_EQ(store_->spaces().find(last)->number, last);
}

// What a next daemon says to a ledger whose namespace was changed by `change`.
class BrokenSpace : public StoreTest {
 protected:
  Status adopt_after(const std::function<void(ledger::SpaceEntry&)>& change) {
    start(8);
    put(1, {key_of(1)});
    change(store_->ledger().space(space_ % Ledger::kSpaces));
    store_.reset();
    policy_ = std::make_unique<PlainLru>();
    auto ledger = Ledger::attach(memory_.address(), Ledger::bytes_for(plan_), plan_);
    Adopted found;
    auto adopted = Store::adopt(ledger.value(), {}, *policy_, clock_, events_, &found);
    return adopted.ok() ? Status() : adopted.status();
  }
};

TEST_F(BrokenSpace, is_refused_by_name) {
  using Entry = ledger::SpaceEntry;
  const std::pair<const char*, std::function<void(Entry&)>> cases[] = {
      {"a group of kind 9", [](Entry& entry) { entry.groups[0].kind = 9; }},
      {"a window of 0", [](Entry& entry) { entry.groups[0].kind = LMCD_GROUP_WINDOW; }},
      {"a window of 3", [](Entry& entry) { entry.groups[0].window_chunks = 3; }},
      {"257 ranks", [](Entry& entry) { entry.rank_count = 257; }},
      {"256 ranks and 5 groups",
       [](Entry& entry) {
         entry.rank_count = 256;
         entry.group_count = 5;
       }},
      {"0 groups", [](Entry& entry) { entry.group_count = 0; }},
      {"a fingerprint that is not", [](Entry& entry) { entry.fingerprint[7] ^= 1; }},
      {"a fingerprint that is not", [](Entry& entry) { entry.description[0] ^= 1; }},
      {"a fingerprint that is not", [](Entry& entry) { entry.description_bytes = ~0u; }},
  };
  for (const auto& [text, change] : cases) {
    const Status status = adopt_after(change);
    EXPECT_EQ(status.code(), LMCD_E_CORRUPT) << text;
    EXPECT_NE(status.text().find(text), std::string::npos) << status.text();
    EXPECT_NE(status.text().find("namespace 0"), std::string::npos) << status.text();
  }
  EXPECT_TRUE(adopt_after([](Entry&) {}).ok());
}

TEST_F(Life, a_number_of_before_names_nothing) {
  start(8);
  const lmcd_key_t key = key_of(1);
  const uint64_t length = kAlign;
  const lmcd_part_t part{};
  wire::Grant grant;
  const ReserveRequest request{
      space_ + Ledger::kSpaces, "", nullptr, 0, {&key, 1}, {&part, 1}, {&length, 1}};
  EXPECT_EQ(store_->reserve(kSession, 1, request, &grant).code(), LMCD_E_INVALID);
}

// Opens the namespace called `n` for the session.
class Namespaces : public StoreTest {
 protected:
  Result<uint32_t> open(SessionId session, uint64_t n) {
    const lmcd_group_t group{LMCD_GROUP_FULL, 0};
    return store_->open_space(session, "s" + std::to_string(n), 1, {&group, 1});
  }
  lmcd_code_t put_into(SessionId session, uint32_t space, uint64_t n) {
    const lmcd_key_t key = key_of(n);
    const lmcd_part_t part{};
    const uint64_t length = kAlign;
    wire::Grant grant;
    const ReserveRequest request{space, "", nullptr, 0, {&key, 1}, {&part, 1}, {&length, 1}};
    Status status = store_->reserve(session, n, request, &grant);
    if (status.ok()) status = store_->commit(session, n, {}, {});
    return status.code();
  }
};

TEST_F(Namespaces, one_process_keeps_only_so_many_open) {
  start(8);
  store_->open_session(21, 5, 4711);
  store_->open_session(22, 6, 4711);
  uint64_t n = 0;
  while (n < Ledger::kSpaces && open(n % 2 == 0 ? 21 : 22, n).ok()) ++n;
  EXPECT_EQ(n, 512u);
  EXPECT_EQ(open(21, n).status().code(), LMCD_E_LIMIT);
  EXPECT_TRUE(open(22, 0).ok()) << "the process has it open already";
  EXPECT_TRUE(open(21, 0).ok());
  EXPECT_TRUE(open(kOther, 90'000).ok());
  store_->close_session(22);
  EXPECT_TRUE(open(21, n).ok()) << "the other session's are given back";
}

TEST_F(Namespaces, many_processes_that_hoard_shut_nobody_out) {
  constexpr uint32_t kRecords = 8192;
  start(kRecords, {}, kRecords);
  const uint32_t mine = open(kOther, 90'000).value();
  ASSERT_EQ(put_into(kOther, mine, 90'000), LMCD_OK);
  // Each has something in each, and keeps it open.
  uint64_t n = 0;
  for (SessionId hoarder = 100; hoarder < 108; ++hoarder) {
    store_->open_session(hoarder, 7, hoarder);
    for (int i = 0; i < 512; ++i, ++n) {
      auto opened = open(hoarder, n);
      if (opened.ok()) {
        ASSERT_EQ(put_into(hoarder, opened.value(), n + 1), LMCD_OK);
      }
    }
  }
  store_->tick();
  for (uint64_t one = 0; one < 200; ++one) {
    const SessionId session = 1000 + one;
    store_->open_session(session, 8, session);
    auto opened = open(session, 100'000 + one);
    ASSERT_TRUE(opened.ok()) << one << ": " << opened.status().text();
    EXPECT_EQ(put_into(session, opened.value(), 100'000 + one), LMCD_OK);
    store_->tick();
  }
  EXPECT_EQ(put_into(kOther, mine, 90'001), LMCD_OK) << "who has few keeps them";
}

TEST_F(Namespaces, what_was_given_up_is_had_again_by_who_opens_it) {
  start(Ledger::kSpaces * 2, {}, Ledger::kSpaces * 2);
  std::vector<uint32_t> numbers;
  uint64_t n = 0;
  for (SessionId hoarder = 100; hoarder < 108; ++hoarder) {
    store_->open_session(hoarder, 7, hoarder);
    for (int i = 0; i < 490; ++i, ++n) {
      numbers.push_back(open(hoarder, n).value());
      ASSERT_EQ(put_into(hoarder, numbers.back(), n + 1), LMCD_OK);
    }
  }
  // Read, so that it cannot go at once.
  const lmcd_key_t first = key_of(1);
  const lmcd_part_t part{};
  wire::Grant grant;
  ASSERT_TRUE(
      store_->acquire(100, 99'999, {numbers[0], {&first, 1}, {&part, 1}}, &grant).ok());
  store_->tick();
  ASSERT_TRUE(store_->spaces().find(numbers[0])->retiring);
  EXPECT_EQ(put_into(100, numbers[0], 80'000), LMCD_E_LIMIT);
  EXPECT_EQ(open(100, 0).value(), numbers[0]);
  EXPECT_EQ(put_into(100, numbers[0], 80'000), LMCD_OK);
}

class Tenants : public StoreTest {
 protected:
  static constexpr uint32_t kTenants = Ledger::kTenants;

  // Stores one object of the tenant called `name`. Returns whether that was possible.
  bool put_for(SessionId session, uint64_t n, const std::string& name) {
    const lmcd_key_t key = key_of(n);
    const lmcd_part_t part{};
    const uint64_t length = kAlign;
    wire::Grant grant;
    const ReserveRequest request{space_, name, nullptr, 0, {&key, 1}, {&part, 1}, {&length, 1}};
    Status status = store_->reserve(session, n, request, &grant);
    last_text_ = status.text();
    EXPECT_TRUE(status.ok() || status.code() == LMCD_E_LIMIT) << status.text();
    return status.ok() && store_->commit(session, n, {}, {}).ok();
  }

  std::string last_text_;
};

TEST_F(Tenants, come_without_end_and_the_coldest_go) {
  start(2 * kTenants, {}, 2 * kTenants);
  ASSERT_TRUE(store_->accounts().set_quota("t1", kTenants * kAlign).ok());
  ASSERT_TRUE(put_for(kOther, 50'000, "of another"));
  for (uint64_t n = 1; n <= kTenants + 2000; ++n) {
    ASSERT_TRUE(put_for(kSession, n, "t" + std::to_string(n))) << n << ": " << last_text_;
    if (n % 64 == 0) acquire(kSession, n, {key_of(2)});
    if (n == 100) {
      const lmcd_key_t pinned = key_of(3);
      store_->pin({.keys = {&pinned, 1}}, true);
    }
    store_->tick();
  }
  EXPECT_EQ(lookup(key_of(1)).hot, 1u) << "it has a quota";
  EXPECT_EQ(lookup(key_of(2)).hot, 1u) << "it is read";
  EXPECT_EQ(lookup(key_of(3)).hot, 1u) << "it is pinned";
  EXPECT_EQ(lookup(key_of(4)).hot, 0u);
  EXPECT_EQ(lookup(key_of(50'000)).hot, 1u) << "its process brought few";
  EXPECT_FALSE(store_->accounts().find("t4").has_value() &&
               store_->accounts().at(*store_->accounts().find("t4")).used_bytes != 0);
}

TEST_F(Tenants, who_brings_many_at_once_leaves_some_to_others) {
  start(2 * kTenants, {}, 2 * kTenants);
  uint64_t n = 1;
  while (n < kTenants && put_for(kSession, n, "t" + std::to_string(n))) ++n;
  EXPECT_EQ(n, kTenants - kTenants / 16 + 1);
  EXPECT_NE(last_text_.find("try again; or use fewer tenants"), std::string::npos) << last_text_;
  EXPECT_TRUE(put_for(kSession, 60'000, "t1")) << "it has a number";
  for (uint64_t one = 0; one < 500; ++one)
    ASSERT_TRUE(put_for(kOther, 50'000 + one, "o" + std::to_string(one)));
  for (int turn = 0; turn < 4; ++turn) store_->tick();
  EXPECT_TRUE(put_for(kSession, 60'001, "one more"));
  EXPECT_EQ(lookup(key_of(50'000)).hot, 1u);
}

TEST_F(Tenants, go_not_where_the_policy_lets_nothing_go) {
  start(2 * kTenants, {}, 2 * kTenants);
  uint64_t n = 1;
  while (n < kTenants && put_for(kSession, n, "t" + std::to_string(n))) ++n;
  policy_->keep_all();
  EXPECT_LT(store_->tick(), UINT64_MAX);
  EXPECT_EQ(store_->tick(), store_->tick()) << "it does not go on and on";
  EXPECT_EQ(store_->metrics().evicted_objects_total, 0u);
}

TEST_F(Life, what_is_written_for_another_session_counts_against_that_one) {
  start(8, {.session_bytes = 2 * kAlign});
  const auto keys = keys_of(1, 3);
  const lmcd_part_t part{};
  const uint64_t length = kAlign;
  wire::Grant grants[3];
  const ReserveRequest request{space_, "", nullptr, 0, keys, {&part, 1}, {&length, 1}, kOther};
  ASSERT_TRUE(store_->reserve(kSession, 1, request, grants).ok());
  EXPECT_EQ(grants[1].outcome, LMCD_RESERVED);
  EXPECT_EQ(grants[2].outcome, LMCD_REFUSED);
  EXPECT_EQ(store_->use_of(kOther).held_bytes, 2 * kAlign);
  EXPECT_EQ(store_->use_of(kSession).held_bytes, 0u);
  EXPECT_EQ(reserve(kOther, 1, {key_of(9)})[0].outcome, LMCD_REFUSED);
  const uint32_t first = 0;
  ASSERT_TRUE(store_->commit(kSession, 1, {&first, 1}, {}).ok());
  EXPECT_EQ(store_->use_of(kOther).held_bytes, kAlign);
  ASSERT_TRUE(store_->abort(kSession, 1).ok());
  EXPECT_EQ(store_->use_of(kOther).held_bytes, 0u);
}

TEST_F(Life, an_orphan_whose_parent_came_back_is_no_orphan) {
  start(4);
  put(1, keys_of(1, 2));
  put(2, {key_of(9)});
  const lmcd_key_t root = key_of(1);
  store_->clear({.keys = {&root, 1}}, false);
  // Key 2 is of no use to anybody and would go first.
  auto grants = reserve(kSession, 3, keys_of(1, 2));
  EXPECT_EQ(grants[0].outcome, LMCD_RESERVED);
  EXPECT_EQ(grants[1].outcome, LMCD_EXISTS);
  ASSERT_TRUE(store_->commit(kSession, 3, {}, {}).ok());
  put(4, keys_of(20, 2));
  EXPECT_EQ(lookup(key_of(9)).hot, 0u);
  EXPECT_EQ(lookup(key_of(2)).hot, 1u);
  // And it is an orphan again without its parent.
  store_->clear({.keys = {&root, 1}}, false);
  put(5, keys_of(30, 2));
  EXPECT_EQ(lookup(key_of(2)).hot, 0u);
  EXPECT_EQ(lookup(key_of(20)).hot, 1u);
}

TEST_F(Life, records_are_a_limit_like_bytes) {
  start(100, {}, 4);
  for (uint64_t n = 1; n <= 6; ++n) put(n, {key_of(n)});
  EXPECT_EQ(store_->snapshot().objects, 4u);
  EXPECT_EQ(lookup(key_of(6)).hot, 1u);
}

TEST_F(Life, background_eviction_goes_from_watermark_to_target) {
  start(10, {.watermark = 0.8, .ratio = 0.5});
  put(1, keys_of(1, 8));
  store_->tick();
  EXPECT_EQ(free_extents(), 2u);
  put(2, {key_of(50)});
  store_->tick();
  EXPECT_EQ(free_extents(), 6u);
}

TEST_F(Life, objects_are_listed_once_each) {
  start(40);
  put(1, keys_of(1, 10));
  std::vector<lmcd_listed_t> page(4);
  uint64_t cursor = 0;
  uint32_t listed = 0;
  do {
    listed += store_->list({}, &cursor, page);
  } while (cursor != 0);
  EXPECT_EQ(listed, 10u);
}

}  // namespace
}  // namespace lmcd::core
