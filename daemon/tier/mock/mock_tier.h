// A tier in memory that is as slow as it is told to be: for trying out and testing what stands
// before a tier, without one.
//
// Fields: max_size_gb (its capacity in GiB) and mock_bandwidth_gb (GiB a second). It has one
// channel: each put or get takes its bytes' time there, one after the other, by a timer, so that
// nobody sleeps; the copy itself, with its crc32c, is a job of the host's pool when the time is
// over. Deadlines are known beforehand: what cannot be begun in time takes no time of the channel.
//
// Full, it forgets what it has had longest. Nothing outlives it. Threads: as lmcd_tier.h says.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "daemon/tier/fields.h"
#include "daemon/tier/request.h"
#include "lib/base/status.h"

namespace lmcd::tier {

class MockTier {
 public:
  static constexpr uint32_t kQueueLimit = 256;
  static constexpr uint32_t kListLimit = 4096;

  struct Options {
    uint64_t capacity_bytes = 0;
    double bytes_per_second = 0;
  };
  // `host` outlives it. Faults: LMCD_E_INVALID naming the field.
  static Result<std::unique_ptr<MockTier>> open(const lmcd_tier_host_t& host, Fields& fields);
  MockTier(const lmcd_tier_host_t& host, Options options);
  MockTier(const MockTier&) = delete;
  MockTier& operator=(const MockTier&) = delete;
  ~MockTier();

  lmcd_code_t begin(Request request);
  void cancel();
  void wake();

  lmcd_tier_capabilities_t capabilities() const;
  lmcd_tier_usage_t usage() const;
  lmcd_tier_health_t health() const;
  uint64_t tenant_bytes(const char* tenant) const;
  uint64_t namespace_bytes(const lmcd_key_t& fingerprint) const;

 private:
  struct NameOrder {
    bool operator()(const RecordName& one, const RecordName& other) const;
  };
  // Shared by the index and the gets that deliver them, so that a record may be forgotten while
  // it is read.
  using Bytes = std::shared_ptr<const std::byte[]>;
  struct Kept {
    lmcd_tier_record_t record;
    Bytes bytes;
    uint64_t sequence;  // of its put
  };
  using Index = std::map<RecordName, Kept, NameOrder>;
  struct Operation;

  Status check(const Request& request) const;
  uint64_t cost_ns(const Request& request) const;
  uint64_t now_ns() const { return host_.now_ms(host_.context) * 1'000'000; }

  void arm();
  void land(std::unique_ptr<Operation> operation);
  std::optional<uint32_t> decide(Operation& operation);
  bool make_room(uint64_t bytes);
  void copy(std::unique_ptr<Operation> operation);
  void copied(Operation& operation);
  void keep(Operation& operation);
  void list(const Request& request, lmcd_tier_completion_t& completion) const;
  void forget(Index::iterator kept);
  void finish(const Request& request, lmcd_code_t code, uint32_t outcome);

  const lmcd_tier_host_t& host_;
  const Options options_;
  // By the time at which the channel is done with them, or their deadline passes.
  std::multimap<uint64_t, std::unique_ptr<Operation>> waiting_;
  uint64_t channel_free_ns_ = 0;
  uint32_t in_flight_ = 0;

  Index index_;
  std::map<uint64_t, Index::iterator> order_;  // by sequence: the oldest goes first
  std::map<std::string, uint64_t> tenant_bytes_;
  uint64_t next_sequence_ = 1;
  uint64_t kept_bytes_ = 0;
  uint64_t writing_bytes_ = 0;  // room that puts have, whose bytes are being copied
  uint64_t evicted_records_ = 0;
  uint64_t evicted_bytes_ = 0;
  uint64_t faults_ = 0;
  lmcd_code_t last_code_ = LMCD_OK;
};

}  // namespace lmcd::tier
