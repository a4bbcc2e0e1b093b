#include "daemon/config/describe.h"

namespace lmcd::config {
namespace {

std::string variable_of(std::string_view name) {
  std::string out = "LMCD_";
  for (char c : name) {
    if (c == '-') c = '_';
    out += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

void describe(const Option& option, JsonWriter& json) {
  json.begin_object();
  json.key("name").text(option.name);
  json.key("flag").text("--" + std::string(option.name));
  json.key("environment").text(variable_of(option.name));
  json.key("kind").text(option.kind);
  json.key("unit").text(option.unit);
  json.key("default").text(option.initial_text());
  json.key("derived").boolean(option.derived());
  json.key("required").boolean(option.required());
  json.key("valid").text(option.takes());
  json.key("reload").boolean(option.reload == Reload::kReload);
  json.key("repeatable").boolean(option.repeatable);
  json.key("help").text(option.help);
  json.key("aliases").begin_array();
  for (const Alias& alias : aliases())
    if (alias.name == option.name) json.text(alias.alias);
  json.end_array();
  json.end_object();
}

void append_usage(std::string& text, const Option& option) {
  text += "  --";
  text += option.name;
  if (!option.is_switch()) text += " <" + option.takes() + ">";
  text += "\n      ";
  text += option.help;
  if (option.required())
    text += " (required)";
  else if (!option.initial_text().empty())
    text += " (default: " + std::string(option.initial_text()) + ")";
  text += '\n';
}

}  // namespace

std::string describe_options() {
  JsonWriter json;
  json.begin_object().key("options").begin_array();
  for (const Option& option : options()) describe(option, json);
  json.end_array().key("later").begin_array();
  for (const LaterOption& option : later_options()) {
    json.begin_object();
    json.key("name").text(option.name);
    json.key("with").text(option.with);
    json.key("help").text(option.help);
    json.end_object();
  }
  json.end_array().end_object();
  return json.document();
}

std::string effective_config(const Options& options) {
  JsonWriter json;
  json.begin_object();
  for (const Option& option : config::options()) {
    json.key(option.name).begin_object().key("value");
    option.print(options, json);
    json.key("source").text(source_word(options.source(option.item))).end_object();
  }
  json.end_object();
  return json.document();
}

std::string usage() {
  std::string text =
      "lmcd-daemon: keeps the KV cache of LLM inference engines outside the engine process\n"
      "\n"
      "usage: lmcd-daemon --l1-size-gb N [options]\n"
      "       lmcd-daemon --help | --version | --describe-options | --print-config\n"
      "\n"
      "Each option is also the environment variable LMCD_<NAME> and a key of the YAML file that\n"
      "--config names; a flag goes before the environment, and that before the file. Switches\n"
      "have a form --no-<name>.\n"
      "\n";
  for (const Option& option : options()) append_usage(text, option);
  return text;
}

}  // namespace lmcd::config
