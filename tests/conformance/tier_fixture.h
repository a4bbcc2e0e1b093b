// One tier under a clock and workers that are turned by hand: what the tests of tiers share.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <ostream>
#include <random>
#include <string>
#include <vector>

#include "daemon/tier/registry.h"
#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"
#include "lib/base/manual_worker_pool.h"
#include "tests/scratch_directory.h"

namespace lmcd::tier {

using Buffer = std::vector<std::byte>;
using Completion = Tier::Completion;

inline constexpr uint64_t kCapacity = kMiB;

inline Buffer pattern(std::size_t length, uint64_t seed) {
  Buffer bytes(length);
  std::mt19937_64 random(seed);
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
  return bytes;
}

inline lmcd_tier_record_t record_of(uint8_t number, std::size_t length, const char* tenant = "") {
  lmcd_tier_record_t record{};
  record.key.bytes[0] = number;
  record.key.bytes[31] = 0xaa;
  record.fingerprint.bytes[5] = 0x55;
  record.length = length;
  std::strncpy(record.tenant, tenant, sizeof record.tenant - 1);
  return record;
}

inline Tier::Name name_of(const lmcd_tier_record_t& record) { return {record.key, record.part}; }

// Keeps what an operation ended with, and sees that it ends once.
struct Answer {
  Tier::Done take() {
    return [this](const Completion& end) {
      ++count;
      completion = end;
    };
  }
  bool is(uint32_t outcome) const {
    return count == 1 && completion.code == LMCD_OK && completion.outcome == outcome;
  }
  bool is_fault(lmcd_code_t code) const { return count == 1 && completion.code == code; }

  int count = 0;
  Completion completion{};
};

// A tier that a test opens, closes and opens again.
struct OpenedTier {
  OpenedTier() : loop(std::move(Loop::make(clock).value())) {}
  ~OpenedTier() { close(); }

  void open(const config::Adapter& adapter) {
    Result<std::unique_ptr<Tier>> opened = open_tier(adapter, *loop, pool);
    ASSERT_TRUE(opened.ok()) << opened.status().text();
    tier = std::move(opened.value());
  }
  void close() {
    if (!tier) return;
    tier->cancel();
    settle();
    tier.reset();
  }

  void turn() { ASSERT_TRUE(loop->turn(Loop::Wait::kNot).ok()); }
  void pass_ms(uint64_t by) {
    clock.advance_ms(by);
    turn();
  }
  // Until nothing is in flight; a tier that hangs fails. The clock runs for as long as it takes a
  // tier of the test's own time to end, then real time counts, for those with threads.
  void settle() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    for (int step = 0; !tier->idle(); ++step) {
      pool.run_all();
      step < 100'000 ? pass_ms(1) : turn();
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "it hangs";
    }
  }

  // The same without the clock.
  void settle_at_once() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!tier->idle() && std::chrono::steady_clock::now() < end) {
      pool.run_all();
      turn();
    }
  }

  Answer put(const lmcd_tier_record_t& record, const Buffer& bytes) {
    Answer answer;
    EXPECT_TRUE(tier->put(record, Tier::Checksum::kUnknown, bytes, 0, answer.take()).ok());
    settle();
    return answer;
  }
  Answer get(const Tier::Name& name, Buffer& bytes) {
    Answer answer;
    EXPECT_TRUE(tier->get(name, bytes, 0, answer.take()).ok());
    settle();
    return answer;
  }
  Answer exists(const Tier::Name& name) {
    Answer answer;
    EXPECT_TRUE(tier->exists(name, 0, answer.take()).ok());
    settle();
    return answer;
  }
  Answer remove(const Tier::Name& name) {
    Answer answer;
    EXPECT_TRUE(tier->remove(name, 0, answer.take()).ok());
    settle();
    return answer;
  }

  ManualClock clock;
  std::unique_ptr<Loop> loop;
  ManualWorkerPool pool;
  std::unique_ptr<Tier> tier;
};

// Has a child open the tier and put records 1, 2, ... until it is killed, after `count` of them
// were answered. Returns the last number that was: `count`, or fewer when the child failed.
inline uint8_t put_until_killed(const config::Adapter& adapter, std::size_t length, int count) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t child = fork();
  if (child == 0) {
    OpenedTier daemon;
    daemon.open(adapter);
    for (uint8_t n = 1;; ++n) {
      daemon.put(record_of(n, length, "alice"), pattern(length, n));
      if (write(ends[1], &n, 1) != 1) _exit(1);
    }
  }
  close(ends[1]);
  uint8_t stored = 0;
  for (int n = 0; n < count && read(ends[0], &stored, 1) == 1; ++n) {
  }
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ends[0]);
  return stored;
}

}  // namespace lmcd::tier
