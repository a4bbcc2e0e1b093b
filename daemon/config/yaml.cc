#include "daemon/config/yaml.h"

#include <yaml.h>

#include "lib/base/json.h"

namespace lmcd::config {
namespace {

constexpr int kDepth = 4;  // of mappings in mappings

// One event of libyaml. Move-only by way of its owner, the reader, which holds one at a time.
class Event {
 public:
  Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { yaml_event_delete(&event_); }

  yaml_event_t* renew() {
    yaml_event_delete(&event_);
    return &event_;
  }
  yaml_event_type_t type() const { return event_.type; }
  std::size_t line() const { return event_.start_mark.line + 1; }
  // Requires: a scalar.
  std::string text() const {
    return {reinterpret_cast<const char*>(event_.data.scalar.value), event_.data.scalar.length};
  }

 private:
  yaml_event_t event_{};
};

// Walks the events of one text. Each read_* begins at its first event and leaves its last one.
class MappingReader {
 public:
  explicit MappingReader(std::string_view text) {
    ready_ = yaml_parser_initialize(&parser_) != 0;
    if (ready_)
      yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                   text.size());
  }
  MappingReader(const MappingReader&) = delete;
  MappingReader& operator=(const MappingReader&) = delete;
  ~MappingReader() {
    if (ready_) yaml_parser_delete(&parser_);
  }

  Result<std::vector<Entry>> read();

 private:
  Status next();
  Status expected(const char* what) const;
  Result<std::string> read_value();
  Status read_object(JsonWriter& json, int depth);
  Result<std::vector<std::string>> read_list();
  Result<std::vector<Entry>> read_entries();

  yaml_parser_t parser_;
  Event event_;
  bool ready_ = false;
};

Status MappingReader::next() {
  if (!ready_) return fault(LMCD_E_NO_MEMORY, "no memory to read it");
  if (yaml_parser_parse(&parser_, event_.renew())) return {};
  const std::size_t line = parser_.problem_mark.line + 1;
  return fault(LMCD_E_INVALID, "line %zu: %s", line,
               parser_.problem ? parser_.problem : "not YAML");
}

Status MappingReader::expected(const char* what) const {
  return fault(LMCD_E_INVALID, "line %zu: %s", event_.line(), what);
}

// A mapping as JSON, of scalars and of mappings down to kDepth. Scalars become strings: what they
// mean is for the reader of the option to say.
Status MappingReader::read_object(JsonWriter& json, int depth) {
  json.begin_object();
  LMCD_TRY(next());
  for (bool is_key = true; event_.type() != YAML_MAPPING_END_EVENT; is_key = !is_key) {
    if (!is_key && event_.type() == YAML_MAPPING_START_EVENT && depth < kDepth) {
      LMCD_TRY(read_object(json, depth + 1));
    } else {
      if (event_.type() != YAML_SCALAR_EVENT) return expected("fields are names with plain values");
      is_key ? json.key(event_.text()) : json.text(event_.text());
    }
    LMCD_TRY(next());
  }
  json.end_object();
  return {};
}

Result<std::string> MappingReader::read_value() {
  if (event_.type() == YAML_SCALAR_EVENT) return event_.text();
  if (event_.type() == YAML_MAPPING_START_EVENT) {
    JsonWriter json;
    LMCD_TRY(read_object(json, 1));
    return json.document();
  }
  return expected("a value is a word, a mapping of words or a list of these");
}

Result<std::vector<std::string>> MappingReader::read_list() {
  std::vector<std::string> values;
  if (event_.type() != YAML_SEQUENCE_START_EVENT) {
    LMCD_ASSIGN(std::string text, read_value());
    values.push_back(std::move(text));
    return values;
  }
  LMCD_TRY(next());
  while (event_.type() != YAML_SEQUENCE_END_EVENT) {
    LMCD_ASSIGN(std::string text, read_value());
    values.push_back(std::move(text));
    LMCD_TRY(next());
  }
  return values;
}

Result<std::vector<Entry>> MappingReader::read_entries() {
  std::vector<Entry> entries;
  LMCD_TRY(next());
  while (event_.type() != YAML_MAPPING_END_EVENT) {
    if (event_.type() != YAML_SCALAR_EVENT) return expected("a name is a plain word");
    Entry entry{event_.text(), {}, event_.line()};
    LMCD_TRY(next());
    LMCD_ASSIGN(entry.values, read_list());
    entries.push_back(std::move(entry));
    LMCD_TRY(next());
  }
  return entries;
}

Result<std::vector<Entry>> MappingReader::read() {
  std::vector<Entry> entries;
  LMCD_TRY(next());  // the stream's start
  LMCD_TRY(next());
  if (event_.type() == YAML_STREAM_END_EVENT) return entries;
  LMCD_TRY(next());  // past the document's start
  const bool empty = event_.type() == YAML_SCALAR_EVENT && event_.text().empty();
  if (!empty) {
    if (event_.type() != YAML_MAPPING_START_EVENT)
      return expected("is not a mapping of names to values");
    LMCD_ASSIGN(entries, read_entries());
  }
  LMCD_TRY(next());  // the document's end
  LMCD_TRY(next());
  if (event_.type() != YAML_STREAM_END_EVENT) return expected("a second document begins");
  return entries;
}

}  // namespace

Result<std::vector<Entry>> read_mapping(std::string_view text) {
  if (text.size() > kFileBytes) return fault(LMCD_E_LIMIT, "is longer than %zu bytes", kFileBytes);
  return MappingReader(text).read();
}

}  // namespace lmcd::config
