#include "bench/replay_store.h"

#include <algorithm>
#include <cstring>

#include "daemon/policy/registry.h"

namespace lmcd::bench {
namespace {

// Past those that fill the arena: what one request may have reserved and not yet evicted for.
constexpr uint32_t kSpareRecords = 1024;

lmcd_key_t key_of(uint64_t block) {
  lmcd_key_t key{};
  std::memcpy(key.bytes, &block, sizeof block);
  return key;
}

}  // namespace

Result<std::unique_ptr<ReplayStore>> ReplayStore::make(std::string_view policy,
                                                       uint32_t capacity_blocks) {
  std::unique_ptr<ReplayStore> made(new ReplayStore);
  LMCD_TRY(made->open(policy, capacity_blocks));
  return made;
}

Status ReplayStore::open(std::string_view policy, uint32_t capacity_blocks) {
  core::Ledger::Plan plan;
  plan.arena_bytes = capacity_blocks * kBlockBytes;
  plan.align_bytes = kBlockBytes;
  plan.records = capacity_blocks + kSpareRecords;
  plan.hash_seed = 1;
  LMCD_ASSIGN(policy_,
              policy::make_policy(policy, {.objects = plan.records, .bytes = plan.arena_bytes}));
  LMCD_ASSIGN(ledger_memory_, Reservation::make(core::Ledger::bytes_for(plan)));
  LMCD_ASSIGN(store_, core::Store::make(core::Ledger::format(ledger_memory_.address(), plan), {},
                                        *policy_, clock_, events_));
  const lmcd_group_t group{LMCD_GROUP_FULL, 0};
  store_->open_session(kSession, kSlot);
  LMCD_ASSIGN(space_, store_->open_space(kSession, "replay", 1, {&group, 1}));
  return {};
}

Result<uint64_t> ReplayStore::serve(const Request& request) {
  std::vector<lmcd_key_t> keys(request.blocks.size());
  std::ranges::transform(request.blocks, keys.begin(), key_of);
  grants_.assign(keys.size(), {});
  std::size_t hot = leading_hot(keys);
  uint64_t read_lease = next_lease_++;
  LMCD_TRY(load(Keys(keys).first(hot), read_lease));
  LMCD_TRY(save(keys, hot, next_lease_++));
  LMCD_TRY(store_->release(kSession, read_lease));
  return uint64_t{hot};
}

std::size_t ReplayStore::leading_hot(Keys keys) {
  std::vector<lmcd_presence_t> presence(keys.size());
  store_->lookup(space_, keys, presence.data());
  auto absent = std::ranges::find(presence, 0u, &lmcd_presence_t::hot);
  return static_cast<std::size_t>(absent - presence.begin());
}

Status ReplayStore::load(Keys keys, uint64_t lease) {
  return store_->acquire(kSession, lease, {space_, keys, {&kPart, 1}}, grants_.data());
}

Status ReplayStore::save(Keys keys, std::size_t from, uint64_t lease) {
  if (from == keys.size()) return {};
  const core::ReserveRequest request{.space = space_,
                                     .tenant = "",
                                     .parent = from > 0 ? &keys[from - 1] : nullptr,
                                     .depth = static_cast<uint32_t>(from),
                                     .keys = keys.subspan(from),
                                     .parts = {&kPart, 1},
                                     .lengths = {&kBlockBytes, 1}};
  LMCD_TRY(store_->reserve(kSession, lease, request, grants_.data()));
  // Where the first key got no room there is no lease to commit.
  auto granted = std::span(grants_).first(request.keys.size());
  bool reserved = std::ranges::count(granted, LMCD_RESERVED, &wire::Grant::outcome) > 0;
  return reserved ? store_->commit(kSession, lease, {}, {}) : Status();
}

}  // namespace lmcd::bench
