#include "daemon/config/options.h"

#include <cassert>

#define LMCD_REQUIRED "!"
#define LMCD_DERIVED "="

namespace lmcd::config {
namespace {

#define LMCD_DESCRIBE(value_kind, member, option_name, value_unit, first, range, rule, about)      \
  Option{Item::member, option_name, value_kind::kName, value_unit, first, range, Reload::rule,     \
         about, value_kind::kRepeatable, value_kind::kMayEcho,                                     \
         [](Options& options, std::string_view text) {                                             \
           return value_kind::read(text, range, options.member);                                   \
         },                                                                                        \
         [](Options& options) { options.member = value_kind::Value{}; },                           \
         [](Options& to, const Options& from) { to.member = from.member; },                        \
         [](const Options& options, JsonWriter& json) {                                            \
           value_kind::print(options.member, range, json);                                         \
         },                                                                                        \
         [] { return value_kind::takes(range); }},

const Option kOptions[] = {
#define LMCD_OPTION LMCD_DESCRIBE
#define LMCD_ALIAS(alias, name)
#define LMCD_LATER(name, with, help)
#include "daemon/config/options.def"
#undef LMCD_OPTION
#undef LMCD_ALIAS
#undef LMCD_LATER
};

const LaterOption kLater[] = {
#define LMCD_OPTION(...)
#define LMCD_ALIAS(alias, name)
#define LMCD_LATER(name, with, help) {name, with, help},
#include "daemon/config/options.def"
#undef LMCD_OPTION
#undef LMCD_ALIAS
#undef LMCD_LATER
};

const Alias kAliases[] = {
#define LMCD_OPTION(...)
#define LMCD_ALIAS(alias, name) {alias, name},
#define LMCD_LATER(name, with, help)
#include "daemon/config/options.def"
#undef LMCD_OPTION
#undef LMCD_ALIAS
#undef LMCD_LATER
};

}  // namespace

std::span<const Option> options() { return kOptions; }
std::span<const LaterOption> later_options() { return kLater; }
std::span<const Alias> aliases() { return kAliases; }

const Option* find_option(std::string_view name) {
  for (const Alias& alias : kAliases)
    if (alias.alias == name) name = alias.name;
  for (const Option& option : kOptions)
    if (option.name == name) return &option;
  return nullptr;
}

const LaterOption* find_later_option(std::string_view name) {
  for (const LaterOption& option : kLater)
    if (option.name == name) return &option;
  return nullptr;
}

Options defaults() {
  Options out;
  for (const Option& option : kOptions) {
    if (option.required() || option.derived()) continue;
    [[maybe_unused]] Status status = option.read(out, option.initial);
    assert(status.ok() && "a default of options.def is not valid");
  }
  return out;
}

std::string_view source_word(Source source) {
  switch (source) {
    case Source::kDefault: return "default";
    case Source::kFile: return "file";
    case Source::kEnvironment: return "environment";
    case Source::kFlag: return "flag";
  }
  return "?";
}

}  // namespace lmcd::config
