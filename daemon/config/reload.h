// What changes when the options are read again while the daemon runs. Values; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "daemon/config/options.h"

namespace lmcd::config {

// Names of options, as they stand in the table.
struct Reloaded {
  std::vector<std::string_view> changed;
  std::vector<std::string_view> need_restart;  // differ, but are read at the start only
};

// Takes over what may change from `next`, which was read just now, into `given`, which was read
// before, and into `options`, which are in use.
Reloaded reload(Options& options, Options& given, const Options& next);

}  // namespace lmcd::config
