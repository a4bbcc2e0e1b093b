// ARC (Megiddo and Modha, FAST 2003), with sizes in bytes.
//
// Objects seen once are in `once`, those hit since in `often`; the ghosts of each remember what
// was evicted from it. A key that comes back too late tells which of the two was too small, and
// `target_bytes_` (the paper's p), what `once` may keep, moves that way. A scan passes through
// `once` without touching what is used often.
//
// Departures from the paper, with what they gain in points of mean hit rate over 4k to 32k blocks
// (bench/replay_bench; a public chat trace, made-up conversations):
//
// - The target stays above a quarter of the arena (+0.4, +0.2). A session's first turn enters
//   `once` and comes back after a think time; the ghosts of `often`, of which each turn of an older
//   session brings a run, would otherwise squeeze `once` below that time.
// - A ghost moves the target by its own size (+0.2, 0.0), not also by the ratio of the two ghost
//   lists, which lets the shorter one, often a tenth of the other, outvote it tenfold.
// - Demoted objects wait in a queue of their own, which is emptied first and teaches nothing:
//   they go because of their parents, not for want of room.
// - The target moves at insertion (commit), one eviction later than where the miss is seen.
#include <algorithm>

#include "daemon/policy/ghosts.h"
#include "daemon/policy/queues.h"
#include "daemon/policy/registry.h"

namespace lmcd::policy {
namespace {

constexpr QueueId kOnce = 1;
constexpr QueueId kOften = 2;
constexpr QueueId kDemoted = 3;

// The least share of the arena that is left to `once`: one in this many.
constexpr uint64_t kTargetFloor = 4;

class Arc final : public core::EvictionPolicy {
 public:
  Arc(uint64_t capacity_bytes, Queues queues, Ghosts once, Ghosts often)
      : capacity_bytes_(capacity_bytes),
        target_bytes_(capacity_bytes / kTargetFloor),
        queues_(std::move(queues)),
        once_ghosts_(std::move(once)),
        often_ghosts_(std::move(often)) {}

  void insert(const core::ObjectTrait& object) override {
    QueueId queue = learn(object.key_hash) ? kOften : kOnce;
    queues_.insert(object.id, queue, End::kYoung, object.bytes);
    trim_ghosts();
  }
  void hit(ObjectId id) override { queues_.move(id, kOften, End::kYoung); }
  void refresh(ObjectId id) override {
    QueueId queue = queues_.queue_of(id);
    queues_.move(id, queue == kDemoted ? kOnce : queue, End::kYoung);
  }
  void resize(ObjectId id, uint64_t bytes) override { queues_.resize(id, bytes); }
  void demote(ObjectId id) override { queues_.move(id, kDemoted, End::kOld); }
  void withhold(ObjectId id) override { queues_.withhold(id); }
  void offer(ObjectId id) override { queues_.offer(id); }

  void evicted(ObjectId id, uint64_t key_hash) override {
    QueueId queue = queues_.queue_of(id);
    if (queue == kOnce) once_ghosts_.remember(key_hash, queues_.bytes_of(id));
    if (queue == kOften) often_ghosts_.remember(key_hash, queues_.bytes_of(id));
    queues_.remove(id);
    trim_ghosts();
  }
  void forgotten(ObjectId id) override { queues_.remove(id); }

  ObjectId victim() override {
    if (ObjectId id = queues_.oldest(kDemoted); id != kNoObject) return id;
    bool once_first = queues_.bytes(kOnce) > target_bytes_;
    ObjectId id = queues_.oldest(once_first ? kOnce : kOften);
    return id != kNoObject ? id : queues_.oldest(once_first ? kOften : kOnce);
  }

 private:
  // Moves the target if `key_hash` was evicted not long ago. Returns whether it was.
  bool learn(uint64_t key_hash) {
    if (auto bytes = once_ghosts_.recall(key_hash)) {
      target_bytes_ = std::min(target_bytes_ + *bytes, capacity_bytes_);
      return true;
    }
    if (auto bytes = often_ghosts_.recall(key_hash)) {
      uint64_t spare = target_bytes_ - capacity_bytes_ / kTargetFloor;
      target_bytes_ -= std::min(*bytes, spare);
      return true;
    }
    return false;
  }

  // The paper's invariants: `once` and its ghosts fit the capacity, everything twice of it.
  void trim_ghosts() {
    uint64_t once = queues_.bytes(kOnce);
    uint64_t often = queues_.bytes(kOften);
    once_ghosts_.trim(capacity_bytes_ - std::min(once, capacity_bytes_));
    uint64_t others = once + often + once_ghosts_.bytes();
    often_ghosts_.trim(2 * capacity_bytes_ - std::min(others, 2 * capacity_bytes_));
  }

  const uint64_t capacity_bytes_;
  uint64_t target_bytes_;
  Queues queues_;
  Ghosts once_ghosts_;
  Ghosts often_ghosts_;
};

}  // namespace

PolicyResult make_arc(const core::EvictionLimits& limits) {
  LMCD_ASSIGN(Queues queues, Queues::make(limits.objects, kDemoted));
  LMCD_ASSIGN(Ghosts once, Ghosts::make(limits.objects));
  LMCD_ASSIGN(Ghosts often, Ghosts::make(limits.objects));
  return PolicyResult(std::make_unique<Arc>(limits.bytes, std::move(queues), std::move(once),
                                            std::move(often)));
}

}  // namespace lmcd::policy
