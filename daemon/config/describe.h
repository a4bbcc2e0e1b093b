// What the options are, told to people and programs: --help, --describe-options and the
// effective configuration of `lmcd config`. Pure functions; any thread.
#pragma once

#include <string>

#include "daemon/config/options.h"

namespace lmcd::config {

// {"options": [{name, flag, environment, kind, unit, default, derived, required, valid, reload,
// repeatable, help, aliases}], "later": [{name, with, help}]}: all of options.def.
// docs/options.md and the flags of `lmcd serve` are made from it.
std::string describe_options();

// {name: {"value": ..., "source": "default" | "file" | "environment" | "flag"}}, secrets left
// out. Options for tests stand there only when they were given.
std::string effective_config(const Options& options);

// The text of --help.
std::string usage();

}  // namespace lmcd::config
