// A slot is alive exactly as long as the process that locked it: real processes lock, fork, die
// and are asked about. Order is made by pipes, never by time.
#include "daemon/memory/liveness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

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
    return std::move(Liveness::open(scratch / "processes", slots).value());
  }
  std::string file_of(uint32_t slot) const {
    return scratch / ("processes/" + std::to_string(slot));
  }
  bool has_file(uint32_t slot) const { return access(file_of(slot).c_str(), F_OK) == 0; }
  ScratchDirectory scratch;
};

TEST_F(LivenessTest, a_slot_lives_and_dies_with_its_process) {
  Liveness liveness = open();
  const uint32_t slot = liveness.allocate().value();
  EXPECT_FALSE(liveness.is_alive(slot));
  Client client(liveness.descriptor(slot), slot);
  ASSERT_TRUE(client.locked);
  EXPECT_TRUE(liveness.is_alive(slot));
  EXPECT_EQ(liveness.pid_of(slot), client.pid());
  client.kill();
  EXPECT_FALSE(liveness.is_alive(slot));
  EXPECT_EQ(liveness.pid_of(slot), 0);
}

TEST_F(LivenessTest, a_forked_child_does_not_keep_its_parent_alive) {
  Liveness liveness = open();
  const uint32_t slot = liveness.allocate().value();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  Client client(liveness.descriptor(slot), slot, [&] {
    const pid_t child = fork();
    if (child == 0) {
      // Stays until the test ends: until the pipe has no writer but itself.
      close(ends[1]);
      char byte;
      (void)!read(ends[0], &byte, 1);
      _exit(0);
    }
  });
  EXPECT_TRUE(liveness.is_alive(slot));
  client.kill();
  EXPECT_FALSE(liveness.is_alive(slot));
  close(ends[1]);
  close(ends[0]);
}

TEST_F(LivenessTest, what_one_process_locks_says_nothing_of_another) {
  Liveness liveness = open();
  const uint32_t victim = liveness.allocate().value();
  const uint32_t hostile = liveness.allocate().value();
  // The whole of its own file, as far as a lock goes: the bytes of all slots.
  Client squatter(liveness.descriptor(hostile), hostile, [&] {
    struct flock all {};
    all.l_type = F_WRLCK;
    fcntl(liveness.descriptor(hostile), F_SETLK, &all);
  });
  EXPECT_FALSE(liveness.is_alive(victim));
  Client client(liveness.descriptor(victim), victim);
  EXPECT_TRUE(client.locked);
  client.kill();
  EXPECT_FALSE(liveness.is_alive(victim));
  EXPECT_TRUE(liveness.is_alive(hostile));
}

TEST_F(LivenessTest, locks_outside_of_the_book_do_not_use_slots_up) {
  Liveness liveness = open(2);
  std::vector<std::unique_ptr<Client>> squatters;
  for (int i = 0; i < 4; ++i) {
    const uint32_t slot = liveness.allocate().value();
    squatters.push_back(std::make_unique<Client>(liveness.descriptor(slot), slot));
    ASSERT_TRUE(squatters.back()->locked) << "the file of before is still in its place";
    liveness.drop(slot);
  }
}

TEST_F(LivenessTest, a_daemon_that_comes_later_sees_who_lives) {
  std::unique_ptr<Client> client;
  {
    Liveness first = open();
    for (int i = 0; i < 4; ++i) first.allocate().value();
    client = std::make_unique<Client>(first.descriptor(3), 3);
  }
  Liveness second = open();
  ASSERT_TRUE(second.hold(3));
  ASSERT_TRUE(second.hold(2));
  EXPECT_TRUE(second.is_alive(3));
  EXPECT_FALSE(second.is_alive(2));
  second.drop(3);
  second.drop(2);
  // The living one's slot is given to others last, though the new book does not know it.
  std::set<uint32_t> given;
  for (int i = 0; i < 7; ++i) given.insert(second.allocate().value());
  EXPECT_EQ(given, (std::set<uint32_t>{0, 1, 2, 4, 5, 6, 7}));
}

TEST_F(LivenessTest, two_processes_cannot_have_one_slot) {
  Liveness liveness = open();
  const uint32_t slot = liveness.allocate().value();
  Client first(liveness.descriptor(slot), slot), second(liveness.descriptor(slot), slot);
  EXPECT_TRUE(first.locked);
  EXPECT_FALSE(second.locked);
}

TEST_F(LivenessTest, a_slot_that_is_held_is_not_given_again_until_all_holds_are_dropped) {
  Liveness liveness = open(2);
  EXPECT_TRUE(liveness.hold(0));  // of a record in the ledger
  EXPECT_EQ(liveness.allocate().value(), 1u);
  EXPECT_TRUE(liveness.hold(1));
  EXPECT_EQ(liveness.allocate().status().code(), LMCD_E_LIMIT);
  liveness.drop(1);
  EXPECT_EQ(liveness.allocate().status().code(), LMCD_E_LIMIT);
  liveness.drop(1);
  EXPECT_EQ(liveness.allocate().value(), 1u);
}

TEST_F(LivenessTest, slots_take_turns) {
  Liveness liveness = open(3);
  for (uint32_t expected : {0u, 1u, 2u, 0u}) {
    EXPECT_EQ(liveness.allocate().value(), expected);
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

TEST_F(LivenessTest, a_missing_file_proves_no_death) {
  Liveness liveness = open();
  ASSERT_TRUE(liveness.hold(4));
  EXPECT_TRUE(liveness.is_alive(4));
  EXPECT_EQ(liveness.descriptor(4), -1);
}

TEST_F(LivenessTest, what_a_client_writes_or_cuts_off_changes_nothing) {
  Liveness liveness = open();
  const uint32_t slot = liveness.allocate().value();
  Client client(liveness.descriptor(slot), slot);
  ASSERT_EQ(pwrite(liveness.descriptor(slot), "scribble", 8, 0), 8);
  EXPECT_TRUE(liveness.is_alive(slot));
  ASSERT_EQ(ftruncate(liveness.descriptor(slot), 0), 0);
  EXPECT_TRUE(liveness.is_alive(slot));
}

TEST_F(LivenessTest, a_file_stays_the_same_one_while_its_process_lives) {
  Liveness first = open();
  const uint32_t slot = first.allocate().value();
  Client client(first.descriptor(slot), slot);
  struct stat facts;
  ASSERT_EQ(fstat(first.descriptor(slot), &facts), 0);
  first.drop(slot);
  Liveness second = open();
  second.sweep();
  ASSERT_TRUE(second.hold(slot));
  EXPECT_TRUE(second.has_file(slot, facts.st_dev, facts.st_ino));
  EXPECT_FALSE(second.has_file(slot, facts.st_dev, facts.st_ino + 1));
}

TEST_F(LivenessTest, files_of_the_dead_go) {
  Liveness liveness = open();
  const uint32_t slot = liveness.allocate().value();
  EXPECT_TRUE(has_file(slot));
  liveness.drop(slot);
  EXPECT_FALSE(has_file(slot));
  // Those that a killed daemon left go with the next start, unless the ledger names them.
  const uint32_t left = liveness.allocate().value();
  const uint32_t named = liveness.allocate().value();
  Liveness next = open();
  next.hold(named);
  next.sweep();
  EXPECT_FALSE(has_file(left));
  EXPECT_TRUE(has_file(named));
  EXPECT_FALSE(next.is_alive(named));
}

TEST_F(LivenessTest, files_of_those_who_die_after_their_last_session_go_too) {
  Liveness liveness = open();
  const uint32_t slot = liveness.allocate().value();
  Client client(liveness.descriptor(slot), slot);
  liveness.drop(slot);
  liveness.allocate().value();
  EXPECT_TRUE(has_file(slot));
  client.kill();
  liveness.allocate().value();
  EXPECT_FALSE(has_file(slot));
}

TEST_F(LivenessTest, a_directory_that_is_missing_is_named) {
  auto opened = Liveness::open(scratch / "no/processes");
  EXPECT_EQ(opened.status().text(), "make the liveness directory " + scratch.path() +
                                        "/no/processes: No such file or directory");
}

}  // namespace
}  // namespace lmcd::memory
