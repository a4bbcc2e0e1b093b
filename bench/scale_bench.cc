// Whether a lookup and a reserve cost the same with a million objects as with a thousand.
//
// Drives the store and the client's reader of its ledger over private memory: no socket, no
// daemon, the default policy. In every round each size does the same by turns: looks 1,024
// random stored keys up, as a client and as the daemon does; reserves and commits 16 objects
// where there is room, then takes them away again; the same where each evicts another. Time is the
// best of the rounds, instructions their median. A size's ratio is to that of a thousand.
//
// Each is timed in a store that was in use just before, as a daemon's is: what is beyond
// instructions in these ratios is cache misses that remain, and the reason for fetching ahead. As
// an engine's own work may lie between two lookups, each is timed a second time after 32 MiB of
// other memory were read.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>

#include "bench/engine.h"
#include "bench/instructions.h"
#include "bench/placement.h"
#include "bench/report.h"
#include "daemon/core/store.h"
#include "daemon/policy/registry.h"
#include "lib/base/clock.h"
#include "lib/base/huge_pages.h"
#include "lib/base/reserved_array.h"
#include "lib/ledger/reader.h"

namespace lmcd::bench {
namespace {

constexpr uint64_t kObjectBytes = 4096;
constexpr std::size_t kLookedUp = 1024;
constexpr std::size_t kReserved = 16;
constexpr int kRounds = 40;
constexpr int kWarmings = 16;
constexpr uint32_t kSizes[] = {1000, 10'000, 100'000, 1'000'000};

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) give_up("store", std::string(result.status().text()).c_str());
  return std::move(result.value());
}

void must(const Status& status) {
  if (!status.ok()) give_up("store", std::string(status.text()).c_str());
}

class NoEvents final : public core::EventSink {
 public:
  bool wanted() const override { return false; }
  void take(const lmcd_event_t& /*event*/) override {}
};

// A store that holds `objects`, with room for one batch more or for none.
class FilledStore {
 public:
  enum class Room { kForOneBatch, kNone };

  FilledStore(uint32_t objects, Room room) : random_(objects) {
    const uint64_t places = objects + (room == Room::kNone ? 0 : kReserved);
    core::Ledger::Plan plan;
    plan.arena_bytes = places * kObjectBytes;
    plan.align_bytes = kObjectBytes;
    plan.records = objects + 1024;
    plan.hash_seed = 1;
    const core::EvictionLimits limits{.objects = plan.records, .bytes = plan.arena_bytes};
    policy_ = must(policy::make_policy("ARC", limits));
    const uint64_t ledger_bytes = core::Ledger::bytes_for(plan);
    memory_ = must(Reservation::make(ledger_bytes));
    store_ = must(core::Store::make(core::Ledger::format(memory_.address(), plan), {}, *policy_,
                                    clock_, events_));
    const lmcd_group_t group{LMCD_GROUP_FULL, 0};
    store_->open_session(kSession, 1);
    space_ = must(store_->open_space(kSession, "bench", 1, {&group, 1}));
    reader_ = must(ledger::Reader::open(memory_.address(), ledger_bytes));
    stored_ = new_keys(objects, random_);
    for (uint32_t at = 0; at < objects; at += kBatch)
      put(std::span(stored_).subspan(at, std::min(kBatch, objects - at)));
    // As the daemon does (daemon/memory/gatherer.h).
    for (const std::span<std::byte> table : store_->tables())
      gather_huge_pages(table.data(), table.size());
  }

  void choose() {
    wanted_.resize(kLookedUp);
    for (lmcd_key_t& key : wanted_) key = stored_[random_() % stored_.size()];
    next_ = new_keys(kReserved, random_);
  }
  void look_up_as_client() { reader_.lookup(space_, wanted_, found_); }
  void look_up_as_daemon() { store_->lookup(space_, wanted_, found_); }
  void put_next() { put(next_); }
  void take_next_away() {
    core::Selector selector;
    selector.keys = next_;
    store_->clear(selector, true);
  }

 private:
  static constexpr core::SessionId kSession = 1;
  static constexpr uint32_t kBatch = 1000;

  void put(std::span<const lmcd_key_t> keys) {
    const lmcd_part_t part{};
    const core::ReserveRequest request{.space = space_,
                                       .keys = keys,
                                       .parts = {&part, 1},
                                       .lengths = {&kObjectBytes, 1}};
    must(store_->reserve(kSession, ++lease_, request, grants_));
    if (grants_[keys.size() - 1].outcome != LMCD_RESERVED) give_up("reserve", "no room");
    must(store_->commit(kSession, lease_, {}, {}));
  }

  std::mt19937_64 random_;
  ManualClock clock_;
  NoEvents events_;
  Reservation memory_;
  std::unique_ptr<core::EvictionPolicy> policy_;
  std::unique_ptr<core::Store> store_;
  ledger::Reader reader_;
  uint32_t space_ = 0;
  uint64_t lease_ = 0;
  std::vector<lmcd_key_t> stored_;
  std::vector<lmcd_key_t> wanted_;
  std::vector<lmcd_key_t> next_;
  lmcd_presence_t found_[kLookedUp];
  wire::Grant grants_[kBatch];
};

enum class Before { kNothing, kOtherWork };

struct Verb {
  const char* name;
  FilledStore::Room room;
  void (FilledStore::*act)();
  void (FilledStore::*undo)();  // null: nothing is left to undo
};

constexpr Verb kVerbs[] = {
    {"lookup of 1024, client", FilledStore::Room::kForOneBatch,
     &FilledStore::look_up_as_client, {}},
    {"lookup of 1024, daemon", FilledStore::Room::kForOneBatch,
     &FilledStore::look_up_as_daemon, {}},
    {"reserve+commit of 16", FilledStore::Room::kForOneBatch, &FilledStore::put_next,
     &FilledStore::take_next_away},
    {"reserve+commit of 16, evicting", FilledStore::Room::kNone, &FilledStore::put_next, {}},
};

// What one verb took at one size.
struct Cost {
  double best_us = 1e9;
  std::vector<double> instructions;
};

// Reads memory that has nothing to do with the store.
void do_other_work() {
  static std::vector<uint64_t> memory(4 << 20, 1);
  uint64_t sum = 0;
  for (std::size_t i = 0; i < memory.size(); i += 8) sum += memory[i];
  asm volatile("" ::"r"(sum));
}

class Scale {
 public:
  Scale() {
    for (std::size_t size = 0; size < std::size(kSizes); ++size)
      for (FilledStore::Room room : {FilledStore::Room::kForOneBatch, FilledStore::Room::kNone})
        stores_.push_back(std::make_unique<FilledStore>(kSizes[size], room));
  }

  void run(Report& report) {
    for (Before before : {Before::kNothing, Before::kOtherWork}) {
      std::vector<std::vector<Cost>> costs(std::size(kVerbs), std::vector<Cost>(std::size(kSizes)));
      for (int round = 0; round < kRounds; ++round)
        for (std::size_t verb = 0; verb < std::size(kVerbs); ++verb)
          for (std::size_t size = 0; size < std::size(kSizes); ++size)
            measure(kVerbs[verb], size, before, costs[verb][size]);
      for (std::size_t verb = 0; verb < std::size(kVerbs); ++verb)
        report_verb(report, kVerbs[verb], before, costs[verb]);
    }
  }

 private:
  void measure(const Verb& verb, std::size_t size, Before before, Cost& cost) {
    FilledStore& store = *stores_[2 * size + (verb.room == FilledStore::Room::kNone ? 1 : 0)];
    // The stores take turns, and one of them at a time is what a daemon has.
    for (int i = 0; i < kWarmings; ++i) act(store, verb);
    store.choose();
    if (before == Before::kOtherWork) do_other_work();
    const std::optional<uint64_t> first = counter_.read();
    cost.best_us = std::min(cost.best_us, time_calls(1, std::chrono::microseconds(0), [&] {
                                            (store.*verb.act)();
                                          })[0]);
    const std::optional<uint64_t> last = counter_.read();
    if (first && last) cost.instructions.push_back(static_cast<double>(*last - *first));
    if (verb.undo != nullptr) (store.*verb.undo)();
  }

  static void act(FilledStore& store, const Verb& verb) {
    store.choose();
    (store.*verb.act)();
    if (verb.undo != nullptr) (store.*verb.undo)();
  }

  static void report_verb(Report& report, const Verb& verb, Before before,
                          const std::vector<Cost>& costs) {
    for (std::size_t size = 0; size < std::size(kSizes); ++size) {
      char objects[16];
      std::snprintf(objects, sizeof objects, "%.0e", static_cast<double>(kSizes[size]));
      std::string name = std::string(verb.name) + " at " + objects;
      if (before == Before::kOtherWork) name += ", after other work";
      const bool last = size + 1 == std::size(kSizes);
      const auto bound = last ? std::optional(at_most(2)) : std::nullopt;
      report.add({name, costs[size].best_us, "us", costs[size].best_us / costs[0].best_us, bound});
      if (before == Before::kOtherWork || costs[0].instructions.empty()) continue;
      const double count = median(costs[size].instructions);
      const double growth = count / median(costs[0].instructions);
      report.add({name + ", instructions", count, "", growth, bound});
    }
  }

  std::vector<std::unique_ptr<FilledStore>> stores_;  // two of each size, one a kind of room
  InstructionCounter counter_;
};

}  // namespace
}  // namespace lmcd::bench

int main(int argc, char** argv) {
  lmcd::bench::Report report;
  lmcd::bench::Scale().run(report);
  return finish(report, argc, argv);
}
