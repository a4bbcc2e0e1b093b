// IsolatedLRU: one LRU list a tenant, so that one tenant's burst costs another nothing while
// that one keeps within its share.
//
// `victim_of` serves a tenant at its quota: its own oldest. `victim` serves a full arena, which
// means that quotas promise more than there is: it takes from the tenant that uses the most in
// proportion to its quota, so the arena divides in proportion to the quotas. (The globally
// oldest object was rejected: it lets whoever stores fastest take from those who are slow.) A
// tenant without quota is over it with its first byte.
//
// Tenants stand in a binary heap by that proportion: O(log tenants) a change of size.
#include <cassert>
#include <vector>

#include "daemon/policy/queues.h"
#include "daemon/policy/registry.h"

namespace lmcd::policy {
namespace {

class IsolatedLru final : public core::EvictionPolicy {
 public:
  explicit IsolatedLru(Queues queues) : queues_(std::move(queues)) {}

  void insert(const core::ObjectTrait& object) override {
    know(object.tenant);
    queues_.insert(object.id, queue_of_tenant(object.tenant), End::kYoung, object.bytes);
    tenants_[object.tenant].dry = false;
    rank(object.tenant);
  }
  void hit(ObjectId id) override { queues_.move(id, queues_.queue_of(id), End::kYoung); }
  void refresh(ObjectId id) override { hit(id); }
  void resize(ObjectId id, uint64_t bytes) override {
    queues_.resize(id, bytes);
    rank(tenant_of(id));
  }
  void demote(ObjectId id) override { queues_.move(id, queues_.queue_of(id), End::kOld); }
  void withhold(ObjectId id) override { queues_.withhold(id); }
  void offer(ObjectId id) override {
    queues_.offer(id);
    Tenant& tenant = tenants_[tenant_of(id)];
    if (!tenant.dry) return;
    tenant.dry = false;
    rank(tenant_of(id));
  }
  void evicted(ObjectId id, uint64_t /*key_hash*/) override { forgotten(id); }
  void forgotten(ObjectId id) override {
    uint32_t tenant = tenant_of(id);
    queues_.remove(id);
    rank(tenant);
  }

  ObjectId victim() override {
    while (!ranking_.empty() && !tenants_[ranking_.front()].dry) {
      uint32_t tenant = ranking_.front();
      if (ObjectId id = queues_.oldest(queue_of_tenant(tenant)); id != kNoObject) return id;
      tenants_[tenant].dry = true;
      rank(tenant);
    }
    return kNoObject;
  }
  ObjectId victim_of(uint32_t tenant) override {
    return tenant < tenants_.size() ? queues_.oldest(queue_of_tenant(tenant)) : kNoObject;
  }
  void set_quota(uint32_t tenant, uint64_t bytes) override {
    know(tenant);
    tenants_[tenant].quota_bytes = bytes;
    rank(tenant);
  }

 private:
  struct Tenant {
    uint64_t quota_bytes = 0;
    uint32_t place = 0;  // in ranking_
    bool dry = true;     // known to have no object that may go
  };

  static QueueId queue_of_tenant(uint32_t tenant) { return tenant + 1; }
  uint32_t tenant_of(ObjectId id) const { return queues_.queue_of(id) - 1; }

  void know(uint32_t tenant) {
    assert(tenant < Queues::kQueuesMax);
    queues_.open(queue_of_tenant(tenant));
    for (auto next = static_cast<uint32_t>(tenants_.size()); next <= tenant; ++next) {
      tenants_.push_back({.place = next});
      ranking_.push_back(next);
    }
  }

  // Whether `a` gives before `b`.
  bool before(uint32_t a, uint32_t b) const {
    if (tenants_[a].dry != tenants_[b].dry) return tenants_[b].dry;
    using Wide = unsigned __int128;
    Wide use_a = Wide{queues_.bytes(queue_of_tenant(a))} * (tenants_[b].quota_bytes + Wide{1});
    Wide use_b = Wide{queues_.bytes(queue_of_tenant(b))} * (tenants_[a].quota_bytes + Wide{1});
    return use_a != use_b ? use_a > use_b : a < b;
  }

  void put(std::size_t place, uint32_t tenant) {
    ranking_[place] = tenant;
    tenants_[tenant].place = static_cast<uint32_t>(place);
  }

  // Restores the heap after `tenant` changed.
  void rank(uint32_t tenant) {
    std::size_t place = tenants_[tenant].place;
    for (; place > 0 && before(tenant, ranking_[(place - 1) / 2]); place = (place - 1) / 2)
      put(place, ranking_[(place - 1) / 2]);
    for (;;) {
      std::size_t child = 2 * place + 1;
      if (child + 1 < ranking_.size() && before(ranking_[child + 1], ranking_[child])) ++child;
      if (child >= ranking_.size() || !before(ranking_[child], tenant)) break;
      put(place, ranking_[child]);
      place = child;
    }
    put(place, tenant);
  }

  Queues queues_;
  std::vector<Tenant> tenants_;
  std::vector<uint32_t> ranking_;  // binary heap: the first gives first
};

}  // namespace

PolicyResult make_isolated_lru(const core::EvictionLimits& limits) {
  LMCD_ASSIGN(Queues queues, Queues::make(limits.objects, kNoQueue));
  return PolicyResult(std::make_unique<IsolatedLru>(std::move(queues)));
}

}  // namespace lmcd::policy
