#include "bench/contiguous_copy.h"

#include <immintrin.h>

namespace lmcd::bench {
namespace {

// One stream from front to back, prefetching kAhead bytes.
template <std::size_t kAhead>
[[gnu::target("avx2")]] void linear_avx2(std::byte* to, const std::byte* from, std::size_t bytes) {
  auto* out = reinterpret_cast<__m256i*>(to);
  auto* in = reinterpret_cast<const __m256i*>(from);
  for (std::size_t i = 0; i < bytes / 32; i += 4) {
    _mm_prefetch(reinterpret_cast<const char*>(in + i) + kAhead, _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(in + i + 2) + kAhead, _MM_HINT_T0);
    __m256i a = _mm256_load_si256(in + i), b = _mm256_load_si256(in + i + 1);
    __m256i c = _mm256_load_si256(in + i + 2), d = _mm256_load_si256(in + i + 3);
    _mm256_stream_si256(out + i, a);
    _mm256_stream_si256(out + i + 1, b);
    _mm256_stream_si256(out + i + 2, c);
    _mm256_stream_si256(out + i + 3, d);
  }
  _mm_sfence();
}

// kLanes streams that stand kStride bytes apart, a line of each in turn. The lines of a step are
// loaded before the first is stored (lib/copy/kernel.h says why).
template <int kLanes, std::size_t kStride, std::size_t kAhead>
[[gnu::target("avx2")]] void lanes_avx2(std::byte* to, const std::byte* from, std::size_t bytes) {
  for (std::size_t base = 0; base < bytes; base += kLanes * kStride) {
    for (std::size_t at = base; at < base + kStride; at += 64) {
      __m256i line[kLanes][2];
#pragma GCC unroll 8
      for (int i = 0; i < kLanes; ++i) {
        auto* in = reinterpret_cast<const __m256i*>(from + at + i * kStride);
        if (kAhead) _mm_prefetch(reinterpret_cast<const char*>(in) + kAhead, _MM_HINT_NTA);
        line[i][0] = _mm256_load_si256(in);
        line[i][1] = _mm256_load_si256(in + 1);
      }
#pragma GCC unroll 8
      for (int i = 0; i < kLanes; ++i) {
        auto* out = reinterpret_cast<__m256i*>(to + at + i * kStride);
        _mm256_stream_si256(out, line[i][0]);
        _mm256_stream_si256(out + 1, line[i][1]);
      }
    }
  }
  _mm_sfence();
}

template <int kLanes, std::size_t kStride, std::size_t kAhead>
[[gnu::target("avx512f")]] void lanes_avx512(std::byte* to, const std::byte* from,
                                             std::size_t bytes) {
  for (std::size_t base = 0; base < bytes; base += kLanes * kStride) {
    for (std::size_t at = base; at < base + kStride; at += 64) {
      __m512i line[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) {
        const std::byte* in = from + at + i * kStride;
        if (kAhead) _mm_prefetch(reinterpret_cast<const char*>(in) + kAhead, _MM_HINT_NTA);
        line[i] = _mm512_load_si512(in);
      }
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i)
        _mm512_stream_si512(reinterpret_cast<__m512i*>(to + at + i * kStride), line[i]);
    }
  }
  _mm_sfence();
}

constexpr std::size_t kKiB = 1024;

}  // namespace

std::vector<ContiguousCopy> contiguous_copies() {
  std::vector<ContiguousCopy> copies;
  if (__builtin_cpu_supports("avx512f")) {
    copies.push_back({"avx512 linear", lanes_avx512<1, 4 * kKiB, 0>});
    copies.push_back({"avx512 linear ahead", lanes_avx512<1, 4 * kKiB, 512>});
    copies.push_back({"avx512 8 x 4 KiB", lanes_avx512<8, 4 * kKiB, 0>});
    copies.push_back({"avx512 8 x 64 KiB", lanes_avx512<8, 64 * kKiB, 0>});
    copies.push_back({"avx512 8 x 64 KiB ahead", lanes_avx512<8, 64 * kKiB, 512>});
    copies.push_back({"avx512 16 x 4 KiB", lanes_avx512<16, 4 * kKiB, 0>});
  }
  if (__builtin_cpu_supports("avx2")) {
    copies.push_back({"avx2 linear ahead", linear_avx2<512>});
    copies.push_back({"avx2 4 x 4 KiB", lanes_avx2<4, 4 * kKiB, 0>});
    copies.push_back({"avx2 4 x 64 KiB", lanes_avx2<4, 64 * kKiB, 0>});
    copies.push_back({"avx2 4 x 64 KiB ahead", lanes_avx2<4, 64 * kKiB, 512>});
    copies.push_back({"avx2 8 x 64 KiB", lanes_avx2<8, 64 * kKiB, 0>});
  }
  return copies;
}

}  // namespace lmcd::bench
