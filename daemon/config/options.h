// The daemon's options: one typed struct, and one table that says all else about them.
//
// Both are made from options.def, so they cannot disagree. Values, no state; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config/kinds.h"

namespace lmcd::config {

// Where an option's value comes from; a later one goes before an earlier one.
enum class Source : uint8_t { kDefault, kFile, kEnvironment, kFlag };

enum class Reload : uint8_t {
  kStart,   // read when the daemon starts
  kReload,  // may change while it runs
};

// A place for each option of struct Options: Item::chunk_tokens is its place in the table.
enum class Item : uint16_t {
#define LMCD_OPTION(kind, member, ...) member,
#define LMCD_ALIAS(alias, name)
#define LMCD_LATER(name, with, help)
#include "daemon/config/options.def"
#undef LMCD_OPTION
#undef LMCD_ALIAS
#undef LMCD_LATER
  kCount
};
inline constexpr std::size_t kItems = static_cast<std::size_t>(Item::kCount);

struct Options {
#define LMCD_OPTION(kind, member, ...) kind::Value member{};
#define LMCD_ALIAS(alias, name)
#define LMCD_LATER(name, with, help)
#include "daemon/config/options.def"
#undef LMCD_OPTION
#undef LMCD_ALIAS
#undef LMCD_LATER

  std::array<Source, kItems> sources{};
  Source source(Item item) const { return sources[static_cast<std::size_t>(item)]; }
};

// One line of options.def.
struct Option {
  Item item;
  std::string_view name;
  std::string_view kind;
  std::string_view unit;
  std::string_view initial;  // see initial_text
  std::string_view valid;
  Reload reload;
  std::string_view help;
  bool repeatable;
  bool may_echo;    // false: a message never repeats its value

  Status (*read)(Options& options, std::string_view text);
  void (*clear)(Options& options);
  void (*take)(Options& to, const Options& from);
  void (*print)(const Options& options, JsonWriter& json);
  std::string (*takes)();

  bool required() const { return initial == "!"; }
  bool derived() const { return initial.starts_with('='); }
  // The default as it would be written, or how it is derived; empty for a required option.
  std::string_view initial_text() const {
    return initial.substr(required() || derived() ? 1 : 0);
  }
  bool is_switch() const { return kind == Switch::kName; }
};

// An option that is known and comes later.
struct LaterOption {
  std::string_view name;
  std::string_view with;  // "the tiers"
  std::string_view help;
};

struct Alias {
  std::string_view alias;
  std::string_view name;
};

std::span<const Option> options();
std::span<const LaterOption> later_options();
std::span<const Alias> aliases();

// The option of this canonical name or alias; null if there is none.
const Option* find_option(std::string_view name);
const LaterOption* find_later_option(std::string_view name);

// All options at their defaults; what is required or derived is empty.
Options defaults();

std::string_view source_word(Source source);

}  // namespace lmcd::config
