// One daemon an identity, by a lock that ends with its process; an identity and its UUID stay the
// same over restarts; and small files are replaced whole.
#include "daemon/memory/identity.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "daemon/memory/host.h"
#include "daemon/memory/state_file.h"
#include "tests/scratch_directory.h"

namespace lmcd::memory {
namespace {

struct IdentityTest : testing::Test {
  Identity::Options options(const std::string& socket = "/run/a.sock", const std::string& id = "") {
    return {.state_base = scratch / "state/lmcd", .socket_path = socket, .instance_id = id};
  }
  ScratchDirectory scratch;
};

TEST_F(IdentityTest, stays_the_same_over_restarts) {
  std::string digest, uuid, directory;
  {
    Identity first = std::move(Identity::take(options()).value());
    digest = first.digest(), uuid = first.instance_id(), directory = first.directory();
  }
  Identity second = std::move(Identity::take(options()).value());
  EXPECT_EQ(second.digest(), digest);
  EXPECT_EQ(second.instance_id(), uuid);
  EXPECT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_EQ(digest.size(), 16u);
  EXPECT_EQ(second.path_of("quotas"), directory + "/quotas");
  struct stat facts;
  ASSERT_EQ(stat(directory.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0700u);
}

TEST_F(IdentityTest, sockets_and_instances_each_have_their_own) {
  Identity a = std::move(Identity::take(options("/run/a.sock")).value());
  Identity b = std::move(Identity::take(options("/run/b.sock")).value());
  Identity c = std::move(Identity::take(options("/run/a.sock", "blue")).value());
  EXPECT_NE(a.digest(), b.digest());
  EXPECT_NE(a.digest(), c.digest());
  EXPECT_NE(a.instance_id(), b.instance_id());
  EXPECT_EQ(c.instance_id(), "blue");
  // The instance is the identity, wherever its socket is.
  EXPECT_FALSE(Identity::take(options("/run/z.sock", "blue")).ok());
}

TEST_F(IdentityTest, a_second_daemon_is_told_who_has_it) {
  Identity first = std::move(Identity::take(options()).value());
  Status status = Identity::take(options()).status();
  EXPECT_EQ(status.code(), LMCD_E_LIMIT);
  EXPECT_EQ(status.text(), "another daemon (pid " + std::to_string(getpid()) +
                               ") has this identity, by " + first.path_of("lock") +
                               ": stop it, or give this one another --socket or --instance-id");
}

TEST_F(IdentityTest, is_free_again_when_its_daemon_is_killed) {
  const pid_t child = fork();
  if (child == 0) {
    auto taken = Identity::take(options());
    kill(getpid(), SIGKILL);
  }
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(Identity::take(options()).ok());
}

TEST_F(IdentityTest, a_directory_of_another_identity_is_refused) {
  std::string file;
  {
    Identity first = std::move(Identity::take(options()).value());
    file = first.path_of("identity");
  }
  const char* other = "socket /run/other.sock\n00000000-0000-4000-8000-000000000000\n";
  ASSERT_TRUE(write_state_file(file, other).ok());
  EXPECT_EQ(Identity::take(options()).status().code(), LMCD_E_INVALID);
}

TEST_F(IdentityTest, a_damaged_identity_file_is_called_so) {
  std::string file;
  {
    Identity first = std::move(Identity::take(options()).value());
    file = first.path_of("identity");
  }
  for (const char* damaged : {"", "\n", "\x9f\x01 random\xff", "socket /run/a.sock",
                              "socket /run/a.sock\nno uuid\n", "something else\n"}) {
    ASSERT_TRUE(write_state_file(file, damaged).ok());
    const Status status = Identity::take(options()).status();
    EXPECT_EQ(status.code(), LMCD_E_CORRUPT) << damaged;
    EXPECT_NE(status.text().find("is damaged"), std::string::npos) << status.text();
  }
  // Nobody waits for a writer of a FIFO.
  ASSERT_EQ(unlink(file.c_str()), 0);
  ASSERT_EQ(mkfifo(file.c_str(), 0600), 0);
  const Status status = Identity::take(options()).status();
  EXPECT_EQ(status.code(), LMCD_E_CORRUPT);
  EXPECT_NE(status.text().find("no plain file"), std::string::npos) << status.text();
  ASSERT_EQ(unlink(file.c_str()), 0);
  EXPECT_TRUE(Identity::take(options()).ok());
}

TEST_F(IdentityTest, options_without_sense_are_named) {
  EXPECT_EQ(Identity::take(options("relative.sock")).status().text(),
            "--socket \"relative.sock\": want an absolute path");
  EXPECT_EQ(Identity::take(options("/a", "two words")).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(Identity::take(options("/a", std::string(64, 'x'))).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(Identity::take({.state_base = "/proc/lmcd", .socket_path = "/a"}).status().code(),
            LMCD_E_IO);
}

TEST(StateBase, is_chosen_in_the_stated_order) {
  StatePlaces places;
  EXPECT_EQ(state_base(places), "/var/lib/lmcd");
  places.home = "/home/u";
  EXPECT_EQ(state_base(places), "/home/u/.local/state/lmcd");
  places.system_user = true;
  EXPECT_EQ(state_base(places), "/var/lib/lmcd");
  places.xdg_state_home = "/x";
  EXPECT_EQ(state_base(places), "/x/lmcd");
  places.state_directory = "/var/lib/one:/var/lib/two";
  EXPECT_EQ(state_base(places), "/var/lib/one");
  places.state_dir = "/given";
  EXPECT_EQ(state_base(places), "/given");
}

TEST(BootId, is_a_number_that_does_not_change) {
  const auto id = boot_id().value();
  EXPECT_EQ(id, boot_id().value());
  EXPECT_TRUE(std::any_of(id.begin(), id.end(), [](uint8_t byte) { return byte != 0; }));
}

TEST(StateFile, is_read_back_and_replaced_whole) {
  ScratchDirectory scratch;
  const std::string path = scratch / "quotas";
  EXPECT_FALSE(read_state_file(path).value().has_value());
  const std::string large(100000, 'x');
  ASSERT_TRUE(write_state_file(path, large).ok());
  EXPECT_EQ(read_state_file(path).value(), large);
  // Whoever has the old file open keeps it whole: it was replaced, not written over.
  FileDescriptor old(open(path.c_str(), O_RDONLY));
  ASSERT_TRUE(write_state_file(path, "").ok());
  EXPECT_EQ(read_state_file(path).value(), "");
  struct stat facts;
  ASSERT_EQ(fstat(old.get(), &facts), 0);
  EXPECT_EQ(facts.st_size, 100000);
  ASSERT_EQ(stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch.path()), {}), 1);
}

TEST(StateFile, a_disk_without_room_leaves_the_old_content) {
  ScratchDirectory scratch;
  const std::string path = scratch / "quotas";
  ASSERT_TRUE(write_state_file(path, "old").ok());
  // /dev/full refuses every write (full(4)); the neighbour is put in its place.
  ASSERT_EQ(symlink("/dev/full", (path + ".tmp").c_str()), 0);
  EXPECT_FALSE(write_state_file(path, "new").ok());
  EXPECT_EQ(read_state_file(path).value(), "old");
}

TEST(ControlGroup, the_lowest_limit_on_the_way_up_counts) {
  ScratchDirectory root;
  auto put = [&](const std::string& file, const std::string& content) {
    std::filesystem::create_directories(std::filesystem::path(root / file).parent_path());
    ASSERT_TRUE(write_state_file(root / file, content).ok());
  };
  EXPECT_FALSE(control_group_limit(root.path()).has_value());
  put("proc/self/cgroup", "0::/system.slice/lmcd.service\n");
  put("sys/fs/cgroup/system.slice/lmcd.service/memory.max", "max\n");
  EXPECT_FALSE(control_group_limit(root.path()).has_value());
  put("sys/fs/cgroup/system.slice/memory.max", "1073741824\n");
  EXPECT_EQ(control_group_limit(root.path())->bytes, 1073741824u);
  put("sys/fs/cgroup/system.slice/lmcd.service/memory.max", "4096\n");
  EXPECT_EQ(control_group_limit(root.path())->path,
            root / "sys/fs/cgroup/system.slice/lmcd.service/memory.max");
  put("proc/self/cgroup", "5:cpu,memory:/docker/x\n0::/\n");
  put("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "8192\n");
  EXPECT_EQ(control_group_limit(root.path())->bytes, 8192u);
}

TEST(Host, bytes_are_printed_for_people) {
  EXPECT_EQ(print_bytes(0), "0 bytes");
  EXPECT_EQ(print_bytes(3 << 20), "3.00 MiB");
  EXPECT_EQ(print_bytes(uint64_t{5} << 29), "2.50 GiB");
}

}  // namespace
}  // namespace lmcd::memory
