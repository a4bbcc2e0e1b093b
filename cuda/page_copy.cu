#include <cuda_runtime.h>

#include <algorithm>

#include "cuda/page_copy.h"

namespace lmcd::cuda {
namespace {

constexpr uint32_t kThreads = 256;
constexpr uint32_t kWarps = kThreads / kLanes;

enum class Direction { kGather, kScatter };

template <Direction kDirection>
__global__ void __launch_bounds__(kThreads) page_copy_kernel(const PageCopy copy) {
  const uint32_t lane = threadIdx.x % kLanes;
  const uint64_t stride = uint64_t{gridDim.x} * kWarps;
  const uint64_t slices = uint64_t{copy.item_slices} * copy.item_count;
  for (uint64_t number = uint64_t{blockIdx.x} * kWarps + threadIdx.x / kLanes; number < slices;
       number += stride) {
    const Slice slice = find_slice(copy, number);
    if constexpr (kDirection == Direction::kGather)
      copy_bytes(slice.flat, slice.paged, slice.bytes, lane);
    else
      copy_bytes(slice.paged, slice.flat, slice.bytes, lane);
  }
}

template <Direction kDirection>
Status start(const PageCopy& copy, Launch launch) {
  const uint64_t slices = uint64_t{copy.item_slices} * copy.item_count;
  if (slices == 0) return {};
  const uint64_t most = std::max<uint32_t>(launch.grid_limit, 1);
  const auto grid = static_cast<uint32_t>(std::min((slices + kWarps - 1) / kWarps, most));
  page_copy_kernel<kDirection><<<grid, kThreads, 0, launch.stream>>>(copy);
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess)
    return fault(LMCD_E_IO, "page copy: launch refused: %s", cudaGetErrorString(error));
  return {};
}

}  // namespace

Status gather(const PageCopy& copy, Launch launch) {
  return start<Direction::kGather>(copy, launch);
}

Status scatter(const PageCopy& copy, Launch launch) {
  return start<Direction::kScatter>(copy, launch);
}

}  // namespace lmcd::cuda
