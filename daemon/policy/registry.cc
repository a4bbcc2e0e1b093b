#include "daemon/policy/registry.h"

#include <cctype>
#include <string>

namespace lmcd::policy {
namespace {

constexpr std::string_view kNames[] = {
#define LMCD_POLICY(name, make) name,
#include "daemon/policy/policies.def"
#undef LMCD_POLICY
};

using Maker = PolicyResult (*)(const core::EvictionLimits&);
constexpr Maker kMakers[] = {
#define LMCD_POLICY(name, make) make,
#include "daemon/policy/policies.def"
#undef LMCD_POLICY
};

// What is compared of a name, so that "S3FIFO", "s3-fifo" and "s3_fifo" are one.
std::string folded(std::string_view name) {
  std::string letters;
  for (char c : name)
    if (c != '-' && c != '_')
      letters += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return letters;
}

}  // namespace

std::span<const std::string_view> policy_names() { return kNames; }

PolicyResult make_policy(std::string_view name, const core::EvictionLimits& limits) {
  std::string wanted = folded(name);
  std::string valid;
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (folded(kNames[i]) == wanted) return kMakers[i](limits);
    valid += valid.empty() ? "" : ", ";
    valid += kNames[i];
  }
  return fault(LMCD_E_INVALID, "eviction policy \"%.64s\" is unknown; valid are %s",
               std::string(name).c_str(), valid.c_str());
}

}  // namespace lmcd::policy
