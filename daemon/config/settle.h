// The last step of a parse: fills in what is derived from other options and from the machine,
// and refuses options that are each valid but not together.
#pragma once

#include <string>
#include <vector>

#include "daemon/config/setting.h"

namespace lmcd::config {

// Appends to `warnings` what was taken and has no effect.
// Faults: LMCD_E_INVALID, LMCD_E_UNSUPPORTED.
Status settle(Options& options, const Environment& environment,
              std::vector<std::string>& warnings);

}  // namespace lmcd::config
