// The tiers of this daemon in their order, each with what the mover has learnt of it.
//
// A tier that ends operations in faults, or says that it is down, is left alone for a while: a
// second at first, twice as long each time, up to half a minute. Meanwhile nothing is spilled to
// it and nothing loaded from it, so a broken tier costs misses and no time.
//
// recover() reads the tiers' own lists into the store's cold book; forget_cleared() has the tiers
// forget what an operator cleared. Each tier has workers of its own, so one that hangs keeps no
// other waiting, and no copy. Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "daemon/config/adapter.h"
#include "daemon/core/store.h"
#include "daemon/tier/tier.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/worker_pool.h"

namespace lmcd::mover {

// The key by which the tiers know a part, and of such a key the part's own. A client's keys need
// not differ between namespaces (an engine's block hashes do not), and a tier knows a record by key
// and part only: so the namespace is in the key.
lmcd_key_t tier_key(const lmcd_key_t& key, const lmcd_key_t& fingerprint);

// One tier of the cascade.
class Stage {
 public:
  Stage(uint32_t number, std::unique_ptr<ThreadWorkerPool> pool, std::unique_ptr<tier::Tier> tier)
      : number_(number), pool_(std::move(pool)), tier_(std::move(tier)) {}

  uint32_t number() const { return number_; }
  uint8_t bit() const { return static_cast<uint8_t>(1u << number_); }
  tier::Tier& tier() { return *tier_; }
  const tier::Tier& tier() const { return *tier_; }

  // Whether it is worth asking now.
  bool usable(uint64_t now_ms) const;
  // CLOCK_MONOTONIC ms until which it is left alone; in the past when it is not.
  uint64_t paused_until_ms() const { return paused_until_ms_; }
  // How an operation ended: one that was begun is answered for.
  void succeeded() { faults_in_a_row_ = 0; }
  void failed(uint64_t now_ms);

  // What gets were begun and ended, for the bandwidth.
  void get_began(uint64_t now_ms);
  void get_ended(uint64_t now_ms, uint64_t loaded_bytes);
  // Of the last seconds in which it had gets to work on; nothing before the first has ended.
  std::optional<double> bytes_per_ms() const;

  uint64_t spilled_bytes = 0;
  uint64_t prefetched_bytes = 0;
  uint32_t spills = 0;      // in flight
  uint32_t prefetches = 0;  // in flight

 private:
  const uint32_t number_;
  std::unique_ptr<ThreadWorkerPool> pool_;
  std::unique_ptr<tier::Tier> tier_;  // before its pool, when it goes
  uint32_t faults_in_a_row_ = 0;
  uint64_t pause_ms_ = 0;
  uint64_t paused_until_ms_ = 0;
  uint32_t gets_ = 0;
  uint64_t busy_since_ms_ = 0;
  double busy_ms_ = 0;
  double loaded_bytes_ = 0;
};

class Cascade {
 public:
  // Used, not owned; all outlive the cascade.
  struct Parts {
    Loop& loop;
    core::Store& store;
    Log& log;
  };

  // Opens the tiers in their order. `align_bytes` is that of the arena's extents.
  // Faults: those of tier::open_tier; LMCD_E_INVALID for a tier whose bytes must stand on coarser
  // bounds than extents do.
  static Result<std::unique_ptr<Cascade>> open(const Parts& parts,
                                               const std::vector<config::Adapter>& adapters,
                                               uint32_t threads, uint32_t align_bytes);
  // Requires: idle().
  ~Cascade();

  std::vector<std::unique_ptr<Stage>>& stages() { return stages_; }
  const std::vector<std::unique_ptr<Stage>>& stages() const { return stages_; }
  uint64_t now_ms() const { return parts_.loop.clock().now_ms(); }

  // Begins to read the tiers' lists.
  void recover();
  bool recovered() const { return listing_ == 0; }

  // Has the tiers forget what was cleared, a bounded number of records at a time.
  void forget_cleared();
  // Has the tier forget a record that must not be found in it.
  void forget(Stage& stage, const tier::Tier::Name& name);

  // Tells the log of a tier's fault.
  void tell(const Stage& stage, const char* verb, int32_t code);

  // Ends what is in flight as soon as nothing touches its bytes.
  void cancel();
  bool idle() const;

 private:
  struct Listing;
  struct Removal {
    uint32_t entry;
    uint32_t stage;
  };

  explicit Cascade(const Parts& parts);

  void list_on(const std::shared_ptr<Listing>& listing);
  void take_listed(const std::shared_ptr<Listing>& listing,
                   const tier::Tier::Completion& completion);
  bool take_record(const Stage& stage, const lmcd_tier_record_t& record);
  bool remove(const Removal& removal);

  const Parts parts_;
  std::vector<std::unique_ptr<Stage>> stages_;
  uint32_t listing_ = 0;  // tiers whose lists are not read to their ends
  std::vector<Removal> removals_;
  uint32_t removing_ = 0;
  bool cancelled_ = false;
  Timer again_;
};

}  // namespace lmcd::mover
