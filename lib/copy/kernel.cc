#include "lib/copy/kernel.h"

#include <cstring>

namespace lmcd::copy {

#if defined(__x86_64__)
extern const Kernel kSse2Kernel;
extern const Kernel kAvx2Kernel;
extern const Kernel kAvx512Kernel;
#endif

namespace {

void plain_stream(const Lane* lanes, uint32_t count, std::size_t bytes) {
  for (uint32_t lane = 0; lane < count; ++lane)
    std::memcpy(lanes[lane].to, lanes[lane].from, bytes);
}

// Its stores are ordered as all others are.
void plain_fence() {}

// For other CPUs, and what the others are tested against.
constexpr Kernel kPlainKernel = {"plain", 1, plain_stream, nullptr, plain_fence};

}  // namespace

std::vector<const Kernel*> usable_kernels() {
  std::vector<const Kernel*> kernels;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f")) kernels.push_back(&kAvx512Kernel);
  if (__builtin_cpu_supports("avx2")) kernels.push_back(&kAvx2Kernel);
  kernels.push_back(&kSse2Kernel);
#endif
  kernels.push_back(&kPlainKernel);
  return kernels;
}

const Kernel& fastest_kernel() { return *usable_kernels().front(); }

}  // namespace lmcd::copy
