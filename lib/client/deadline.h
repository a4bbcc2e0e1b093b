// When a wait ends. Made once a call, so that the steps of the call share its bound.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace lmcd::client {

class Deadline {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static Deadline after_ms(uint64_t ms) {
    return Deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(ms));
  }

  Time time() const { return at_; }
  bool passed() const { return std::chrono::steady_clock::now() >= at_; }
  // For poll(2): rounded up, so that a wait of less than a millisecond does not spin.
  int poll_ms() const {
    const auto rest =
        std::chrono::ceil<std::chrono::milliseconds>(at_ - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<int64_t>(rest.count(), 0, 3'600'000));
  }
  Deadline sooner_of_ms(uint64_t ms) const { return Deadline(std::min(at_, after_ms(ms).at_)); }

 private:
  explicit Deadline(Time at) : at_(at) {}

  Time at_;
};

}  // namespace lmcd::client
