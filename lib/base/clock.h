// Time as lmcd needs it: milliseconds that never go back. Handed to whoever needs it, so
// that a test can turn the hand itself.
#pragma once

#include <cstdint>

namespace lmcd {

class Clock {
 public:
  virtual ~Clock() = default;
  // Milliseconds of CLOCK_MONOTONIC: comparable across processes of one boot.
  virtual uint64_t now_ms() const = 0;
  // The same clock in nanoseconds: to measure with.
  virtual uint64_t now_ns() const { return now_ms() * 1'000'000; }
};

class MonotonicClock final : public Clock {
 public:
  uint64_t now_ms() const override;
  uint64_t now_ns() const override;
};

class ManualClock final : public Clock {
 public:
  uint64_t now_ms() const override { return now_ms_; }
  void advance_ms(uint64_t by) { now_ms_ += by; }

 private:
  uint64_t now_ms_ = 1;
};

}  // namespace lmcd
