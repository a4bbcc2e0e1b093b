// The daemon's log: one event, one line, logfmt or JSON, to one descriptor.
//
//   log.event(Severity::kWarning, "session.closed").field("session", id).field("reason", text);
//   time=2026-03-01T12:00:00.123Z severity=warning event=session.closed session=7 reason="..."
//
// lmcd is silent when healthy, so each kind of event has a token bucket: a misbehaving client
// fills neither the disk nor the loop's time. What a bucket or a reader too slow held back is
// counted and told by the next line of its kind that gets through (`suppressed=12`), the last
// ones of all by the destructor. The audit trail is a Log of its own, without a rate.
//
// A line is written by one write(2) that does not block: a descriptor that cannot take it now
// counts as held back. Any thread.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "lib/base/clock.h"

namespace lmcd {

enum class Severity : uint8_t { kInfo, kWarning, kError };

class LogLine;

class Log {
 public:
  enum class Format { kLogfmt, kJson };
  struct Options {
    Format format = Format::kLogfmt;
    int descriptor = 2;        // the caller's, kept open
    uint32_t burst = 20;       // lines of one kind at once; 0: no limit
    uint32_t per_minute = 20;  // lines of one kind in the long run
  };

  // `clock` outlives the log.
  Log(const Clock& clock, Options options);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  // Begins a line, which is written when the returned value goes.
  // `kind`: a string literal, "noun.verb". At most kKinds different ones are told apart.
  LogLine event(Severity severity, std::string_view kind);

  static constexpr std::size_t kKinds = 64;
  static constexpr std::size_t kLineBytes = 2048;  // a longer line is cut

 private:
  friend class LogLine;

  struct Bucket {
    std::string_view kind;
    uint64_t milli_tokens = 0;  // thousandths of a line
    uint64_t filled_ms = 0;
    uint64_t suppressed = 0;
  };

  bool json() const { return options_.format == Format::kJson; }
  Bucket& bucket_of(std::string_view kind);  // mutex_ held
  // Writes a line, or counts it and those it speaks for as held back.
  void write(std::string_view kind, std::string_view line, uint64_t suppressed);

  const Clock& clock_;
  const Options options_;
  std::mutex mutex_;
  std::array<Bucket, kKinds>
      buckets_;  // guarded by mutex_; the last is for kinds that find no room
};

// A line being put together, in a buffer of its own: no allocation. One thread, one expression.
class LogLine {
 public:
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;
  ~LogLine();

  LogLine& field(std::string_view name, std::string_view value);
  LogLine& field(std::string_view name, const char* value) {
    return field(name, std::string_view(value));
  }
  template <std::integral Number>
  LogLine& field(std::string_view name, Number value) {
    if constexpr (std::same_as<Number, bool>)
      return bare(name, value ? "true" : "false");
    else if constexpr (std::signed_integral<Number>)
      return signed_number(name, value);
    else
      return unsigned_number(name, value);
  }

 private:
  friend class Log;
  LogLine(Log& log, Severity severity, std::string_view kind, bool admitted, uint64_t suppressed);

  LogLine& signed_number(std::string_view name, int64_t value);
  LogLine& unsigned_number(std::string_view name, uint64_t value);
  LogLine& bare(std::string_view name, std::string_view value);
  bool begin_field(std::string_view name, std::size_t value_bytes);
  void text(std::string_view value);
  void put(std::string_view bytes);
  bool fits(std::size_t bytes) const { return length_ + bytes + kTailBytes <= sizeof bytes_; }

  // Room for what always follows: a quote, the count of suppressed lines, the mark of a cut one.
  static constexpr std::size_t kTailBytes = 64;

  Log& log_;
  const std::string_view kind_;
  const bool admitted_;
  const uint64_t suppressed_;
  bool cut_ = false;
  std::size_t length_ = 0;
  char bytes_[Log::kLineBytes];
};

}  // namespace lmcd
