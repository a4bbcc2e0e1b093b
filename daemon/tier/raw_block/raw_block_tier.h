// Records in a log on a file or block device ("raw_block").
//
// Fields: path; capacity_gb (GiB of records; on a block device 0, the default, for all of it).
//
// Records are appended to the open segment, one write each, straight from and into the caller's
// memory around the page cache where that is aligned to 4096 (through a copy where not). A full
// segment is sealed with a summary. When few segments are free the oldest is reclaimed: what was
// used since it was written is appended again, as far as there is room at once; the rest is
// forgotten. A remove appends a tombstone. So the medium sees large sequential writes only, and
// after a crash the segments' summaries, or the records themselves, tell what is there.
//
//   segment  FREE --mark written--> OPEN --full--> SEALED --reclaimed--> FREE
//
// A segment is not begun again while a transfer touches it. What finds no free segment waits, in
// order. Loop thread only, but for what transfers do on the ring's (ring.h).
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "daemon/tier/catalog.h"
#include "daemon/tier/desk.h"
#include "daemon/tier/fields.h"
#include "daemon/tier/raw_block/log_file.h"
#include "daemon/tier/raw_block/ring.h"

namespace lmcd::tier {

class RawBlockTier {
 public:
  static constexpr uint32_t kQueueLimit = 256;

  static Result<std::unique_ptr<RawBlockTier>> open(const lmcd_tier_host_t& host, Fields& fields);
  RawBlockTier(const RawBlockTier&) = delete;
  RawBlockTier& operator=(const RawBlockTier&) = delete;
  ~RawBlockTier();

  lmcd_code_t begin(const Request& request);
  void cancel() { end_waiting(Which::kAll); }
  void wake();

  lmcd_tier_capabilities_t capabilities() const;
  lmcd_tier_usage_t usage() const;
  lmcd_tier_health_t health() const { return desk_.health(); }
  uint64_t tenant_bytes(const char* tenant) const { return catalog_.tenant_bytes(tenant); }
  uint64_t namespace_bytes(const lmcd_key_t& fingerprint) const {
    return catalog_.namespace_bytes(fingerprint);
  }

 private:
  enum class State : uint8_t { kFree, kOpening, kOpen, kSealed };
  struct Tombstone {
    RecordName name;
    uint64_t offset;
  };
  struct Segment {
    State state = State::kFree;
    bool reclaimed = false;  // sealed, and free as soon as nothing touches it
    bool summary_due = false;
    uint64_t filling = 0;
    uint64_t end = 0;                     // where the next record goes, from its start
    uint32_t touched = 0;                 // transfers on their way
    std::vector<Catalog::Kept*> written;  // some may be forgotten, or elsewhere by now
    std::vector<Tombstone> tombstones;
  };
  // Transfers, each with what it does when it is done.
  class Step;
  class Append;
  class Put;
  class Get;
  class Bury;
  class Fetch;
  class Renew;
  class WriteMark;
  class WriteSummary;

  RawBlockTier(const lmcd_tier_host_t& host, std::unique_ptr<LogFile> log);
  Status recover();
  void take_entry(const Entry& entry, Segment& segment);

  // Ends what has not begun, as far as it was asked for from outside.
  enum class Which { kAll, kLate };
  void end_waiting(Which which);
  void watch_deadline(const Request& request);
  std::optional<Ending> at_once(const Request& request);
  void begin_transfer(const Request& request);
  void begin_put(const Request& request);
  void begin_get(const Request& request);
  void begin_remove(const Request& request);

  Segment& segment_of(uint64_t offset) { return segments_[log_->segment_at(offset)]; }
  uint64_t index_of(const Segment& segment) const {
    return static_cast<uint64_t>(&segment - segments_.data());
  }
  bool holds(const Segment& segment, const Catalog::Kept& kept) const {
    return kept.length() != 0 && log_->segment_at(kept.place) == index_of(segment);
  }
  std::vector<Catalog::Kept*> held_by(Segment& segment);

  void append(std::unique_ptr<Append> step);
  void append_waiting();
  bool has_room(uint64_t length);
  Segment* free_segment();
  void open_next();
  void close_open();
  void reclaim_oldest();
  void settle(uint64_t index);
  std::vector<Entry> entries_of(Segment& segment);
  void fail_waiting(const char* reason);

  std::unique_ptr<LogFile> log_;
  Catalog catalog_;
  Desk desk_;
  std::vector<Segment> segments_;
  Segment* open_ = nullptr;           // opening or open
  uint64_t look_at_ms_ = UINT64_MAX;  // when to look for what is late
  uint64_t next_filling_ = 1;
  // For a segment; at most kQueueLimit, and the records of one that is reclaimed.
  std::deque<std::unique_ptr<Append>> waiting_;
  std::unique_ptr<Ring> ring_;
};

}  // namespace lmcd::tier
