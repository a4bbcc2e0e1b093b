#include "lib/copy/stream.h"

namespace lmcd::copy {
namespace {

struct Vector {
  using Register = __m256i;
  static Register load(const std::byte* at) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static void store(std::byte* at, Register value) {
    _mm256_stream_si256(reinterpret_cast<__m256i*>(at), value);
  }
};

}  // namespace

// Four lanes: eight would need all sixteen registers and were slower (bench/copy_bench.cc).
extern const Kernel kAvx2Kernel;
const Kernel kAvx2Kernel = {"avx2", 4, stream<Vector, 4>, stream_checksummed<Vector, 4>, fence};

}  // namespace lmcd::copy
