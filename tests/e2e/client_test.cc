// Proves that the client library and a real daemon do together what the headers promise, across
// the daemon's death: every byte that comes back is compared with what was written.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "include/lmcd_admin.h"
#include "lib/base/fd.h"
#include "tests/e2e/daemon_process.h"

namespace lmcd::e2e {
namespace {

constexpr uint64_t kBytes = 65'536;

// Asks again and again, for a bounded time, until the answer is yes.
bool until(const std::function<bool()>& yes) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (std::chrono::steady_clock::now() < end) {
    if (yes()) return true;
    std::this_thread::yield();
  }
  return false;
}

lmcd_key_t key_of(uint32_t number) {
  lmcd_key_t key;
  for (std::size_t i = 0; i < sizeof key.bytes; ++i)
    key.bytes[i] = static_cast<uint8_t>(number * 31 + i * 7 + 1);
  return key;
}

class ClientE2e : public testing::Test {
 protected:
  explicit ClientE2e(std::vector<std::string> options = {"--l1-read-ttl-seconds", "0.3"})
      : daemon(std::move(options)) {}
  ~ClientE2e() override {
    lmcd_mapping_close(mapping);
    lmcd_namespace_close(space);
    lmcd_session_close(session);
  }

  void start() { ASSERT_TRUE(daemon.start()) << daemon.log(); }
  void open() {
    const std::string path = daemon.socket();
    lmcd_session_options_t options{};
    options.struct_size = sizeof options;
    options.socket = path.c_str();
    options.name = "client_test";
    ASSERT_EQ(lmcd_session_open(&options, &session, &error), LMCD_OK) << error.text;
    lmcd_namespace_options_t meaning{};
    meaning.struct_size = sizeof meaning;
    meaning.description = "model: client_test";
    ASSERT_EQ(lmcd_namespace_open(session, &meaning, &space, &error), LMCD_OK) << error.text;
    ASSERT_EQ(lmcd_mapping_open(session, &mapping, &error), LMCD_OK) << error.text;
  }
  void reopen_mapping() {
    lmcd_mapping_close(std::exchange(mapping, nullptr));
    ASSERT_EQ(lmcd_mapping_open(session, &mapping, &error), LMCD_OK) << error.text;
  }
  bool reconnect() {
    return until([&] { return lmcd_ping(session, &error) == LMCD_OK; });
  }

  lmcd_grant_t reserve(uint32_t number, uint64_t* lease) {
    const lmcd_key_t key = key_of(number);
    lmcd_reserve_t request{};
    request.struct_size = sizeof request;
    request.count = 1;
    request.space = space;
    request.keys = &key;
    request.length = kBytes;
    lmcd_grant_t grant{};
    EXPECT_EQ(lmcd_reserve(session, &request, &grant, lease, &error), LMCD_OK) << error.text;
    return grant;
  }
  void store(uint32_t number) {
    uint64_t lease = 0;
    const lmcd_grant_t grant = reserve(number, &lease);
    ASSERT_EQ(grant.outcome, uint32_t{LMCD_RESERVED});
    auto* bytes = static_cast<uint8_t*>(lmcd_mapping_address(mapping, &grant));
    for (uint64_t i = 0; i < kBytes; ++i) bytes[i] = byte_of(number, i);
    ASSERT_EQ(lmcd_commit(session, lease, nullptr, nullptr, 0, &error), LMCD_OK) << error.text;
    ASSERT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  }
  // Whether the object comes back whole, by a lease that is asked for or posted.
  bool hits(uint32_t number, bool posted = false) {
    const lmcd_key_t key = key_of(number);
    lmcd_acquire_t request{};
    request.struct_size = sizeof request;
    request.count = 1;
    request.space = space;
    request.keys = &key;
    lmcd_grant_t grant{};
    uint64_t lease = 0;
    const auto acquire = posted ? lmcd_acquire_posted : lmcd_acquire;
    EXPECT_EQ(acquire(session, &request, &grant, &lease, &error), LMCD_OK) << error.text;
    if (grant.outcome != LMCD_LEASED) return false;
    const auto* bytes = static_cast<const uint8_t*>(lmcd_mapping_address(mapping, &grant));
    if (bytes == nullptr) return false;
    bool whole = grant.extent.length == kBytes;
    for (uint64_t i = 0; whole && i < kBytes; ++i) whole = bytes[i] == byte_of(number, i);
    uint8_t valid = 0;
    lmcd_validate(mapping, &grant, 1, &valid);
    EXPECT_EQ(lmcd_release(session, lease, &error), LMCD_OK) << error.text;
    return whole && valid == 1;
  }
  uint32_t looked_up(uint32_t number) {
    const lmcd_key_t key = key_of(number);
    lmcd_presence_t found{};
    EXPECT_EQ(lmcd_lookup(session, space, &key, 1, &found, &error), LMCD_OK) << error.text;
    return found.hot;
  }
  // The number after "name": in the statistics.
  uint64_t metric(const std::string& name) {
    lmcd_text_t* text = nullptr;
    EXPECT_EQ(lmcd_stats(session, &text, &error), LMCD_OK) << error.text;
    const std::string all(lmcd_text_bytes(text), lmcd_text_length(text));
    lmcd_text_close(text);
    const std::size_t at = all.find("\"" + name + "\":");
    if (at == std::string::npos) ADD_FAILURE() << "no metric " << name;
    return std::strtoull(all.c_str() + at + name.size() + 3, nullptr, 10);
  }

  static uint8_t byte_of(uint32_t number, uint64_t at) {
    return static_cast<uint8_t>(number * 13 + at + at / 251);
  }

  DaemonProcess daemon;
  lmcd_session_t* session = nullptr;
  lmcd_namespace_t* space = nullptr;
  lmcd_mapping_t* mapping = nullptr;
  lmcd_error_t error{};
};

class ColdClientE2e : public ClientE2e {
 protected:
  ColdClientE2e() : ClientE2e({"--cold"}) {}
};

TEST_F(ClientE2e, the_example_stores_and_reads_back) {
  start();
  for (const char* said : {"stored 4096 bytes\n", "already stored\n"}) {
    int out[2];
    ASSERT_EQ(pipe(out), 0);
    const pid_t child = fork();
    if (child == 0) {
      dup2(out[1], STDOUT_FILENO);
      close(out[0]);
      close(out[1]);
      execl(LMCD_HELLO, "hello", daemon.socket().c_str(), nullptr);
      _exit(127);
    }
    close(out[1]);
    std::string printed;
    char some[256];
    for (ssize_t n; (n = read(out[0], some, sizeof some)) > 0;)
      printed.append(some, static_cast<std::size_t>(n));
    close(out[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(printed, std::string(said) + "read back 4096 bytes, all of them right\n");
  }
}

TEST_F(ClientE2e, objects_are_found_again_after_the_daemon_was_killed) {
  start();
  open();
  for (uint32_t number = 0; number < 8; ++number) store(number);
  daemon.end(SIGKILL);
  EXPECT_EQ(looked_up(3), 1u) << "the ledger needs no daemon";
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  start();
  ASSERT_TRUE(reconnect()) << error.text;
  for (uint32_t number = 0; number < 8; ++number) EXPECT_TRUE(hits(number, number % 2 != 0));
  store(9);
  EXPECT_TRUE(hits(9));
}

TEST_F(ColdClientE2e, a_session_finds_the_new_arena_of_a_daemon_that_began_anew) {
  start();
  open();
  store(1);
  daemon.end(SIGKILL);
  start();
  // A look-up alone finds out that its ledger is void; a ping, that the connection is gone.
  EXPECT_EQ(looked_up(1), 0u);
  ASSERT_TRUE(reconnect()) << error.text;
  reopen_mapping();
  EXPECT_FALSE(hits(1));
  store(1);
  EXPECT_TRUE(hits(1));
  EXPECT_EQ(looked_up(1), 1u);
}

TEST_F(ClientE2e, a_stopped_daemon_keeps_nobody_from_reading) {
  start();
  open();
  store(1);
  kill(daemon.pid(), SIGSTOP);
  EXPECT_EQ(looked_up(1), 1u);
  EXPECT_TRUE(hits(1, true));
  kill(daemon.pid(), SIGCONT);
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
}

TEST_F(ClientE2e, what_was_being_written_is_free_once_its_writer_said_so) {
  start();
  open();
  uint64_t lease = 0;
  ASSERT_EQ(reserve(1, &lease).outcome, uint32_t{LMCD_RESERVED});
  daemon.end(SIGKILL);
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  start();
  ASSERT_TRUE(reconnect()) << error.text;
  EXPECT_EQ(metric("quarantined_parts"), 1u);
  EXPECT_EQ(lmcd_abort(session, lease, &error), LMCD_OK) << error.text;
  EXPECT_EQ(metric("quarantined_parts"), 0u);
}

TEST_F(ClientE2e, a_commit_that_the_daemon_did_not_live_to_read_leaks_nothing) {
  start();
  open();
  uint64_t lease = 0;
  ASSERT_EQ(reserve(1, &lease).outcome, uint32_t{LMCD_RESERVED});
  kill(daemon.pid(), SIGSTOP);
  EXPECT_EQ(lmcd_commit(session, lease, nullptr, nullptr, 0, &error), LMCD_OK) << error.text;
  daemon.end(SIGKILL);
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  start();
  ASSERT_TRUE(reconnect()) << error.text;
  EXPECT_EQ(metric("quarantined_parts"), 0u);
  EXPECT_FALSE(hits(1));
}

TEST_F(ClientE2e, leases_are_renewed_past_their_time_to_live) {
  start();
  open();
  store(1);
  const lmcd_key_t key = key_of(1);
  lmcd_acquire_t request{};
  request.struct_size = sizeof request;
  request.count = 1;
  request.space = space;
  request.keys = &key;
  lmcd_grant_t grant{};
  uint64_t lease = 0;
  ASSERT_EQ(lmcd_acquire(session, &request, &grant, &lease, &error), LMCD_OK) << error.text;
  // Three times its time to live: what was renewed is still leased, so a clear keeps it.
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(900);
  until([&] { return std::chrono::steady_clock::now() > end; });
  lmcd_selector_t all{};
  all.struct_size = sizeof all;
  lmcd_cleared_t cleared{};
  ASSERT_EQ(lmcd_clear(session, &all, 0, &cleared, &error), LMCD_OK) << error.text;
  EXPECT_EQ(cleared.kept, 1u);
  EXPECT_EQ(lmcd_release(session, lease, &error), LMCD_OK);
  ASSERT_EQ(lmcd_clear(session, &all, 0, &cleared, &error), LMCD_OK) << error.text;
  EXPECT_EQ(cleared.objects, 1u);
}

TEST_F(ClientE2e, a_forked_child_works_with_a_session_of_its_own) {
  start();
  open();
  store(1);
  const pid_t child = fork();
  if (child == 0) {
    if (lmcd_ping(session, &error) != LMCD_E_FORKED) _exit(1);
    lmcd_mapping_close(mapping);
    lmcd_namespace_close(space);
    lmcd_session_close(session);
    open();
    _exit(hits(1) ? 0 : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(hits(1));
}

TEST_F(ClientE2e, paged_blocks_go_there_and_back) {
  start();
  open();
  constexpr uint32_t kBlock = 8192;
  std::vector<uint8_t> tensor(16 * kBlock);
  for (std::size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<uint8_t>(i + i / kBlock);
  const std::vector<uint8_t> original = tensor;
  const lmcd_page_t page{reinterpret_cast<uintptr_t>(tensor.data()), kBlock, 0, kBlock, 1, 16, 0};
  const uint32_t blocks[] = {7, 2, 9, 4, 15, 0, 1, 12};
  uint64_t lease = 0;
  lmcd_grant_t grant = reserve(1, &lease);
  lmcd_paged_copy_t copy{};
  copy.struct_size = sizeof copy;
  copy.page_count = 1;
  copy.pages = &page;
  copy.grants = &grant;
  copy.block_ids = blocks;
  copy.count = 1;
  copy.blocks_per_item = 8;
  copy.threads = 2;
  copy.checksum = 1;
  uint32_t crc = 0;
  ASSERT_EQ(lmcd_gather(mapping, &copy, &crc, &error), LMCD_OK) << error.text;
  const uint32_t item = 0;
  ASSERT_EQ(lmcd_commit(session, lease, &item, &crc, 1, &error), LMCD_OK) << error.text;

  std::fill(tensor.begin(), tensor.end(), uint8_t{0});
  const lmcd_key_t key = key_of(1);
  lmcd_acquire_t request{};
  request.struct_size = sizeof request;
  request.count = 1;
  request.space = space;
  request.keys = &key;
  ASSERT_EQ(lmcd_acquire(session, &request, &grant, &lease, &error), LMCD_OK) << error.text;
  ASSERT_EQ(grant.outcome, uint32_t{LMCD_LEASED});
  EXPECT_EQ(grant.has_crc, 1u);
  uint8_t valid = 0;
  ASSERT_EQ(lmcd_scatter(mapping, &copy, &valid, &error), LMCD_OK) << error.text;
  EXPECT_EQ(valid, 1);
  for (uint32_t block : blocks)
    EXPECT_EQ(std::memcmp(&tensor[block * kBlock], &original[block * kBlock], kBlock), 0) << block;
  EXPECT_EQ(lmcd_release(session, lease, &error), LMCD_OK);
}

TEST_F(ClientE2e, the_daemon_copies_for_us) {
  start();
  open();
  constexpr uint32_t kRun = 4096;
  FileDescriptor memory(memfd_create("kv", MFD_CLOEXEC));
  ASSERT_EQ(ftruncate(memory.get(), 4 * kRun), 0);
  auto* kv = static_cast<uint8_t*>(
      mmap(nullptr, 4 * kRun, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0));
  for (uint32_t i = 0; i < 2 * kRun; ++i) kv[i] = static_cast<uint8_t>(i * 7 + i / kRun);
  const lmcd_page_t page{0, kRun, 0, kRun, 1, 4, 0};
  lmcd_segment_options_t options{};
  options.struct_size = sizeof options;
  options.page_count = 1;
  options.pages = &page;
  options.descriptor = memory.get();
  options.length = 4 * kRun;
  lmcd_segment_t* segment = nullptr;
  ASSERT_EQ(lmcd_segment_open(session, &options, &segment, &error), LMCD_OK) << error.text;

  const lmcd_key_t key = key_of(1);
  const uint32_t there[] = {0, 1};
  const uint32_t back[] = {3, 2};
  lmcd_transfer_t transfer{};
  transfer.struct_size = sizeof transfer;
  transfer.blocks_per_item = 2;
  transfer.keys.struct_size = sizeof transfer.keys;
  transfer.keys.count = 1;
  transfer.keys.space = space;
  transfer.keys.keys = &key;
  transfer.block_ids = there;
  uint32_t outcome = 0;
  lmcd_op_t* op = nullptr;
  ASSERT_EQ(lmcd_store_begin(segment, &transfer, &outcome, &op, &error), LMCD_OK) << error.text;
  EXPECT_EQ(lmcd_op_wait(op, 10'000, &error), LMCD_OK) << error.text;
  EXPECT_EQ(outcome, uint32_t{LMCD_STORED});
  lmcd_op_close(op);
  transfer.block_ids = back;
  ASSERT_EQ(lmcd_load_begin(segment, &transfer, &outcome, &op, &error), LMCD_OK) << error.text;
  EXPECT_EQ(lmcd_op_wait(op, 10'000, &error), LMCD_OK) << error.text;
  EXPECT_EQ(outcome, uint32_t{LMCD_LOADED});
  lmcd_op_close(op);
  EXPECT_EQ(std::memcmp(kv, kv + 3 * kRun, kRun), 0);
  EXPECT_EQ(std::memcmp(kv + kRun, kv + 2 * kRun, kRun), 0);
  lmcd_segment_close(segment);
  munmap(kv, 4 * kRun);
}

}  // namespace
}  // namespace lmcd::e2e
