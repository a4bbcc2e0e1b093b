#include "lib/copy/stream.h"

namespace lmcd::copy {
namespace {

struct Vector {
  using Register = __m512i;
  static Register load(const std::byte* at) { return _mm512_loadu_si512(at); }
  static void store(std::byte* at, Register value) {
    _mm512_stream_si512(reinterpret_cast<__m512i*>(at), value);
  }
};

}  // namespace

extern const Kernel kAvx512Kernel;
const Kernel kAvx512Kernel = {"avx512", 8, stream<Vector, 8>, stream_checksummed<Vector, 8>, fence};

}  // namespace lmcd::copy
