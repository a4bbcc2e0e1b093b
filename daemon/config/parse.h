// From a command line, an environment and a YAML file to Options that are whole and valid.
//
// Flags go before the environment, it before the file, it before the defaults. Every value is
// checked, also one that another goes before. What is unknown, given twice, out of range or of
// a later version ends the parse with one line that names option, value and what would be
// valid; nothing is passed over in silence. Called once, at the start, before any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/options.h"
#include "lib/base/status.h"

namespace lmcd::config {

enum class Action : uint8_t {
  kServe,
  kHelp,             // --help
  kVersion,          // --version
  kDescribeOptions,  // --describe-options
  kPrintConfig,      // --print-config
};

struct Invocation {
  Action action = Action::kServe;
  Options options;                    // for kServe and kPrintConfig
  std::vector<std::string> warnings;  // one line each
};

struct Input {
  std::span<const char* const> arguments;    // without the program's name
  std::span<const char* const> environment;  // "NAME=value"
  std::optional<std::string_view> file;      // in place of the file that `config` names
};

// Faults: LMCD_E_INVALID, LMCD_E_UNSUPPORTED (comes later), LMCD_E_IO (the file cannot be read).
Result<Invocation> parse(const Input& input);

// The same from what main() and environ(7) give.
Result<Invocation> parse(int argc, char** argv, char** environment);

}  // namespace lmcd::config
