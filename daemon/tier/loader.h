// Finds the table of the tier that an adapter names, and the fields that its open() is to be given.
//
// Three kinds: tiers that are linked in (tiers.def); `native_plugin`, a shared object of the
// operator's, whose own fields stand in "config"; and what fault_inject wraps, which it resolves
// itself. A shared object that was loaded stays so until the process ends, since nobody can tell
// whether its code is still needed. Any thread.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "daemon/config/adapter.h"
#include "include/lmcd_tier.h"
#include "lib/base/status.h"

namespace lmcd::tier {

// A table and its fields, with what they point into. Stays where it is.
class Chosen {
 public:
  // Faults: LMCD_E_UNSUPPORTED naming the types there are; LMCD_E_IO for a shared object that
  // cannot be loaded, LMCD_E_VERSION for one that is no tier.
  static Result<std::unique_ptr<Chosen>> of(const config::Adapter& adapter);
  // The same from an adapter's JSON.
  static Result<std::unique_ptr<Chosen>> of_json(const std::string& json);
  Chosen(const Chosen&) = delete;
  Chosen& operator=(const Chosen&) = delete;

  const lmcd_tier_module_t& module() const { return *module_; }
  const std::vector<lmcd_tier_field_t>& fields() const { return fields_; }

 private:
  Chosen() = default;
  Status load_plugin(const config::Adapter& adapter);
  Status load(const std::string& path);
  Status take_config(const std::string& json);

  const lmcd_tier_module_t* module_ = nullptr;
  std::deque<std::string> texts_;
  std::vector<lmcd_tier_field_t> fields_;
};

}  // namespace lmcd::tier
