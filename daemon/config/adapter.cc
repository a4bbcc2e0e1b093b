#include "daemon/config/adapter.h"

#include <algorithm>
#include <array>

#include "daemon/config/kinds.h"
#include "daemon/config/spelling.h"
#include "daemon/config/yaml.h"

namespace lmcd::config {
namespace {

struct Type {
  std::string_view name;
  bool later;
};

constexpr Type kTypes[] = {
#define LMCD_ADAPTER(name) {name, false},
#define LMCD_ADAPTER_LATER(name) {name, true},
#define LMCD_ADAPTER_FIELD(type, name, kind, need, low, high)
#include "daemon/config/adapters.def"
#undef LMCD_ADAPTER
#undef LMCD_ADAPTER_LATER
#undef LMCD_ADAPTER_FIELD
};

enum class Kind : uint8_t { kNumber, kFlag, kText, kSecret, kObject };
enum class Need : uint8_t { kRequired, kOptional };

struct Field {
  std::string_view type;
  const char* name;
  Kind kind;
  Need need;
  double low;
  double high;
};

constexpr Field kFields[] = {
#define LMCD_ADAPTER(name)
#define LMCD_ADAPTER_LATER(name)
#define LMCD_ADAPTER_FIELD(type, name, kind, need, low, high) \
  {type, name, Kind::kind, Need::need, low, high},
#include "daemon/config/adapters.def"
#undef LMCD_ADAPTER
#undef LMCD_ADAPTER_LATER
#undef LMCD_ADAPTER_FIELD
};

// What stands under `key`; null when there is nothing.
const std::string* find(const std::vector<Entry>& entries, std::string_view key) {
  for (const Entry& entry : entries)
    if (entry.key == key && entry.values.size() == 1) return &entry.values.front();
  return nullptr;
}

std::string types_there() {
  std::string names;
  for (const Type& type : kTypes) {
    if (type.later) continue;
    if (!names.empty()) names += ", ";
    names += in_quotes(type.name);
  }
  return names;
}

Result<const Type*> find_type(const std::vector<Entry>& entries) {
  const std::string* name = find(entries, "type");
  if (!name) return fault(LMCD_E_INVALID, "needs a field \"type\", such as \"mock\"");
  for (const Type& type : kTypes) {
    if (type.name != *name) continue;
    if (type.later)
      return fault(LMCD_E_UNSUPPORTED, "type \"%s\" comes later; this version has %s",
                   name->c_str(), types_there().c_str());
    return &type;
  }
  return fault(LMCD_E_INVALID, "names a \"type\" that does not exist; this version has %s",
               types_there().c_str());
}

// Every field must be one of the type's, and stand there once.
Status check_names(const std::vector<Entry>& entries, const Type& type) {
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
    auto same = [&](const Entry& other) { return other.key == entry->key; };
    if (std::any_of(entries.begin(), entry, same))
      return fault(LMCD_E_INVALID, "has field %s twice", in_quotes(entry->key).c_str());
    auto known = [&](const Field& field) {
      return field.type == type.name && field.name == entry->key;
    };
    if (entry->key != "type" && std::none_of(std::begin(kFields), std::end(kFields), known))
      return fault(LMCD_E_INVALID, "has field %s, which type \"%s\" does not know",
                   in_quotes(entry->key).c_str(), std::string(type.name).c_str());
  }
  return {};
}

Result<FieldValue> read_field(const Field& field, const std::string& text) {
  double number = 0;
  switch (field.kind) {
    case Kind::kNumber: {
      const bool above = field.need == Need::kRequired;
      if (Real::read(text, "", number).ok() && number <= field.high &&
          (above ? number > field.low : number >= field.low))
        return FieldValue(number);
      return fault(LMCD_E_INVALID, "field \"%s\" takes a number %s %g%s %g", field.name,
                   above ? "above" : "from", field.low, above ? ", up to" : " to", field.high);
    }
    case Kind::kFlag:
      if (text == "true" || text == "false") return FieldValue(text == "true" ? 1.0 : 0.0);
      return fault(LMCD_E_INVALID, "field \"%s\" takes true or false", field.name);
    case Kind::kObject:
      if (text.starts_with('{')) return FieldValue(text);
      return fault(LMCD_E_INVALID, "field \"%s\" takes a JSON object", field.name);
    default:
      if (!text.empty()) return FieldValue(text);
      return fault(LMCD_E_INVALID, "field \"%s\" takes a text that is not empty", field.name);
  }
}

bool is_secret(std::string_view type, std::string_view name) {
  return std::any_of(std::begin(kFields), std::end(kFields), [&](const Field& field) {
    return field.type == type && field.name == name &&
           (field.kind == Kind::kSecret || field.kind == Kind::kObject);
  });
}

}  // namespace

double Adapter::field(std::string_view name) const {
  for (const auto& [key, value] : fields)
    if (key == name) return value.number;
  return 0;
}

void Adapter::print(JsonWriter& json) const {
  json.begin_object().key("type").text(type);
  for (const auto& [key, value] : fields) {
    if (is_secret(type, key)) continue;
    json.key(key);
    value.text ? json.text(*value.text) : json.real(value.number);
  }
  json.end_object();
}

Result<Adapter> read_adapter(std::string_view json) {
  LMCD_ASSIGN(std::vector<Entry> entries, read_mapping(json));
  LMCD_ASSIGN(const Type* type, find_type(entries));
  LMCD_TRY(check_names(entries, *type));
  Adapter adapter{std::string(type->name), {}};
  for (const Field& field : kFields) {
    if (field.type != type->name) continue;
    const std::string* text = find(entries, field.name);
    if (!text && field.need == Need::kOptional) continue;
    if (!text) return fault(LMCD_E_INVALID, "needs a field \"%s\"", field.name);
    LMCD_ASSIGN(FieldValue value, read_field(field, *text));
    adapter.fields.emplace_back(field.name, std::move(value));
  }
  return adapter;
}

}  // namespace lmcd::config
