// S3-FIFO (Yang et al., SOSP 2023), with sizes in bytes.
//
// New objects enter `small`, a tenth of the arena; what was not hit by the time it reaches the
// old end goes, and is remembered as a ghost; the rest moves on to `main`, as does a key that
// comes back while remembered. `main` is a FIFO with reinsertion: an object at its old end that
// was hit since goes round again, once for each hit up to three. A hit only counts, so it is
// the cheapest of the policies.
//
// One hit is enough to leave `small` (the paper's code asks for two): a prefix is either shared
// or not, there are no correlated second uses to see through.
#include "daemon/policy/ghosts.h"
#include "daemon/policy/queues.h"
#include "daemon/policy/registry.h"

namespace lmcd::policy {
namespace {

constexpr QueueId kSmall = 1;
constexpr QueueId kMain = 2;
constexpr QueueId kDemoted = 3;

constexpr uint64_t kSmallPercent = 10;

class S3Fifo final : public core::EvictionPolicy {
 public:
  S3Fifo(uint64_t capacity_bytes, Queues queues, Ghosts ghosts)
      : small_bytes_(capacity_bytes / 100 * kSmallPercent),
        ghost_bytes_(capacity_bytes - small_bytes_),
        queues_(std::move(queues)),
        ghosts_(std::move(ghosts)) {}

  void insert(const core::ObjectTrait& object) override {
    QueueId queue = ghosts_.recall(object.key_hash) ? kMain : kSmall;
    queues_.insert(object.id, queue, End::kYoung, object.bytes);
  }
  void hit(ObjectId id) override {
    if (queues_.queue_of(id) == kDemoted) queues_.move(id, kMain, End::kYoung);
    uint8_t hits = queues_.mark(id);
    if (hits < Queues::kMarkMax) queues_.set_mark(id, static_cast<uint8_t>(hits + 1));
  }
  // Only `small` is an order of arrival; `main` goes by hits.
  void refresh(ObjectId id) override {
    if (queues_.queue_of(id) != kMain) queues_.move(id, kSmall, End::kYoung);
  }
  void resize(ObjectId id, uint64_t bytes) override { queues_.resize(id, bytes); }
  void demote(ObjectId id) override { queues_.move(id, kDemoted, End::kOld); }
  void withhold(ObjectId id) override { queues_.withhold(id); }
  void offer(ObjectId id) override { queues_.offer(id); }

  void evicted(ObjectId id, uint64_t key_hash) override {
    if (queues_.queue_of(id) == kSmall) {
      ghosts_.remember(key_hash, queues_.bytes_of(id));
      ghosts_.trim(ghost_bytes_);
    }
    queues_.remove(id);
  }
  void forgotten(ObjectId id) override { queues_.remove(id); }

  // Amortised O(1): a round costs the object that makes it one of its hits.
  ObjectId victim() override {
    if (ObjectId id = queues_.oldest(kDemoted); id != kNoObject) return id;
    for (;;) {
      ObjectId small = queues_.oldest(kSmall);
      ObjectId main = queues_.oldest(kMain);
      bool from_small = queues_.bytes(kSmall) >= small_bytes_ || main == kNoObject;
      ObjectId id = from_small && small != kNoObject ? small : main;
      if (id == kNoObject || queues_.mark(id) == 0) return id;
      go_round(id);
    }
  }

 private:
  void go_round(ObjectId id) {
    bool promoted = queues_.queue_of(id) == kSmall;
    queues_.set_mark(id, promoted ? uint8_t{0} : static_cast<uint8_t>(queues_.mark(id) - 1));
    queues_.move(id, kMain, End::kYoung);
  }

  const uint64_t small_bytes_;
  const uint64_t ghost_bytes_;
  Queues queues_;
  Ghosts ghosts_;
};

}  // namespace

PolicyResult make_s3_fifo(const core::EvictionLimits& limits) {
  LMCD_ASSIGN(Queues queues, Queues::make(limits.objects, kDemoted));
  LMCD_ASSIGN(Ghosts ghosts, Ghosts::make(limits.objects));
  return PolicyResult(
      std::make_unique<S3Fifo>(limits.bytes, std::move(queues), std::move(ghosts)));
}

}  // namespace lmcd::policy
