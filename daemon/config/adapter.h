// A tier that an operator asks for: --l2-adapter '{"type": "mock", ...}'.
//
// Which types there are and what fields they take stands in adapters.def; all else about a
// tier is its own business. Values, no state.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/json.h"
#include "lib/base/status.h"

namespace lmcd::config {

struct Adapter {
  std::string type;
  std::vector<std::pair<std::string, double>> fields;  // in the order of adapters.def

  // The value of a field; 0 when it was not given.
  double field(std::string_view name) const;
  void print(JsonWriter& json) const;
};

// Reads one adapter from its JSON object and checks each field.
// Faults: LMCD_E_INVALID; LMCD_E_UNSUPPORTED for a type that comes later. The text never
// repeats a value, which may be a credential.
Result<Adapter> read_adapter(std::string_view json);

}  // namespace lmcd::config
