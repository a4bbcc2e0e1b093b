// LRU: the object whose last use is longest ago goes first.
#include "daemon/policy/queues.h"
#include "daemon/policy/registry.h"

namespace lmcd::policy {
namespace {

constexpr QueueId kAll = 1;

class Lru final : public core::EvictionPolicy {
 public:
  explicit Lru(Queues queues) : queues_(std::move(queues)) {}

  void insert(const core::ObjectTrait& object) override {
    queues_.insert(object.id, kAll, End::kYoung, object.bytes);
  }
  void hit(ObjectId id) override { queues_.move(id, kAll, End::kYoung); }
  void refresh(ObjectId id) override { hit(id); }
  void resize(ObjectId id, uint64_t bytes) override { queues_.resize(id, bytes); }
  void demote(ObjectId id) override { queues_.move(id, kAll, End::kOld); }
  void withhold(ObjectId id) override { queues_.withhold(id); }
  void offer(ObjectId id) override { queues_.offer(id); }
  void evicted(ObjectId id, uint64_t /*key_hash*/) override { queues_.remove(id); }
  void forgotten(ObjectId id) override { queues_.remove(id); }
  ObjectId victim() override { return queues_.oldest(kAll); }

 private:
  Queues queues_;
};

}  // namespace

PolicyResult make_lru(const core::EvictionLimits& limits) {
  LMCD_ASSIGN(Queues queues, Queues::make(limits.objects, kAll));
  return PolicyResult(std::make_unique<Lru>(std::move(queues)));
}

}  // namespace lmcd::policy
