// The one table of eviction policies (policies.def). Adding one takes its file and its line.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "daemon/core/eviction.h"
#include "lib/base/status.h"

namespace lmcd::policy {

using PolicyResult = Result<std::unique_ptr<core::EvictionPolicy>>;

inline constexpr std::string_view kDefaultPolicy = "ARC";

// The names of all policies, in the order of the table.
std::span<const std::string_view> policy_names();

// Makes the policy called `name`.
// Faults: LMCD_E_INVALID naming the valid ones if there is none of that name;
// LMCD_E_NO_MEMORY if its tables cannot be had.
PolicyResult make_policy(std::string_view name, const core::EvictionLimits& limits);

#define LMCD_POLICY(name, make) PolicyResult make(const core::EvictionLimits& limits);
#include "daemon/policy/policies.def"
#undef LMCD_POLICY

}  // namespace lmcd::policy
