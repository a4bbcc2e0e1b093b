// What the fs tier promises besides: a directory shared by daemons, right again after a restart
// and after SIGKILL, made room in when its file system is full, and never a wrong byte out of
// files that are torn, truncated or changed in any of their bits.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "tests/conformance/tier_fixture.h"

namespace lmcd::tier {
namespace {

namespace files = std::filesystem;

struct FsTest : testing::Test, OpenedTier {
  config::Adapter adapter(double capacity_gb = 0) const {
    return {"fs", {{"base_path", base}, {"max_capacity_gb", capacity_gb}}};
  }
  void open() { OpenedTier::open(adapter()); }

  std::vector<files::path> records() const {
    std::vector<files::path> found;
    for (const auto& entry : files::recursive_directory_iterator(base))
      if (entry.path().extension() == ".kv") found.push_back(entry.path());
    return found;
  }
  std::size_t temporary_files() const {
    std::size_t count = 0;
    for (const auto& entry : files::recursive_directory_iterator(base + "/.tmp"))
      count += entry.is_regular_file() && entry.path().filename() != "alive";
    return count;
  }
  static void flip(const files::path& path, uint64_t bit) {
    const int file = ::open(path.c_str(), O_RDWR);
    uint8_t byte = 0;
    ASSERT_EQ(pread(file, &byte, 1, static_cast<off_t>(bit / 8)), 1);
    byte ^= static_cast<uint8_t>(1u << bit % 8);
    ASSERT_EQ(pwrite(file, &byte, 1, static_cast<off_t>(bit / 8)), 1);
    ::close(file);
  }

  ScratchDirectory directory;
  std::string base = directory / "kv";
};

TEST_F(FsTest, records_index_and_usage_are_there_after_a_restart) {
  open();
  for (uint8_t n = 1; n <= 9; ++n) put(record_of(n, n * 1000u, "alice"), pattern(n * 1000u, n));
  remove(name_of(record_of(4, 1)));
  close();
  open();
  EXPECT_EQ(tier->usage().records, 8u);
  EXPECT_EQ(tier->usage().used_bytes, 41'000u);
  EXPECT_EQ(tier->tenant_bytes("alice"), 41'000u);
  EXPECT_EQ(tier->namespace_bytes(record_of(1, 1).fingerprint), 41'000u);
  for (uint8_t n = 1; n <= 9; ++n) {
    Buffer read(n * 1000u);
    Answer answer = get(name_of(record_of(n, 1)), read);
    ASSERT_TRUE(answer.is(n == 4 ? LMCD_ABSENT : LMCD_LOADED)) << int{n};
    if (n != 4) {
      EXPECT_EQ(read, pattern(n * 1000u, n));
    }
  }
}

TEST_F(FsTest, a_directory_that_holds_more_than_the_capacity_loses_its_oldest) {
  open();
  for (uint8_t n = 1; n <= 9; ++n) put(record_of(n, 200'000), pattern(200'000, n));
  close();
  OpenedTier::open(adapter(1.0 / 1024));
  EXPECT_EQ(tier->usage().records, 5u);
  EXPECT_EQ(records().size(), 5u);
  EXPECT_TRUE(exists(name_of(record_of(9, 1))).is(LMCD_COLD));
  EXPECT_TRUE(exists(name_of(record_of(1, 1))).is(LMCD_ABSENT));
}

TEST_F(FsTest, what_was_used_is_spared_once) {
  OpenedTier::open(adapter(1.0 / 1024));
  for (uint8_t n = 1; n <= 5; ++n) put(record_of(n, 200'000), pattern(200'000, n));
  Buffer read(200'000);
  ASSERT_TRUE(get(name_of(record_of(1, 1)), read).is(LMCD_LOADED));
  put(record_of(6, 200'000), pattern(200'000, 6));
  EXPECT_TRUE(exists(name_of(record_of(1, 1))).is(LMCD_COLD));
  EXPECT_TRUE(exists(name_of(record_of(2, 1))).is(LMCD_ABSENT));
}

TEST_F(FsTest, two_daemons_share_a_directory) {
  open();
  OpenedTier other;
  other.open(adapter());
  const lmcd_tier_record_t record = record_of(1, 5000);
  ASSERT_TRUE(put(record, pattern(5000, 1)).is(LMCD_STORED));
  EXPECT_TRUE(other.exists(name_of(record)).is(LMCD_COLD));
  EXPECT_EQ(other.tier->usage().used_bytes, 5000u) << "met, so known";
  Buffer read(5000);
  ASSERT_TRUE(other.get(name_of(record), read).is(LMCD_LOADED));
  EXPECT_EQ(read, pattern(5000, 1));
  const lmcd_tier_record_t second = record_of(2, 5000);
  ASSERT_TRUE(put(second, pattern(5000, 2)).is(LMCD_STORED));
  EXPECT_TRUE(other.put(second, pattern(5000, 3)).is(LMCD_EXISTS));
  ASSERT_TRUE(other.remove(name_of(record)).is(LMCD_ABSENT));
  EXPECT_TRUE(get(name_of(record), read).is(LMCD_ABSENT));
  EXPECT_EQ(tier->usage().records, 1u) << "found gone, so forgotten";
}

// Every bit of the header that means something, and bits all over the bytes.
TEST_F(FsTest, a_flipped_bit_is_never_delivered) {
  constexpr std::size_t kLength = 3000;
  const Buffer bytes = pattern(kLength, 1);
  open();
  const lmcd_tier_record_t record = record_of(1, kLength, "alice");
  for (uint64_t bit = 0; bit < (4096 + kLength) * 8; bit += bit < 368 * 8 ? 3 : 97) {
    if (bit >= 512 * 8 && bit < 4096 * 8) continue;  // padding, which means nothing
    ASSERT_TRUE(put(record, bytes).is(LMCD_STORED)) << bit;
    flip(records().at(0), bit);
    Buffer read(kLength);
    ASSERT_TRUE(get(name_of(record), read).is_fault(LMCD_E_CORRUPT)) << bit;
    ASSERT_TRUE(records().empty()) << bit;
    ASSERT_EQ(tier->usage().used_bytes, 0u) << bit;
    ASSERT_NE(tier->health().state, uint32_t{LMCD_TIER_UP});
  }
}

TEST_F(FsTest, a_truncated_or_longer_file_is_a_miss_and_goes) {
  const Buffer bytes = pattern(9000, 1);
  for (const uint64_t size : {0u, 100u, 511u, 512u, 4095u, 4096u, 5000u, 13'095u, 13'097u}) {
    open();
    put(record_of(1, 9000), bytes);
    files::resize_file(records().at(0), size);
    Buffer read(9000);
    EXPECT_TRUE(get(name_of(record_of(1, 9000)), read).is_fault(LMCD_E_CORRUPT)) << size;
    put(record_of(1, 9000), bytes);
    files::resize_file(records().at(0), size);
    close();
    open();
    EXPECT_EQ(tier->usage().records, 0u) << size;
    EXPECT_TRUE(records().empty()) << size;
    EXPECT_TRUE(put(record_of(1, 9000), bytes).is(LMCD_STORED)) << size;
    remove(name_of(record_of(1, 1)));
    close();
  }
}

TEST_F(FsTest, a_broken_file_in_the_way_of_a_put_is_replaced) {
  open();
  put(record_of(1, 9000), pattern(9000, 1));
  const files::path path = records().at(0);
  remove(name_of(record_of(1, 1)));
  files::create_directories(path.parent_path());
  ::close(::open(path.c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_TRUE(put(record_of(1, 9000), pattern(9000, 1)).is(LMCD_STORED));
}

TEST_F(FsTest, a_directory_that_is_gone_is_a_fault_with_a_reason_and_then_down) {
  open();
  files::remove_all(base);
  for (int n = 0; n < 8; ++n)
    EXPECT_TRUE(put(record_of(1, 10), pattern(10, 1)).is_fault(LMCD_E_IO));
  EXPECT_EQ(tier->health().state, uint32_t{LMCD_TIER_DOWN});
  EXPECT_GT(tier->health().retry_ms, 0u);
  EXPECT_NE(std::string(tier->health().text).find("No such file"), std::string::npos);
}

TEST_F(FsTest, a_base_path_that_cannot_be_is_refused) {
  Result<std::unique_ptr<Tier>> opened =
      open_tier({"fs", {{"base_path", "/proc/none"}}}, *loop, pool);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().text().find("mkdir /proc/none"), std::string::npos);
}

TEST_F(FsTest, what_was_stored_before_sigkill_is_there_and_nothing_leaks) {
  for (int round = 0; round < 5; ++round) {
    const uint8_t stored = put_until_killed(adapter(), 100'000, 10 + round);
    ASSERT_EQ(stored, 10 + round);

    open();
    uint64_t there = 0;
    for (uint8_t n = 1; n < 100; ++n) {
      Buffer bytes(100'000);
      Answer answer = get(name_of(record_of(n, 1)), bytes);
      if (answer.is(LMCD_LOADED)) {
        ASSERT_EQ(bytes, pattern(100'000, n));
        ++there;
      } else {
        ASSERT_TRUE(answer.is(LMCD_ABSENT));
        ASSERT_GT(n, stored);
      }
    }
    EXPECT_GE(there, stored);
    EXPECT_EQ(tier->usage().records, there);
    EXPECT_EQ(tier->tenant_bytes("alice"), there * 100'000);
    EXPECT_EQ(temporary_files(), 0u);
    close();
    files::remove_all(base);
  }
}

// On a tmpfs of 2 MiB, where the test may mount one.
TEST_F(FsTest, a_full_file_system_is_made_room_on) {
  files::create_directory(base);
  if (mount("none", base.c_str(), "tmpfs", 0, "size=2m") != 0)
    GTEST_SKIP() << "may not mount: " << std::strerror(errno);
  open();
  for (uint8_t n = 1; n <= 40; ++n) {
    Answer answer = put(record_of(n, 200'000), pattern(200'000, n));
    EXPECT_TRUE(answer.is(LMCD_STORED)) << int{n};
  }
  EXPECT_GT(tier->usage().evicted_records, 20u);
  EXPECT_EQ(tier->usage().records, records().size());
  EXPECT_EQ(temporary_files(), 0u);
  Buffer read(200'000);
  EXPECT_TRUE(get(name_of(record_of(40, 1)), read).is(LMCD_LOADED));
  EXPECT_TRUE(put(record_of(41, 3'000'000), Buffer(3'000'000)).is(LMCD_NO_SPACE));
  EXPECT_NE(std::string(tier->health().text), "");
  EXPECT_TRUE(put(record_of(42, 200'000), pattern(200'000, 42)).is(LMCD_STORED));
  EXPECT_EQ(tier->health().state, uint32_t{LMCD_TIER_UP});
  close();
  umount(base.c_str());
}

}  // namespace
}  // namespace lmcd::tier
