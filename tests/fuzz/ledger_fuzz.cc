// Whatever a daemon left in its ledger, the next one adopts it by the rules or refuses it, and no
// reader is led astray by it.
//
// The input is a list of patches put over a ledger that a store has filled: {table, width,
// offset / 4, value}, of 12 bytes each. What is adopted has exact books: once its writers are dead
// and all objects cleared, the arena is as free as it was at first.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "daemon/core/store.h"
#include "daemon/policy/registry.h"
#include "lib/base/reserved_array.h"
#include "lib/ledger/reader.h"

namespace lmcd::core {
namespace {

constexpr uint64_t kArenaBytes = 64 * 4096;
constexpr uint32_t kRecords = 64;
constexpr uint32_t kKeys = 24;
constexpr SessionId kSession = 1;

struct Patch {
  uint8_t table;  // 0 header, 1 namespaces, 2 tenants, 3 index, 4 records
  uint8_t width;  // 1, 4 or 8 bytes
  uint16_t words;
  uint8_t value[8];
};
static_assert(sizeof(Patch) == 12);

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "ledger_fuzz: %s\n", what);
  std::abort();
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) fail(std::string(result.status().text()).c_str());
  return std::move(result.value());
}

class Deaf final : public EventSink {
 public:
  bool wanted() const override { return false; }
  void take(const lmcd_event_t&) override {}
};

std::vector<lmcd_key_t> make_keys() {
  std::vector<lmcd_key_t> keys(kKeys);
  for (uint32_t i = 0; i < kKeys; ++i) std::memset(keys[i].bytes, static_cast<int>(i + 1), 32);
  return keys;
}

class World {
 public:
  World() : keys_(make_keys()) {
    plan_.arena_bytes = kArenaBytes;
    plan_.records = kRecords;
    bytes_ = Ledger::bytes_for(plan_);
    memory_ = must(Reservation::make(bytes_));
    fill();
  }

  void damage(const uint8_t* data, std::size_t size) {
    // As it was: a patch may move the tables.
    const ledger::Shape shape = *static_cast<const ledger::Header*>(memory_.address());
    const uint64_t tables[] = {0, shape.space_offset, shape.tenant_offset, shape.index_offset,
                               shape.record_offset};
    for (; size >= sizeof(Patch); data += sizeof(Patch), size -= sizeof(Patch)) {
      Patch patch;
      std::memcpy(&patch, data, sizeof patch);
      const std::size_t width = patch.width % 3 == 0 ? 1 : patch.width % 3 == 1 ? 4 : 8;
      const uint64_t at = tables[patch.table % 5] + uint64_t{patch.words} * 4;
      if (at + width <= bytes_)
        std::memcpy(static_cast<char*>(memory_.address()) + at, patch.value, width);
    }
  }

  // What a client sees who maps this ledger.
  void read() {
    Result<ledger::Reader> opened = ledger::Reader::open(memory_.address(), bytes_);
    if (!opened.ok()) return;
    const ledger::Reader& reader = opened.value();
    lmcd_presence_t presence[kKeys];
    lmcd_grant_t grants[kKeys];
    const lmcd_part_t part{0, 0};
    reader.lookup(0, keys_, presence);
    reader.locate(0, keys_, {&part, 1}, grants);
    for (const lmcd_grant_t& grant : grants) {
      if (grant.outcome == LMCD_LEASED && !reader.holds(grant.record, grant.word))
        fail("a reader does not find again what it found");
    }
  }

  // What a new daemon makes of it.
  void adopt() {
    Result<Ledger> attached = Ledger::attach(memory_.address(), bytes_, plan_);
    if (!attached.ok()) return;
    std::unique_ptr<EvictionPolicy> policy = make_policy();
    Adopted found;
    Result<std::unique_ptr<Store>> adopted =
        Store::adopt(attached.value(), {}, *policy, clock_, deaf_, &found);
    if (!adopted.ok()) return;
    Store& store = *adopted.value();
    const Metrics& metrics = store.snapshot();
    if (found.bytes != metrics.hot_bytes || metrics.used_bytes > kArenaBytes)
      fail("a warm start counts wrong");
    std::vector<LivenessSlot> slots;
    store.for_each_quarantined_slot([&](LivenessSlot slot) { slots.push_back(slot); });
    for (LivenessSlot slot : slots) store.writer_dead(slot);
    store.clear({}, true);
    if (store.snapshot().free_bytes != kArenaBytes) fail("bytes of the arena did not come back");
  }

 private:
  static std::unique_ptr<EvictionPolicy> make_policy() {
    return must(policy::make_policy("ARC", {kRecords, kArenaBytes}));
  }

  void fill() {
    std::unique_ptr<EvictionPolicy> policy = make_policy();
    std::unique_ptr<Store> store =
        must(Store::make(Ledger::format(memory_.address(), plan_), {}, *policy, clock_, deaf_));
    const lmcd_group_t groups[] = {{LMCD_GROUP_FULL, 0}, {LMCD_GROUP_WINDOW, 2}};
    store->open_session(kSession, 3);
    const uint32_t space = must(store->open_space(kSession, "fuzz", 2, groups));
    for (uint32_t lease = 1; lease <= 4; ++lease) {
      const lmcd_part_t part{static_cast<uint16_t>(lease % 2), static_cast<uint16_t>(lease / 3)};
      const uint64_t length = 3000 * lease;
      std::vector<wire::Grant> grants(6);
      const std::span<const lmcd_key_t> run = std::span(keys_).subspan(lease / 2 * 6, 6);
      const ReserveRequest request{
          space, lease % 2 ? "" : "salt", nullptr, 0, run, {&part, 1}, {&length, 1}};
      if (!store->reserve(kSession, lease, request, grants.data()).ok()) fail("reserve");
      if (lease != 3 && !store->commit(kSession, lease, {}, {}).ok()) fail("commit");
    }
  }

  const std::vector<lmcd_key_t> keys_;
  ManualClock clock_;
  Deaf deaf_;
  Ledger::Plan plan_;
  uint64_t bytes_ = 0;
  Reservation memory_;
};

}  // namespace
}  // namespace lmcd::core

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  lmcd::core::World world;
  world.damage(data, size);
  world.read();
  world.adopt();
  return 0;
}
