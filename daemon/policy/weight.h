// Bytes in 32 bits: counted in units of 64, rounded up, up to 256 GiB.
#pragma once

#include <algorithm>
#include <cstdint>

namespace lmcd::policy {

inline constexpr uint64_t kWeightUnitBytes = 64;

constexpr uint32_t weight_of(uint64_t bytes) {
  uint64_t units = bytes / kWeightUnitBytes + (bytes % kWeightUnitBytes != 0);
  return static_cast<uint32_t>(std::min<uint64_t>(units, UINT32_MAX));
}

constexpr uint64_t bytes_of_weight(uint64_t weight) { return weight * kWeightUnitBytes; }

}  // namespace lmcd::policy
