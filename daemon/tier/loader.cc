#include "daemon/tier/loader.h"

#include <dlfcn.h>

#include <charconv>

#include "daemon/config/yaml.h"
#include "daemon/tier/registry.h"

namespace lmcd::tier {
namespace {

const std::string* text_of(const config::Adapter& adapter, std::string_view name) {
  for (const auto& [key, value] : adapter.fields)
    if (key == name && value.text) return &*value.text;
  return nullptr;
}

}  // namespace

Result<std::unique_ptr<Chosen>> Chosen::of(const config::Adapter& adapter) {
  std::unique_ptr<Chosen> chosen(new Chosen);
  if (adapter.type == "native_plugin") {
    LMCD_TRY(chosen->load_plugin(adapter));
    return chosen;
  }
  LMCD_ASSIGN(chosen->module_, find_module(adapter.type));
  for (const auto& [name, value] : adapter.fields) {
    const char* key = chosen->texts_.emplace_back(name).c_str();
    const char* text = value.text ? chosen->texts_.emplace_back(*value.text).c_str() : nullptr;
    chosen->fields_.push_back({key, text, value.number});
  }
  return chosen;
}

Result<std::unique_ptr<Chosen>> Chosen::of_json(const std::string& json) {
  LMCD_ASSIGN(config::Adapter adapter, config::read_adapter(json));
  return of(adapter);
}

Status Chosen::load_plugin(const config::Adapter& adapter) {
  const std::string* library = text_of(adapter, "library");
  if (!library) return fault(LMCD_E_INVALID, "field \"library\" takes a text that is not empty");
  LMCD_TRY(load(*library));
  const std::string* json = text_of(adapter, "config");
  return json ? take_config(*json) : Status();
}

Status Chosen::load(const std::string& path) {
  // Its symbols stay its own, and one that is missing is told now, not in the middle of a call.
  void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object) return fault(LMCD_E_IO, "tier module: %.400s", dlerror());
  auto table =
      reinterpret_cast<const lmcd_tier_module_t* (*)()>(dlsym(object, "lmcd_tier_module_table"));
  module_ = table ? table() : nullptr;
  if (module_) return {};
  dlclose(object);
  return fault(LMCD_E_VERSION, "tier module %.300s: has no lmcd_tier_module_table()", path.c_str());
}

// A value that reads as a number is one; any other is a text.
Status Chosen::take_config(const std::string& json) {
  LMCD_ASSIGN(std::vector<config::Entry> entries, config::read_mapping(json));
  for (const config::Entry& entry : entries) {
    if (entry.values.size() != 1)
      return fault(LMCD_E_INVALID, "field \"config\": \"%.64s\" takes one value",
                   entry.key.c_str());
    const char* key = texts_.emplace_back(entry.key).c_str();
    const std::string& text = texts_.emplace_back(entry.values.front());
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_number = error == std::errc() && end == text.data() + text.size();
    fields_.push_back({key, is_number ? nullptr : text.c_str(), number});
  }
  return {};
}

}  // namespace lmcd::tier
