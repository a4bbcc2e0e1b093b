// How long the loop is busy with each kind of message: a histogram for each opcode.
//
// A bucket is a power of two of nanoseconds, so that counting one is a bit scan and an addition.
// The time is that of the handler alone: not the wait in the socket before it, nor what an answer
// waits for. Loop thread only.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/admin/snapshot.h"

namespace lmcd::transport {

class ServiceTimes {
 public:
  void count(uint32_t opcode, uint64_t nanoseconds) {
    if (opcode >= kOpcodes) return;
    One& one = times_[opcode];
    ++one.count;
    one.nanoseconds += nanoseconds;
    ++one.buckets[bucket_of(nanoseconds)];
  }

  // What was counted, of those opcodes that occurred. Lifetime: views this.
  std::vector<admin::VerbFacts> facts() const;

 private:
  static constexpr std::size_t kOpcodes = 256;

  struct One {
    uint64_t count = 0;
    uint64_t nanoseconds = 0;
    std::array<uint64_t, admin::VerbFacts::kBuckets> buckets{};
  };

  static std::size_t bucket_of(uint64_t nanoseconds) {
    const auto above =
        static_cast<std::size_t>(std::bit_width(nanoseconds >> admin::VerbFacts::kLeastPower));
    return std::min(above, admin::VerbFacts::kBuckets - 1);
  }

  std::array<One, kOpcodes> times_{};
};

}  // namespace lmcd::transport
