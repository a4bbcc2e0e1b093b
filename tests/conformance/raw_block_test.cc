// What the raw_block tier promises besides: a log that wraps and loses nothing that it need not,
// is right again after a restart, after SIGKILL and without its summaries, and never delivers a
// byte of a record that is torn, changed, or of an earlier filling.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "daemon/tier/raw_block/aligned.h"
#include "daemon/tier/raw_block/log_file.h"
#include "tests/conformance/tier_fixture.h"

namespace lmcd::tier {
namespace {

constexpr double kGb = 1.0 / 64;  // 16 MiB of records, in segments of 1 MiB

struct RawBlockTest : testing::Test, OpenedTier {
  config::Adapter adapter() const { return {"raw_block", {{"path", path}, {"capacity_gb", kGb}}}; }
  void open() { OpenedTier::open(adapter()); }
  // Opens another tier on a copy, as it would be found after a crash at this instant.
  void open_crashed() {
    std::filesystem::copy_file(path, path + ".crashed",
                               std::filesystem::copy_options::overwrite_existing);
    close();
    std::filesystem::rename(path + ".crashed", path);
    open();
  }
  void change(uint64_t offset, std::vector<uint8_t> bytes) const {
    const int file = ::open(path.c_str(), O_WRONLY);
    ASSERT_EQ(pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
              static_cast<ssize_t>(bytes.size()));
    ::close(file);
  }
  uint8_t byte_at(uint64_t offset) const {
    uint8_t byte = 0;
    const int file = ::open(path.c_str(), O_RDONLY);
    EXPECT_EQ(pread(file, &byte, 1, static_cast<off_t>(offset)), 1);
    ::close(file);
    return byte;
  }
  // Damages every mark, so that no summary counts.
  void lose_summaries() const {
    Result<std::unique_ptr<LogFile>> log = LogFile::open(path, static_cast<uint64_t>(kGb * kGiB));
    ASSERT_TRUE(log.ok());
    const LogFile& file = *log.value();
    for (uint64_t index = 0; index < file.segments(); ++index)
      change(file.offset_of(index) + file.data_bytes(), std::vector<uint8_t>(16, 0xff));
  }
  void put_numbers(uint8_t first, uint8_t last, std::size_t length) {
    for (uint8_t n = first; n <= last; ++n)
      ASSERT_TRUE(put(record_of(n, length, "alice"), pattern(length, n)).is(LMCD_STORED)) << int{n};
  }
  // Returns how many of these are there; each is right or absent.
  int count_numbers(uint8_t first, uint8_t last, std::size_t length) {
    int there = 0;
    for (uint8_t n = first; n <= last; ++n) {
      Buffer read(length);
      Answer answer = get(name_of(record_of(n, 1)), read);
      EXPECT_TRUE(answer.is(LMCD_LOADED) || answer.is(LMCD_ABSENT)) << int{n};
      if (!answer.is(LMCD_LOADED)) continue;
      EXPECT_EQ(read, pattern(length, n)) << int{n};
      ++there;
    }
    return there;
  }
  void expect_usage(uint64_t records, std::size_t length) {
    EXPECT_EQ(tier->usage().records, records);
    EXPECT_EQ(tier->usage().used_bytes, records * length);
    EXPECT_EQ(tier->tenant_bytes("alice"), records * length);
    EXPECT_EQ(tier->namespace_bytes(record_of(1, 1).fingerprint), records * length);
  }

  ScratchDirectory directory;
  std::string path = directory / "log";
};

TEST_F(RawBlockTest, records_and_removals_outlive_a_restart) {
  open();
  put_numbers(1, 40, 100'001);
  for (uint8_t n = 1; n <= 40; n += 4) remove(name_of(record_of(n, 1)));
  close();
  open();
  expect_usage(30, 100'001);
  EXPECT_EQ(count_numbers(1, 40, 100'001), 30);
  EXPECT_TRUE(exists(name_of(record_of(5, 1))).is(LMCD_ABSENT));
}

TEST_F(RawBlockTest, so_they_do_a_crash) {
  open();
  put_numbers(1, 40, 100'001);
  for (uint8_t n = 1; n <= 40; n += 4) remove(name_of(record_of(n, 1)));
  open_crashed();
  expect_usage(30, 100'001);
  EXPECT_EQ(count_numbers(1, 40, 100'001), 30);
}

TEST_F(RawBlockTest, without_summaries_the_records_tell) {
  open();
  put_numbers(1, 40, 100'001);
  remove(name_of(record_of(7, 1)));
  close();
  lose_summaries();
  open();
  expect_usage(39, 100'001);
  EXPECT_EQ(count_numbers(1, 40, 100'001), 39);
}

TEST_F(RawBlockTest, a_record_put_again_after_its_removal_is_the_new_one) {
  open();
  put_numbers(1, 1, 5000);
  remove(name_of(record_of(1, 1)));
  ASSERT_TRUE(put(record_of(1, 5000), pattern(5000, 9)).is(LMCD_STORED));
  for (int round = 0; round < 2; ++round) {
    Buffer read(5000);
    ASSERT_TRUE(get(name_of(record_of(1, 1)), read).is(LMCD_LOADED));
    EXPECT_EQ(read, pattern(5000, 9));
    close();
    if (round == 0) lose_summaries();
    open();
  }
}

// Many times the log's size, with one record that is used all the time.
TEST_F(RawBlockTest, what_is_used_stays_while_the_log_wraps) {
  constexpr std::size_t kLength = 300'000;
  open();
  put_numbers(0, 0, kLength);
  for (int round = 0; round < 300; ++round) {
    const auto n = static_cast<uint8_t>(1 + round % 200);
    Answer answer = put(record_of(n, kLength, "alice"), pattern(kLength, n));
    ASSERT_TRUE(answer.is(LMCD_STORED) || answer.is(LMCD_EXISTS)) << round;
    ASSERT_EQ(count_numbers(0, 0, kLength), 1) << round;
    ASSERT_LE(tier->usage().used_bytes, tier->usage().capacity_bytes);
  }
  const auto there = static_cast<uint64_t>(count_numbers(0, 200, kLength));
  EXPECT_GT(there, 40u);
  expect_usage(there, kLength);
  open_crashed();
  EXPECT_EQ(count_numbers(0, 0, kLength), 1);
  EXPECT_LE(tier->usage().used_bytes, tier->usage().capacity_bytes);
  EXPECT_GE(tier->usage().records, there);
  EXPECT_EQ(static_cast<uint64_t>(count_numbers(0, 200, kLength)), tier->usage().records);
}

TEST_F(RawBlockTest, a_flipped_bit_is_never_delivered) {
  constexpr std::size_t kLength = 3000;
  const uint64_t place = kLogOffset;  // the first record's
  for (uint64_t bit = 0; bit < (kBlockBytes + kLength) * 8; bit += bit < 368 * 8 ? 61 : 801) {
    if (bit >= 560 * 8 && bit < kBlockBytes * 8) continue;  // padding, which means nothing
    if (bit >= 368 * 8 && bit < 512 * 8) continue;
    open();
    ASSERT_TRUE(put(record_of(1, kLength), pattern(kLength, 1)).is(LMCD_STORED)) << bit;
    change(place + bit / 8, {static_cast<uint8_t>(byte_at(place + bit / 8) ^ (1u << bit % 8))});
    Buffer read(kLength);
    ASSERT_TRUE(get(name_of(record_of(1, 1)), read).is_fault(LMCD_E_CORRUPT)) << bit;
    ASSERT_TRUE(exists(name_of(record_of(1, 1))).is(LMCD_ABSENT)) << bit;
    close();
    std::filesystem::remove(path);
  }
}

TEST_F(RawBlockTest, a_torn_write_loses_its_record_alone) {
  open();
  put_numbers(1, 3, 20'000);
  // The second record's last block, as if it had never reached the medium.
  change(kLogOffset + 2 * log_bytes(20'000) - kBlockBytes, std::vector<uint8_t>(kBlockBytes, 0));
  open_crashed();
  expect_usage(2, 20'000);
  EXPECT_EQ(count_numbers(1, 3, 20'000), 2);
}

// All of a forged record is right but the identity, which nobody who fills records can know; the
// header before it is torn, so that the scan looks at each of its blocks.
TEST_F(RawBlockTest, a_record_within_the_bytes_of_another_is_none) {
  open();
  ASSERT_TRUE(put(record_of(1, 100), pattern(100, 1)).is(LMCD_STORED));
  const uint64_t second = kLogOffset + log_bytes(100);
  Buffer bait(3 * kBlockBytes, std::byte{0});
  lmcd_tier_record_t forged = record_of(66, 100);
  forged.crc32c = crc32c(bait.data(), 100);
  write_stamped({{forged, 1}, {{}, 1, second + 2 * kBlockBytes}, Kind::kRecord},
                Block(bait.data() + kBlockBytes, kBlockBytes));
  ASSERT_TRUE(put(record_of(2, bait.size()), bait).is(LMCD_STORED));
  close();
  lose_summaries();
  change(second, std::vector<uint8_t>(8, 0));
  open();
  EXPECT_TRUE(exists(name_of(record_of(1, 1))).is(LMCD_COLD));
  EXPECT_TRUE(exists(name_of(record_of(2, 1))).is(LMCD_ABSENT));
  EXPECT_TRUE(exists(name_of(forged)).is(LMCD_ABSENT));
}

TEST_F(RawBlockTest, what_is_no_log_is_left_alone) {
  {
    const int file = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
    const std::string text(8192, 'x');
    ASSERT_EQ(write(file, text.data(), text.size()), 8192);
    ::close(file);
  }
  Result<std::unique_ptr<Tier>> opened = open_tier(adapter(), *loop, pool);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.status().text().find("no log of lmcd"), std::string::npos);
  EXPECT_EQ(byte_at(0), 'x');
}

TEST_F(RawBlockTest, another_capacity_or_a_second_daemon_is_refused) {
  open();
  Result<std::unique_ptr<Tier>> second = open_tier(adapter(), *loop, pool);
  ASSERT_FALSE(second.ok());
  EXPECT_NE(second.status().text().find("in use"), std::string::npos);
  close();
  Result<std::unique_ptr<Tier>> other =
      open_tier({"raw_block", {{"path", path}, {"capacity_gb", 1}}}, *loop, pool);
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.status().text().find("another capacity"), std::string::npos);
}

TEST_F(RawBlockTest, what_was_stored_before_sigkill_is_there) {
  for (int round = 0; round < 4; ++round) {
    const uint8_t stored = put_until_killed(adapter(), 200'000, 12 + round);
    ASSERT_EQ(stored, 12 + round);
    open();
    EXPECT_EQ(count_numbers(1, stored, 200'000), stored);
    const auto there = static_cast<uint64_t>(count_numbers(1, 100, 200'000));
    expect_usage(there, 200'000);
    close();
    std::filesystem::remove(path);
  }
}

}  // namespace
}  // namespace lmcd::tier
