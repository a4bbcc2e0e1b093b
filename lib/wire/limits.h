// The bounds of the protocol. Each is checked by both sides.
#pragma once

#include <cstdint>

namespace lmcd::wire {

inline constexpr uint32_t kProtocolMin = 1;
inline constexpr uint32_t kProtocolMax = 1;

inline constexpr uint32_t kFrameBytes = 4u << 20;     // one frame with its header
inline constexpr uint32_t kBatchItems = 16384;        // keys of one request
inline constexpr uint32_t kBlockIds = 1u << 19;       // of one Store or Load
inline constexpr uint32_t kPages = 4096;              // of one segment
inline constexpr uint32_t kGroups = 16;               // of one namespace
inline constexpr uint32_t kRanks = 256;               // of one namespace
// Ranks times groups. The parts of an object stand in a list that a request walks for each part it
// names, so this bounds what a request costs: 45 ms for 16384 parts of one key, on two slow cores.
inline constexpr uint32_t kPartsPerObject = 1024;
inline constexpr uint32_t kDescriptionBytes = 3072;   // of one namespace
inline constexpr uint32_t kTenantBytes = 255;         // of one cache_salt
inline constexpr uint32_t kNameBytes = 63;            // of a session or segment
inline constexpr uint32_t kDescriptors = 4;           // passed with one frame
inline constexpr uint32_t kListItems = 4096;          // of one Listed or Quotas

}  // namespace lmcd::wire
