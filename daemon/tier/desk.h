// What every tier does with an operation before and after its medium: checks it, counts it,
// completes it, and remembers how the last ones ended.
//
// After kFaultsUntilDown faults of the medium in a row the tier is down: its operations end in
// LMCD_E_IO at once until a time has passed, which doubles with each try that fails, so that a
// medium that is gone costs nobody a wait. Loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/tier/catalog.h"
#include "daemon/tier/request.h"
#include "lib/base/status.h"

namespace lmcd::tier {

inline constexpr uint32_t kListLimit = 4096;

// How an operation ended, with a reason when it is a fault, or when there is no room for one.
struct Ending {
  lmcd_code_t code = LMCD_OK;
  uint32_t outcome = LMCD_NONE;
  std::string reason;

  static Ending of(uint32_t outcome) { return {LMCD_OK, outcome, {}}; }
  static Ending of(Status status) { return {status.code(), LMCD_NONE, std::string(status.text())}; }
};

class Desk {
 public:
  static constexpr uint32_t kFaultsUntilDown = 8;
  static constexpr uint64_t kFirstRetryMs = 500;
  static constexpr uint64_t kLongestRetryMs = 30'000;

  // `host` outlives it.
  Desk(const lmcd_tier_host_t& host, uint32_t queue_limit)
      : host_(host), queue_limit_(queue_limit) {}

  // Says whether a request makes sense. LMCD_OK or LMCD_E_INVALID.
  static lmcd_code_t check(const Request& request);
  // Checks a request and counts it in. Anything but LMCD_OK: it is not accepted.
  lmcd_code_t accept(const Request& request);
  // Why an accepted operation must not begin: its deadline has passed, or the tier is down.
  // Returns LMCD_OK in `code` when it may.
  Ending refusal(const Request& request) const;

  void finish(const Request& request, const Ending& ending);
  // Finishes a list from `catalog`.
  void finish_list(const Request& request, const Catalog& catalog);

  uint64_t now_ms() const { return host_.now_ms(host_.context); }
  // Until when, on std::chrono's steady clock (nanoseconds), an operation may begin, for threads
  // that must not ask the host; INT64_MAX without a deadline.
  int64_t steady_deadline_ns(const Request& request) const;
  const lmcd_tier_host_t& host() const { return host_; }

  uint32_t in_flight() const { return in_flight_; }
  lmcd_tier_health_t health() const;
  lmcd_tier_capabilities_t capabilities(uint32_t traits, uint64_t record_max_bytes) const;

 private:
  void note(const Ending& ending);
  void complete(const lmcd_tier_completion_t& completion);

  const lmcd_tier_host_t& host_;
  const uint32_t queue_limit_;
  uint32_t in_flight_ = 0;
  uint64_t faults_ = 0;
  uint32_t faults_in_a_row_ = 0;  // of the medium
  uint64_t retry_wait_ms_ = 0;
  uint64_t retry_at_ms_ = 0;
  std::string reason_;  // of the last fault; "" once something went well
};

// The time of std::chrono's steady clock.
int64_t steady_now_ns();

}  // namespace lmcd::tier
