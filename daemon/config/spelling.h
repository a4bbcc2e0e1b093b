// Names and texts as they stand in one-line messages. Pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace lmcd::config {

// `text` in quotes: one line of printable ASCII and at most 64 characters of it.
std::string in_quotes(std::string_view text);

// An option's name as options.def spells it: lower case, with hyphens.
std::string canonical(std::string_view name);

// The one of `names` that `name` most resembles; empty when none does.
std::string_view closest(std::string_view name, std::span<const std::string_view> names);

}  // namespace lmcd::config
