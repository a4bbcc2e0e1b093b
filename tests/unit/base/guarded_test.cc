// Memory that is truncated under a copy costs the copy, never the process: memfds are really
// shortened, also while several threads write to them. What is not ours goes to whom it belongs:
// proved in child processes.
#include "lib/base/guarded.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <latch>
#include <thread>
#include <vector>

#include "lib/base/bytes.h"

namespace lmcd {
namespace {

constexpr uint64_t kPage = 4096;

FileDescriptor memory(uint64_t length) {
  FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
  EXPECT_EQ(ftruncate(file.get(), static_cast<off_t>(length)), 0);
  return file;
}

void shorten(const FileDescriptor& file, uint64_t length) {
  ASSERT_EQ(ftruncate(file.get(), static_cast<off_t>(length)), 0);
}

GuardedRegion region(const FileDescriptor& file, uint64_t length,
                     Access access = Access::kReadWrite) {
  return std::move(GuardedRegion::map(file.get(), length, access).value());
}

// Runs `body` in a child; returns its wait status.
int in_child(std::function<void()> body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return status;
}

TEST(Guarded, whole_memory_is_shared_and_not_lost) {
  FileDescriptor file = memory(2 * kPage);
  GuardedRegion shared = region(file, 2 * kPage);
  std::memset(shared.address(), 7, 2 * kPage);
  char byte = 0;
  ASSERT_EQ(pread(file.get(), &byte, 1, kPage + 5), 1);
  EXPECT_EQ(byte, 7);
  EXPECT_FALSE(shared.lost());
}

TEST(Guarded, a_read_past_the_end_gives_zeros_and_marks_the_region) {
  FileDescriptor file = memory(8 * kPage);
  GuardedRegion shared = region(file, 8 * kPage);
  std::memset(shared.address(), 7, 8 * kPage);
  shorten(file, 2 * kPage);
  std::vector<std::byte> copy(8 * kPage, std::byte{9});
  std::memcpy(copy.data(), shared.address(), copy.size());
  EXPECT_TRUE(shared.lost());
  EXPECT_EQ(copy[2 * kPage - 1], std::byte{7});
  EXPECT_EQ(copy[2 * kPage], std::byte{0});
  EXPECT_EQ(copy[8 * kPage - 1], std::byte{0});
}

TEST(Guarded, a_write_past_the_end_goes_nowhere_and_pages_before_it_stay_shared) {
  FileDescriptor file = memory(4 * kPage);
  GuardedRegion shared = region(file, 4 * kPage);
  shorten(file, kPage);
  std::memset(shared.address(), 5, 4 * kPage);
  EXPECT_TRUE(shared.lost());
  shorten(file, 4 * kPage);
  char bytes[2] = {};
  ASSERT_EQ(pread(file.get(), bytes, 2, kPage - 1), 2);
  EXPECT_EQ(bytes[0], 5);
  EXPECT_EQ(bytes[1], 0);
}

TEST(Guarded, a_lost_region_says_nothing_of_its_neighbours) {
  FileDescriptor one = memory(2 * kPage), other = memory(2 * kPage);
  GuardedRegion a = region(one, 2 * kPage), b = region(other, 2 * kPage);
  shorten(one, 0);
  volatile std::byte* byte = a.address();
  (void)*byte;
  EXPECT_TRUE(a.lost());
  EXPECT_FALSE(b.lost());
  GuardedRegion moved = std::move(a);
  EXPECT_TRUE(moved.lost());
}

TEST(Guarded, a_region_made_where_a_lost_one_was_is_whole) {
  FileDescriptor gone = memory(kPage), fresh = memory(kPage);
  {
    GuardedRegion lost = region(gone, kPage);
    shorten(gone, 0);
    std::memset(lost.address(), 1, kPage);
    EXPECT_TRUE(lost.lost());
  }
  EXPECT_FALSE(region(fresh, kPage).lost());
}

TEST(Guarded, a_read_only_region_survives_too) {
  FileDescriptor file = memory(2 * kPage);
  GuardedRegion shared = region(file, 2 * kPage, Access::kReadOnly);
  shorten(file, 0);
  const std::byte byte = *static_cast<volatile std::byte*>(shared.address() + kPage);
  EXPECT_EQ(byte, std::byte{0});
  EXPECT_TRUE(shared.lost());
}

TEST(Guarded, threads_that_write_while_the_file_shrinks_all_come_back) {
  constexpr int kThreads = 4, kRounds = 50;
  constexpr uint64_t kLength = 256 * kPage;
  for (int round = 0; round < kRounds; ++round) {
    FileDescriptor file = memory(kLength);
    GuardedRegion shared = region(file, kLength);
    std::latch start(kThreads + 1);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t)
      threads.emplace_back([&, t] {
        start.arrive_and_wait();
        const uint64_t share = kLength / kThreads;
        std::memset(shared.address() + share * static_cast<uint64_t>(t), t, share);
      });
    start.arrive_and_wait();
    shorten(file, kLength / 8);
    for (auto& thread : threads) thread.join();
    // The last page is written by somebody, so it was met either before or after.
    std::memset(shared.address() + kLength - kPage, 1, kPage);
    EXPECT_TRUE(shared.lost());
  }
}

TEST(Guarded, regions_come_and_go_while_others_fault) {
  std::atomic<bool> stop{false};
  std::thread churn([&] {
    FileDescriptor file = memory(kPage);
    while (!stop.load()) EXPECT_FALSE(region(file, kPage).lost());
  });
  for (int round = 0; round < 500; ++round) {
    FileDescriptor file = memory(4 * kPage);
    GuardedRegion shared = region(file, 4 * kPage);
    shorten(file, kPage);
    std::memset(shared.address(), 1, 4 * kPage);
    EXPECT_TRUE(shared.lost());
  }
  stop.store(true);
  churn.join();
}

TEST(Guarded, populating_what_was_cut_off_is_an_error_and_no_signal) {
  FileDescriptor file = memory(4 * kPage);
  GuardedRegion shared = region(file, 4 * kPage);
  shorten(file, kPage);
  if (madvise(shared.address(), kPage, MADV_POPULATE_WRITE) != 0 && errno == EINVAL)
    GTEST_SKIP() << "this kernel lacks MADV_POPULATE_WRITE (Linux 5.14)";
  EXPECT_EQ(madvise(shared.address(), 4 * kPage, MADV_POPULATE_WRITE), -1);
  EXPECT_EQ(errno, EFAULT);
  EXPECT_FALSE(shared.lost());
}

// Touches a mapping that is cut off and guarded by nobody, beside one that is.
void fault_elsewhere() {
  FileDescriptor guarded = memory(kPage), bare = memory(kPage);
  GuardedRegion shared = region(guarded, kPage);
  void* address = mmap(nullptr, kPage, PROT_READ, MAP_SHARED, bare.get(), 0);
  shorten(bare, 0);
  (void)*static_cast<volatile char*>(address);
}

void exit_42(int) { _exit(42); }
void exit_43(int, siginfo_t*, void*) { _exit(43); }

// "threadsafe" death tests run in a fresh process, where no region was ever made.
struct GuardedDeathTest : testing::Test {
  void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(GuardedDeathTest, a_fault_elsewhere_reaches_the_handler_found_before) {
  EXPECT_EXIT((signal(SIGBUS, exit_42), fault_elsewhere()), testing::ExitedWithCode(42), "");
  struct sigaction action {};
  action.sa_sigaction = exit_43;
  action.sa_flags = SA_SIGINFO;
  EXPECT_EXIT((sigaction(SIGBUS, &action, nullptr), fault_elsewhere()), testing::ExitedWithCode(43),
              "");
}

TEST_F(GuardedDeathTest, a_fault_elsewhere_kills_where_there_was_no_handler) {
  EXPECT_EXIT((signal(SIGBUS, SIG_DFL), fault_elsewhere()), testing::KilledBySignal(SIGBUS), "");
}

TEST_F(GuardedDeathTest, a_signal_somebody_sent_kills_or_is_ignored_as_before) {
  auto mapped_then_sent = [](sighandler_t before) {
    signal(SIGBUS, before);
    FileDescriptor file = memory(kPage);
    GuardedRegion shared = region(file, kPage);
    raise(SIGBUS);
    _exit(7);
  };
  EXPECT_EXIT(mapped_then_sent(SIG_DFL), testing::KilledBySignal(SIGBUS), "");
  EXPECT_EXIT(mapped_then_sent(SIG_IGN), testing::ExitedWithCode(7), "");
}

TEST_F(GuardedDeathTest, a_signal_somebody_sent_is_no_fault_whatever_address_it_names) {
  auto told_of_an_address = [] {
    signal(SIGBUS, SIG_IGN);
    FileDescriptor file = memory(kPage);
    GuardedRegion shared = region(file, kPage);
    siginfo_t forged{};
    forged.si_code = SI_QUEUE;
    forged.si_addr = shared.address();
    if (syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &forged) != 0) _exit(1);
    _exit(shared.lost() ? 2 : 7);
  };
  EXPECT_EXIT(told_of_an_address(), testing::ExitedWithCode(7), "");
}

TEST(Guarded, a_child_has_zeros_of_its_own_where_the_regions_were) {
  FileDescriptor file = memory(2 * kPage), other = memory(kPage);
  GuardedRegion shared = region(file, 2 * kPage);
  GuardedRegion read_only = region(other, kPage, Access::kReadOnly);
  std::memset(shared.address(), 7, 2 * kPage);
  const int status = in_child([&] {
    if (!shared.lost() || !read_only.lost()) _exit(1);
    if (shared.address()[kPage] != std::byte{0} || read_only.address()[0] != std::byte{0}) _exit(2);
    shared.address()[kPage] = std::byte{9};
    // Its own child inherits them like any memory.
    const int inner = in_child([&] {
      if (shared.address()[kPage] != std::byte{9}) _exit(3);
    });
    if (inner != 0) _exit(4);
  });
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
  EXPECT_FALSE(shared.lost());
  EXPECT_EQ(shared.address()[kPage], std::byte{7});
}

TEST(Guarded, a_child_neither_unmaps_nor_guards_the_regions_of_its_parent) {
  FileDescriptor file = memory(kPage), own = memory(kPage);
  GuardedRegion shared = region(file, kPage);
  const int status = in_child([&] {
    // Something of the child's own at the same address must not be taken for the region.
    void* address =
        mmap(shared.address(), kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, own.get(), 0);
    if (address != shared.address()) _exit(1);
    GuardedRegion inherited = std::move(shared);
    inherited = GuardedRegion();
    *static_cast<volatile char*>(address) = 1;  // still mapped
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_FALSE(shared.lost());
}

TEST(Guarded, the_limit_is_named) {
  FileDescriptor file = memory(kPage);
  std::vector<GuardedRegion> regions;
  for (uint32_t i = 0; i < kGuardedRegions; ++i) {
    auto mapped = GuardedRegion::map(file.get(), kPage, Access::kReadWrite);
    ASSERT_TRUE(mapped.ok()) << i;
    regions.push_back(std::move(mapped.value()));
  }
  auto refused = GuardedRegion::map(file.get(), kPage, Access::kReadWrite);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), LMCD_E_LIMIT);
}

TEST(Guarded, a_descriptor_that_cannot_be_mapped_is_named) {
  auto refused = GuardedRegion::map(1 << 20, kPage, Access::kReadWrite);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.status().code(), LMCD_E_IO);
}

TEST(Guarded, it_is_known_when_somebody_else_took_the_signal) {
  FileDescriptor file = memory(kPage);
  GuardedRegion shared = region(file, kPage);
  EXPECT_TRUE(guard_in_force());
  struct sigaction other {
  }, ours;
  other.sa_handler = SIG_DFL;
  ASSERT_EQ(sigaction(SIGBUS, &other, &ours), 0);
  EXPECT_FALSE(guard_in_force());
  ASSERT_EQ(sigaction(SIGBUS, &ours, nullptr), 0);
}

}  // namespace
}  // namespace lmcd
