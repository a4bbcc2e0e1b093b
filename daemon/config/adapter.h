// A tier that an operator asks for: --l2-adapter '{"type": "mock", ...}'.
//
// Which types there are and what fields they take stands in adapters.def; all else about a
// tier is its own business. Values, no state.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/json.h"
#include "lib/base/status.h"

namespace lmcd::config {

// What a field holds: a number (of a flag 0 or 1), or a text.
struct FieldValue {
  FieldValue(double value) : number(value) {}
  FieldValue(std::string value) : text(std::move(value)) {}
  FieldValue(const char* value) : text(value) {}

  double number = 0;
  std::optional<std::string> text;
};

struct Adapter {
  std::string type;
  std::vector<std::pair<std::string, FieldValue>> fields;  // those given, in adapters.def's order

  // The number of a field; 0 when it was not given.
  double field(std::string_view name) const;
  // Secrets are left out.
  void print(JsonWriter& json) const;
};

// Reads one adapter from its JSON object and checks each field.
// Faults: LMCD_E_INVALID; LMCD_E_UNSUPPORTED for a type that comes later. The text never
// repeats a value, which may be a credential.
Result<Adapter> read_adapter(std::string_view json);

}  // namespace lmcd::config
