// The rows of a bench: printed as a table for people and, for `--json FILE`, written as a list
// of {name, value, unit, ratio, bound, met} for programs.
//
// A figure is a ratio to something measured in the same run wherever one can be had: ratios carry
// over to other machines. A bound holds for the ratio, or for the value of a row without one.
#pragma once

#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lmcd::bench {

struct Bound {
  enum class Side { kAtLeast, kAtMost } side;
  double limit;

  bool met(double figure) const {
    return side == Side::kAtLeast ? figure >= limit : figure <= limit;
  }
  std::string text() const {
    char text[32];
    std::snprintf(text, sizeof text, "%s %.4g", side == Side::kAtLeast ? ">=" : "<=", limit);
    return text;
  }
};

constexpr Bound at_least(double limit) { return {Bound::Side::kAtLeast, limit}; }
constexpr Bound at_most(double limit) { return {Bound::Side::kAtMost, limit}; }

struct Row {
  std::string name;
  double value;
  std::string unit;
  std::optional<double> ratio = {};
  std::optional<Bound> bound = {};

  std::optional<bool> met() const {
    return bound ? std::optional(bound->met(ratio.value_or(value))) : std::nullopt;
  }
};

class Report {
 public:
  void add(Row row) { rows_.push_back(std::move(row)); }

  bool all_met() const {
    for (const Row& row : rows_)
      if (!row.met().value_or(true)) return false;
    return true;
  }

  void print() const {
    std::printf("%-52s %12s %-6s %8s %9s\n", "", "value", "", "ratio", "bound");
    for (const Row& row : rows_) {
      std::printf("%-52s %12.4g %-6s ", row.name.c_str(), row.value, row.unit.c_str());
      row.ratio ? std::printf("%8.3f ", *row.ratio) : std::printf("%8s ", "");
      std::printf("%9s %s\n", row.bound ? row.bound->text().c_str() : "",
                  !row.bound   ? ""
                  : *row.met() ? "met"
                               : "MISSED");
    }
  }

  // Returns false, with errno set, when the file cannot be written.
  bool write_json(const char* path) const {
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) return false;
    std::fprintf(file, "[");
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      const Row& row = rows_[i];
      std::fprintf(file, "%s\n  {\"name\": \"%s\", \"value\": %s, \"unit\": \"%s\", ", i ? "," : "",
                   row.name.c_str(), number(row.value).c_str(), row.unit.c_str());
      std::fprintf(file, "\"ratio\": %s, ", row.ratio ? number(*row.ratio).c_str() : "null");
      std::string bound = row.bound ? '"' + row.bound->text() + '"' : "null";
      std::fprintf(file, "\"bound\": %s, \"met\": %s}", bound.c_str(),
                   !row.bound   ? "null"
                   : *row.met() ? "true"
                                : "false");
    }
    std::fprintf(file, "\n]\n");
    return std::fclose(file) == 0;
  }

 private:
  // JSON has no word for what is not finite.
  static std::string number(double value) {
    if (!std::isfinite(value)) return "null";
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
  }

  std::vector<Row> rows_;
};

// Prints the table and writes the file that `--json FILE` asks for. Returns the exit status:
// 0, or 2 for arguments it does not know or a file it cannot write.
inline int finish(const Report& report, int argc, char** argv) {
  report.print();
  if (argc == 1) return 0;
  if (argc != 3 || std::string_view(argv[1]) != "--json") {
    std::fprintf(stderr, "usage: %s [--json FILE]\n", argv[0]);
    return 2;
  }
  if (report.write_json(argv[2])) return 0;
  std::perror(argv[2]);
  return 2;
}

}  // namespace lmcd::bench
