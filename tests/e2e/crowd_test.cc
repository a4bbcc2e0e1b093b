// Proves that many processes at once get what was stored and nothing else, and that nothing is lost
// when some of them die: 64 processes reserve, write, commit, abort, acquire, read and release at
// random over the same keys in an arena too small for them; every third kills itself at some point,
// in the middle of a write of wrong bytes. Every byte that is read under a lease, or validates
// after it, is compared. At the end nothing is in quarantine, and after a clear the arena is as
// empty as at the start. LMCD_SEED replays the choices, not the order in which processes get their
// turns.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <deque>
#include <random>

#include "tests/e2e/daemon_process.h"
#include "tests/e2e/raw_client.h"

namespace lmcd::e2e {
namespace {

constexpr int kProcesses = 64;
constexpr int kSteps = 250;
constexpr uint64_t kKeys = 400;
constexpr std::size_t kHeldMost = 8;

// One process of the crowd. Its exit status tells which promise was broken; 0: none.
class Member {
 public:
  enum Status : int { kFine = 0, kNoSession, kNoAnswer, kWrongBytes, kLeaseBroken, kLateLie };

  Member(const std::string& socket, unsigned seed, bool dies)
      : client_(RawClient::open(socket)),
        random_(seed),
        last_step_(dies ? below(kSteps) : kSteps) {}

  [[noreturn]] void live() {
    if (!client_) std::_Exit(kNoSession);
    space_ = client_->open_space("crowd");
    for (uint64_t step = 0; step < last_step_; ++step) one_step();
    if (last_step_ < kSteps) die_writing();
    std::_Exit(kFine);
  }

 private:
  struct Held {
    uint64_t number;
    uint64_t lease;
    wire::Grant grant;
  };

  uint64_t below(uint64_t n) { return random_() % n; }
  // Of one size for each key: 1 byte to 64 KiB.
  static uint64_t bytes_of(uint64_t number) { return 1 + number * 2654435761 % 65536; }

  void one_step() {
    switch (below(8)) {
      case 0:
      case 1:
      case 2:
        return store(below(kKeys));
      case 3:
      case 4:
      case 5:
        return acquire(below(kKeys));
      case 6:
        return release_one();
      case 7:
        return read_late();
    }
  }

  void store(uint64_t number) {
    const uint64_t lease = next_lease_++;
    const wire::Grant grant = reserve(number, lease);
    if (grant.outcome != LMCD_RESERVED) return;
    if (below(4) == 0) return client_->post(wire::Abort{lease});
    client_->write(grant, key_of(number));
    client_->post(wire::Commit{lease, {}, {}});
  }

  wire::Grant reserve(uint64_t number, uint64_t lease) {
    const wire::Grant grant = client_->reserve(space_, key_of(number), bytes_of(number), lease);
    if (grant.outcome == LMCD_NONE) std::_Exit(kNoAnswer);
    return grant;
  }

  void acquire(uint64_t number) {
    if (held_.size() == kHeldMost) release_one();
    const uint64_t lease = next_lease_++;
    const wire::Grant grant =
        client_->acquire(space_, key_of(number), lease, below(4) == 0 ? 20 : 0);
    if (grant.outcome == LMCD_NONE) std::_Exit(kNoAnswer);
    if (grant.outcome != LMCD_LEASED) return;
    if (grant.length != bytes_of(number) || !client_->whole(grant, key_of(number)))
      std::_Exit(kWrongBytes);
    held_.push_back({number, lease, grant});
  }

  void release_one() {
    if (held_.empty()) return;
    const Held held = held_.front();
    held_.pop_front();
    if (!client_->whole(held.grant, key_of(held.number))) std::_Exit(kLeaseBroken);
    client_->post(wire::Release{held.lease});
    released_ = held;
  }

  // A word that is what it was says that the bytes are: it never comes again.
  void read_late() {
    if (released_.grant.length == 0) return;
    const bool whole = client_->whole(released_.grant, key_of(released_.number));
    const bool valid = client_->ledger().holds(released_.grant.record, released_.grant.word);
    if (valid && !whole) std::_Exit(kLateLie);
  }

  [[noreturn]] void die_writing() {
    for (uint64_t number = below(kKeys);; number = below(kKeys)) {
      const wire::Grant grant = reserve(number, next_lease_++);
      if (grant.outcome == LMCD_RESERVED) client_->write(grant, key_of(number + kKeys));
      if (below(3) == 0) ::kill(::getpid(), SIGKILL);
    }
  }

  std::optional<RawClient> client_;
  std::mt19937_64 random_;
  const uint64_t last_step_;
  uint32_t space_ = 0;
  uint64_t next_lease_ = 1;
  std::deque<Held> held_;
  Held released_{};
};

uint64_t metric(RawClient& client, const std::string& name) {
  const std::string text(client.ask(wire::Stats{}).as<wire::Text>().text);
  const std::size_t at = text.find("\"" + name + "\":");
  if (at == std::string::npos) ADD_FAILURE() << "no metric " << name;
  return std::strtoull(text.c_str() + at + name.size() + 3, nullptr, 10);
}

TEST(Crowd, reads_what_was_stored_and_leaves_nothing_behind) {
  const char* given = std::getenv("LMCD_SEED");
  const unsigned seed = given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10))
                                         : std::random_device{}();
  SCOPED_TRACE("LMCD_SEED=" + std::to_string(seed));
  DaemonProcess daemon({"--l1-size-gb", "0.0078125"});
  ASSERT_TRUE(daemon.start()) << daemon.log();
  std::vector<pid_t> crowd;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    if (child == 0) Member(daemon.socket(), seed + static_cast<unsigned>(i), i % 3 == 0).live();
    crowd.push_back(child);
  }
  for (int i = 0; i < kProcesses; ++i) {
    int status = 0;
    ASSERT_EQ(::waitpid(crowd[static_cast<std::size_t>(i)], &status, 0),
              crowd[static_cast<std::size_t>(i)]);
    if (i % 3 == 0)
      EXPECT_TRUE(WIFSIGNALED(status)) << "process " << i << ": " << status;
    else
      EXPECT_EQ(status, 0) << "process " << i << " saw " << WEXITSTATUS(status);
  }

  std::optional<RawClient> client = RawClient::open(daemon.socket());
  ASSERT_TRUE(client.has_value());
  EXPECT_GT(metric(*client, "committed_parts_total"), 0u);
  EXPECT_GT(metric(*client, "evicted_objects_total"), 0u);
  const auto wait_for = [&](const std::string& name, uint64_t value) {
    for (int i = 0; i < 100'000 && metric(*client, name) != value; ++i) client->settle();
  };
  wait_for("sessions", 1);  // its own: the ends of all others are taken in
  wait_for("quarantined_parts", 0);
  EXPECT_EQ(metric(*client, "quarantined_parts"), 0u);
  EXPECT_EQ(metric(*client, "read_leases"), 0u);
  EXPECT_EQ(metric(*client, "write_leases"), 0u);
  EXPECT_EQ(client->ask(wire::Clear{}).as<wire::Cleared>().kept, 0u);
  EXPECT_EQ(metric(*client, "free_bytes"), metric(*client, "arena_bytes"));
}

}  // namespace
}  // namespace lmcd::e2e
