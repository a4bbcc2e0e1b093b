// The supervisor's protocol, spoken with a socket that plays systemd: what it is told, what it is
// given to keep, and what it passed to us. Each test runs where environment and descriptors are
// its own: in a fresh process, or with variables that are set and must be gone afterwards.
#include "lib/base/supervisor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "lib/base/fd_passing.h"
#include "tests/scratch_directory.h"

namespace lmcd {
namespace {

struct SupervisorTest : testing::Test {
  void SetUp() override {
    for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID",
                             "LISTEN_FDS", "LISTEN_FDNAMES"})
      unsetenv(name);
  }
  void TearDown() override { SetUp(); }

  // Binds systemd's end; `address` is as in NOTIFY_SOCKET.
  void listen(const std::string& address) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.data(), address.size());
    if (address[0] == '@') name.sun_path[0] = 0;
    ear.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    ASSERT_EQ(bind(ear.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
    setenv("NOTIFY_SOCKET", address.c_str(), 1);
  }
  std::string heard() {
    std::byte buffer[512];
    auto passage = receive_with_descriptors(ear.get(), buffer, kept);
    return {reinterpret_cast<char*>(buffer), passage.value().bytes};
  }

  ScratchDirectory scratch;
  FileDescriptor ear;
  DescriptorBatch kept;
};

TEST_F(SupervisorTest, nobody_supervises_and_nothing_fails) {
  Supervisor nobody = std::move(Supervisor::from_environment().value());
  EXPECT_FALSE(nobody.keeps());
  EXPECT_EQ(nobody.watchdog_ms(), 0u);
  EXPECT_TRUE(nobody.ready().ok());
  EXPECT_TRUE(nobody.store("x", 0).ok());
  EXPECT_FALSE(nobody.take("x").valid());
}

TEST_F(SupervisorTest, readiness_stop_and_life_are_told) {
  for (const std::string& address :
       {scratch / "notify", "@lmcd-test-" + std::to_string(getpid())}) {
    listen(address);
    Supervisor supervisor = std::move(Supervisor::from_environment().value());
    EXPECT_TRUE(supervisor.keeps());
    EXPECT_TRUE(supervisor.ready().ok());
    EXPECT_EQ(heard(), "READY=1");
    EXPECT_TRUE(supervisor.watchdog().ok());
    EXPECT_EQ(heard(), "WATCHDOG=1");
    EXPECT_TRUE(supervisor.stopping().ok());
    EXPECT_EQ(heard(), "STOPPING=1");
    EXPECT_EQ(getenv("NOTIFY_SOCKET"), nullptr);
  }
}

TEST_F(SupervisorTest, a_descriptor_is_stored_by_name_and_forgotten) {
  listen(scratch / "notify");
  Supervisor supervisor = std::move(Supervisor::from_environment().value());
  FileDescriptor memory(memfd_create("kv", MFD_CLOEXEC));
  ASSERT_EQ(write(memory.get(), "kv", 2), 2);
  ASSERT_TRUE(supervisor.store("lmcd_1_arena", memory.get()).ok());
  EXPECT_EQ(heard(), "FDSTORE=1\nFDNAME=lmcd_1_arena");
  ASSERT_EQ(kept.count, 1u);
  char content[2];
  EXPECT_EQ(pread(kept.items[0].get(), content, 2, 0), 2);
  ASSERT_TRUE(supervisor.forget("lmcd_1_arena").ok());
  EXPECT_EQ(heard(), "FDSTOREREMOVE=1\nFDNAME=lmcd_1_arena");
  for (const char* bad : {"", "a:b", "a b", "a\nREADY=1"})
    EXPECT_EQ(supervisor.store(bad, memory.get()).code(), LMCD_E_INVALID) << bad;
}

TEST_F(SupervisorTest, a_supervisor_that_does_not_read_never_blocks_the_watchdog) {
  listen(scratch / "notify");
  Supervisor supervisor = std::move(Supervisor::from_environment().value());
  for (int i = 0; i < 5000; ++i) ASSERT_TRUE(supervisor.watchdog().ok());
}

TEST_F(SupervisorTest, the_watchdog_of_another_process_is_not_ours) {
  setenv("WATCHDOG_USEC", "3000000", 1);
  EXPECT_EQ(Supervisor::from_environment().value().watchdog_ms(), 3000u);
  setenv("WATCHDOG_USEC", "3000000", 1);
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_EQ(Supervisor::from_environment().value().watchdog_ms(), 0u);
}

TEST_F(SupervisorTest, variables_without_sense_are_named) {
  setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(Supervisor::from_environment().status().text(),
            "WATCHDOG_USEC is \"soon\": want microseconds");
  setenv("NOTIFY_SOCKET", "relative", 1);
  EXPECT_EQ(Supervisor::from_environment().status().code(), LMCD_E_INVALID);
  setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
  setenv("LISTEN_FDS", "1000", 1);
  EXPECT_EQ(Supervisor::from_environment().status().text(),
            "LISTEN_FDS is \"1000\": want a number up to 64");
  setenv("NOTIFY_SOCKET", "/nobody/listens/here", 1);
  EXPECT_EQ(Supervisor::from_environment().status().text(),
            "connect to NOTIFY_SOCKET /nobody/listens/here: No such file or directory");
}

// Runs in a child, whose descriptors from 3 on are what it says they are.
TEST_F(SupervisorTest, inherited_descriptors_are_taken_by_name_once) {
  FileDescriptor first(memfd_create("a", 0)), second(memfd_create("b", 0));
  ASSERT_EQ(write(first.get(), "a", 1), 1);
  ASSERT_EQ(write(second.get(), "b", 1), 1);
  const pid_t child = fork();
  if (child == 0) {
    // Both are moved out of the way before they are put in their places.
    const int a = fcntl(first.get(), F_DUPFD, 100), b = fcntl(second.get(), F_DUPFD, 100);
    if (dup2(a, 3) != 3 || dup2(b, 4) != 4) _exit(1);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", "2", 1);
    setenv("LISTEN_FDNAMES", "lmcd.socket:lmcd_1_arena", 1);
    auto supervisor = Supervisor::from_environment();
    if (!supervisor.ok() || getenv("LISTEN_FDS")) _exit(2);
    FileDescriptor arena = supervisor.value().take("lmcd_1_arena");
    char content = 0;
    if (arena.get() != 4 || pread(4, &content, 1, 0) != 1 || content != 'b') _exit(3);
    if (fcntl(4, F_GETFD) != FD_CLOEXEC) _exit(4);
    if (supervisor.value().take("lmcd_1_arena").valid()) _exit(5);
    if (supervisor.value().take("other").valid()) _exit(6);
    if (supervisor.value().take("lmcd.socket").get() != 3) _exit(7);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(SupervisorTest, descriptors_meant_for_another_process_stay_untouched) {
  setenv("LISTEN_PID", "1", 1);
  setenv("LISTEN_FDS", "1", 1);
  EXPECT_FALSE(Supervisor::from_environment().value().take("").valid());
}

}  // namespace
}  // namespace lmcd
