// Parses options as a daemon would, from literals.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/parse.h"

namespace lmcd::config {

struct Given {
  std::vector<const char*> flags = {"--l1-size-gb", "2"};
  std::vector<const char*> environment;
  const char* file = nullptr;
};

inline Result<Invocation> parsed(const Given& given) {
  Input input{given.flags, given.environment, std::nullopt};
  if (given.file) input.file = given.file;
  return parse(input);
}

// The text of the fault, or "taken".
inline std::string refusal(const Given& given) {
  Result<Invocation> out = parsed(given);
  return out.ok() ? "taken" : std::string(out.status().text());
}

inline Given flags(std::vector<const char*> more) {
  Given given;
  given.flags.insert(given.flags.end(), more.begin(), more.end());
  return given;
}

}  // namespace lmcd::config
