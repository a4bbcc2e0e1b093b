#include "daemon/config/spelling.h"

#include <algorithm>
#include <vector>

namespace lmcd::config {
namespace {

constexpr std::size_t kQuotedBytes = 64;
constexpr std::size_t kNameBytes = 64;  // what is longer resembles nothing

// How many letters must be put in, taken out or changed (Levenshtein).
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      std::size_t changed = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({changed, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text.substr(0, kQuotedBytes)) out += c >= ' ' && c <= '~' && c != '"' ? c : '?';
  if (text.size() > kQuotedBytes) out += "...";
  return out + '"';
}

std::string canonical(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c == '_') c = '-';
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view closest(std::string_view name, std::span<const std::string_view> names) {
  if (name.size() > kNameBytes) return {};
  std::string_view best;
  // A third of the letters may be wrong; past that a suggestion only confuses.
  std::size_t least = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (std::string_view candidate : names) {
    std::size_t letters = distance(name, candidate);
    if (letters >= least) continue;
    least = letters;
    best = candidate;
  }
  return best;
}

}  // namespace lmcd::config
