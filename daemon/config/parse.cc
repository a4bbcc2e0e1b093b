#include "daemon/config/parse.h"

#include <algorithm>
#include <bitset>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "daemon/config/setting.h"
#include "daemon/config/settle.h"
#include "daemon/config/spelling.h"
#include "daemon/config/yaml.h"

namespace lmcd::config {
namespace {

struct ActionFlag {
  std::string_view flag;
  Action action;
};

constexpr ActionFlag kActions[] = {
    {"help", Action::kHelp},
    {"version", Action::kVersion},
    {"describe-options", Action::kDescribeOptions},
    {"print-config", Action::kPrintConfig},
};

// Reads flags: --name value, --name=value, and for switches --name and --no-name.
class FlagReader {
 public:
  explicit FlagReader(std::span<const char* const> arguments) : arguments_(arguments) {}

  Status read();
  Action action() const { return action_; }
  std::vector<Setting> take() { return std::move(settings_); }

 private:
  Status read_one(std::string_view argument);
  bool read_action(std::string_view name);
  Status read_no_switch(std::string_view name, const std::string& where);

  std::span<const char* const> arguments_;
  std::size_t next_ = 0;
  Action action_ = Action::kServe;
  std::vector<Setting> settings_;
};

Status FlagReader::read() {
  while (next_ < arguments_.size()) LMCD_TRY(read_one(arguments_[next_++]));
  return {};
}

bool FlagReader::read_action(std::string_view name) {
  for (const ActionFlag& known : kActions) {
    if (known.flag != name) continue;
    // --help goes before the others wherever it stands.
    if (action_ != Action::kHelp) action_ = known.action;
    return true;
  }
  return false;
}

Status FlagReader::read_no_switch(std::string_view name, const std::string& where) {
  LMCD_ASSIGN(const Option* option, resolve(name, where));
  if (!option->is_switch())
    return fault(LMCD_E_INVALID, "%s: \"%s\" is not a switch", where.c_str(),
                 std::string(option->name).c_str());
  settings_.push_back({option, "false", where});
  return {};
}

Status FlagReader::read_one(std::string_view argument) {
  if (!argument.starts_with("--") || argument.size() == 2)
    return fault(LMCD_E_INVALID, "argument %s: options begin with --; --help lists them",
                 in_quotes(argument).c_str());
  std::string_view name = argument.substr(2);
  std::size_t equals = name.find('=');
  const bool joined = equals != std::string_view::npos;
  std::string_view value = joined ? name.substr(equals + 1) : std::string_view();
  name = name.substr(0, equals);
  if (!joined && read_action(name)) return {};

  std::string where = "option " + in_quotes(name);
  if (!joined && name.starts_with("no-")) return read_no_switch(name.substr(3), where);
  LMCD_ASSIGN(const Option* option, resolve(name, where));
  if (!joined) {
    if (option->is_switch())
      value = "true";
    else if (next_ < arguments_.size())
      value = arguments_[next_++];
    else
      return fault(LMCD_E_INVALID, "%s: a value is missing; takes %s", where.c_str(),
                   option->takes().c_str());
  }
  settings_.push_back({option, std::string(value), std::move(where)});
  return {};
}

Status refuse_value(const Setting& setting, Status status) {
  const std::string value = setting.option->may_echo ? in_quotes(setting.text) + " " : "";
  return fault(status.code(), "%s: %s%s%.*s", setting.where.c_str(), value.c_str(),
               setting.option->may_echo ? "is not valid; " : "",
               static_cast<int>(status.text().size()), status.text().data());
}

// Gives the options the values of one source, in place of those of an earlier one.
Status apply(Options& options, std::span<const Setting> settings, Source source) {
  std::bitset<kItems> seen;
  for (const Setting& setting : settings) {
    const Option& option = *setting.option;
    const auto place = static_cast<std::size_t>(option.item);
    if (seen[place] && !option.repeatable)
      return fault(LMCD_E_INVALID, "%s: given twice", setting.where.c_str());
    if (!seen[place]) option.clear(options);
    seen[place] = true;
    Status status = option.read(options, setting.text);
    if (!status.ok()) return refuse_value(setting, std::move(status));
    options.sources[place] = source;
  }
  return {};
}

// The path of the file: from the flags, else from the environment; empty for none.
std::string config_path(std::span<const Setting> flags, std::span<const Setting> environment) {
  for (std::span<const Setting> settings : {flags, environment})
    for (const Setting& setting : settings)
      if (setting.option->item == Item::config) return setting.text;
  return {};
}

Result<std::string> read_whole(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "re"));
  if (!file) return errno_fault(LMCD_E_IO, errno, "option \"config\": open %s", path.c_str());
  std::string text(kFileBytes + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()))
    return errno_fault(LMCD_E_IO, errno, "option \"config\": read %s", path.c_str());
  return text;
}

Result<std::vector<Setting>> file_settings(const Input& input, const std::string& path) {
  if (input.file) return read_file(*input.file, path.empty() ? "config" : path);
  if (path.empty()) return std::vector<Setting>();
  LMCD_ASSIGN(std::string text, read_whole(path));
  return read_file(text, path);
}

Status check_required(const Options& options) {
  for (const Option& option : config::options())
    if (option.required() && options.source(option.item) == Source::kDefault)
      return fault(LMCD_E_INVALID, "option \"%s\": must be given; takes %s (%s)",
                   std::string(option.name).c_str(), option.takes().c_str(),
                   std::string(option.unit).c_str());
  return {};
}

}  // namespace

Result<Invocation> parse(const Input& input) {
  Environment environment(input.environment);
  FlagReader reader(input.arguments);
  LMCD_TRY(reader.read());
  Invocation out;
  out.action = reader.action();
  if (out.action != Action::kServe && out.action != Action::kPrintConfig) return out;

  const std::vector<Setting> flags = reader.take();
  LMCD_ASSIGN(const std::vector<Setting> variables, read_environment(environment));
  LMCD_ASSIGN(const std::vector<Setting> file, file_settings(input, config_path(flags, variables)));
  out.options = defaults();
  LMCD_TRY(apply(out.options, file, Source::kFile));
  LMCD_TRY(apply(out.options, variables, Source::kEnvironment));
  LMCD_TRY(apply(out.options, flags, Source::kFlag));
  LMCD_TRY(check_required(out.options));
  LMCD_TRY(settle(out.options, environment, out.warnings));
  return out;
}

Result<Invocation> parse(int argc, char** argv, char** environment) {
  std::size_t variables = 0;
  while (environment[variables]) ++variables;
  const std::size_t arguments = argc > 0 ? static_cast<std::size_t>(argc) - 1 : 0;
  return parse(Input{{argv + (argc > 0), arguments}, {environment, variables}, std::nullopt});
}

}  // namespace lmcd::config
