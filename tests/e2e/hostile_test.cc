// Proves that no client, whatever it sends, does or stops doing, costs the daemon more than its own
// session: each test misbehaves in one way, beside a well-behaved session that must not notice.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <functional>

#include "tests/e2e/daemon_process.h"
#include "tests/e2e/raw_client.h"

namespace lmcd::e2e {
namespace {

constexpr uint64_t kObjectBytes = 50'000;

class HostileTest : public testing::Test {
 protected:
  void start(std::vector<std::string> options = {}) {
    daemon_.emplace(std::move(options));
    ASSERT_TRUE(daemon_->start()) << daemon_->log();
    good_.emplace(open());
    space_ = good_->open_space();
    store(*good_, 1);
  }

  // The good session still finds its object, byte by byte.
  void TearDown() override {
    if (!good_) return;
    const wire::Grant grant = good_->acquire(space_, key_of(1), 1'000'000);
    EXPECT_EQ(grant.outcome, uint32_t{LMCD_LEASED}) << daemon_->log();
    EXPECT_TRUE(good_->whole(grant, key_of(1)));
  }

  RawClient open() {
    std::optional<RawClient> client = RawClient::open(daemon_->socket());
    if (!client) ADD_FAILURE() << "no session: " << daemon_->log();
    return std::move(*client);
  }
  RawClient connect() {
    std::optional<RawClient> client = RawClient::connect(daemon_->socket());
    if (!client) ADD_FAILURE() << "no connection: " << daemon_->log();
    return std::move(*client);
  }

  uint64_t quarantined_parts() {
    const std::string name = "\"quarantined_parts\":";
    const std::string text(good_->ask(wire::Stats{}).as<wire::Text>().text);
    const std::size_t at = text.find(name);
    return at == std::string::npos ? UINT64_MAX : std::stoull(text.substr(at + name.size()));
  }

  void store(RawClient& client, uint64_t number) {
    const lmcd_key_t key = key_of(number);
    const wire::Grant grant = client.reserve(space_, key, kObjectBytes, number);
    ASSERT_EQ(grant.outcome, uint32_t{LMCD_RESERVED});
    client.write(grant, key);
    client.post(wire::Commit{number, {}, {}});
    client.settle();
  }

  uint64_t metric(const std::string& name) {
    Reply reply = good_->ask(wire::Stats{});
    const std::string text(reply.as<wire::Text>().text);
    const std::size_t at = text.find("\"" + name + "\":");
    EXPECT_NE(at, std::string::npos) << name;
    return std::strtoull(text.c_str() + at + name.size() + 3, nullptr, 10);
  }

  // The session is answered by this fault and ended; the log names it.
  void expect_ended(RawClient& client, int64_t code, const std::string& text) {
    EXPECT_TRUE(client.closed());
    EXPECT_EQ(client.last_fault().fault(), code) << client.last_fault().text();
    EXPECT_NE(client.last_fault().text().find(text), std::string::npos)
        << client.last_fault().text();
    EXPECT_NE(daemon_->log().find("session.failed"), std::string::npos);
  }

  wire::Reserve valid_reserve() {
    static const lmcd_key_t keys[] = {key_of(901), key_of(902)};
    wire::Reserve message;
    message.lease = 77;
    message.space = space_;
    message.length = kObjectBytes;
    message.keys = keys;
    return message;
  }

  std::optional<DaemonProcess> daemon_;
  std::optional<RawClient> good_;
  uint32_t space_ = 0;
};

TEST_F(HostileTest, noise_ends_its_own_session) {
  start();
  RawClient client = open();
  std::vector<std::byte> noise(4096);
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = std::byte(i * 131 + 17);
  client.send_bytes(noise);
  expect_ended(client, LMCD_E_PROTOCOL, "frame");
  EXPECT_EQ(metric("malformed_total"), 1u);
  EXPECT_EQ(metric("sessions_failed_total"), 1u);
}

TEST_F(HostileTest, a_field_past_its_frame_ends_the_session) {
  start();
  RawClient client = open();
  std::vector<std::byte> bytes;
  wire::encode(valid_reserve(), 5, 0, bytes);
  const uint64_t lie = UINT64_MAX / 2;
  std::memcpy(bytes.data() + sizeof(wire::Header) + 5 * 8, &lie, 8);  // the parents' count
  client.send_bytes(bytes);
  expect_ended(client, LMCD_E_PROTOCOL, "Reserve: a field ends past the frame");
}

TEST_F(HostileTest, opcodes_no_client_sends_end_the_session) {
  start();
  for (uint16_t opcode : std::initializer_list<uint16_t>{0, 2, 17, 200, UINT16_MAX}) {
    RawClient client = open();
    wire::Header header{sizeof(wire::Header), opcode, 0, 9};
    client.send_bytes(std::as_bytes(std::span(&header, 1)));
    expect_ended(client, LMCD_E_PROTOCOL, "opcode");
  }
}

TEST_F(HostileTest, a_session_begins_with_hello) {
  start();
  RawClient client = connect();
  client.send(valid_reserve(), 1);
  expect_ended(client, LMCD_E_PROTOCOL, "begins with Hello");
  RawClient twice = open();
  twice.send(twice.hello(), 9);
  expect_ended(twice, LMCD_E_PROTOCOL, "before");
}

TEST_F(HostileTest, versions_that_do_not_meet_are_told_so) {
  start();
  for (auto [low, high] : {std::pair<uint64_t, uint64_t>{2, 9}, {0, 0}, {UINT64_MAX, UINT64_MAX}}) {
    RawClient client = connect();
    wire::Hello hello = client.hello();
    hello.protocol_min = low;
    hello.protocol_max = high;
    client.send(hello, 1);
    expect_ended(client, LMCD_E_VERSION, "protocol");
  }
}

TEST_F(HostileTest, nothing_is_given_to_write_before_the_lock_is_shown) {
  start();
  RawClient client = connect();
  ASSERT_TRUE(client.greet());
  client.send(valid_reserve(), 5);
  expect_ended(client, LMCD_E_PROTOCOL, "Alive");
  // A child holds no lock of its parent.
  const pid_t child = ::fork();
  if (child == 0) {
    std::optional<RawClient> liar = RawClient::connect(daemon_->socket());
    const bool greeted = liar->greet();
    liar->post(wire::Alive{liar->welcome().liveness_slot});
    std::_Exit(greeted && liar->closed() && liar->last_fault().fault() == LMCD_E_PROTOCOL ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(HostileTest, a_child_is_not_taken_for_its_parent) {
  start();
  const uint64_t parents = good_->welcome().liveness_slot;
  const wire::Hello hello = good_->hello();
  const pid_t child = ::fork();
  if (child == 0) {
    std::optional<RawClient> client = RawClient::connect(daemon_->socket());
    client->send(hello, 1);
    Reply reply = client->answer_to(1);
    const bool other =
        reply.is(wire::Welcome::kOpcode) && reply.as<wire::Welcome>().liveness_slot != parents;
    std::_Exit(other ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(HostileTest, locking_more_than_its_own_byte_hides_no_death_and_keeps_nobody_out) {
  start();
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t squatter = ::fork();
  if (squatter == 0) {
    std::optional<RawClient> client = RawClient::open(daemon_->socket());
    const char done = client && RawClient::squat() ? 'y' : 'n';
    if (::write(ends[1], &done, 1) != 1) std::_Exit(1);
    for (;;) ::pause();
  }
  char done = 0;
  ASSERT_EQ(::read(ends[0], &done, 1), 1);
  EXPECT_EQ(done, 'y');
  // Others come, take their locks, write and die, and their death is seen.
  for (uint64_t number = 10; number < 13; ++number) {
    const pid_t writer = ::fork();
    if (writer == 0) {
      std::optional<RawClient> client = RawClient::open(daemon_->socket());
      const bool wrote =
          client &&
          client->reserve(client->open_space(), key_of(number), kObjectBytes, 1).outcome ==
              uint32_t{LMCD_RESERVED};
      std::_Exit(wrote ? 0 : 1);
    }
    int status = 0;
    ::waitpid(writer, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const lmcd_key_t key = key_of(10);
  for (int i = 0;
       i < 2000 && good_->reserve(space_, key, kObjectBytes, 100).outcome == uint32_t{LMCD_PENDING};
       ++i) {
    good_->settle();
  }
  for (int i = 0; i < 2000 && quarantined_parts() != 0; ++i) good_->settle();
  EXPECT_EQ(quarantined_parts(), 0u);
  ::kill(squatter, SIGKILL);
  ::waitpid(squatter, nullptr, 0);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(HostileTest, wrong_values_are_named_and_the_session_goes_on) {
  start();
  RawClient client = open();
  const lmcd_key_t two[] = {key_of(1), key_of(2)};
  const lmcd_part_t three_parts[3] = {};
  const uint64_t zero_lengths[] = {1, 0};
  const std::string long_tenant(300, 'x');
  const std::vector<lmcd_key_t> many(wire::kBatchItems + 1);
  struct Case {
    const char* names;
    std::function<void(wire::Reserve&)> spoil;
  };
  const Case cases[] = {
      {"keys", [](wire::Reserve& m) { m.keys = {}; }},
      {"keys", [&](wire::Reserve& m) { m.keys = many; }},
      {"length", [](wire::Reserve& m) { m.length = 0; }},
      {"length", [](wire::Reserve& m) { m.length = uint64_t{1} << 32; }},
      {"length", [&](wire::Reserve& m) { m.lengths = zero_lengths; }},
      {"parts", [&](wire::Reserve& m) { m.parts = three_parts; }},
      {"part", [](wire::Reserve& m) { m.part = uint64_t{1} << 40; }},
      {"parent", [&](wire::Reserve& m) { m.parent = two; }},
      {"tenant", [&](wire::Reserve& m) { m.tenant = long_tenant; }},
      {"tenant is no UTF-8 at byte 2", [](wire::Reserve& m) { m.tenant = "ab\xff"; }},
      {"tenant is no UTF-8 at byte 0", [](wire::Reserve& m) { m.tenant = "\xc3"; }},
      {"control character", [](wire::Reserve& m) { m.tenant = "a\nb"; }},
      {"depth", [](wire::Reserve& m) { m.depth = UINT32_MAX; }},
      {"space", [](wire::Reserve& m) { m.space = UINT64_MAX; }},
      {"namespace", [](wire::Reserve& m) { m.space = 999; }},
      {"rank", [](wire::Reserve& m) { m.part = 9; }},
      {"lease", [](wire::Reserve& m) { m.lease = 0; }},
  };
  for (const Case& wrong : cases) {
    wire::Reserve message = valid_reserve();
    wrong.spoil(message);
    Reply reply = client.ask(message);
    EXPECT_EQ(reply.fault(), LMCD_E_INVALID) << wrong.names;
    EXPECT_NE(reply.text().find(wrong.names), std::string::npos) << reply.text();
  }
  EXPECT_NE(daemon_->log().find("request.refused"), std::string::npos);
  EXPECT_EQ(client.ask(valid_reserve()).as<wire::Granted>().grants.size(), 2u);
}

TEST_F(HostileTest, groups_without_sense_make_no_namespace) {
  start();
  RawClient client = open();
  auto opened = [&](lmcd_group_t group) {
    return client.ask(wire::NamespaceOpen{1, {&group, 1}, "of odd groups"});
  };
  EXPECT_EQ(opened({3, 0}).fault(), LMCD_E_INVALID);
  EXPECT_EQ(opened({LMCD_GROUP_WINDOW, 0}).fault(), LMCD_E_INVALID);
  EXPECT_EQ(opened({LMCD_GROUP_FULL, 7}).fault(), LMCD_E_INVALID);
  EXPECT_TRUE(opened({LMCD_GROUP_WINDOW, 7}).is(wire::NamespaceOpened::kOpcode));
  const std::vector<lmcd_group_t> five(5, lmcd_group_t{LMCD_GROUP_FULL, 0});
  EXPECT_EQ(client.ask(wire::NamespaceOpen{256, five, "of many parts"}).fault(), LMCD_E_INVALID);
  EXPECT_TRUE(client.ask(wire::NamespaceOpen{204, five, "of many parts"})
                  .is(wire::NamespaceOpened::kOpcode));
}

TEST_F(HostileTest, operators_verbs_are_for_operators) {
  start();
  DaemonProcess strict({"--admin-uids", "4000000000"});
  ASSERT_TRUE(strict.start()) << strict.log();
  std::optional<RawClient> client = RawClient::open(strict.socket());
  ASSERT_TRUE(client);
  EXPECT_EQ(client->welcome().admin, 0u);
  EXPECT_EQ(client->ask(wire::Stats{}).fault(), LMCD_E_DENIED);
  EXPECT_EQ(client->ask(wire::Clear{}).fault(), LMCD_E_DENIED);
  client->settle();
}

TEST_F(HostileTest, foreign_leases_and_records_have_no_effect) {
  start();
  RawClient client = open();
  store(*good_, 2);
  const wire::Grant grant = good_->acquire(space_, key_of(2), 50);
  client.post(wire::Release{50});
  client.post(wire::Abort{50});
  const wire::Sighting sightings[] = {{UINT32_MAX, 0, 1}, {grant.record, 0, grant.word + 256}};
  client.post(wire::Touch{sightings});
  client.post(wire::AcquirePosted{9, sightings});
  const uint64_t lease = 2;
  client.post(wire::Stopped{good_->welcome().session, std::span(&lease, 1)});
  client.settle();
  EXPECT_EQ(metric("read_leases"), 1u);
  EXPECT_TRUE(good_->whole(grant, key_of(2)));
}

TEST_F(HostileTest, a_silent_client_is_shown_out) {
  start({"--worker-reap-timeout-seconds", "0.2"});
  RawClient half = open();
  std::vector<std::byte> bytes;
  wire::encode(valid_reserve(), 5, 0, bytes);
  half.send_bytes(std::span(bytes).first(bytes.size() - 8));
  RawClient mute = connect();  // never says Hello
  expect_ended(half, LMCD_E_TIMEOUT, "rest of a frame");
  expect_ended(mute, LMCD_E_TIMEOUT, "Hello");
}

TEST_F(HostileTest, a_client_that_does_not_read_is_shown_out) {
  start({"--worker-reap-timeout-seconds", "0.2"});
  RawClient client = open();
  const int descriptor = client.descriptor();
  std::vector<std::byte> bytes;
  for (uint64_t i = 0; i < 512; ++i) wire::encode(wire::Config{}, 1000 + i, 0, bytes);
  // Asks for as long as the daemon listens, and reads nothing.
  pollfd writable{descriptor, POLLOUT, 0};
  while (::poll(&writable, 1, 100) > 0 && (writable.revents & POLLHUP) == 0)
    ::send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  pollfd hung_up{descriptor, 0, 0};
  EXPECT_EQ(::poll(&hung_up, 1, RawClient::kAnswerMs), 1);
  EXPECT_NE(daemon_->log().find("reading of its answers"), std::string::npos) << daemon_->log();
}

TEST_F(HostileTest, sessions_past_the_limit_are_told_so) {
  start({"--max-sessions", "8"});
  std::vector<RawClient> crowd;
  for (int i = 0; i < 7; ++i) crowd.push_back(open());
  RawClient late = connect();
  late.send(late.hello(), 1);
  expect_ended(late, LMCD_E_LIMIT, "max-sessions");
  std::vector<RawClient> strangers;
  for (int i = 0; i < 300; ++i) strangers.push_back(connect());
  good_->settle();
  EXPECT_GT(metric("sessions_refused_total"), 0u);
  crowd.clear();
  strangers.clear();
  while (metric("sessions") != 1) good_->settle();
  RawClient again = open();
  again.settle();
}

TEST_F(HostileTest, a_silent_crowd_keeps_nobody_waiting_who_speaks) {
  start();
  constexpr int kCrowd = 1162;
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit enough{2 * kCrowd, 2 * kCrowd};
    ::setrlimit(RLIMIT_NOFILE, &enough);
    std::vector<std::optional<RawClient>> crowd;
    while (crowd.size() < kCrowd) crowd.emplace_back(RawClient::connect(daemon_->socket()));
    if (::write(ready[1], "1", 1) != 1) std::_Exit(1);
    for (;;) ::pause();
  }
  ::close(ready[1]);
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  auto fastest = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 20; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    open().settle();
    fastest = std::min(fastest, std::chrono::steady_clock::now() - begin);
  }
  EXPECT_LT(fastest, std::chrono::milliseconds(100));
  EXPECT_GT(metric("sessions_refused_total"), 0u);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
}

TEST_F(HostileTest, running_out_of_descriptors_turns_clients_away_and_passes) {
  daemon_.emplace();
  daemon_->limit_descriptors(48);
  ASSERT_TRUE(daemon_->start()) << daemon_->log();
  good_.emplace(open());
  space_ = good_->open_space();
  store(*good_, 1);
  std::vector<RawClient> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(connect());
  good_->settle();
  while (metric("sessions_refused_total") == 0) good_->settle();
  EXPECT_NE(daemon_->log().find("no descriptors left"), std::string::npos) << daemon_->log();
  crowd.clear();
  for (int i = 0; i < 10'000; ++i) {
    std::optional<RawClient> client = RawClient::open(daemon_->socket());
    if (client) return;
  }
  FAIL() << "nobody is let in any more";
}

TEST_F(HostileTest, descriptors_where_none_belong_are_closed) {
  start();
  FileDescriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int number = null.get();
  RawClient client = open();
  client.send(wire::Ping{}, 5, std::span(&number, 1));
  expect_ended(client, LMCD_E_PROTOCOL, "descriptors");
  RawClient loud = open();
  std::vector<std::byte> bytes;
  wire::encode(wire::Ping{}, 5, 0, bytes);
  loud.send_bytes(bytes, std::span(&number, 1));
  expect_ended(loud, LMCD_E_PROTOCOL, "descriptors");
}

TEST_F(HostileTest, segments_that_are_none_are_refused) {
  start();
  RawClient client = open();
  const lmcd_page_t page{0, 4096, 4096, 4096, 1, 1, 0};
  wire::SegmentOpen message;
  message.length = 4096;
  message.pages = std::span(&page, 1);
  EXPECT_EQ(client.ask(message).fault(), LMCD_E_INVALID);  // without its descriptor
  FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  int number = null.get();
  EXPECT_NE(client.ask(message, std::span(&number, 1)).fault(), LMCD_OK);
  FileDescriptor small(::memfd_create("small", MFD_CLOEXEC));
  number = small.get();
  EXPECT_NE(client.ask(message, std::span(&number, 1)).fault(), LMCD_OK);
  client.settle();
}

// -- Memory ----------------------------------------------------------------------------------

class ShortenedTest : public HostileTest {
 protected:
  // Opens the file behind a shared mapping of the daemon anew, as its user can.
  FileDescriptor reach(const char* which) {
    for (const auto& entry : std::filesystem::directory_iterator("/dev/shm")) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with("lmcd_" + daemon_->identity()) && name.ends_with(which))
        return FileDescriptor(::open(entry.path().c_str(), O_RDWR | O_CLOEXEC));
    }
    ADD_FAILURE() << "no " << which;
    return {};
  }

  // The daemon goes on, under another incarnation; the old session is over.
  void expect_renewal() {
    const uint64_t before = good_->welcome().incarnation_low;
    for (int i = 0; i < 100'000 && good_->ask(wire::Ping{}).is(wire::Done::kOpcode); ++i) {
    }
    EXPECT_TRUE(good_->closed());
    good_.reset();
    good_.emplace(open());
    EXPECT_NE(good_->welcome().incarnation_low, before);
    EXPECT_NE(daemon_->log().find("incarnation.lost"), std::string::npos) << daemon_->log();
    space_ = good_->open_space();
    EXPECT_EQ(good_->acquire(space_, key_of(1), 1).outcome, uint32_t{LMCD_ABSENT});
    store(*good_, 1);
  }
};

TEST_F(ShortenedTest, a_shortened_arena_costs_the_incarnation_only) {
  start();
  ASSERT_EQ(::ftruncate(reach("_arena").get(), 4096), 0);
  expect_renewal();
}

TEST_F(ShortenedTest, a_shortened_ledger_costs_the_incarnation_only) {
  start();
  ASSERT_EQ(::ftruncate(reach("_ledger").get(), 4096), 0);
  expect_renewal();
}

TEST_F(ShortenedTest, a_scribbled_ledger_is_not_believed_by_the_next_daemon) {
  start();
  for (uint64_t i = 2; i < 20; ++i) store(*good_, i);
  FileDescriptor ledger = reach("_ledger");
  good_.reset();
  daemon_->end(SIGKILL);
  std::vector<uint8_t> noise(65536);
  for (std::size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<uint8_t>(i * 31 + i / 256);
  struct stat facts;
  ::fstat(ledger.get(), &facts);
  for (off_t at = 4096; at < facts.st_size; at += 1 << 20)
    ASSERT_GT(::pwrite(ledger.get(), noise.data(), noise.size(), at), 0);
  ASSERT_TRUE(daemon_->start()) << daemon_->log();
  good_.emplace(open());
  space_ = good_->open_space("after the noise");
  store(*good_, 1);
}

}  // namespace
}  // namespace lmcd::e2e
