// A slot is alive exactly as long as the process that locked it: real processes lock, fork, die
// and are asked about. Order is made by pipes, never by time.
#include "daemon/memory/liveness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>

#include "tests/scratch_directory.h"

namespace lmcd::memory {
namespace {

// A process that locks a slot, says so, and lives until it is killed.
class Client {
 public:
  Client(
      int file, uint32_t slot, std::function<void()> after = [] {}) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      struct flock lock {};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      lock.l_start = slot;
      lock.l_len = 1;
      const bool got = fcntl(file, F_SETLK, &lock) == 0;
      after();
      if (write(ends[1], got ? "y" : "n", 1) != 1) _exit(1);
      for (;;) pause();
    }
    char answer = 0;
    EXPECT_EQ(read(ends[0], &answer, 1), 1);
    locked = answer == 'y';
    close(ends[0]);
    close(ends[1]);
  }
  ~Client() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }
  bool locked = false;

 private:
  pid_t pid_;
};

struct LivenessTest : testing::Test {
  Liveness open(uint32_t slots = 8) {
    return std::move(Liveness::open(scratch / "liveness", slots).value());
  }
  ScratchDirectory scratch;
};

TEST_F(LivenessTest, a_slot_lives_and_dies_with_its_process) {
  Liveness liveness = open();
  const uint32_t slot = *liveness.allocate();
  EXPECT_FALSE(liveness.is_alive(slot));
  Client client(liveness.descriptor(), slot);
  ASSERT_TRUE(client.locked);
  EXPECT_TRUE(liveness.is_alive(slot));
  EXPECT_EQ(liveness.pid_of(slot), client.pid());
  EXPECT_FALSE(liveness.is_alive(slot + 1));
  client.kill();
  EXPECT_FALSE(liveness.is_alive(slot));
  EXPECT_EQ(liveness.pid_of(slot), 0);
}

TEST_F(LivenessTest, a_forked_child_does_not_keep_its_parent_alive) {
  Liveness liveness = open();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Client client(liveness.descriptor(), 0, [&] {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
      // Stays until the test ends: until the pipe has no writer but itself.
      close(ends[1]);
      char byte;
      (void)!read(ends[0], &byte, 1);
      _exit(0);
    }
    (void)parent;
  });
  EXPECT_TRUE(liveness.is_alive(0));
  client.kill();
  EXPECT_FALSE(liveness.is_alive(0));
  close(ends[1]);
  close(ends[0]);
}

TEST_F(LivenessTest, a_daemon_that_comes_later_sees_who_lives) {
  std::unique_ptr<Client> client;
  {
    Liveness first = open();
    client = std::make_unique<Client>(first.descriptor(), 3);
  }
  Liveness second = open();
  EXPECT_TRUE(second.is_alive(3));
  // The living one's slot is given to nobody, though the new book does not know it.
  std::set<uint32_t> given;
  while (auto slot = second.allocate()) given.insert(*slot);
  EXPECT_EQ(given, (std::set<uint32_t>{0, 1, 2, 4, 5, 6, 7}));
}

TEST_F(LivenessTest, two_processes_cannot_have_one_slot) {
  Liveness liveness = open();
  Client first(liveness.descriptor(), 2), second(liveness.descriptor(), 2);
  EXPECT_TRUE(first.locked);
  EXPECT_FALSE(second.locked);
}

TEST_F(LivenessTest, a_slot_that_is_held_is_not_given_again_until_all_holds_are_dropped) {
  Liveness liveness = open(2);
  EXPECT_TRUE(liveness.hold(0));  // of a record in the ledger
  EXPECT_EQ(liveness.allocate(), 1u);
  EXPECT_TRUE(liveness.hold(1));
  EXPECT_FALSE(liveness.allocate().has_value());
  liveness.drop(1);
  EXPECT_FALSE(liveness.allocate().has_value());
  liveness.drop(1);
  EXPECT_EQ(liveness.allocate(), 1u);
}

TEST_F(LivenessTest, slots_take_turns) {
  Liveness liveness = open(3);
  for (uint32_t expected : {0u, 1u, 2u, 0u}) {
    EXPECT_EQ(liveness.allocate(), expected);
    liveness.drop(expected);
  }
}

TEST_F(LivenessTest, slots_out_of_range_are_dead_and_cannot_be_held) {
  Liveness liveness = open(8);
  EXPECT_FALSE(liveness.hold(8));
  EXPECT_FALSE(liveness.is_alive(8));
  EXPECT_FALSE(liveness.is_alive(~0u));
  EXPECT_EQ(liveness.pid_of(~0u), 0);
}

TEST_F(LivenessTest, what_a_client_writes_or_cuts_off_changes_nothing) {
  Liveness liveness = open();
  Client client(liveness.descriptor(), 5);
  ASSERT_EQ(pwrite(liveness.descriptor(), "scribble", 8, 0), 8);
  EXPECT_TRUE(liveness.is_alive(5));
  ASSERT_EQ(ftruncate(liveness.descriptor(), 0), 0);
  EXPECT_TRUE(liveness.is_alive(5));
  EXPECT_FALSE(liveness.is_alive(4));
}

TEST_F(LivenessTest, the_file_stays_the_same_one) {
  const Liveness first = open(), second = open();
  EXPECT_EQ(first.device(), second.device());
  EXPECT_EQ(first.inode(), second.inode());
}

TEST_F(LivenessTest, a_directory_that_is_missing_is_named) {
  auto opened = Liveness::open(scratch / "no/liveness");
  EXPECT_EQ(opened.status().text(),
            "open the liveness file " + scratch.path() + "/no/liveness: No such file or directory");
}

}  // namespace
}  // namespace lmcd::memory
