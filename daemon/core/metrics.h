// The daemon's metrics as fields, generated from metrics.def. Counters are bumped where the
// thing happens; gauges are filled when a snapshot is taken. Loop thread only.
#pragma once

#include <cstdint>

namespace lmcd::core {

struct Metrics {
#define LMCD_METRIC(name, kind, help) uint64_t name = 0;
#include "daemon/core/metrics.def"
#undef LMCD_METRIC
};

// Calls visitor(name, kind, help, value) for each metric in the order of the table.
template <typename Visitor>
void visit(const Metrics& metrics, Visitor&& visitor) {
#define LMCD_METRIC(name, kind, help) visitor(#name, #kind, help, metrics.name);
#include "daemon/core/metrics.def"
#undef LMCD_METRIC
}

}  // namespace lmcd::core
