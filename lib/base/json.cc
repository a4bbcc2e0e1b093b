#include "lib/base/json.h"

#include <charconv>
#include <cmath>
#include <cstdio>

#include "lib/base/utf8.h"

namespace lmcd {
JsonWriter& JsonWriter::begin_object() {
  separate();
  document_ += '{';
  separated_ = true;
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  document_ += '}';
  separated_ = false;
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  separate();
  document_ += '[';
  separated_ = true;
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  document_ += ']';
  separated_ = false;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  quote(name);
  document_ += ':';
  separated_ = true;
  return *this;
}

JsonWriter& JsonWriter::text(std::string_view value) {
  separate();
  quote(value);
  return *this;
}

JsonWriter& JsonWriter::number(uint64_t value) { return literal(std::to_string(value)); }

JsonWriter& JsonWriter::real(double value) {
  if (!std::isfinite(value)) return null();
  char digits[32];
  auto end = std::to_chars(digits, digits + sizeof digits, value);
  return literal({digits, static_cast<std::size_t>(end.ptr - digits)});
}

JsonWriter& JsonWriter::boolean(bool value) { return literal(value ? "true" : "false"); }

JsonWriter& JsonWriter::null() { return literal("null"); }

void JsonWriter::separate() {
  if (!separated_) document_ += ',';
  separated_ = false;
}

JsonWriter& JsonWriter::literal(std::string_view text) {
  separate();
  document_ += text;
  return *this;
}

void JsonWriter::quote(std::string_view value) {
  document_ += '"';
  while (!value.empty()) {
    const char head = value.front();
    std::size_t length = utf8_sequence(value);
    if (length == 0) {
      document_ += "\\ufffd";
      length = 1;
    } else if (head == '"' || head == '\\') {
      document_ += '\\';
      document_ += head;
    } else if (static_cast<unsigned char>(head) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(head));
      document_ += escape;
    } else {
      document_ += value.substr(0, length);
    }
    value.remove_prefix(length);
  }
  document_ += '"';
}

}  // namespace lmcd
