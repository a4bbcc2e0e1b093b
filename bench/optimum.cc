#include "bench/optimum.h"

#include <set>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace lmcd::bench {
namespace {

constexpr uint64_t kNever = UINT64_MAX;

// Ordered so that the last goes first: latest next use, then farthest from the root.
using Kept = std::tuple<uint64_t, uint64_t, uint64_t>;  // next use, depth, block

// For each block of each request, the request that asks for it next.
std::vector<std::vector<uint64_t>> next_uses(const Trace& trace) {
  std::vector<std::vector<uint64_t>> next(trace.size());
  std::unordered_map<uint64_t, uint64_t> seen;
  for (std::size_t request = trace.size(); request-- > 0;) {
    for (uint64_t block : trace[request].blocks) {
      auto [entry, fresh] = seen.try_emplace(block, request);
      next[request].push_back(fresh ? kNever : entry->second);
      entry->second = request;
    }
  }
  return next;
}

}  // namespace

uint64_t optimum_hits(const Trace& trace, uint64_t capacity_blocks) {
  auto next = next_uses(trace);
  std::set<Kept> cache;
  uint64_t hits = 0;
  for (std::size_t request = 0; request < trace.size(); ++request) {
    const auto& blocks = trace[request].blocks;
    for (uint64_t depth = 0; depth < blocks.size(); ++depth)
      hits += cache.erase({request, depth, blocks[depth]});
    for (uint64_t depth = 0; depth < blocks.size(); ++depth)
      if (next[request][depth] != kNever)
        cache.insert({next[request][depth], depth, blocks[depth]});
    while (cache.size() > capacity_blocks) cache.erase(std::prev(cache.end()));
  }
  return hits;
}

}  // namespace lmcd::bench
