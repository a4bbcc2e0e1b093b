// Text from outside, before it is shown to anybody.
#pragma once

#include <cstddef>
#include <string_view>

namespace lmcd {

// Returns the length of the well-formed UTF-8 sequence that `text` begins with (RFC 3629: no
// overlong forms, no surrogates), 0 when it begins with none.
std::size_t utf8_sequence(std::string_view text);

}  // namespace lmcd
