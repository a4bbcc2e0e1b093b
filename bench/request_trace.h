// A request trace: what an engine was asked, in order of time, as runs of prefix blocks.
//
// The file form is one JSON object a line: {"timestamp": ms, "input_length": tokens,
// "output_length": tokens, "hash_ids": [...]}, where each id names a block of 512 tokens together
// with all tokens before it, so that equal ids mean equal prefixes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/status.h"

namespace lmcd::bench {

inline constexpr uint64_t kBlockTokens = 512;

struct Request {
  uint64_t timestamp_ms = 0;
  uint64_t input_tokens = 0;
  uint64_t output_tokens = 0;
  std::vector<uint64_t> blocks;  // root first
};

using Trace = std::vector<Request>;

// Faults: LMCD_E_IO if `path` cannot be read; LMCD_E_INVALID naming the line and what it lacks.
Result<Trace> read_trace(const std::string& path);

// Blocks asked for, over all requests.
uint64_t blocks_requested(const Trace& trace);
// Different blocks among them.
uint64_t blocks_distinct(const Trace& trace);

}  // namespace lmcd::bench
