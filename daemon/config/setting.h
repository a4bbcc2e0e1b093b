// One value that somebody gave to one option, and where: what the readers of flags, environment
// and file make, and what parse.cc applies.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/options.h"
#include "lib/base/status.h"

namespace lmcd::config {

struct Setting {
  const Option* option;
  std::string text;
  std::string where;  // "--chunk-size", "LMCD_CHUNK_SIZE", "lmcd.yaml:3: chunk-size"
};

// The environment that was handed in; nobody reads another.
class Environment {
 public:
  explicit Environment(std::span<const char* const> variables) : variables_(variables) {}

  std::span<const char* const> variables() const { return variables_; }
  // The value of a variable; empty when it is not set.
  std::string_view value(std::string_view name) const;

 private:
  std::span<const char* const> variables_;
};

// Finds the option that `name` (any spelling) means, as given at `where`.
// Faults: LMCD_E_INVALID with the closest name; LMCD_E_UNSUPPORTED for one that comes later.
Result<const Option*> resolve(std::string_view name, const std::string& where);

Result<std::vector<Setting>> read_environment(const Environment& environment);
Result<std::vector<Setting>> read_file(std::string_view text, const std::string& path);

}  // namespace lmcd::config
