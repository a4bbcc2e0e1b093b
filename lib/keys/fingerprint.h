// The fingerprint of a namespace: a digest of the text that says what its bytes mean.
//
// BLAKE3 in its key-derivation mode, under a context that names this use and its version, over
// the length of the text (64 bits, little-endian) and the text. Client and daemon compute it
// alike; it never changes. Any thread; pure.
#pragma once

#include <string_view>

#include "include/lmcd.h"
#include "lib/base/status.h"

namespace lmcd::keys {

inline constexpr size_t kMaxDescriptionBytes = 3072;

// Faults: LMCD_E_INVALID for a text that is empty, too long, not UTF-8, or has a control
// character other than a newline: the text is shown to operators as it is.
Result<lmcd_key_t> fingerprint(std::string_view description);

}  // namespace lmcd::keys
