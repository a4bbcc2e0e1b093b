// The one table of tiers (tiers.def). Adding one takes its folder and its line.
#pragma once

#include <memory>
#include <string_view>

#include "daemon/config/adapter.h"
#include "daemon/tier/tier.h"
#include "lib/base/status.h"

namespace lmcd::tier {

// Opens the tier that `adapter` asks for. Loop and pool outlive it.
// Faults: LMCD_E_UNSUPPORTED naming the types there are; those of Tier::open.
Result<std::unique_ptr<Tier>> open_tier(const config::Adapter& adapter, Loop& loop,
                                        WorkerPool& pool);

// The table of a type that is linked in. Faults: LMCD_E_UNSUPPORTED naming the types there are.
Result<const lmcd_tier_module_t*> find_module(std::string_view type);

#define LMCD_TIER(type, module) const lmcd_tier_module_t* module();
#include "daemon/tier/tiers.def"
#undef LMCD_TIER

}  // namespace lmcd::tier
