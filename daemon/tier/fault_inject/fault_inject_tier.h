// A tier that misbehaves on purpose, around one that does not ("fault_inject"), for tests of what
// stands before a tier.
//
// Fields: inner (an adapter, as JSON); delay_ms, before each operation reaches the inner tier; and
// shares of the operations, from 0 to 1: error_rate (LMCD_E_IO), no_space_rate (of puts),
// wrong_rate (of gets: LOADED with one bit flipped, which no sound tier does), hang_rate (nothing
// happens until the deadline, and without one until cancel). seed makes a run repeatable.
//
// It is the inner tier's host: it passes the pool, the clock and completions through, and shares
// the one timer with it. Loop thread, but for completions, which may come on any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <unordered_map>

#include "daemon/tier/fields.h"
#include "daemon/tier/loader.h"
#include "daemon/tier/request.h"

namespace lmcd::tier {

class FaultInjectTier {
 public:
  struct Options {
    uint64_t delay_ms = 0;
    double error_rate = 0;
    double no_space_rate = 0;
    double wrong_rate = 0;
    double hang_rate = 0;
    uint64_t seed = 0;
  };

  static Result<std::unique_ptr<FaultInjectTier>> open(const lmcd_tier_host_t& host,
                                                       Fields& fields);
  FaultInjectTier(const FaultInjectTier&) = delete;
  FaultInjectTier& operator=(const FaultInjectTier&) = delete;
  ~FaultInjectTier();

  lmcd_code_t begin(const Request& request);
  void cancel();
  void wake();

  lmcd_tier_capabilities_t capabilities() const;
  lmcd_tier_usage_t usage() const;
  lmcd_tier_health_t health() const;
  uint64_t tenant_bytes(const char* tenant) const { return module_.tenant_bytes(inner_, tenant); }
  uint64_t namespace_bytes(const lmcd_key_t& fingerprint) const {
    return module_.namespace_bytes(inner_, &fingerprint);
  }

 private:
  enum class Fate : uint8_t { kNone, kError, kNoSpace, kWrong, kHang };
  struct Held {
    Request request;
    Fate fate;
  };

  FaultInjectTier(const lmcd_tier_host_t& host, Options options, std::unique_ptr<Chosen> chosen);

  Fate choose(Verb verb);
  void release(const Held& held);
  void forward(const Request& request);
  lmcd_code_t call(const Request& request);
  void arm();
  void end(const Request& request, lmcd_code_t code, uint32_t outcome);
  void pass_on(const lmcd_tier_completion_t& completion);
  void falsify(const lmcd_tier_completion_t& completion);

  // The inner tier's host; `context` is this.
  static uint64_t now_ms(void* context);
  static void wake_at(void* context, uint64_t due_ms);
  static lmcd_code_t submit(void* context, const lmcd_tier_job_t* job);
  static void complete(void* context, const lmcd_tier_completion_t* completion);
  static void wake_soon(void* context);

  const lmcd_tier_host_t& host_;
  const Options options_;
  std::unique_ptr<Chosen> chosen_;
  const lmcd_tier_module_t& module_;
  lmcd_tier_host_t inner_host_{};
  lmcd_tier_t* inner_ = nullptr;
  uint32_t queue_limit_ = 0;
  std::mt19937_64 random_;
  std::multimap<uint64_t, Held> held_;  // by when they go on
  uint64_t inner_wake_ms_ = UINT64_MAX;
  uint64_t faults_ = 0;  // injected, as far as the inner tier does not count them
  std::atomic<uint32_t> in_flight_{0};
  std::atomic<bool> inner_woken_{false};
  std::mutex mutex_;
  std::unordered_map<uint64_t, Request> wrong_;  // guarded by mutex_; gets to falsify, by token
};

}  // namespace lmcd::tier
