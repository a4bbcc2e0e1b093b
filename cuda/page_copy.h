// Gather and scatter of pages on a GPU: between an engine's paged KV and extents, one launch for
// all runs of all items.
//
// Each call queues one kernel on a stream and does not wait. The caller records an event after
// it: when that has passed, a gather's bytes are visible to the host (commit comes after), and a
// scatter has read all it reads (validation comes after). Plan, addresses and block ids lie in
// memory that stays as it is until then.
//
// Not checked here: block ids, which the caller compares with the layout's block_count, and that
// no block is scattered to twice. Any thread that has the stream's context current.
#pragma once

#include <cstdint>

#include "cuda/page_plan.h"
#include "lib/base/status.h"

struct CUstream_st;  // cudaStream_t points to it; no header of CUDA is needed to call this

namespace lmcd::cuda {

// Thread blocks of a launch at most: as many as keep the link to host memory busy, so that the
// engine keeps the rest of the GPU. Between two device memories more are faster.
struct Launch {
  CUstream_st* stream;
  uint32_t grid_limit = 128;
};

// Faults: LMCD_E_IO with CUDA's text when the launch is refused. An empty copy launches nothing.
Status gather(const PageCopy& copy, Launch launch);
Status scatter(const PageCopy& copy, Launch launch);

}  // namespace lmcd::cuda
