// What the mover relies on, for every tier: bytes come back as they were put or not at all, each
// accepted operation is answered once, capacity, queue and deadlines hold, and usage tells what is
// there.
//
// Clock and workers are turned by hand. A tier joins by a line in kSubjects, with room for
// kCapacity bytes. What only the mock promises follows at the end.
#include <algorithm>

#include "tests/conformance/tier_fixture.h"

namespace lmcd::tier {
namespace {

// `adapter` is given an empty directory.
struct Subject {
  const char* name;
  config::Adapter (*adapter)(const std::string& directory);
};
void PrintTo(const Subject& subject, std::ostream* out) { *out << subject.name; }

const Subject kSubjects[] = {
    {"mock",
     [](const std::string&) -> config::Adapter {
       return {"mock", {{"max_size_gb", 1.0 / 1024}, {"mock_bandwidth_gb", 1.0 / 1024}}};
     }},
    {"fs",
     [](const std::string& directory) -> config::Adapter {
       return {"fs", {{"base_path", directory}, {"max_capacity_gb", 1.0 / 1024}}};
     }},
    {"fs_native_direct",
     [](const std::string& directory) -> config::Adapter {
       return {"fs_native",
               {{"base_path", directory}, {"use_odirect", 1}, {"max_capacity_gb", 1.0 / 1024}}};
     }},
    {"fault_inject_without_faults",
     [](const std::string&) -> config::Adapter {
       return {"fault_inject",
               {{"inner",
                 R"({"type":"mock","max_size_gb":0.0009765625,"mock_bandwidth_gb":0.0009765625})"},
                {"delay_ms", 3}}};
     }},
    {"raw_block",
     [](const std::string& directory) -> config::Adapter {
       return {"raw_block", {{"path", directory + "/log"}, {"capacity_gb", 1.0 / 1024}}};
     }},
    {"native_plugin",
     [](const std::string&) -> config::Adapter {
       return {"native_plugin",
               {{"library", LMCD_PLUGIN},
                {"config", R"({"max_size_gb":0.0009765625,"mock_bandwidth_gb":0.0009765625})"}}};
     }},
};

class TierTest : public testing::TestWithParam<Subject>, protected OpenedTier {
 protected:
  TierTest() { open(GetParam().adapter(directory.path())); }
  ~TierTest() override { close(); }

  ScratchDirectory directory;
};

TEST_P(TierTest, nothing_is_there_at_first) {
  const Tier::Name name = name_of(record_of(1, 64));
  Buffer bytes = pattern(64, 1);
  EXPECT_TRUE(exists(name).is(LMCD_ABSENT));
  EXPECT_TRUE(get(name, bytes).is(LMCD_ABSENT));
  EXPECT_TRUE(remove(name).is(LMCD_ABSENT));
  EXPECT_EQ(tier->usage().used_bytes, 0u);
}

TEST_P(TierTest, what_was_put_comes_back_byte_for_byte) {
  uint8_t number = 0;
  for (std::size_t length : {1u, 63u, 4095u, 4096u, 4097u, 200'001u}) {
    const lmcd_tier_record_t record = record_of(++number, length);
    const Buffer bytes = pattern(length, number);
    ASSERT_TRUE(put(record, bytes).is(LMCD_STORED)) << length;
    EXPECT_TRUE(exists(name_of(record)).is(LMCD_COLD)) << length;
    Buffer read(length);
    ASSERT_TRUE(get(name_of(record), read).is(LMCD_LOADED)) << length;
    EXPECT_EQ(read, bytes) << length;
  }
}

TEST_P(TierTest, the_bytes_of_a_put_may_change_once_it_is_answered) {
  const lmcd_tier_record_t record = record_of(1, 5000);
  const Buffer bytes = pattern(5000, 1);
  Buffer given = bytes;
  ASSERT_TRUE(put(record, given).is(LMCD_STORED));
  std::fill(given.begin(), given.end(), std::byte{0});
  Buffer read(5000);
  ASSERT_TRUE(get(name_of(record), read).is(LMCD_LOADED));
  EXPECT_EQ(read, bytes);
}

TEST_P(TierTest, a_record_that_is_there_stays_as_it_is) {
  const lmcd_tier_record_t record = record_of(1, 100);
  ASSERT_TRUE(put(record, pattern(100, 1)).is(LMCD_STORED));
  EXPECT_TRUE(put(record, pattern(100, 2)).is(LMCD_EXISTS));
  EXPECT_EQ(tier->usage().records, 1u);
  Buffer read(100);
  ASSERT_TRUE(get(name_of(record), read).is(LMCD_LOADED));
  EXPECT_EQ(read, pattern(100, 1));
}

TEST_P(TierTest, two_puts_of_one_record_at_one_time_leave_one) {
  const lmcd_tier_record_t record = record_of(1, 100);
  const Buffer one = pattern(100, 1), other = pattern(100, 2);
  Answer first, second;
  ASSERT_TRUE(tier->put(record, Tier::Checksum::kUnknown, one, 0, first.take()).ok());
  ASSERT_TRUE(tier->put(record, Tier::Checksum::kUnknown, other, 0, second.take()).ok());
  settle();
  EXPECT_NE(first.is(LMCD_STORED), second.is(LMCD_STORED));
  EXPECT_NE(first.is(LMCD_EXISTS), second.is(LMCD_EXISTS));
  EXPECT_EQ(tier->usage().used_bytes, 100u);
  Buffer read(100);
  ASSERT_TRUE(get(name_of(record), read).is(LMCD_LOADED));
  EXPECT_EQ(read, first.is(LMCD_STORED) ? one : other);
}

TEST_P(TierTest, the_parts_of_a_key_are_records_of_their_own) {
  lmcd_tier_record_t rank = record_of(1, 100), group = rank, plain = rank;
  rank.part = {1, 0};
  group.part = {0, 1};
  ASSERT_TRUE(put(plain, pattern(100, 1)).is(LMCD_STORED));
  ASSERT_TRUE(put(rank, pattern(100, 2)).is(LMCD_STORED));
  EXPECT_TRUE(exists(name_of(group)).is(LMCD_ABSENT));
  ASSERT_TRUE(remove(name_of(plain)).is(LMCD_ABSENT));
  Buffer read(100);
  ASSERT_TRUE(get(name_of(rank), read).is(LMCD_LOADED));
  EXPECT_EQ(read, pattern(100, 2));
}

TEST_P(TierTest, usage_is_what_is_there_by_tenant_too) {
  put(record_of(1, 100, "alice"), pattern(100, 1));
  put(record_of(2, 200, "bob"), pattern(200, 2));
  put(record_of(3, 400, "alice"), pattern(400, 3));
  EXPECT_EQ(tier->usage().used_bytes, 700u);
  EXPECT_EQ(tier->usage().records, 3u);
  EXPECT_EQ(tier->tenant_bytes("alice"), 500u);
  EXPECT_EQ(tier->tenant_bytes("bob"), 200u);
  EXPECT_EQ(tier->tenant_bytes("carol"), 0u);
  EXPECT_EQ(tier->namespace_bytes(record_of(1, 1).fingerprint), 700u);
  EXPECT_EQ(tier->namespace_bytes({}), 0u);
  for (uint8_t number = 1; number <= 3; ++number) remove(name_of(record_of(number, 1)));
  EXPECT_EQ(tier->usage().used_bytes, 0u);
  EXPECT_EQ(tier->usage().records, 0u);
  EXPECT_EQ(tier->tenant_bytes("alice"), 0u);
}

TEST_P(TierTest, a_list_names_every_record_once) {
  constexpr uint8_t kCount = 7;
  for (uint8_t n = 1; n <= kCount; ++n) put(record_of(n, n * 10u, "alice"), pattern(n * 10u, n));
  std::map<uint8_t, lmcd_tier_record_t> seen;
  uint64_t cursor = 0;
  do {
    lmcd_tier_record_t listed[3];
    Answer answer;
    ASSERT_TRUE(tier->list(cursor, listed, 0, answer.take()).ok());
    settle();
    ASSERT_TRUE(answer.is(LMCD_NONE));
    ASSERT_LE(answer.completion.count, 3u);
    for (uint32_t i = 0; i < answer.completion.count; ++i)
      EXPECT_TRUE(seen.emplace(listed[i].key.bytes[0], listed[i]).second);
    cursor = answer.completion.cursor;
  } while (cursor != 0);
  ASSERT_EQ(seen.size(), kCount);
  for (const auto& [number, record] : seen) {
    const Buffer bytes = pattern(number * 10u, number);
    EXPECT_EQ(record.length, bytes.size());
    EXPECT_EQ(record.crc32c, crc32c(bytes.data(), bytes.size()));
    EXPECT_STREQ(record.tenant, "alice");
    EXPECT_EQ(record.fingerprint.bytes[5], 0x55);
  }
}

TEST_P(TierTest, a_full_tier_forgets_and_never_holds_more_than_its_capacity) {
  constexpr std::size_t kLength = 100'000;
  constexpr uint8_t kCount = 30;
  for (uint8_t n = 1; n <= kCount; ++n) {
    ASSERT_TRUE(put(record_of(n, kLength), pattern(kLength, n)).is(LMCD_STORED));
    ASSERT_LE(tier->usage().used_bytes, tier->usage().capacity_bytes);
  }
  uint8_t kept = 0;
  for (uint8_t n = 1; n <= kCount; ++n) {
    Buffer read(kLength);
    Answer answer = get(name_of(record_of(n, kLength)), read);
    if (answer.is(LMCD_ABSENT)) continue;
    ASSERT_TRUE(answer.is(LMCD_LOADED));
    EXPECT_EQ(read, pattern(kLength, n));
    ++kept;
  }
  const lmcd_tier_usage_t usage = tier->usage();
  EXPECT_EQ(usage.records, kept);
  EXPECT_EQ(usage.used_bytes, kept * kLength);
  EXPECT_EQ(usage.evicted_records, static_cast<uint64_t>(kCount - kept));
  EXPECT_EQ(usage.evicted_bytes, (kCount - kept) * kLength);
  EXPECT_GT(kept, 0);
  EXPECT_TRUE(exists(name_of(record_of(kCount, kLength))).is(LMCD_COLD)) << "the latest";
}

TEST_P(TierTest, a_record_that_can_never_fit_displaces_nothing) {
  const uint64_t most = tier->capabilities().record_max_bytes;
  ASSERT_GE(most, 1000u);
  ASSERT_LT(most, kGiB);
  ASSERT_TRUE(put(record_of(1, 100), pattern(100, 1)).is(LMCD_STORED));
  EXPECT_TRUE(put(record_of(2, most + 1), Buffer(most + 1)).is(LMCD_NO_SPACE));
  EXPECT_TRUE(exists(name_of(record_of(1, 100))).is(LMCD_COLD));
  EXPECT_EQ(tier->usage().used_bytes, 100u);
}

TEST_P(TierTest, puts_in_flight_do_not_exceed_the_capacity_together) {
  constexpr std::size_t kLength = 400'000;
  Buffer bytes[5];
  Answer answers[5];
  for (uint8_t n = 0; n < 5; ++n) {
    bytes[n] = pattern(kLength, n);
    ASSERT_TRUE(
        tier->put(record_of(n, kLength), Tier::Checksum::kUnknown, bytes[n], 0, answers[n].take())
            .ok());
  }
  for (int step = 0; step < 10'000; ++step) {
    pass_ms(1);
    ASSERT_LE(tier->usage().used_bytes, kCapacity);
  }
  settle();
  int stored = 0;
  for (uint8_t n = 0; n < 5; ++n) {
    EXPECT_TRUE(answers[n].is(LMCD_STORED) || answers[n].is(LMCD_NO_SPACE)) << int{n};
    stored += answers[n].is(LMCD_STORED);
  }
  EXPECT_GE(stored, 2);
  EXPECT_LE(tier->usage().used_bytes, kCapacity);
}

TEST_P(TierTest, the_queue_is_bounded_and_has_room_again) {
  const uint32_t limit = tier->capabilities().queue_limit;
  const Tier::Name name = name_of(record_of(1, 1));
  std::vector<Answer> answers(limit);
  for (Answer& answer : answers) ASSERT_TRUE(tier->exists(name, 0, answer.take()).ok());
  EXPECT_LE(tier->usage().in_flight, limit);  // some tiers have ended them by now
  Answer refused;
  EXPECT_EQ(tier->exists(name, 0, refused.take()).code(), LMCD_E_LIMIT);
  settle();
  for (const Answer& answer : answers) EXPECT_TRUE(answer.is(LMCD_ABSENT));
  EXPECT_EQ(refused.count, 0);
  EXPECT_EQ(tier->usage().in_flight, 0u);
  EXPECT_TRUE(exists(name).is(LMCD_ABSENT));
}

TEST_P(TierTest, nothing_is_answered_from_within_the_call) {
  Answer answer;
  ASSERT_TRUE(tier->exists(name_of(record_of(1, 1)), 0, answer.take()).ok());
  EXPECT_EQ(answer.count, 0);
  settle();
  EXPECT_EQ(answer.count, 1);
}

TEST_P(TierTest, an_operation_past_its_deadline_times_out_and_has_no_effect) {
  const lmcd_tier_record_t record = record_of(1, 1000);
  const Buffer bytes = pattern(1000, 1);
  clock.advance_ms(1000);
  Answer late;
  const uint64_t passed = clock.now_ms() - 1;
  ASSERT_TRUE(tier->put(record, Tier::Checksum::kUnknown, bytes, passed, late.take()).ok());
  settle();
  EXPECT_TRUE(late.is_fault(LMCD_E_TIMEOUT));
  EXPECT_TRUE(exists(name_of(record)).is(LMCD_ABSENT));
  EXPECT_EQ(tier->usage().used_bytes, 0u);
  EXPECT_EQ(tier->health().faults, 1u);
}

TEST_P(TierTest, a_deadline_in_time_changes_nothing) {
  const lmcd_tier_record_t record = record_of(1, 1000);
  const Buffer bytes = pattern(1000, 1);
  Answer answer;
  const uint64_t far = clock.now_ms() + 60'000;
  ASSERT_TRUE(tier->put(record, Tier::Checksum::kUnknown, bytes, far, answer.take()).ok());
  settle();
  EXPECT_TRUE(answer.is(LMCD_STORED));
}

TEST_P(TierTest, cancel_answers_all_and_the_tier_works_on) {
  const Buffer bytes = pattern(50'000, 1);
  std::vector<Answer> answers(8);
  for (uint8_t n = 0; n < 8; ++n)
    ASSERT_TRUE(
        tier->put(record_of(n, bytes.size()), Tier::Checksum::kUnknown, bytes, 0, answers[n].take())
            .ok());
  pass_ms(60);  // some are with the workers by now
  tier->cancel();
  settle_at_once();
  ASSERT_TRUE(tier->idle()) << "without the time passing that the bytes would take";
  uint64_t stored = 0;
  for (const Answer& answer : answers) {
    EXPECT_TRUE(answer.is(LMCD_STORED) || answer.is_fault(LMCD_E_TIMEOUT));
    stored += answer.is(LMCD_STORED);
  }
  EXPECT_EQ(tier->usage().records, stored);
  EXPECT_EQ(tier->usage().used_bytes, stored * bytes.size());
  EXPECT_TRUE(put(record_of(9, bytes.size()), bytes).is(LMCD_STORED));
}

TEST_P(TierTest, bytes_that_are_not_those_of_a_known_checksum_are_not_kept) {
  lmcd_tier_record_t record = record_of(1, 1000);
  Buffer bytes = pattern(1000, 1);
  record.crc32c = crc32c(bytes.data(), bytes.size());
  bytes[500] ^= std::byte{1};
  Answer wrong, right;
  ASSERT_TRUE(tier->put(record, Tier::Checksum::kKnown, bytes, 0, wrong.take()).ok());
  settle();
  EXPECT_TRUE(wrong.is_fault(LMCD_E_CORRUPT));
  EXPECT_EQ(tier->usage().used_bytes, 0u);
  EXPECT_NE(tier->health().state, uint32_t{LMCD_TIER_UP});
  EXPECT_STRNE(tier->health().text, "");
  bytes[500] ^= std::byte{1};
  ASSERT_TRUE(tier->put(record, Tier::Checksum::kKnown, bytes, 0, right.take()).ok());
  settle();
  EXPECT_TRUE(right.is(LMCD_STORED));
}

TEST_P(TierTest, a_record_of_another_length_is_corrupt_and_forgotten) {
  const lmcd_tier_record_t record = record_of(1, 1000);
  ASSERT_TRUE(put(record, pattern(1000, 1)).is(LMCD_STORED));
  Buffer read(999, std::byte{7});
  EXPECT_TRUE(get(name_of(record), read).is_fault(LMCD_E_CORRUPT));
  EXPECT_EQ(read, Buffer(999, std::byte{7}));
  EXPECT_TRUE(exists(name_of(record)).is(LMCD_ABSENT));
  EXPECT_EQ(tier->usage().used_bytes, 0u);
}

TEST_P(TierTest, a_record_may_be_removed_while_it_is_delivered) {
  const lmcd_tier_record_t record = record_of(1, 10'000);
  ASSERT_TRUE(put(record, pattern(10'000, 1)).is(LMCD_STORED));
  Buffer read(10'000);
  Answer got, removed;
  ASSERT_TRUE(tier->get(name_of(record), read, 0, got.take()).ok());
  for (int step = 0; step < 1000 && pool.waiting() == 0; ++step) pass_ms(1);
  ASSERT_TRUE(tier->remove(name_of(record), 0, removed.take()).ok());
  for (int step = 0; step < 10; ++step) pass_ms(1);  // the remove is through, the get is not
  settle();
  EXPECT_TRUE(removed.is(LMCD_ABSENT));
  ASSERT_TRUE(got.is(LMCD_LOADED) || got.is(LMCD_ABSENT));
  if (got.is(LMCD_LOADED)) {
    EXPECT_EQ(read, pattern(10'000, 1));
  }
  EXPECT_TRUE(exists(name_of(record)).is(LMCD_ABSENT));
}

TEST_P(TierTest, what_is_not_valid_is_not_accepted) {
  Answer never;
  const Buffer bytes = pattern(10, 1);
  EXPECT_EQ(tier->put(record_of(1, 0), Tier::Checksum::kUnknown, {}, 0, never.take()).code(),
            LMCD_E_INVALID);
  lmcd_tier_record_t endless = record_of(1, 10);
  std::memset(endless.tenant, 'a', sizeof endless.tenant);
  EXPECT_EQ(tier->put(endless, Tier::Checksum::kUnknown, bytes, 0, never.take()).code(),
            LMCD_E_INVALID);
  EXPECT_EQ(tier->get(name_of(record_of(1, 0)), {}, 0, never.take()).code(), LMCD_E_INVALID);
  EXPECT_EQ(tier->list(0, {}, 0, never.take()).code(), LMCD_E_INVALID);
  settle();
  EXPECT_EQ(never.count, 0);
  EXPECT_EQ(tier->usage().in_flight, 0u);
}

// Random histories, workers in random order: every get gives what was put last of what a record
// may hold, or nothing.
TEST_P(TierTest, no_history_ever_yields_a_wrong_byte) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  struct Get {
    uint8_t number;
    Buffer bytes;
    Answer answer;
  };
  std::vector<std::unique_ptr<Get>> gets;
  Answer ignored;
  std::vector<Buffer> sources;
  for (uint8_t n = 0; n < 12; ++n) sources.push_back(pattern(20'000u + 30'000u * n, n));
  for (int step = 0; step < 3000; ++step) {
    const auto number = static_cast<uint8_t>(random() % sources.size());
    const lmcd_tier_record_t record = record_of(number, sources[number].size());
    const uint64_t deadline = random() % 4 == 0 ? clock.now_ms() + random() % 200 : 0;
    switch (random() % 6) {
      case 0:
        (void)tier->put(record, Tier::Checksum::kUnknown, sources[number], deadline,
                        ignored.take());
        break;
      case 1: {
        auto get = std::make_unique<Get>(number, Buffer(record.length));
        if (tier->get(name_of(record), get->bytes, deadline, get->answer.take()).ok())
          gets.push_back(std::move(get));
        break;
      }
      case 2:
        if (random() % 4 == 0) (void)tier->remove(name_of(record), deadline, ignored.take());
        break;
      case 3:
        if (pool.waiting() > 0) pool.work(random() % pool.waiting());
        break;
      case 4:
        if (pool.done() > 0) pool.complete(random() % pool.done());
        break;
      default:
        pass_ms(random() % 100);
    }
    ASSERT_LE(tier->usage().used_bytes, kCapacity);
  }
  settle();
  std::size_t loaded = 0;
  for (const auto& get : gets) {
    ASSERT_EQ(get->answer.count, 1);
    if (!get->answer.is(LMCD_LOADED)) continue;
    ++loaded;
    ASSERT_EQ(get->bytes, sources[get->number]);
  }
  EXPECT_GT(loaded, 0u);
}

INSTANTIATE_TEST_SUITE_P(Every, TierTest, testing::ValuesIn(kSubjects),
                         [](const auto& subject) { return std::string(subject.param.name); });

// -- The mock -----------------------------------------------------------------------------

class MockTest : public TierTest {};

TEST_P(MockTest, bytes_take_the_time_that_the_bandwidth_says_one_after_the_other) {
  const Buffer bytes = pattern(64 * kKiB, 1);  // 62.5 ms at 1 MiB/s
  Answer answers[3];
  for (uint8_t n = 0; n < 3; ++n)
    ASSERT_TRUE(
        tier->put(record_of(n, bytes.size()), Tier::Checksum::kUnknown, bytes, 0, answers[n].take())
            .ok());
  for (uint64_t ms = 1; ms <= 200; ++ms) {
    pass_ms(1);
    pool.run_all();
    turn();
    EXPECT_EQ(answers[0].count, ms >= 63) << ms;
    EXPECT_EQ(answers[1].count, ms >= 125) << ms;
    EXPECT_EQ(answers[2].count, ms >= 188) << ms;
  }
  Answer read;
  Buffer target(bytes.size());
  ASSERT_TRUE(tier->get(name_of(record_of(0, 1)), target, 0, read.take()).ok());
  for (uint64_t ms = 1; ms <= 70; ++ms) {
    pass_ms(1);
    pool.run_all();
    turn();
    EXPECT_EQ(read.count, ms >= 63) << ms;
  }
}

TEST_P(MockTest, what_cannot_begin_in_time_ends_at_its_deadline_and_takes_no_bandwidth) {
  const Buffer bytes = pattern(64 * kKiB, 1);
  Answer first, late, next;
  ASSERT_TRUE(
      tier->put(record_of(1, bytes.size()), Tier::Checksum::kUnknown, bytes, 0, first.take()).ok());
  ASSERT_TRUE(tier->put(record_of(2, bytes.size()), Tier::Checksum::kUnknown, bytes,
                        clock.now_ms() + 20, late.take())
                  .ok());
  ASSERT_TRUE(
      tier->put(record_of(3, bytes.size()), Tier::Checksum::kUnknown, bytes, 0, next.take()).ok());
  for (uint64_t ms = 1; ms <= 130; ++ms) {
    pass_ms(1);
    pool.run_all();
    turn();
    EXPECT_EQ(late.count, ms > 20) << ms;
    EXPECT_EQ(next.count, ms >= 125) << ms;
  }
  EXPECT_TRUE(late.is_fault(LMCD_E_TIMEOUT));
  EXPECT_TRUE(next.is(LMCD_STORED));
}

TEST_P(MockTest, a_full_pool_is_tried_again) {
  std::vector<int> order;
  while (pool.submit(make_job([] { return 0; }, [&](int) { order.push_back(1); }))) continue;
  const Buffer bytes = pattern(1000, 1);
  Answer answer;
  ASSERT_TRUE(
      tier->put(record_of(1, 1000), Tier::Checksum::kUnknown, bytes, 0, answer.take()).ok());
  for (int step = 0; step < 10; ++step) pass_ms(1);
  EXPECT_EQ(answer.count, 0);
  settle();
  EXPECT_TRUE(answer.is(LMCD_STORED));
}

INSTANTIATE_TEST_SUITE_P(Mock, MockTest, testing::Values(kSubjects[0]),
                         [](const auto& subject) { return std::string(subject.param.name); });

}  // namespace
}  // namespace lmcd::tier
