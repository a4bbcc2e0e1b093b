#include "daemon/tier/fields.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace lmcd::tier {

const lmcd_tier_field_t* Fields::find(const char* name) {
  asked_.push_back(name);
  for (const lmcd_tier_field_t* field = fields_; field != fields_ + count_; ++field)
    if (std::string_view(field->name) == name) return field;
  return nullptr;
}

void Fields::refuse(Status status) {
  if (first_.ok()) first_ = std::move(status);
}

double Fields::number(const char* name, double low, double high) {
  const lmcd_tier_field_t* field = find(name);
  if (field && !field->text && field->number > low && field->number <= high) return field->number;
  refuse(fault(LMCD_E_INVALID, "field \"%s\" takes a number above %.15g, up to %.15g", name, low,
               high));
  return high;
}

double Fields::number_or(const char* name, double otherwise, double low, double high) {
  const lmcd_tier_field_t* field = find(name);
  if (!field) return otherwise;
  if (!field->text && field->number >= low && field->number <= high) return field->number;
  refuse(fault(LMCD_E_INVALID, "field \"%s\" takes a number from %.15g to %.15g", name, low, high));
  return otherwise;
}

std::string Fields::text(const char* name) {
  const lmcd_tier_field_t* field = find(name);
  if (field && field->text && *field->text) return field->text;
  refuse(fault(LMCD_E_INVALID, "field \"%s\" takes a text that is not empty", name));
  return {};
}

std::string Fields::text_or(const char* name, const char* otherwise) {
  const lmcd_tier_field_t* field = find(name);
  if (!field) return otherwise;
  if (field->text) return field->text;
  refuse(fault(LMCD_E_INVALID, "field \"%s\" takes a text", name));
  return otherwise;
}

Status Fields::finish() {
  // A field that is unknown is told first: it may be the missing one, misspelt.
  for (const lmcd_tier_field_t* field = fields_; field != fields_ + count_; ++field) {
    auto same = [&](const char* name) { return std::string_view(field->name) == name; };
    if (std::any_of(asked_.begin(), asked_.end(), same)) continue;
    std::string valid;
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      if (i > 0) valid += i + 1 == asked_.size() ? " and " : ", ";
      valid += asked_[i];
    }
    return fault(LMCD_E_INVALID, "field \"%.64s\" is unknown; valid are %s", field->name,
                 valid.c_str());
  }
  return std::move(first_);
}

}  // namespace lmcd::tier
