#include "lib/copy/stream.h"

namespace lmcd::copy {
namespace {

struct Vector {
  using Register = __m128i;
  static Register load(const std::byte* at) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  static void store(std::byte* at, Register value) {
    _mm_stream_si128(reinterpret_cast<__m128i*>(at), value);
  }
};

}  // namespace

extern const Kernel kSse2Kernel;
const Kernel kSse2Kernel = {"sse2", 4, stream<Vector, 4>, nullptr, fence};

}  // namespace lmcd::copy
