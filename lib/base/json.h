// Writes one JSON document: the daemon's answers to operators, and nothing that is read back.
//
// Commas and escapes are the writer's business; that begins and ends match is the caller's.
// Bytes that are not UTF-8 become U+FFFD, numbers that are not finite become null, so what
// comes out is JSON whatever went in. One thread at a time.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace lmcd {

class JsonWriter {
 public:
  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  // Names the value that comes next.
  JsonWriter& key(std::string_view name);

  JsonWriter& text(std::string_view value);
  JsonWriter& number(uint64_t value);
  JsonWriter& real(double value);
  JsonWriter& boolean(bool value);
  JsonWriter& null();

  const std::string& document() const { return document_; }

 private:
  void separate();
  JsonWriter& literal(std::string_view text);
  void quote(std::string_view value);

  std::string document_;
  bool separated_ = true;  // nothing to part the next value from
};

}  // namespace lmcd
