// A line says what it was given, whatever bytes that is, in either format, and a flood of one
// kind becomes a few lines and a count. Lines are read back from a pipe.
#include "lib/base/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "lib/base/fd.h"

namespace lmcd {
namespace {

struct LogTest : testing::Test {
  LogTest() {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_NONBLOCK), 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  Log::Options options(Log::Format format = Log::Format::kLogfmt) {
    return {.format = format, .descriptor = in.get(), .burst = 3, .per_minute = 60};
  }
  // What was written since, without the time of day.
  std::string written() {
    std::string text(1 << 17, 0);
    const ssize_t got = read(out.get(), text.data(), text.size());
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    for (std::size_t at; (at = text.find("time")) != std::string::npos;)
      text.erase(at, text.find("severity", at) - at);
    return text;
  }

  ManualClock clock;
  FileDescriptor out, in;
};

TEST_F(LogTest, logfmt_quotes_only_what_needs_it) {
  Log log(clock, options());
  log.event(Severity::kWarning, "session.closed")
      .field("session", uint64_t{18446744073709551615u})
      .field("code", -11)
      .field("admin", false)
      .field("user", "kv")
      .field("reason", "bad \"frame\"\nat=3\\")
      .field("name", "");
  EXPECT_EQ(written(),
            "severity=warning event=session.closed session=18446744073709551615 code=-11 "
            "admin=false user=kv reason=\"bad \\\"frame\\\"\\nat=3\\\\\" name=\"\"\n");
}

TEST_F(LogTest, json_is_one_object_a_line) {
  Log log(clock, options(Log::Format::kJson));
  log.event(Severity::kError, "tier.failed").field("tier", "s3").field("count", 2);
  EXPECT_EQ(written(),
            "{\"severity\":\"error\",\"event\":\"tier.failed\",\"tier\":\"s3\",\"count\":2}\n");
}

TEST_F(LogTest, no_bytes_from_outside_break_the_line) {
  Log log(clock, options(Log::Format::kJson));
  log.event(Severity::kInfo, "x")
      .field("v", std::string_view("\x01\x7f\xff\xc3\xa4\xed\xa0\x80z", 9));
  EXPECT_EQ(written(),
            "{\"severity\":\"info\",\"event\":\"x\",\"v\":\"\\u0001\\u007f\\ufffd\xc3\xa4"
            "\\ufffd\\ufffd\\ufffdz\"}\n");
}

TEST_F(LogTest, a_line_too_long_is_cut_and_says_so_and_stays_whole) {
  for (auto format : {Log::Format::kLogfmt, Log::Format::kJson}) {
    Log log(clock, options(format));
    log.event(Severity::kInfo, "x").field("v", std::string(5000, '"')).field("late", 1);
    const std::string line = written();
    EXPECT_LT(line.size(), Log::kLineBytes);
    EXPECT_EQ(line.find("late"), std::string::npos);
    const std::string end =
        format == Log::Format::kJson ? "\\\"\",\"cut\":true}\n" : "\\\"\" cut=true\n";
    EXPECT_EQ(line.substr(line.size() - end.size()), end);
  }
}

TEST_F(LogTest, a_flood_of_one_kind_is_limited_and_counted_and_others_pass) {
  Log log(clock, options());
  for (int i = 0; i < 10; ++i) log.event(Severity::kWarning, "flood").field("i", i);
  log.event(Severity::kWarning, "other");
  EXPECT_EQ(written(),
            "severity=warning event=flood i=0\nseverity=warning event=flood i=1\n"
            "severity=warning event=flood i=2\nseverity=warning event=other\n");
  // One line a second, however often somebody asks meanwhile.
  for (int ms = 0; ms < 1000; ++ms) clock.advance_ms(1), log.event(Severity::kWarning, "flood");
  EXPECT_EQ(written(), "severity=warning event=flood suppressed=1006\n");
  // What was told is not told again.
  clock.advance_ms(1000);
  log.event(Severity::kWarning, "flood");
  EXPECT_EQ(written(), "severity=warning event=flood\n");
}

TEST_F(LogTest, what_was_held_back_is_told_at_the_end) {
  {
    Log log(clock, options());
    for (int i = 0; i < 5; ++i) log.event(Severity::kWarning, "flood");
    written();
  }
  EXPECT_EQ(written(), "severity=warning event=log.suppressed kind=flood suppressed=2\n");
}

TEST_F(LogTest, without_a_rate_every_line_passes) {
  Log::Options all = options();
  all.burst = 0;
  Log audit(clock, all);
  for (int i = 0; i < 100; ++i) audit.event(Severity::kInfo, "clear");
  const std::string text = written();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 100);
}

TEST_F(LogTest, a_reader_that_does_not_read_holds_nobody_up) {
  Log::Options all = options();
  all.burst = 0;
  // A blocking pipe: a write(2) into it when full would hang the test.
  ASSERT_EQ(fcntl(in.get(), F_SETFL, 0), 0);
  {
    Log log(clock, all);
    for (int i = 0; i < 1000; ++i)
      log.event(Severity::kInfo, "x").field("v", std::string(500, 'v'));
    written();
    log.event(Severity::kInfo, "x");
    EXPECT_NE(written().find("event=x suppressed="), std::string::npos);
  }
}

TEST_F(LogTest, more_kinds_than_are_told_apart_share_a_rate) {
  Log log(clock, options());
  std::vector<std::string> kinds;
  for (int i = 0; i < 200; ++i) kinds.push_back("kind." + std::to_string(i));
  for (auto& kind : kinds) log.event(Severity::kInfo, kind);
  const std::string text = written();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), static_cast<long>(Log::kKinds - 1 + 3));
}

}  // namespace
}  // namespace lmcd
