// Proves that memory which clients register costs the daemon nothing but a refusal, whatever it is
// and whatever becomes of it: descriptors of other kinds, ranges outside of it, memory that is
// unlinked, shared or cut short under a copy, cancels without end, and clients that die in a copy.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "tests/e2e/daemon_process.h"
#include "tests/e2e/raw_client.h"

namespace lmcd::e2e {
namespace {

constexpr uint32_t kRun = 64 * 1024;
constexpr uint32_t kBlocks = 128;
constexpr uint64_t kBytes = uint64_t{kRun} * kBlocks;
constexpr lmcd_page_t kPage{0, kRun, kRun, kRun, 1, kBlocks, 0};

FileDescriptor shared_memory(uint64_t bytes = kBytes, unsigned flags = 0) {
  FileDescriptor memory(::memfd_create("kv", MFD_CLOEXEC | flags));
  EXPECT_EQ(::ftruncate(memory.get(), static_cast<off_t>(bytes)), 0);
  return memory;
}

class SegmentTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(daemon_.start()) << daemon_.log();
    good_.emplace(open());
  }

  // Nothing is left of what was tried, and the daemon is the one that was started.
  void TearDown() override {
    // A copy under way outlives its session, and holds its lease as long.
    const auto busy = [this] {
      return metric("sessions") != 1 || metric("write_leases") + metric("read_leases") != 0;
    };
    for (int i = 0; i < 100'000 && busy(); ++i) good_->settle();
    EXPECT_EQ(metric("sessions"), 1u) << daemon_.log();
    EXPECT_EQ(metric("write_leases"), 0u);
    EXPECT_EQ(metric("read_leases"), 0u);
    EXPECT_EQ(metric("reserved_bytes"), 0u);
    EXPECT_EQ(metric("quarantined_parts"), 0u);
    EXPECT_EQ(good_->ask(wire::Clear{}).as<wire::Cleared>().kept, 0u);
    EXPECT_EQ(metric("free_bytes"), metric("arena_bytes"));
    EXPECT_EQ(daemon_.log().find("incarnation.lost"), std::string::npos) << daemon_.log();
  }

  RawClient open() {
    std::optional<RawClient> client = RawClient::open(daemon_.socket());
    if (!client) ADD_FAILURE() << "no session: " << daemon_.log();
    return std::move(*client);
  }

  uint64_t metric(const std::string& name) {
    const std::string text(good_->ask(wire::Stats{}).as<wire::Text>().text);
    const std::size_t at = text.find("\"" + name + "\":");
    if (at == std::string::npos) return UINT64_MAX;
    return std::strtoull(text.c_str() + at + name.size() + 3, nullptr, 10);
  }

  static Reply open_segment(RawClient& client, int descriptor, uint64_t length = kBytes,
                            const lmcd_page_t& page = kPage) {
    wire::SegmentOpen message;
    message.length = length;
    message.pages = std::span(&page, 1);
    message.name = "kv";
    return client.ask(message, std::span(&descriptor, 1));
  }

  // `keys` items of one block each, from `block` on.
  template <typename Message>
  static Message transfer(uint64_t segment, uint32_t space, std::span<const lmcd_key_t> keys,
                          std::span<const uint32_t> blocks) {
    Message message;
    message.segment = segment;
    message.space = space;
    message.blocks_per_item = 1;
    message.keys = keys;
    message.block_ids = blocks;
    return message;
  }

  DaemonProcess daemon_{{"--max-workers", "2"}};
  std::optional<RawClient> good_;
};

TEST_F(SegmentTest, descriptors_of_other_kinds_are_refused) {
  RawClient client = open();
  int pipe_ends[2];
  int pair[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  const FileDescriptor writable = shared_memory();
  const FileDescriptor sealed = shared_memory(kBytes, MFD_ALLOW_SEALING);
  ASSERT_EQ(::fcntl(sealed.get(), F_ADD_SEALS, F_SEAL_WRITE), 0);
  const std::string path = "/proc/self/fd/" + std::to_string(writable.get());
  const std::pair<const char*, FileDescriptor> kinds[] = {
      {"a pipe", FileDescriptor(pipe_ends[0])},
      {"its other end", FileDescriptor(pipe_ends[1])},
      {"a socket", FileDescriptor(pair[0])},
      {"its other end", FileDescriptor(pair[1])},
      {"an eventfd", FileDescriptor(::eventfd(0, EFD_CLOEXEC))},
      {"a directory", FileDescriptor(::open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC))},
      {"a device", FileDescriptor(::open("/dev/zero", O_RDWR | O_CLOEXEC))},
      {"a program", FileDescriptor(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC))},
      {"a place", FileDescriptor(::open("/dev/shm", O_PATH | O_CLOEXEC))},
      {"read-only memory", FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC))},
      {"sealed memory", FileDescriptor(::dup(sealed.get()))},
  };
  for (const auto& [name, descriptor] : kinds) {
    ASSERT_TRUE(descriptor.valid()) << name;
    const Reply reply = open_segment(client, descriptor.get());
    EXPECT_TRUE(reply.is(wire::Fault::kOpcode)) << name;
    EXPECT_FALSE(reply.text().empty()) << name;
  }
  EXPECT_TRUE(open_segment(client, writable.get()).is(wire::SegmentOpened::kOpcode));
}

TEST_F(SegmentTest, ranges_outside_of_the_memory_are_refused) {
  RawClient client = open();
  const FileDescriptor memory = shared_memory();
  for (uint64_t length : {uint64_t{0}, kBytes + 1, kBytes * 2, uint64_t{1} << 62, ~uint64_t{0}})
    EXPECT_EQ(open_segment(client, memory.get(), length).fault(), LMCD_E_INVALID) << length;
  const uint64_t far = ~uint64_t{0};
  const lmcd_page_t pages[] = {
      {kBytes, kRun, kRun, kRun, 1, 1, 0},
      {far, kRun, kRun, kRun, 1, 1, 0},
      {0, kRun, kRun, kRun, 1, kBlocks + 1, 0},
      {0, far, kRun, kRun, 1, 2, 0},
      {0, kRun, far, kRun, 2, 1, 0},
      {1, kRun, kRun, kRun, 1, kBlocks, 0},
      {0, kRun, kRun, 0, 1, kBlocks, 0},
      {0, kRun, kRun, kRun, 0, kBlocks, 0},
      {0, kRun, kRun, kRun, 1, 0, 0},
      {0, 1, kRun, kRun, 1, kBlocks, 0},
      {0, kRun, kRun, 1, 1, kBlocks, 0},
      {0, kRun, kRun, ~0u, ~0u, ~0u, 0},
  };
  for (const lmcd_page_t& page : pages) {
    const Reply reply = open_segment(client, memory.get(), kBytes, page);
    EXPECT_EQ(reply.fault(), LMCD_E_INVALID) << "page " << &page - pages << ": " << reply.text();
  }

  const uint64_t segment = open_segment(client, memory.get()).as<wire::SegmentOpened>().segment;
  const uint32_t space = client.open_space();
  const lmcd_key_t key = key_of(1);
  const uint32_t outside[] = {kBlocks, ~0u};
  for (const uint32_t& block : outside) {
    EXPECT_EQ(client.ask(transfer<wire::Store>(segment, space, {&key, 1}, {&block, 1})).fault(),
              LMCD_E_INVALID);
    EXPECT_EQ(client.ask(transfer<wire::Load>(segment, space, {&key, 1}, {&block, 1})).fault(),
              LMCD_E_INVALID);
  }
  const uint32_t blocks[] = {0, 1};
  EXPECT_EQ(client.ask(transfer<wire::Store>(segment, space, {&key, 1}, blocks)).fault(),
            LMCD_E_INVALID);
  EXPECT_EQ(good_->ask(transfer<wire::Load>(segment, good_->open_space(), {&key, 1}, {blocks, 1}))
                .fault(),
            LMCD_E_NOT_FOUND)
      << "another session's segment";
}

TEST_F(SegmentTest, unlinked_and_shared_memory_keeps_its_bytes) {
  const std::string name = "/lmcd_kv_" + std::to_string(::getpid()) + "_0";
  FileDescriptor memory(::shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600));
  ASSERT_EQ(::ftruncate(memory.get(), kBytes), 0);
  auto* bytes = static_cast<uint8_t*>(
      ::mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0));
  for (uint64_t i = 0; i < kBytes; ++i) bytes[i] = static_cast<uint8_t>(i * 31 + i / kRun);
  const std::vector<uint8_t> original(bytes, bytes + kBytes);

  // Two sessions with the same memory, whose pages begin half a run apart.
  RawClient first = open();
  RawClient second = open();
  lmcd_page_t shifted = kPage;
  shifted.base = kRun / 2;
  shifted.block_count = kBlocks - 1;
  const uint64_t one = open_segment(first, memory.get()).as<wire::SegmentOpened>().segment;
  const uint64_t two =
      open_segment(second, memory.get(), kBytes, shifted).as<wire::SegmentOpened>().segment;
  ASSERT_EQ(::shm_unlink(name.c_str()), 0);
  memory.reset();

  const uint32_t space = first.open_space();
  ASSERT_EQ(second.open_space(), space);
  const uint32_t blocks[] = {3, 4};
  const lmcd_key_t keys[] = {key_of(1), key_of(2), key_of(3), key_of(4)};
  first.send(transfer<wire::Store>(one, space, {keys, 2}, blocks), 1000);
  second.send(transfer<wire::Store>(two, space, {keys + 2, 2}, blocks), 1000);
  for (RawClient* client : {&first, &second}) {
    const Reply reply = client->answer_to(1000);
    for (uint32_t outcome : reply.as<wire::Transferred>().outcomes)
      EXPECT_EQ(outcome, uint32_t{LMCD_STORED}) << reply.text();
  }
  std::fill_n(bytes, kBytes, uint8_t{0});
  ASSERT_EQ(first.ask(transfer<wire::Load>(one, space, {keys, 2}, blocks))
                .as<wire::Transferred>()
                .outcomes.size(),
            2u);
  EXPECT_EQ(std::memcmp(bytes + 3 * kRun, original.data() + 3 * kRun, 2 * kRun), 0);
  std::fill_n(bytes, kBytes, uint8_t{0});
  ASSERT_EQ(second.ask(transfer<wire::Load>(two, space, {keys + 2, 2}, blocks))
                .as<wire::Transferred>()
                .outcomes.size(),
            2u);
  EXPECT_EQ(
      std::memcmp(bytes + 3 * kRun + kRun / 2, original.data() + 3 * kRun + kRun / 2, 2 * kRun), 0);
  ::munmap(bytes, kBytes);
}

// Stores and loads all of its memory without waiting for answers, cuts it short and lets it grow
// again, cancels each transfer many times, and at last kills itself with copies under way.
TEST_F(SegmentTest, memory_cut_short_cancels_and_deaths_leave_nothing) {
  for (int round = 0; round < 6; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      std::optional<RawClient> client = RawClient::open(daemon_.socket());
      if (!client) std::_Exit(1);
      const FileDescriptor memory = shared_memory();
      const uint64_t segment =
          open_segment(*client, memory.get()).as<wire::SegmentOpened>().segment;
      const uint32_t space = client->open_space();
      std::vector<lmcd_key_t> keys;
      std::vector<uint32_t> blocks;
      for (uint32_t block = 0; block < kBlocks; ++block) {
        keys.push_back(key_of(static_cast<uint64_t>(round) * 1000 + block));
        blocks.push_back(block);
      }
      for (uint64_t request = 1000; request < 1030; ++request) {
        if (request % 2 == 0) {
          client->send(transfer<wire::Store>(segment, space, keys, blocks), request);
        } else {
          client->send(transfer<wire::Load>(segment, space, keys, blocks), request);
        }
        if (round % 2 == 1 && request % 8 == 5) {
          if (::ftruncate(memory.get(), kRun) != 0) std::_Exit(2);
          if (::ftruncate(memory.get(), kBytes) != 0) std::_Exit(2);
        }
        for (int i = 0; round >= 2 && i < 40; ++i)
          client->send(wire::Cancel{request}, 5000 + request * 100 + static_cast<uint64_t>(i));
      }
      if (round >= 4) client->settle();
      ::kill(::getpid(), SIGKILL);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status)) << round << ": " << status;
    good_->settle();
  }
}

}  // namespace
}  // namespace lmcd::e2e
