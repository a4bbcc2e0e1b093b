// Proves that a real daemon does what each message asks, over its socket: every verb once, in the
// way of a well-behaved client, and across the daemon's own end by SIGTERM and SIGKILL. Bytes that
// are read back are compared with those that were written.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/e2e/daemon_process.h"
#include "tests/e2e/raw_client.h"

namespace lmcd::e2e {
namespace {

constexpr uint64_t kObjectBytes = 100'000;

class DaemonTest : public testing::Test {
 protected:
  void start(DaemonProcess& daemon) { ASSERT_TRUE(daemon.start()) << daemon.log(); }

  static RawClient open(const DaemonProcess& daemon) {
    std::optional<RawClient> client = RawClient::open(daemon.socket());
    if (!client) ADD_FAILURE() << "no session: " << daemon.log();
    return std::move(*client);
  }

  // Stores the object `number` and waits until it is visible.
  static void store(RawClient& client, uint32_t space, uint64_t number, uint64_t lease) {
    const lmcd_key_t key = key_of(number);
    const wire::Grant grant = client.reserve(space, key, kObjectBytes, lease);
    ASSERT_EQ(grant.outcome, uint32_t{LMCD_RESERVED});
    client.write(grant, key);
    client.post(wire::Commit{lease, {}, {}});
    client.settle();
  }

  static bool hits(RawClient& client, uint32_t space, uint64_t number, uint64_t lease) {
    const wire::Grant grant = client.acquire(space, key_of(number), lease);
    const bool whole = grant.outcome == LMCD_LEASED && grant.length == kObjectBytes &&
                       client.whole(grant, key_of(number));
    client.post(wire::Release{lease});
    return whole;
  }

  static std::string stats(RawClient& client) {
    Reply reply = client.ask(wire::Stats{});
    return std::string(reply.as<wire::Text>().text);
  }

  // The number after "name": in the statistics.
  static uint64_t metric(RawClient& client, const std::string& name) {
    const std::string text = stats(client);
    const std::size_t at = text.find("\"" + name + "\":");
    if (at == std::string::npos) ADD_FAILURE() << "no metric " << name;
    return std::strtoull(text.c_str() + at + name.size() + 3, nullptr, 10);
  }
};

TEST_F(DaemonTest, an_object_is_stored_found_and_read) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const uint32_t space = client.open_space();
  EXPECT_EQ(client.acquire(space, key_of(1), 1).outcome, uint32_t{LMCD_ABSENT});
  store(client, space, 1, 2);
  EXPECT_EQ(client.reserve(space, key_of(1), kObjectBytes, 3).outcome, uint32_t{LMCD_EXISTS});
  EXPECT_TRUE(hits(client, space, 1, 4));

  const lmcd_key_t keys[] = {key_of(1), key_of(2)};
  Reply found = client.ask(wire::Lookup{space, keys});
  std::span<const lmcd_presence_t> presence = found.as<wire::Found>().presence;
  ASSERT_EQ(presence.size(), 2u);
  EXPECT_EQ(presence[0].hot, 1u);
  EXPECT_EQ(presence[1].hot, 0u);
}

TEST_F(DaemonTest, an_aborted_write_is_no_hit_and_gives_its_bytes_back) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const uint32_t space = client.open_space();
  const uint64_t before = metric(client, "free_bytes");
  EXPECT_EQ(client.reserve(space, key_of(1), kObjectBytes, 1).outcome, uint32_t{LMCD_RESERVED});
  EXPECT_LT(metric(client, "free_bytes"), before);
  client.post(wire::Abort{1});
  EXPECT_EQ(client.acquire(space, key_of(1), 2).outcome, uint32_t{LMCD_ABSENT});
  EXPECT_EQ(metric(client, "free_bytes"), before);
}

TEST_F(DaemonTest, an_acquire_waits_for_the_writer) {
  DaemonProcess daemon;
  start(daemon);
  RawClient writer = open(daemon);
  RawClient reader = open(daemon);
  const uint32_t space = writer.open_space();
  const lmcd_key_t key = key_of(1);
  const wire::Grant grant = writer.reserve(space, key, kObjectBytes, 1);
  writer.write(grant, key);

  wire::Acquire acquire;
  acquire.lease = 1;
  acquire.space = space;
  acquire.timeout_ms = RawClient::kAnswerMs;
  acquire.keys = std::span(&key, 1);
  reader.send(acquire, 77);
  reader.settle();  // the question has been looked at, and is not answered
  writer.post(wire::Commit{1, {}, {}});
  Reply reply = reader.answer_to(77);
  ASSERT_EQ(reply.as<wire::Granted>().grants.size(), 1u);
  const wire::Grant leased = reply.as<wire::Granted>().grants[0];
  EXPECT_EQ(leased.outcome, uint32_t{LMCD_LEASED});
  EXPECT_TRUE(reader.whole(leased, key));
}

TEST_F(DaemonTest, an_acquire_waits_no_longer_than_it_asked) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const uint32_t space = client.open_space();
  client.reserve(space, key_of(1), kObjectBytes, 1);
  EXPECT_EQ(client.acquire(space, key_of(1), 2, 30).outcome, uint32_t{LMCD_PENDING});
}

TEST_F(DaemonTest, an_acquire_released_while_it_waits_takes_no_lease) {
  DaemonProcess daemon;
  start(daemon);
  RawClient writer = open(daemon);
  RawClient reader = open(daemon);
  const uint32_t space = writer.open_space();
  const lmcd_key_t key = key_of(1);
  writer.reserve(space, key, kObjectBytes, 1);
  wire::Acquire acquire;
  acquire.lease = 1;
  acquire.space = space;
  acquire.timeout_ms = RawClient::kAnswerMs;
  acquire.keys = std::span(&key, 1);
  reader.send(acquire, 77);
  reader.post(wire::Release{1});
  EXPECT_EQ(reader.answer_to(77).fault(), LMCD_E_TIMEOUT);
  writer.post(wire::Commit{1, {}, {}});
  EXPECT_EQ(metric(writer, "read_leases"), 0u);
}

TEST_F(DaemonTest, posted_leases_touches_and_renewals_are_taken) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const uint32_t space = client.open_space();
  store(client, space, 1, 1);
  const wire::Grant grant = client.acquire(space, key_of(1), 2);
  const wire::Sighting seen{grant.record, 0, grant.word};
  client.post(wire::AcquirePosted{3, std::span(&seen, 1)});
  client.post(wire::Touch{std::span(&seen, 1)});
  const uint64_t leases[] = {2, 3};
  client.post(wire::Renew{leases});
  client.settle();
  EXPECT_EQ(metric(client, "read_leases"), 2u);
  client.post(wire::Release{2});
  client.post(wire::Release{3});
  client.settle();
  EXPECT_EQ(metric(client, "read_leases"), 0u);
}

TEST_F(DaemonTest, a_post_without_effect_comes_back_as_an_event) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  client.post(wire::Commit{99, {}, {}});
  client.settle();
  const std::vector<lmcd_event_t> events = client.take_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, uint32_t{LMCD_EVENT_REFUSED});
  EXPECT_EQ(events[0].lease, 99u);
  EXPECT_LT(events[0].code, 0);
}

TEST_F(DaemonTest, subscribers_hear_of_commits_and_clears) {
  DaemonProcess daemon;
  start(daemon);
  RawClient writer = open(daemon);
  RawClient listener = open(daemon);
  EXPECT_TRUE(listener.ask(wire::EventsSubscribe{}).is(wire::Done::kOpcode));
  const uint32_t space = writer.open_space();
  store(writer, space, 1, 1);
  writer.ask(wire::Clear{});
  listener.settle();
  const std::vector<lmcd_event_t> events = listener.take_events();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, uint32_t{LMCD_EVENT_COMMITTED});
  EXPECT_EQ(events[0].bytes, kObjectBytes);
  EXPECT_EQ(events[1].kind, uint32_t{LMCD_EVENT_CLEARED});
  EXPECT_EQ(events[1].sequence, events[0].sequence + 1);
}

TEST_F(DaemonTest, a_subscriber_that_fell_behind_is_told_how_far) {
  DaemonProcess daemon({"--event-bus-queue-size", "16"});
  start(daemon);
  RawClient writer = open(daemon);
  RawClient listener = open(daemon);
  listener.ask(wire::EventsSubscribe{});
  std::vector<lmcd_key_t> keys;
  for (uint64_t i = 0; i < 1000; ++i) keys.push_back(key_of(i));
  wire::Reserve reserve;
  reserve.lease = 1;
  reserve.space = writer.open_space();
  reserve.length = 100;
  reserve.keys = keys;
  writer.ask(reserve);
  writer.post(wire::Commit{1, {}, {}});  // a thousand events in one turn
  writer.settle();
  listener.settle();
  const std::vector<lmcd_event_t> events = listener.take_events();
  ASSERT_EQ(events.size(), 17u);
  EXPECT_EQ(events[0].kind, uint32_t{LMCD_EVENT_MISSED});
  EXPECT_EQ(events[0].count, 1000u - 16);
  EXPECT_EQ(events[1].sequence, events[0].count);
  EXPECT_EQ(metric(writer, "events_dropped_total"), 1000u - 16);
}

TEST_F(DaemonTest, operators_list_pin_and_clear) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const uint32_t space = client.open_space();
  for (uint64_t i = 1; i <= 3; ++i) store(client, space, i, i);
  wire::Pin pin;
  const lmcd_key_t pinned = key_of(2);
  pin.keys = std::span(&pinned, 1);
  pin.pinned = 1;
  EXPECT_EQ(client.ask(pin).as<wire::Done>().count, 1u);

  wire::List list;
  list.capacity = 16;
  Reply listed = client.ask(list);
  ASSERT_EQ(listed.as<wire::Listed>().objects.size(), 3u);
  EXPECT_EQ(listed.as<wire::Listed>().cursor, 0u);
  uint32_t pins = 0;
  for (const lmcd_listed_t& object : listed.as<wire::Listed>().objects) pins += object.pinned;
  EXPECT_EQ(pins, 1u);

  Reply cleared = client.ask(wire::Clear{});
  EXPECT_EQ(cleared.as<wire::Cleared>().objects, 2u);
  EXPECT_EQ(cleared.as<wire::Cleared>().kept, 1u);
  wire::Clear force;
  force.force = 1;
  EXPECT_EQ(client.ask(force).as<wire::Cleared>().objects, 1u);
  EXPECT_EQ(metric(client, "objects"), 0u);
}

TEST_F(DaemonTest, quotas_hold_and_outlive_the_daemon) {
  DaemonProcess daemon;
  start(daemon);
  {
    RawClient client = open(daemon);
    wire::QuotaSet quota;
    quota.tenant = "acme";
    quota.limited = 1;
    quota.limit_bytes = kObjectBytes;
    EXPECT_TRUE(client.ask(quota).is(wire::Done::kOpcode));
  }
  daemon.end(SIGKILL);
  start(daemon);
  RawClient client = open(daemon);
  wire::QuotaList list;
  list.capacity = 16;
  Reply reply = client.ask(list);
  std::span<const lmcd_quota_t> quotas = reply.as<wire::Quotas>().quotas;
  ASSERT_EQ(quotas.size(), 1u);
  EXPECT_STREQ(quotas[0].tenant, "acme");
  EXPECT_EQ(quotas[0].limit_bytes, kObjectBytes);

  wire::Reserve reserve;
  reserve.lease = 1;
  reserve.space = client.open_space();
  reserve.length = kObjectBytes;
  reserve.tenant = "acme";
  const lmcd_key_t keys[] = {key_of(1), key_of(2)};
  reserve.keys = keys;
  Reply granted = client.ask(reserve);
  ASSERT_EQ(granted.as<wire::Granted>().grants.size(), 2u);
  EXPECT_EQ(granted.as<wire::Granted>().grants[0].outcome, uint32_t{LMCD_RESERVED});
  EXPECT_EQ(granted.as<wire::Granted>().grants[1].outcome, uint32_t{LMCD_REFUSED});
}

TEST_F(DaemonTest, statistics_and_configuration_are_told) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const std::string text = stats(client);
  for (const char* field : {"\"daemon\":", "\"metrics\":", "\"sessions\":", "\"namespaces\":",
                            "\"tenants\":", "\"tiers\":", "\"incarnation\":"})
    EXPECT_NE(text.find(field), std::string::npos) << field;
  Reply config = client.ask(wire::Config{});
  EXPECT_NE(std::string(config.as<wire::Text>().text).find("l1-size-gb"), std::string::npos);
  EXPECT_EQ(client.ask(wire::Drain{}).fault(), LMCD_OK) << "no tier, nothing to spill";
  EXPECT_EQ(client.ask(wire::Reload{}).fault(), LMCD_OK);
}

TEST_F(DaemonTest, the_daemon_copies_for_an_engine) {
  DaemonProcess daemon;
  start(daemon);
  RawClient client = open(daemon);
  const uint32_t space = client.open_space();
  constexpr uint32_t kBlocks = 8;
  constexpr uint32_t kRun = 4096;
  FileDescriptor memory(::memfd_create("kv", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(memory.get(), kBlocks * kRun), 0);
  auto* kv = static_cast<uint8_t*>(
      ::mmap(nullptr, kBlocks * kRun, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0));
  for (uint32_t i = 0; i < kBlocks * kRun; ++i) kv[i] = static_cast<uint8_t>(i * 7 + i / kRun);
  const std::vector<uint8_t> original(kv, kv + kBlocks * kRun);

  const lmcd_page_t page{0, kRun, kRun, kRun, 1, kBlocks, 0};
  wire::SegmentOpen open_message;
  open_message.length = kBlocks * kRun;
  open_message.pages = std::span(&page, 1);
  open_message.name = "kv";
  const int number = memory.get();
  Reply opened = client.ask(open_message, std::span(&number, 1));
  ASSERT_TRUE(opened.is(wire::SegmentOpened::kOpcode)) << opened.text();
  const uint64_t segment = opened.as<wire::SegmentOpened>().segment;

  const lmcd_key_t keys[] = {key_of(1), key_of(2)};
  const uint32_t stored_blocks[] = {0, 1, 2, 3};
  wire::Store store_message;
  store_message.segment = segment;
  store_message.space = space;
  store_message.blocks_per_item = 2;
  store_message.keys = keys;
  store_message.block_ids = stored_blocks;
  Reply stored = client.ask(store_message);
  ASSERT_EQ(stored.as<wire::Transferred>().outcomes.size(), 2u) << stored.text();
  for (uint32_t outcome : stored.as<wire::Transferred>().outcomes)
    EXPECT_EQ(outcome, uint32_t{LMCD_STORED});

  const uint32_t loaded_blocks[] = {4, 5, 6, 7};
  wire::Load load;
  load.segment = segment;
  load.space = space;
  load.blocks_per_item = 2;
  load.keys = keys;
  load.block_ids = loaded_blocks;
  Reply loaded = client.ask(load);
  ASSERT_EQ(loaded.as<wire::Transferred>().outcomes.size(), 2u) << loaded.text();
  EXPECT_EQ(std::memcmp(kv + 4 * kRun, original.data(), 4 * kRun), 0);
  EXPECT_TRUE(client.ask(wire::Cancel{12345}).is(wire::Done::kOpcode));
  EXPECT_TRUE(client.ask(wire::SegmentClose{segment}).is(wire::Done::kOpcode));
  EXPECT_EQ(client.ask(wire::SegmentClose{segment}).fault(), LMCD_E_NOT_FOUND);
  ::munmap(kv, kBlocks * kRun);
}

TEST_F(DaemonTest, objects_survive_a_stop_and_a_kill) {
  DaemonProcess daemon;
  start(daemon);
  {
    RawClient client = open(daemon);
    const uint32_t space = client.open_space();
    for (uint64_t i = 1; i <= 20; ++i) store(client, space, i, i);
  }
  for (int signal : {SIGTERM, SIGKILL, SIGKILL, SIGTERM}) {
    const int status = daemon.end(signal);
    EXPECT_TRUE(signal == SIGKILL || status == 0);
    start(daemon);
    RawClient client = open(daemon);
    const uint32_t space = client.open_space();
    EXPECT_EQ(metric(client, "objects"), 20u);
    for (uint64_t i = 1; i <= 20; ++i) EXPECT_TRUE(hits(client, space, i, i));
  }
}

TEST_F(DaemonTest, objects_in_a_file_survive_a_kill) {
  DaemonProcess daemon;
  daemon.set_options({"--l1-backing", "file", "--l1-path", daemon.directory() + "/arena"});
  start(daemon);
  {
    RawClient client = open(daemon);
    store(client, client.open_space(), 1, 1);
  }
  for (int signal : {SIGKILL, SIGTERM}) {
    daemon.end(signal);
    start(daemon);
    RawClient client = open(daemon);
    EXPECT_TRUE(hits(client, client.open_space(), 1, 1));
  }
}

TEST_F(DaemonTest, no_writer_outlives_the_machines_boot) {
  DaemonProcess daemon;
  daemon.set_options({"--l1-backing", "file", "--l1-path", daemon.directory() + "/arena"});
  start(daemon);
  {
    RawClient client = open(daemon);
    const uint32_t space = client.open_space();
    store(client, space, 1, 1);
    client.reserve(space, key_of(2), kObjectBytes, 2);
  }
  daemon.end(SIGTERM);
  // The ledger of a machine that was booted since. This process lives, and locks its file.
  const std::string ledger = daemon.directory() + "/arena.ledger";
  FileDescriptor file(::open(ledger.c_str(), O_RDWR | O_CLOEXEC));
  const uint8_t other_boot[16] = {1};
  ASSERT_EQ(::pwrite(file.get(), other_boot, sizeof other_boot, offsetof(ledger::Shape, boot_id)),
            16);
  start(daemon);
  RawClient client = open(daemon);
  EXPECT_EQ(metric(client, "quarantined_parts"), 0u);
  EXPECT_TRUE(hits(client, client.open_space(), 1, 1));
}

// Nobody keeps its descriptors here, so a restart begins anew.
TEST_F(DaemonTest, a_nameless_arena_serves) {
  DaemonProcess daemon({"--l1-backing", "memfd"});
  start(daemon);
  {
    RawClient client = open(daemon);
    const uint32_t space = client.open_space();
    store(client, space, 1, 1);
    EXPECT_TRUE(hits(client, space, 1, 2));
  }
  daemon.end(SIGTERM);
  start(daemon);
  RawClient client = open(daemon);
  EXPECT_FALSE(hits(client, client.open_space(), 1, 1));
}

TEST_F(DaemonTest, a_lazy_arena_is_populated_as_far_as_asked) {
  // Without the option no more than the window beyond what is used, 64 MiB, would be.
  DaemonProcess daemon({"--l1-size-gb", "0.25", "--l1-init-size-gb", "0.125"});
  start(daemon);
  RawClient client = open(daemon);
  constexpr uint64_t kInitBytes = 128 << 20;
  for (int i = 0; i < 100'000 && metric(client, "populated_bytes") < kInitBytes; ++i)
    client.settle();
  EXPECT_GE(metric(client, "populated_bytes"), kInitBytes);
}

TEST_F(DaemonTest, a_size_that_cannot_be_had_costs_nothing) {
  DaemonProcess daemon;
  start(daemon);
  uint32_t space = 0;
  {
    RawClient client = open(daemon);
    space = client.open_space();
    store(client, space, 1, 1);
  }
  daemon.end(SIGTERM);
  daemon.set_options({"--l1-size-gb", "1000000"});
  EXPECT_FALSE(daemon.start());
  EXPECT_NE(daemon.log().find("Lower --l1-size-gb"), std::string::npos) << daemon.log();
  daemon.set_options({});
  start(daemon);
  RawClient client = open(daemon);
  EXPECT_TRUE(hits(client, client.open_space(), 1, 1));
}

TEST_F(DaemonTest, a_cold_start_forgets_and_voids_what_was_there) {
  DaemonProcess daemon;
  start(daemon);
  RawClient before = open(daemon);
  const uint32_t space = before.open_space();
  store(before, space, 1, 1);
  const wire::Grant grant = before.acquire(space, key_of(1), 2);
  daemon.end(SIGKILL);
  daemon.set_options({"--cold"});
  start(daemon);
  EXPECT_FALSE(before.whole(grant, key_of(1)));
  RawClient client = open(daemon);
  EXPECT_NE(client.welcome().incarnation_low, before.welcome().incarnation_low);
  EXPECT_EQ(client.acquire(client.open_space(), key_of(1), 1).outcome, uint32_t{LMCD_ABSENT});
}

TEST_F(DaemonTest, a_living_reader_still_validates_after_a_kill) {
  DaemonProcess daemon;
  start(daemon);
  RawClient before = open(daemon);
  const uint32_t space = before.open_space();
  store(before, space, 1, 1);
  const wire::Grant grant = before.acquire(space, key_of(1), 2);
  daemon.end(SIGKILL);
  EXPECT_TRUE(before.whole(grant, key_of(1)));
  start(daemon);
  EXPECT_TRUE(before.whole(grant, key_of(1)));
}

TEST_F(DaemonTest, what_a_living_process_was_writing_rests_until_it_says_so) {
  DaemonProcess daemon;
  start(daemon);
  uint64_t lost = 0;
  uint32_t space = 0;
  {
    RawClient client = open(daemon);
    space = client.open_space();
    client.reserve(space, key_of(1), kObjectBytes, 5);
    lost = client.welcome().session;
    daemon.end(SIGKILL);
  }
  start(daemon);
  RawClient client = open(daemon);
  EXPECT_EQ(metric(client, "quarantined_parts"), 1u);
  EXPECT_EQ(client.acquire(space, key_of(1), 1).outcome, uint32_t{LMCD_ABSENT});
  const uint64_t lease = 5;
  client.post(wire::Stopped{lost, std::span(&lease, 1)});
  client.settle();
  EXPECT_EQ(metric(client, "quarantined_parts"), 0u);
}

TEST_F(DaemonTest, what_a_dead_process_was_writing_comes_back) {
  DaemonProcess daemon;
  start(daemon);
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::optional<RawClient> client = RawClient::open(daemon.socket());
    const uint32_t space = client->open_space();
    const bool reserved =
        client->reserve(space, key_of(1), kObjectBytes, 1).outcome == LMCD_RESERVED;
    if (reserved && ::write(ready[1], "x", 1) == 1) ::pause();
    std::_Exit(1);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  RawClient client = open(daemon);
  const uint64_t all = metric(client, "arena_bytes");
  EXPECT_LT(metric(client, "free_bytes"), all);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  // The pidfd tells of the death without any timer; asking gives the loop its turns.
  for (int i = 0; i < 2000 && metric(client, "free_bytes") != all; ++i) client.settle();
  EXPECT_EQ(metric(client, "free_bytes"), all);
  EXPECT_EQ(metric(client, "quarantined_parts"), 0u);
  EXPECT_EQ(metric(client, "sessions"), 1u);
}

// The child's own child keeps the socket open, so only the death itself can tell.
TEST_F(DaemonTest, a_death_is_noticed_though_the_socket_stays_open) {
  DaemonProcess daemon;
  start(daemon);
  int ready[2];
  int heirs[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(heirs, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::optional<RawClient> client = RawClient::open(daemon.socket());
    client->reserve(client->open_space(), key_of(1), kObjectBytes, 1);
    char byte;
    if (::fork() == 0) {
      ::close(heirs[1]);
      std::_Exit(::read(heirs[0], &byte, 1) == 0 ? 0 : 1);  // until the test is over
    }
    if (::write(ready[1], "x", 1) == 1) ::pause();
    std::_Exit(1);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  RawClient client = open(daemon);
  EXPECT_EQ(metric(client, "sessions"), 2u);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  for (int i = 0; i < 2000 && metric(client, "sessions") != 1; ++i) client.settle();
  EXPECT_EQ(metric(client, "sessions"), 1u);
  EXPECT_EQ(metric(client, "free_bytes"), metric(client, "arena_bytes"));
  ::close(heirs[1]);
}

TEST_F(DaemonTest, a_second_daemon_of_the_identity_is_refused) {
  DaemonProcess daemon;
  start(daemon);
  DaemonProcess rival = DaemonProcess::rival_of(daemon);
  EXPECT_FALSE(rival.start());
  EXPECT_NE(rival.log().find("another daemon"), std::string::npos) << rival.log();
  RawClient client = open(daemon);
  client.settle();
}

}  // namespace
}  // namespace lmcd::e2e
