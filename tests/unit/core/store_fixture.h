// A store over private memory, a hand-turned clock and a plain LRU, for tests of core.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <vector>

#include "daemon/core/store.h"
#include "lib/ledger/reader.h"

namespace lmcd::core {

// The plainest policy there is: a list, and who is withheld.
class PlainLru final : public EvictionPolicy {
 public:
  void insert(const ObjectTrait& object) override {
    order_.push_back(object.id);
    tenants_[object.id] = object.tenant;
  }
  void hit(ObjectId id) override {
    order_.remove(id);
    order_.push_back(id);
  }
  void refresh(ObjectId id) override { hit(id); }
  void resize(ObjectId, uint64_t) override {}
  void demote(ObjectId id) override {
    order_.remove(id);
    order_.push_front(id);
  }
  void withhold(ObjectId id) override { withheld_.push_back(id); }
  void offer(ObjectId id) override { std::erase(withheld_, id); }
  void evicted(ObjectId id, uint64_t) override { forgotten(id); }
  void forgotten(ObjectId id) override {
    order_.remove(id);
    std::erase(withheld_, id);
  }
  ObjectId victim() override {
    if (keeps_all_) return kNoObject;
    auto found =
        std::find_if(order_.begin(), order_.end(), [&](ObjectId id) { return may_go(id); });
    return found == order_.end() ? kNoObject : *found;
  }
  ObjectId victim_of(uint32_t tenant) override {
    auto found = std::find_if(order_.begin(), order_.end(),
                              [&](ObjectId id) { return may_go(id) && tenants_[id] == tenant; });
    return found == order_.end() ? kNoObject : *found;
  }

  // Proposes nothing from now on.
  void keep_all() { keeps_all_ = true; }

 private:
  bool may_go(ObjectId id) const {
    return std::find(withheld_.begin(), withheld_.end(), id) == withheld_.end();
  }

  std::map<ObjectId, uint32_t> tenants_;
  std::list<ObjectId> order_;
  std::vector<ObjectId> withheld_;
  bool keeps_all_ = false;
};

class RecordedEvents final : public EventSink {
 public:
  bool wanted() const override { return true; }
  void take(const lmcd_event_t& event) override { events.push_back(event); }
  std::vector<lmcd_event_t> events;
};

inline lmcd_key_t key_of(uint64_t n) {
  lmcd_key_t key{};
  const uint64_t spread = n * 0x9e3779b97f4a7c15;
  std::memcpy(key.bytes, &spread, 8);
  std::memcpy(key.bytes + 8, &n, 8);
  return key;
}

inline std::vector<lmcd_key_t> keys_of(uint64_t from, uint64_t count) {
  std::vector<lmcd_key_t> keys;
  for (uint64_t n = from; n < from + count; ++n) keys.push_back(key_of(n));
  return keys;
}

class StoreTest : public testing::Test {
 protected:
  static constexpr uint32_t kAlign = 4096;
  static constexpr SessionId kSession = 11;
  static constexpr SessionId kOther = 12;

  void start(uint64_t arena_extents, StoreOptions options = {}, uint32_t records = 256) {
    plan_.arena_bytes = arena_extents * kAlign;
    plan_.records = records;
    plan_.hash_seed = 5;
    memory_ = std::move(Reservation::make(Ledger::bytes_for(plan_)).value());
    auto made =
        Store::make(Ledger::format(memory_.address(), plan_), options, *policy_, clock_, events_);
    ASSERT_TRUE(made.ok());
    store_ = std::move(made.value());
    open_sessions();
    space_ = open_space(1, 1);
  }

  // What a new daemon does with the ledger of one that was killed.
  Adopted restart(StoreOptions options = {}) {
    store_.reset();
    policy_ = std::make_unique<PlainLru>();
    auto ledger = Ledger::attach(memory_.address(), Ledger::bytes_for(plan_), plan_);
    EXPECT_TRUE(ledger.ok());
    Adopted found;
    auto made = Store::adopt(ledger.value(), options, *policy_, clock_, events_, &found);
    EXPECT_TRUE(made.ok()) << made.status().text();
    store_ = std::move(made.value());
    return found;
  }

  void open_sessions() {
    store_->open_session(kSession, 1);
    store_->open_session(kOther, 2);
  }

  uint32_t open_space(uint32_t ranks, uint32_t groups) {
    std::vector<lmcd_group_t> kinds(groups, lmcd_group_t{LMCD_GROUP_FULL, 0});
    auto opened = store_->open_space(
        kSession, "test " + std::to_string(ranks) + " " + std::to_string(groups), ranks, kinds);
    EXPECT_TRUE(opened.ok());
    return opened.value();
  }

  std::vector<wire::Grant> reserve(SessionId session, uint64_t lease,
                                   const std::vector<lmcd_key_t>& keys, lmcd_part_t part = {},
                                   uint64_t length = kAlign, std::string_view tenant = "",
                                   const lmcd_key_t* parent = nullptr, uint32_t depth = 0) {
    std::vector<wire::Grant> grants(keys.size());
    ReserveRequest request{space_, tenant, parent, depth, keys, {&part, 1}, {&length, 1}};
    EXPECT_TRUE(store_->reserve(session, lease, request, grants.data()).ok());
    return grants;
  }

  std::vector<wire::Grant> acquire(SessionId session, uint64_t lease,
                                   const std::vector<lmcd_key_t>& keys, lmcd_part_t part = {}) {
    std::vector<wire::Grant> grants(keys.size());
    EXPECT_TRUE(store_->acquire(session, lease, {space_, keys, {&part, 1}}, grants.data()).ok());
    return grants;
  }

  void put(uint64_t lease, const std::vector<lmcd_key_t>& keys, lmcd_part_t part = {}) {
    reserve(kSession, lease, keys, part);
    EXPECT_TRUE(store_->commit(kSession, lease, {}, {}).ok());
  }

  lmcd_presence_t lookup(const lmcd_key_t& key) {
    lmcd_presence_t mine;
    store_->lookup(space_, {&key, 1}, &mine);
    auto reader = ledger::Reader::open(memory_.address(), Ledger::bytes_for(plan_));
    lmcd_presence_t theirs;
    reader.value().lookup(space_, {&key, 1}, &theirs);
    EXPECT_EQ(mine.hot, theirs.hot) << "the ledger's index says something else";
    EXPECT_EQ(mine.pending, theirs.pending);
    return mine;
  }

  bool holds(const wire::Grant& grant, uint64_t word) {
    auto reader = ledger::Reader::open(memory_.address(), Ledger::bytes_for(plan_));
    return reader.value().holds(grant.record, word);
  }

  uint64_t free_extents() { return store_->snapshot().free_bytes / kAlign; }

  ManualClock clock_;
  std::unique_ptr<PlainLru> policy_ = std::make_unique<PlainLru>();
  RecordedEvents events_;
  Ledger::Plan plan_;
  Reservation memory_;
  std::unique_ptr<Store> store_;
  uint32_t space_ = 0;
};

}  // namespace lmcd::core
