#include "bench/request_trace.h"

#include <charconv>
#include <cerrno>
#include <fstream>
#include <optional>
#include <string_view>
#include <unordered_set>

namespace lmcd::bench {
namespace {

std::string_view skip_space(std::string_view text) {
  std::size_t at = text.find_first_not_of(" \t\r");
  return at == std::string_view::npos ? std::string_view() : text.substr(at);
}

// Takes a number off the front of `text`.
std::optional<uint64_t> take_number(std::string_view* text) {
  *text = skip_space(*text);
  uint64_t number;
  auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<std::size_t>(end - text->data()));
  return number;
}

// Takes `wanted` off the front of `text`, if it is there.
bool take(std::string_view* text, char wanted) {
  *text = skip_space(*text);
  if (text->empty() || text->front() != wanted) return false;
  text->remove_prefix(1);
  return true;
}

// The text after `"name":`. The records are flat and hold no strings, so the first mention of a
// name is the name.
std::optional<std::string_view> field(std::string_view line, const std::string& name) {
  std::size_t at = line.find('"' + name + '"');
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = line.substr(at + name.size() + 2);
  if (!take(&rest, ':')) return std::nullopt;
  return rest;
}

std::optional<uint64_t> number_field(std::string_view line, const std::string& name) {
  auto text = field(line, name);
  return text ? take_number(&*text) : std::nullopt;
}

std::optional<std::vector<uint64_t>> numbers_field(std::string_view line, const std::string& name) {
  auto text = field(line, name);
  if (!text || !take(&*text, '[')) return std::nullopt;
  std::vector<uint64_t> numbers;
  if (take(&*text, ']')) return numbers;
  do {
    auto number = take_number(&*text);
    if (!number) return std::nullopt;
    numbers.push_back(*number);
  } while (take(&*text, ','));
  if (!take(&*text, ']')) return std::nullopt;
  return numbers;
}

}  // namespace

Result<Trace> read_trace(const std::string& path) {
  std::ifstream file(path);
  if (!file) return errno_fault(LMCD_E_IO, errno, "open trace %s", path.c_str());
  Trace trace;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (skip_space(line).empty()) continue;
    auto timestamp = number_field(line, "timestamp");
    auto input = number_field(line, "input_length");
    auto output = number_field(line, "output_length");
    auto blocks = numbers_field(line, "hash_ids");
    const char* missing = !timestamp ? "timestamp"
                          : !input   ? "input_length"
                          : !output  ? "output_length"
                          : !blocks  ? "hash_ids"
                                     : nullptr;
    if (missing)
      return fault(LMCD_E_INVALID,
                   "trace %s, line %zu: no valid \"%s\" (a number; hash_ids: a list of numbers)",
                   path.c_str(), number, missing);
    trace.push_back({*timestamp, *input, *output, std::move(*blocks)});
  }
  if (file.bad()) return errno_fault(LMCD_E_IO, errno, "read trace %s", path.c_str());
  if (trace.empty()) return fault(LMCD_E_INVALID, "trace %s holds no request", path.c_str());
  return trace;
}

uint64_t blocks_requested(const Trace& trace) {
  uint64_t sum = 0;
  for (const Request& request : trace) sum += request.blocks.size();
  return sum;
}

uint64_t blocks_distinct(const Trace& trace) {
  std::unordered_set<uint64_t> seen;
  for (const Request& request : trace) seen.insert(request.blocks.begin(), request.blocks.end());
  return seen.size();
}

}  // namespace lmcd::bench
