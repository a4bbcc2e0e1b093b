// How a session is to be opened, out of the caller's options and the environment.
#pragma once

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/client/handshake.h"

namespace lmcd::client {

// `options` may be null. Faults: LMCD_E_INVALID, LMCD_E_UNSUPPORTED.
Result<Settings> make_settings(const lmcd_session_options_t* options);

}  // namespace lmcd::client
