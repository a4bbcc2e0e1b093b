#include "daemon/tier/registry.h"

#include <string>
#include <string_view>
#include <vector>

namespace lmcd::tier {
namespace {

struct Line {
  std::string_view type;
  const lmcd_tier_module_t* (*module)();
};

constexpr Line kTiers[] = {
#define LMCD_TIER(type, module) {type, module},
#include "daemon/tier/tiers.def"
#undef LMCD_TIER
};

}  // namespace

Result<std::unique_ptr<Tier>> open_tier(const config::Adapter& adapter, Loop& loop,
                                        WorkerPool& pool) {
  std::vector<lmcd_tier_field_t> fields;
  for (const auto& [name, number] : adapter.fields)
    fields.push_back({name.c_str(), nullptr, number});
  std::string valid;
  for (const Line& line : kTiers) {
    if (line.type == adapter.type) return Tier::open(*line.module(), fields, loop, pool);
    valid += valid.empty() ? "" : ", ";
    valid += line.type;
  }
  return fault(LMCD_E_UNSUPPORTED, "tiers of type \"%.64s\" come later; this version has %s",
               adapter.type.c_str(), valid.c_str());
}

}  // namespace lmcd::tier
