#include "daemon/config/reload.h"

#include <string>

#include "lib/base/json.h"

namespace lmcd::config {
namespace {

std::string printed(const Option& option, const Options& options) {
  JsonWriter json;
  option.print(options, json);
  return json.document();
}

}  // namespace

Reloaded reload(Options& options, Options& given, const Options& next) {
  Reloaded reloaded;
  for (const Option& option : config::options()) {
    if (printed(option, given) == printed(option, next)) continue;
    if (option.reload == Reload::kStart) {
      reloaded.need_restart.push_back(option.name);
      continue;
    }
    const auto place = static_cast<std::size_t>(option.item);
    for (Options* known : {&options, &given}) {
      option.take(*known, next);
      known->sources[place] = next.sources[place];
    }
    reloaded.changed.push_back(option.name);
  }
  return reloaded;
}

}  // namespace lmcd::config
