// Reads the two texts an operator writes in YAML: a file of options and, since JSON is YAML, the
// object of an adapter. The one place that knows the YAML library (libyaml: in C, without
// exceptions, and it stays in bounds and ends on any input, as yaml-cpp 0.7 does not).
//
// Both texts are one mapping of names to scalars, to lists of these, or to mappings of scalars
// and of few further mappings (an adapter that wraps another).
// Aliases are refused, so nothing is followed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/status.h"

namespace lmcd::config {

inline constexpr std::size_t kFileBytes = std::size_t{1} << 20;  // of a file of options

struct Entry {
  std::string key;
  std::vector<std::string> values;  // one; or those of a list, an object among them as JSON
  std::size_t line;                 // counts from 1
};

// The entries of a mapping, in their order. An empty text has none.
// Faults: LMCD_E_INVALID with the line.
Result<std::vector<Entry>> read_mapping(std::string_view text);

}  // namespace lmcd::config
