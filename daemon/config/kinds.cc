#include "daemon/config/kinds.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "lib/base/bytes.h"

namespace lmcd::config {
namespace {

constexpr std::size_t kTextBytes = 4096;

template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T value{};
  auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size() || text.empty())
    return std::nullopt;
  return value;
}

// The bounds in "low..high"; none when `valid` has none.
template <typename T>
std::optional<std::pair<T, T>> bounds(std::string_view valid) {
  std::size_t dots = valid.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  auto low = parse_number<T>(valid.substr(0, dots));
  auto high = parse_number<T>(valid.substr(dots + 2));
  if (!low || !high) return std::nullopt;
  return std::pair(*low, *high);
}

template <typename T>
bool within(std::optional<T> value, std::string_view valid) {
  if (!value) return false;
  auto range = bounds<T>(valid);
  return !range || (*value >= range->first && *value <= range->second);
}

std::string range_words(std::string_view valid) {
  std::size_t dots = valid.find("..");
  if (dots == std::string_view::npos) return "a number";
  return std::string(valid.substr(0, dots)) + " to " + std::string(valid.substr(dots + 2));
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_word(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i])) return false;
  return true;
}

// Cuts `list` at the first `separator`; what is left of it stays in `list`.
std::string_view cut(std::string_view& list, char separator) {
  std::size_t at = list.find(separator);
  std::string_view head = list.substr(0, at);
  list = at == std::string_view::npos ? std::string_view() : list.substr(at + 1);
  return head;
}

template <typename Kind>
Status refuse(std::string_view valid) {
  return fault(LMCD_E_INVALID, "takes %s", Kind::takes(valid).c_str());
}

// A written amount times `scale`, rounded: GiB to bytes, seconds to milliseconds.
Status read_scaled(std::string_view text, std::string_view valid, double scale, uint64_t& value) {
  double amount = 0;
  LMCD_TRY(Real::read(text, valid, amount));
  value = static_cast<uint64_t>(std::llround(amount * scale));
  return {};
}

}  // namespace

Status Text::read(std::string_view text, std::string_view valid, Value& value) {
  if (text.size() > kTextBytes || text.find('\0') != std::string_view::npos)
    return refuse<Text>(valid);
  value = text;
  return {};
}

void Text::print(const Value& value, std::string_view, JsonWriter& json) { json.text(value); }

std::string Text::takes(std::string_view) { return "at most 4096 bytes of text"; }

Status Switch::read(std::string_view text, std::string_view valid, Value& value) {
  for (std::string_view word : {"true", "yes", "on", "1"})
    if (same_word(text, word)) return value = true, Status();
  for (std::string_view word : {"false", "no", "off", "0"})
    if (same_word(text, word)) return value = false, Status();
  return refuse<Switch>(valid);
}

void Switch::print(const Value& value, std::string_view, JsonWriter& json) { json.boolean(value); }

std::string Switch::takes(std::string_view) { return "true or false"; }

Status Number::read(std::string_view text, std::string_view valid, Value& value) {
  auto number = parse_number<uint64_t>(text);
  if (!within(number, valid)) return refuse<Number>(valid);
  value = *number;
  return {};
}

void Number::print(const Value& value, std::string_view, JsonWriter& json) { json.number(value); }

std::string Number::takes(std::string_view valid) { return range_words(valid); }

Status Real::read(std::string_view text, std::string_view valid, Value& value) {
  auto number = parse_number<double>(text);
  if (!within(number, valid) || !std::isfinite(*number)) return refuse<Real>(valid);
  value = *number;
  return {};
}

void Real::print(const Value& value, std::string_view, JsonWriter& json) { json.real(value); }

std::string Real::takes(std::string_view valid) { return range_words(valid); }

Status Gigabytes::read(std::string_view text, std::string_view valid, Value& value) {
  return read_scaled(text, valid, static_cast<double>(kGiB), value);
}

void Gigabytes::print(const Value& value, std::string_view, JsonWriter& json) {
  json.real(static_cast<double>(value) / static_cast<double>(kGiB));
}

Status Seconds::read(std::string_view text, std::string_view valid, Value& value) {
  return read_scaled(text, valid, 1000, value);
}

void Seconds::print(const Value& value, std::string_view, JsonWriter& json) {
  json.real(static_cast<double>(value) / 1000);
}

int choice_index(std::string_view text, std::string_view valid) {
  for (int index = 0; !valid.empty(); ++index) {
    std::string_view words = cut(valid, '|');
    while (!words.empty())
      if (same_word(text, cut(words, '/'))) return index;
  }
  return -1;
}

std::string_view choice_word(int index, std::string_view valid) {
  for (; index > 0; --index) cut(valid, '|');
  std::string_view words = cut(valid, '|');
  return cut(words, '/');
}

Status Name::read(std::string_view text, std::string_view valid, Value& value) {
  int index = choice_index(text, valid);
  if (index < 0) return refuse<Name>(valid);
  value = choice_word(index, valid);
  return {};
}

void Name::print(const Value& value, std::string_view, JsonWriter& json) { json.text(value); }

std::string Name::takes(std::string_view valid) {
  std::string out;
  while (!valid.empty()) {
    std::string_view words = cut(valid, '|');
    if (!out.empty()) out += valid.empty() ? " or " : ", ";
    out += cut(words, '/');
    while (!words.empty()) out += " (" + std::string(cut(words, '/')) + ")";
  }
  return out;
}

Status Uids::read(std::string_view text, std::string_view valid, Value& value) {
  while (!text.empty()) {
    auto uid = parse_number<uint32_t>(cut(text, ','));
    if (!uid || value.size() == 64) return refuse<Uids>(valid);
    value.push_back(*uid);
  }
  return {};
}

void Uids::print(const Value& value, std::string_view, JsonWriter& json) {
  json.begin_array();
  for (uint32_t uid : value) json.number(uid);
  json.end_array();
}

std::string Uids::takes(std::string_view) { return "up to 64 user ids, separated by commas"; }

Status Adapters::read(std::string_view text, std::string_view, Value& value) {
  if (text.empty()) return {};
  if (value.size() == 16) return fault(LMCD_E_LIMIT, "may be given at most 16 times");
  LMCD_ASSIGN(Adapter adapter, read_adapter(text));
  value.push_back(std::move(adapter));
  return {};
}

void Adapters::print(const Value& value, std::string_view, JsonWriter& json) {
  json.begin_array();
  for (const Adapter& adapter : value) adapter.print(json);
  json.end_array();
}

std::string Adapters::takes(std::string_view) { return "a JSON object with a \"type\""; }

}  // namespace lmcd::config
