// Copies between engines' registered memory and the arena, by the worker pool.
//
// A transfer is cut into jobs of some tens of MiB. Each job copies on a worker; the loop thread
// commits or releases when the last is done. Only a few jobs are in the pool's hands at a time; the
// rest wait here, where sessions take turns, so one with much to copy does not keep the others
// waiting for all of it. The leases belong to a store session of the mover's
// own: what the daemon itself writes needs no proof that a client has stopped, and a client that
// goes away in the middle takes nothing from under a worker.
//
// What transfers in flight take of the daemon's memory is bounded, for a session and for all of
// them, and so are the segments of a process and of all, since the table of guarded regions is one
// for the daemon, which needs some for itself.
//
// A segment that its owner shortens under a copy yields zeros instead of a fault
// (lib/base/guarded.h): what was gathered from it is thrown away, and it is refused from then on.
#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/mover/copies.h"
#include "lib/base/bytes.h"
#include "lib/base/guarded.h"
#include "lib/base/worker_pool.h"
#include "lib/copy/transfer.h"

namespace lmcd::mover {

class WorkerCopies final : public Copies {
 public:
  // The owner of the mover's extents in the ledger: a slot that no process can hold, so that the
  // next daemon knows at once that nobody writes there any more.
  static constexpr core::LivenessSlot kNobody = UINT32_MAX;

  enum class Checksums : uint8_t { kOff, kAlways };

  struct Options {
    core::SessionId session = 0;  // the mover's own in the store; random
    Checksums checksums = Checksums::kOff;
    uint32_t segments = kGuardedRegions / 2;  // of all processes
    uint32_t segments_per_process = 256;
    uint32_t transfers_per_session = 64;
    uint64_t session_flight_bytes = 16 * kMiB;  // of the daemon's memory
    uint64_t flight_bytes = 256 * kMiB;         // the same for all sessions
    uint32_t jobs_in_pool = 2;
  };

  // All are used, not owned, and outlive this. `arena` is the arena's mapping.
  // Faults: those of copy::Crew::start.
  static Result<std::unique_ptr<WorkerCopies>> make(core::Store& store, WorkerPool& pool,
                                                    GuardedRegion& arena, Options options);
  ~WorkerCopies() override;

  Result<uint32_t> open_segment(core::SessionId session, FileDescriptor memory,
                                const SegmentLayout& layout) override;
  Status close_segment(core::SessionId session, uint32_t segment, Done done) override;
  void store(core::SessionId session, const Transfer& transfer, Answer answer) override;
  void load(core::SessionId session, const Transfer& transfer, Answer answer) override;
  Status cancel(core::SessionId session, uint64_t request, Done done) override;
  void close_session(core::SessionId session, Done done) override;
  std::vector<SegmentFacts> segments(std::size_t limit) const override;

 private:
  enum class Direction : uint8_t { kStore, kLoad };
  struct Segment;
  struct Flight;
  class CopyJob;
  using SegmentName = std::pair<core::SessionId, uint32_t>;
  using FlightName = std::pair<core::SessionId, uint64_t>;

  WorkerCopies(core::Store& store, WorkerPool& pool, GuardedRegion& arena, Options options);

  Status check_segments(core::ProcessId process, uint64_t length) const;
  Status check_flights(core::SessionId session, uint64_t bytes) const;
  static uint64_t flight_bytes_of(const Transfer& transfer);
  Segment* find_segment(core::SessionId session, uint32_t segment);
  Result<std::shared_ptr<Flight>> begin(core::SessionId session, const Transfer& transfer,
                                        Direction direction);
  Status check_blocks(const Segment& segment, const Transfer& transfer,
                      std::vector<uint64_t>* lengths) const;
  void launch(const std::shared_ptr<Flight>& flight, lmcd_outcome_t granted);
  void submit_waiting();
  void job_done(CopyJob& job);
  void land(const std::shared_ptr<Flight>& flight);
  void land_store(Flight& flight);
  void land_load(Flight& flight);
  void drop_if_idle(SegmentName name);
  void finish_closing(core::SessionId session);
  void cancel_flights(core::SessionId session, const Segment* only);

  core::Store& store_;
  WorkerPool& pool_;
  GuardedRegion& arena_;
  const Options options_;
  std::unique_ptr<copy::Crew> alone_;  // a worker copies by itself
  uint64_t next_lease_ = 1;
  uint32_t next_segment_ = 1;
  uint64_t mapped_bytes_ = 0;  // of all segments
  uint64_t flight_bytes_ = 0;  // of the daemon's memory, by all flights
  std::map<SegmentName, std::unique_ptr<Segment>> segments_;
  // Shared by this map and the jobs of the flight.
  std::map<FlightName, std::shared_ptr<Flight>> flights_;
  std::map<core::SessionId, std::deque<std::unique_ptr<Job>>> waiting_;  // for the pool
  core::SessionId last_turn_ = 0;
  uint32_t in_pool_ = 0;
  std::unordered_map<core::SessionId, Done> closing_;
};

}  // namespace lmcd::mover
