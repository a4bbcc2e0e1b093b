#include "lib/base/log.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <utility>

#include "lib/base/utf8.h"

namespace lmcd {
namespace {

constexpr uint64_t kMilli = 1000;

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kInfo:
      return "info";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "error";
}

// The time of day as RFC 3339 in UTC with milliseconds.
std::string_view print_time(char (&out)[40]) {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  tm day;
  gmtime_r(&now.tv_sec, &day);
  const std::size_t length = std::strftime(out, sizeof out, "%Y-%m-%dT%H:%M:%S", &day);
  const int tail = std::snprintf(out + length, sizeof out - length, ".%03dZ",
                                 static_cast<int>(now.tv_nsec / 1000000));
  return {out, length + static_cast<std::size_t>(tail)};
}

// Tells whether logfmt shows the value without quotes.
bool is_plain(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

// Writes what stands for the first character of `text` within quotes, and sets how many bytes
// of `text` that covers. The escapes are JSON's in both formats.
std::string_view escape(std::string_view text, char (&out)[8], std::size_t& covers) {
  covers = 1;
  const char c = text[0];
  switch (c) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\n':
      return "\\n";
    case '\t':
      return "\\t";
    default:
      break;
  }
  const auto byte = static_cast<unsigned char>(c);
  if (byte < 0x20 || byte == 0x7f) {
    std::snprintf(out, sizeof out, "\\u%04x", byte);
    return out;
  }
  const std::size_t length = utf8_sequence(text);
  if (length == 0) return "\\ufffd";
  covers = length;
  return text.substr(0, length);
}

}  // namespace

Log::Log(const Clock& clock, Options options) : clock_(clock), options_(options) {}

Log::~Log() {
  for (Bucket& bucket : buckets_)
    if (bucket.suppressed > 0)
      LogLine(*this, Severity::kWarning, "log.suppressed", true,
              std::exchange(bucket.suppressed, 0))
          .field("kind", bucket.kind);
}

LogLine Log::event(Severity severity, std::string_view kind) {
  bool admitted = true;
  uint64_t suppressed = 0;
  {
    std::lock_guard lock(mutex_);
    Bucket& bucket = bucket_of(kind);
    if (options_.burst > 0) {
      const uint64_t now = clock_.now_ms();
      // Time that is worth less than a thousandth of a line stays to be counted later.
      const uint64_t gain = (now - bucket.filled_ms) * options_.per_minute * kMilli / 60000;
      if (gain > 0) {
        bucket.milli_tokens = std::min(bucket.milli_tokens + gain, options_.burst * kMilli);
        bucket.filled_ms = now;
      }
      admitted = bucket.milli_tokens >= kMilli;
      if (admitted) bucket.milli_tokens -= kMilli;
    }
    if (admitted)
      suppressed = std::exchange(bucket.suppressed, 0);
    else
      ++bucket.suppressed;
  }
  return LogLine(*this, severity, kind, admitted, suppressed);
}

Log::Bucket& Log::bucket_of(std::string_view kind) {
  for (std::size_t i = 0; i + 1 < buckets_.size(); ++i) {
    Bucket& bucket = buckets_[i];
    if (bucket.kind == kind) return bucket;
    if (bucket.kind.empty()) {
      bucket = {kind, options_.burst * kMilli, clock_.now_ms(), 0};
      return bucket;
    }
  }
  Bucket& rest = buckets_.back();
  if (rest.kind.empty()) rest = {"other", options_.burst * kMilli, clock_.now_ms(), 0};
  return rest;
}

void Log::write(std::string_view kind, std::string_view line, uint64_t suppressed) {
  // A pipe that polls writable takes PIPE_BUF bytes at once (pipe(7)); a line is shorter.
  pollfd ready{options_.descriptor, POLLOUT, 0};
  if (poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) &&
      ::write(options_.descriptor, line.data(), line.size()) > 0)
    return;
  std::lock_guard lock(mutex_);
  bucket_of(kind).suppressed += suppressed + 1;
}

LogLine::LogLine(Log& log, Severity severity, std::string_view kind, bool admitted,
                 uint64_t suppressed)
    : log_(log), kind_(kind), admitted_(admitted), suppressed_(suppressed) {
  if (!admitted_) return;
  char time[40];
  if (log_.json()) put("{");
  field("time", print_time(time)).field("severity", name_of(severity)).field("event", kind);
}

LogLine::~LogLine() {
  if (!admitted_) return;
  char tail[kTailBytes];
  const char* format = log_.json() ? ",\"suppressed\":%llu" : " suppressed=%llu";
  if (suppressed_ > 0)
    put({tail, static_cast<std::size_t>(std::snprintf(
                   tail, sizeof tail, format, static_cast<unsigned long long>(suppressed_)))});
  if (cut_) put(log_.json() ? ",\"cut\":true" : " cut=true");
  put(log_.json() ? "}\n" : "\n");
  log_.write(kind_, {bytes_, length_}, suppressed_);
}

LogLine& LogLine::field(std::string_view name, std::string_view value) {
  if (begin_field(name, 0)) text(value);
  return *this;
}

LogLine& LogLine::signed_number(std::string_view name, int64_t value) {
  char digits[24];
  const int length = std::snprintf(digits, sizeof digits, "%lld", static_cast<long long>(value));
  return bare(name, {digits, static_cast<std::size_t>(length)});
}

LogLine& LogLine::unsigned_number(std::string_view name, uint64_t value) {
  char digits[24];
  const int length =
      std::snprintf(digits, sizeof digits, "%llu", static_cast<unsigned long long>(value));
  return bare(name, {digits, static_cast<std::size_t>(length)});
}

LogLine& LogLine::bare(std::string_view name, std::string_view value) {
  if (begin_field(name, value.size())) put(value);
  return *this;
}

// Writes separator and name if they and `value_bytes` more find room.
bool LogLine::begin_field(std::string_view name, std::size_t value_bytes) {
  if (!admitted_ || cut_) return false;
  if (!fits(name.size() + value_bytes + 8)) {
    cut_ = true;
    return false;
  }
  if (log_.json()) {
    if (length_ > 1) put(",");
    put("\"");
    put(name);
    put("\":");
  } else {
    if (length_ > 0) put(" ");
    put(name);
    put("=");
  }
  return true;
}

void LogLine::text(std::string_view value) {
  if (!log_.json() && is_plain(value) && fits(value.size())) return put(value);
  put("\"");
  while (!value.empty()) {
    char out[8];
    std::size_t covers;
    const std::string_view piece = escape(value, out, covers);
    if (!fits(piece.size())) {
      cut_ = true;
      break;
    }
    put(piece);
    value.remove_prefix(covers);
  }
  put("\"");
}

void LogLine::put(std::string_view bytes) {
  assert(length_ + bytes.size() <= sizeof bytes_);
  std::memcpy(bytes_ + length_, bytes.data(), bytes.size());
  length_ += bytes.size();
}

}  // namespace lmcd
