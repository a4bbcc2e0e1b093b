// Random histories of the store's verbs against a simple model.
//
// The model plays all clients: writers that write when they please (also after their session was
// lost, until their process is declared dead), readers that copy late and then validate, an
// operator, a clock, and daemons that are killed and come back. Proved, after every step:
//
//   - bytes that validate are the bytes that were committed under that key;
//   - what was committed is there until an event says that it went, and nothing else is;
//   - the sum of what may be evicted is that of all objects neither leased nor pinned;
//   - the arena's free bytes are exactly those that neither an object nor a writer has;
//
// and at the end, with all writers dead and the cache cleared, that every byte is free again.
// LMCD_SEED replays a history.
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "tests/unit/core/store_fixture.h"

namespace lmcd::core {
namespace {

constexpr uint64_t kExtents = 48;
constexpr uint64_t kKeys = 60;
constexpr uint32_t kSlots = 4;
constexpr uint64_t kTtlMs = 1000;

class History : public StoreTest {
 protected:
  struct Write {
    SessionId session;
    LivenessSlot slot;
    uint64_t lease;
    uint64_t key;
    wire::Grant grant;
    uint64_t tag;
    bool written = false;
  };
  struct Read {
    uint64_t key;
    wire::Grant grant;
    uint64_t tag;
  };
  struct Held {
    SessionId session;
    uint64_t lease;
  };

  void play(unsigned seed, int steps) {
    random_.seed(seed);
    options_ = {.read_ttl_ms = kTtlMs, .write_ttl_ms = kTtlMs,
                .watermark = seed % 3 == 0 ? 0.7 : 1.0, .ratio = 0.3};
    arena_.assign(kExtents, 0);
    start(kExtents, options_, 64);
    store_->close_session(kSession);
    store_->close_session(kOther);
    for (uint32_t slot = 1; slot <= kSlots; ++slot) open(slot);
    for (int step = 0; step < steps; ++step) {
      one_step();
      if (HasFatalFailure() || HasFailure()) {
        ADD_FAILURE() << "seed " << seed << ", step " << step;
        return;
      }
    }
    wind_up();
  }

 private:
  uint64_t below(uint64_t n) { return random_() % n; }

  void open(LivenessSlot slot) {
    const SessionId session = next_session_++;
    store_->open_session(session, slot);
    sessions_.push_back({session, slot});
  }

  void one_step() {
    switch (below(16)) {
      case 0: case 1: case 2: reserve_some(); break;
      case 3: case 4: write_something(); break;
      case 5: case 6: case 7: end_a_write(below(5) != 0); break;
      case 8: case 9: acquire_some(); break;
      case 10: read_late(); break;
      case 11: release_one(); break;
      case 12: lose_a_session(); break;
      case 13: if (below(4) == 0) kill_a_process(); break;
      case 14: operate(); break;
      case 15: pass_time(); break;
    }
    learn();
    check();
  }

  std::pair<SessionId, LivenessSlot> some_session() {
    return sessions_[below(sessions_.size())];
  }

  std::vector<lmcd_key_t> some_chain(std::vector<uint64_t>* numbers) {
    const uint64_t start = below(kKeys);
    const uint64_t count = 1 + below(6);
    for (uint64_t n = start; n < std::min(kKeys, start + count); ++n) numbers->push_back(n);
    return keys_of(start + 1, numbers->size());
  }

  void reserve_some() {
    auto [session, slot] = some_session();
    std::vector<uint64_t> numbers;
    const std::vector<lmcd_key_t> keys = some_chain(&numbers);
    const uint64_t lease = next_lease_++;
    const lmcd_key_t parent = key_of(numbers[0]);
    auto grants = reserve(session, lease, keys, {}, kAlign, below(3) == 0 ? "other" : "",
                          numbers[0] > 0 ? &parent : nullptr,
                          static_cast<uint32_t>(numbers[0]));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      learn();
      ASSERT_TRUE(grants[i].outcome != LMCD_EXISTS || hot_.contains(numbers[i]));
      if (grants[i].outcome == LMCD_RESERVED)
        writes_.push_back({session, slot, lease, numbers[i], grants[i], next_tag_++});
    }
  }

  void put_tag(Write& write) {
    arena_[write.grant.offset / kAlign] = write.tag;
    write.written = true;
  }

  void write_something() {
    if (!writes_.empty()) put_tag(writes_[below(writes_.size())]);
  }

  // Commits or aborts all of a lease; its writer finished writing before.
  void end_a_write(bool commit) {
    if (writes_.empty()) return;
    const Write chosen = writes_[below(writes_.size())];
    const bool alive = is_open(chosen.session);
    for (Write& write : writes_) {
      if (write.session == chosen.session && write.lease == chosen.lease && commit) put_tag(write);
    }
    if (!alive) {
      store_->writer_stopped(chosen.session, chosen.slot, {&chosen.lease, 1});
    } else if (commit) {
      committing_ = &chosen;
      store_->commit(chosen.session, chosen.lease, {}, {}).code();
    } else {
      ASSERT_TRUE(store_->abort(chosen.session, chosen.lease).ok());
    }
    learn();
    committing_ = nullptr;
    std::erase_if(writes_, [&](const Write& write) {
      return write.session == chosen.session && write.lease == chosen.lease;
    });
  }

  void acquire_some() {
    auto [session, slot] = some_session();
    std::vector<uint64_t> numbers;
    const std::vector<lmcd_key_t> keys = some_chain(&numbers);
    const uint64_t lease = next_lease_++;
    auto grants = acquire(session, lease, keys);
    bool leased = false;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const bool hit = grants[i].outcome == LMCD_LEASED;
      ASSERT_EQ(hit, hot_.contains(numbers[i])) << "key " << numbers[i];
      if (!hit) continue;
      leased = true;
      ASSERT_EQ(arena_[grants[i].offset / kAlign], hot_[numbers[i]]) << "wrong bytes as a hit";
      reads_.push_back({numbers[i], grants[i], hot_[numbers[i]]});
    }
    if (leased) held_.push_back({session, lease});
  }

  // Copies, then validates: the copy counts only if the word is what it was.
  void read_late() {
    if (reads_.empty()) return;
    const std::size_t at = below(reads_.size());
    const Read read = reads_[at];
    const uint64_t copied = arena_[read.grant.offset / kAlign];
    if (holds(read.grant, read.grant.word)) {
      ASSERT_EQ(copied, read.tag) << "bytes of key " << read.key << " validated and are wrong";
    } else {
      reads_.erase(reads_.begin() + static_cast<long>(at));
    }
  }

  void release_one() {
    if (held_.empty()) return;
    const std::size_t at = below(held_.size());
    store_->release(held_[at].session, held_[at].lease).code();
    held_.erase(held_.begin() + static_cast<long>(at));
  }

  bool is_open(SessionId session) const {
    return std::any_of(sessions_.begin(), sessions_.end(),
                       [&](const auto& open) { return open.first == session; });
  }

  void lose_a_session() {
    const std::size_t at = below(sessions_.size());
    const auto [session, slot] = sessions_[at];
    store_->close_session(session);
    sessions_.erase(sessions_.begin() + static_cast<long>(at));
    forget_leases_of(session);
    open(slot);
  }

  void forget_leases_of(SessionId session) {
    std::erase_if(held_, [&](const Held& held) { return held.session == session; });
  }

  void kill_a_process() {
    const LivenessSlot slot = static_cast<LivenessSlot>(1 + below(kSlots));
    for (auto& [session, of] : sessions_) {
      if (of != slot) continue;
      store_->close_session(session);
      forget_leases_of(session);
    }
    std::erase_if(sessions_, [&](const auto& open) { return open.second == slot; });
    store_->writer_dead(slot);
    std::erase_if(writes_, [&](const Write& write) { return write.slot == slot; });
    open(slot);
  }

  void operate() {
    const lmcd_key_t key = key_of(1 + below(kKeys));
    switch (below(12)) {
      case 0: store_->clear({}, false); break;
      case 1: store_->clear({}, true); break;
      case 2: case 3: store_->clear({.keys = {&key, 1}}, below(2) == 0); break;
      case 4: case 5: case 6: store_->pin({.keys = {&key, 1}}, true); break;
      case 7: case 8: store_->pin({}, false); break;
      default: kill_the_daemon(); break;
    }
  }

  void kill_the_daemon() {
    if (below(4) != 0) return;
    learn();
    Adopted found = restart(options_);
    ASSERT_EQ(found.rejected, only_read_);
    sessions_.clear();
    held_.clear();
    for (uint32_t slot = 1; slot <= kSlots; ++slot) open(slot);
  }

  void pass_time() {
    clock_.advance_ms(below(kTtlMs));
    while (store_->tick() <= clock_.now_ms()) learn();
  }

  // Takes in what the store says has happened.
  void learn() {
    for (const lmcd_event_t& event : events_.events) {
      uint64_t key;
      std::memcpy(&key, event.key.bytes + 8, 8);
      --key;
      if (event.kind == LMCD_EVENT_COMMITTED) {
        auto write = std::find_if(writes_.begin(), writes_.end(), [&](const Write& candidate) {
          return candidate.key == key && committing_ != nullptr &&
                 candidate.lease == committing_->lease;
        });
        ASSERT_TRUE(write != writes_.end()) << "committed what nobody committed";
        ASSERT_FALSE(hot_.contains(key)) << "committed twice";
        hot_[key] = write->tag;
      } else if (event.kind == LMCD_EVENT_EVICTED || event.kind == LMCD_EVENT_CLEARED) {
        ASSERT_EQ(hot_.erase(key), 1u) << "said to go, but was not there";
      }
    }
    events_.events.clear();
  }

  void check() {
    for (uint64_t n = 0; n < kKeys; ++n)
      ASSERT_EQ(lookup(key_of(n + 1)).hot != 0, hot_.contains(n)) << "key " << n;
    const Metrics& now = store_->snapshot();
    ASSERT_EQ(now.objects, hot_.size());
    ASSERT_EQ(now.used_bytes, now.hot_bytes + now.reserved_bytes + now.quarantined_bytes);
    ASSERT_GE(now.hot_bytes, hot_.size() * kAlign);
    ASSERT_EQ(now.reserved_bytes + now.quarantined_bytes, writes_.size() * kAlign);
    check_evictable(now);
    only_read_ = now.hot_bytes / kAlign - hot_.size();
  }

  void check_evictable(const Metrics& now) {
    std::vector<lmcd_listed_t> listed(kKeys);
    uint64_t cursor = 0;
    listed.resize(store_->list({}, &cursor, listed));
    uint64_t evictable_bytes = 0;
    for (const lmcd_listed_t& object : listed) {
      if (object.lease_count == 0 && !object.pinned) evictable_bytes += object.bytes;
    }
    ASSERT_EQ(now.evictable_bytes, evictable_bytes);
  }

  void wind_up() {
    for (uint32_t slot = 1; slot <= kSlots; ++slot) {
      for (auto& [session, of] : sessions_) {
        if (of == slot) store_->close_session(session);
      }
      store_->writer_dead(slot);
    }
    store_->pin({}, false);
    check_sums();
    store_->clear({}, false);
    check_sums();
    const Metrics& now = store_->snapshot();
    EXPECT_EQ(now.free_bytes, now.arena_bytes);
    EXPECT_EQ(now.quarantined_bytes, 0u);
    EXPECT_EQ(now.holes, 1u);
  }

  // What is told in parts comes to the whole.
  void check_sums() {
    const Metrics& now = store_->snapshot();
    const uint64_t on_request =
        now.evicted_for_room_objects_total + now.evicted_for_quota_objects_total;
    EXPECT_EQ(on_request + now.evicted_with_namespace_objects_total +
                  now.evicted_in_background_objects_total,
              now.evicted_objects_total);
    uint64_t hot_bytes = 0;
    for (uint32_t place = 0; place < store_->spaces().count(); ++place)
      if (const Spaces::Space* space = store_->spaces().at(place)) hot_bytes += space->hot_bytes;
    EXPECT_EQ(hot_bytes, now.hot_bytes);
  }

  std::mt19937_64 random_;
  StoreOptions options_;
  std::vector<uint64_t> arena_;  // a tag for each extent's bytes
  std::vector<std::pair<SessionId, LivenessSlot>> sessions_;
  std::vector<Write> writes_;
  std::vector<Read> reads_;
  std::vector<Held> held_;
  std::map<uint64_t, uint64_t> hot_;  // key -> tag of its bytes
  const Write* committing_ = nullptr;
  // Extents that a forced clear left to their readers: a restart does not bring them back.
  uint64_t only_read_ = 0;
  SessionId next_session_ = 100;
  uint64_t next_lease_ = 1;
  uint64_t next_tag_ = 1;
};

class Histories : public History, public testing::WithParamInterface<int> {};

TEST_P(Histories, never_lie_and_never_leak) {
  const char* given = std::getenv("LMCD_SEED");
  const unsigned seed =
      given != nullptr ? static_cast<unsigned>(std::strtoul(given, nullptr, 10))
                       : std::random_device{}();
  SCOPED_TRACE("LMCD_SEED=" + std::to_string(seed));
  play(seed, 4000);
}

INSTANTIATE_TEST_SUITE_P(Random, Histories, testing::Range(0, 12));

}  // namespace
}  // namespace lmcd::core
