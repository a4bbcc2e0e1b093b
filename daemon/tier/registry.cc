#include "daemon/tier/registry.h"

#include <string>
#include <string_view>

#include "daemon/tier/loader.h"

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

Result<const lmcd_tier_module_t*> find_module(std::string_view type) {
  std::string valid;
  for (const Line& line : kTiers) {
    if (line.type == type) return line.module();
    valid += valid.empty() ? "" : ", ";
    valid += line.type;
  }
  return fault(LMCD_E_UNSUPPORTED, "tiers of type \"%.64s\" come later; this version has %s",
               std::string(type).c_str(), valid.c_str());
}

Result<std::unique_ptr<Tier>> open_tier(const config::Adapter& adapter, Loop& loop,
                                        WorkerPool& pool) {
  LMCD_ASSIGN(std::unique_ptr<Chosen> chosen, Chosen::of(adapter));
  return Tier::open(chosen->module(), chosen->fields(), loop, pool);
}

}  // namespace lmcd::tier
