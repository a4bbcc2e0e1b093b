// noop: nothing goes for want of room. A full arena answers NO_SPACE; hot copies leave by
// clear, or once they are cold where there are tiers.
#include "daemon/policy/registry.h"

namespace lmcd::policy {
namespace {

using core::ObjectId;

class Noop final : public core::EvictionPolicy {
 public:
  void insert(const core::ObjectTrait& /*object*/) override {}
  void hit(ObjectId /*id*/) override {}
  void refresh(ObjectId /*id*/) override {}
  void resize(ObjectId /*id*/, uint64_t /*bytes*/) override {}
  void demote(ObjectId /*id*/) override {}
  void withhold(ObjectId /*id*/) override {}
  void offer(ObjectId /*id*/) override {}
  void evicted(ObjectId /*id*/, uint64_t /*key_hash*/) override {}
  void forgotten(ObjectId /*id*/) override {}
  ObjectId victim() override { return core::kNoObject; }
};

}  // namespace

PolicyResult make_noop(const core::EvictionLimits& /*limits*/) {
  return PolicyResult(std::make_unique<Noop>());
}

}  // namespace lmcd::policy
