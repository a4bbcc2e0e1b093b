// One opened tier: the C++ face of include/lmcd_tier.h, which has the contract.
//
// Plays the host of the module: lends it the loop's clock, one timer and the worker pool, and
// brings its completions, which may come on any thread, to the loop's. Does not believe the
// module more than it must: a token that is not in flight is ignored.
//
// Loop thread only. Each operation that was accepted is answered once by its `done`, in a later
// turn than that of the call; `done` may begin further ones. Bytes given to an operation belong to
// it until then.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "include/lmcd_tier.h"
#include "lib/base/bell.h"
#include "lib/base/loop.h"
#include "lib/base/status.h"
#include "lib/base/worker_pool.h"

namespace lmcd::tier {

class Tier {
 public:
  using Completion = lmcd_tier_completion_t;
  using Done = std::function<void(const Completion&)>;

  static constexpr uint64_t kNoDeadline = 0;
  enum class Checksum : uint8_t { kUnknown, kKnown };  // of a record that is put

  // The name of a record.
  struct Name {
    lmcd_key_t key;
    lmcd_part_t part;
  };

  // Opens a tier of `module`. Loop and pool outlive it.
  // Faults: LMCD_E_VERSION for a module of another ABI; LMCD_E_INVALID for one whose capabilities
  // make no sense; those of the module's open.
  static Result<std::unique_ptr<Tier>> open(const lmcd_tier_module_t& module,
                                            std::span<const lmcd_tier_field_t> fields, Loop& loop,
                                            WorkerPool& pool);
  Tier(const Tier&) = delete;
  Tier& operator=(const Tier&) = delete;
  // Requires: idle(), and not from within a `done`.
  ~Tier();

  std::string_view type() const { return module_.type; }

  // Faults of these five: those of the module's function; `done` is not called then.
  Status put(const lmcd_tier_record_t& record, Checksum checksum, std::span<const std::byte> bytes,
             uint64_t deadline_ms, Done done);
  Status get(const Name& name, std::span<std::byte> bytes, uint64_t deadline_ms, Done done);
  Status exists(const Name& name, uint64_t deadline_ms, Done done);
  Status remove(const Name& name, uint64_t deadline_ms, Done done);
  Status list(uint64_t cursor, std::span<lmcd_tier_record_t> listed, uint64_t deadline_ms,
              Done done);

  // Ends all that is in flight as soon as nothing touches its bytes.
  void cancel() { module_.cancel(tier_); }
  // Nothing is in flight and the module has no job in the pool.
  bool idle() const { return free_.size() == slots_.size() && jobs_ == 0; }

  const lmcd_tier_capabilities_t& capabilities() const { return capabilities_; }
  lmcd_tier_usage_t usage() const;
  lmcd_tier_health_t health() const;
  uint64_t tenant_bytes(const char* tenant) const { return module_.tenant_bytes(tier_, tenant); }
  uint64_t namespace_bytes(const lmcd_key_t& fingerprint) const {
    return module_.namespace_bytes(tier_, &fingerprint);
  }

 private:
  class ModuleJob;
  struct Slot {
    Done done;
    uint32_t generation = 0;  // tells a token from those that had the slot before
    bool taken = false;
  };

  Tier(const lmcd_tier_module_t& module, Loop& loop, WorkerPool& pool);

  Status check_module() const;
  Status take_capabilities();
  template <typename Begin>
  Status begin(const char* verb, Done done, Begin begin);
  void deliver();

  // The host's side of the table; `context` is the Tier.
  static uint64_t now_ms(void* context);
  static void wake_at(void* context, uint64_t due_ms);
  static lmcd_code_t submit(void* context, const lmcd_tier_job_t* job);
  static void complete(void* context, const lmcd_tier_completion_t* completion);
  static void wake_soon(void* context);

  const lmcd_tier_module_t& module_;
  Loop& loop_;
  WorkerPool& pool_;
  lmcd_tier_host_t host_{};
  lmcd_tier_t* tier_ = nullptr;
  lmcd_tier_capabilities_t capabilities_{};
  Timer wake_;
  std::size_t jobs_ = 0;     // of the module, in the pool
  std::vector<Slot> slots_;  // one for each operation that may be in flight
  std::vector<uint32_t> free_;
  std::unique_ptr<Bell> bell_;
  std::atomic<bool> woken_{false};  // by wake_soon
  std::mutex mutex_;
  std::vector<Completion> completed_;  // guarded by mutex_; at most slots_.size()
  std::vector<Completion> delivering_;
};

}  // namespace lmcd::tier
