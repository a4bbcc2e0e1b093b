#include "daemon/config/setting.h"

#include <algorithm>

#include "daemon/config/spelling.h"
#include "daemon/config/yaml.h"

namespace lmcd::config {
namespace {

constexpr std::string_view kPrefix = "LMCD_";

// Variables that are ours and no options: the switch of the tests, where `lmcd serve` finds the
// daemon, and what runtime plugins are told, one of which may start a daemon of its own.
constexpr std::string_view kNoOptions[] = {"LMCD_TESTING", "LMCD_SYNC_POINT", "LMCD_DAEMON"};
constexpr std::string_view kPluginPrefix = "LMCD_RUNTIME_PLUGIN_";

bool is_option_variable(std::string_view name) {
  if (!name.starts_with(kPrefix) || name.starts_with(kPluginPrefix)) return false;
  return std::find(std::begin(kNoOptions), std::end(kNoOptions), name) == std::end(kNoOptions);
}

// Kubernetes tells containers the addresses of the services around them: one that is called lmcd
// becomes LMCD_SERVICE_HOST, LMCD_SERVICE_PORT, LMCD_PORT=tcp://10.0.0.1:80, LMCD_PORT_80_TCP ...
// (kubernetes.io, "Environment variables"). These are nobody's options.
bool is_service_link(std::string_view name, std::string_view value,
                     const Environment& environment) {
  for (std::string_view mark : {"_SERVICE_HOST", "_SERVICE_PORT", "_PORT"}) {
    const std::size_t at = name.find(mark);
    if (at == std::string_view::npos) continue;
    if (environment.value(std::string(name.substr(0, at)) + "_SERVICE_HOST").empty()) continue;
    const std::string_view rest = name.substr(at + mark.size());
    if (mark == "_PORT" && rest.empty()) return value.find("://") != std::string_view::npos;
    return rest.empty() || rest.front() == '_';
  }
  return false;
}

std::string suggestion(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Option& option : options()) names.push_back(option.name);
  for (const LaterOption& option : later_options()) names.push_back(option.name);
  for (const Alias& alias : aliases()) names.push_back(alias.alias);
  std::string_view best = closest(name, names);
  if (best.empty()) return "; --help lists the options";
  return "; did you mean \"" + std::string(best) + "\"?";
}

}  // namespace

std::string_view Environment::value(std::string_view name) const {
  for (const char* variable : variables_) {
    std::string_view text(variable);
    if (text.size() > name.size() && text.starts_with(name) && text[name.size()] == '=')
      return text.substr(name.size() + 1);
  }
  return {};
}

Result<const Option*> resolve(std::string_view name, const std::string& where) {
  std::string known = canonical(name);
  if (const Option* option = find_option(known)) return option;
  if (const LaterOption* later = find_later_option(known))
    return fault(LMCD_E_UNSUPPORTED, "%s: this version does not have it; it comes with %s",
                 where.c_str(), std::string(later->with).c_str());
  return fault(LMCD_E_INVALID, "%s: no such option%s", where.c_str(), suggestion(known).c_str());
}

Result<std::vector<Setting>> read_environment(const Environment& environment) {
  std::vector<Setting> settings;
  for (const char* variable : environment.variables()) {
    std::string_view text(variable);
    std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = text.substr(0, equals);
    const std::string_view value = text.substr(equals + 1);
    if (!is_option_variable(name) || is_service_link(name, value, environment)) continue;
    std::string where = "environment " + in_quotes(name);
    LMCD_ASSIGN(const Option* option, resolve(name.substr(kPrefix.size()), where));
    settings.push_back({option, std::string(value), std::move(where)});
  }
  return settings;
}

Result<std::vector<Setting>> read_file(std::string_view text, const std::string& path) {
  Result<std::vector<Entry>> entries = read_mapping(text);
  if (!entries.ok()) {
    Status status = entries.status();
    return fault(status.code(), "%s: %s", path.c_str(), std::string(status.text()).c_str());
  }
  std::vector<Setting> settings;
  for (const Entry& entry : entries.value()) {
    std::string where = path + ":" + std::to_string(entry.line) + ": " + in_quotes(entry.key);
    LMCD_ASSIGN(const Option* option, resolve(entry.key, where));
    if (option->item == Item::config)
      return fault(LMCD_E_INVALID, "%s: a file cannot name another one", where.c_str());
    if (entry.values.size() != 1 && !option->repeatable)
      return fault(LMCD_E_INVALID, "%s: takes one value, not a list", where.c_str());
    for (const std::string& value : entry.values) settings.push_back({option, value, where});
  }
  return settings;
}

}  // namespace lmcd::config
