// Proves the remaining verbs against a scripted daemon: the operator's, events, and copies by the
// daemon between its arena and a segment of ours, whose memory is the daemon's until it has
// answered or is dead.
#include <sys/wait.h>

#include <atomic>

#include "include/lmcd_admin.h"
#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

class Admin : public ClientTest {
 protected:
  void SetUp() override {
    open_session();
    selector.struct_size = sizeof selector;
  }
  lmcd_selector_t selector{};
};

TEST_F(Admin, texts_come_whole) {
  wire::Text text;
  text.text = "{\"objects\": 3}";
  lmcd_text_t* out = nullptr;
  daemon.run([&] { peer.answer<wire::Stats>(text); });
  ASSERT_EQ(lmcd_stats(session, &out, &error), LMCD_OK) << error.text;
  EXPECT_STREQ(lmcd_text_bytes(out), "{\"objects\": 3}");
  EXPECT_EQ(lmcd_text_length(out), 14u);
  lmcd_text_close(out);
  daemon.run([&] { peer.answer<wire::Config>(text); });
  ASSERT_EQ(lmcd_config(session, &out, &error), LMCD_OK) << error.text;
  lmcd_text_close(out);
  lmcd_text_close(nullptr);
  daemon.finish();
}

TEST_F(Admin, selectors_travel_and_counts_come_back) {
  const lmcd_key_t keys[] = {key_of(1), key_of(2)};
  selector.tenant_given = 1;
  selector.tenant = "bob";
  selector.space_given = 1;
  selector.space = 4;
  selector.keys = keys;
  selector.key_count = 2;
  daemon.run([&] {
    wire::Cleared cleared;
    cleared.objects = 5;
    cleared.bytes = 6;
    cleared.kept = 7;
    const wire::Clear asked = peer.answer<wire::Clear>(cleared);
    EXPECT_EQ(asked.tenant, "bob");
    EXPECT_EQ(asked.space, 4u);
    EXPECT_EQ(asked.keys.size(), 2u);
    EXPECT_EQ(asked.force, 1u);
    wire::Done done;
    done.count = 8;
    EXPECT_EQ(peer.answer<wire::Pin>(done).pinned, 1u);
  });
  lmcd_cleared_t cleared{};
  ASSERT_EQ(lmcd_clear(session, &selector, 1, &cleared, &error), LMCD_OK) << error.text;
  EXPECT_EQ(cleared.objects + cleared.bytes + cleared.kept, 18u);
  uint64_t count = 0;
  ASSERT_EQ(lmcd_pin(session, &selector, 1, &count, &error), LMCD_OK) << error.text;
  EXPECT_EQ(count, 8u);
  daemon.finish();
}

TEST_F(Admin, listings_come_page_by_page) {
  std::vector<lmcd_listed_t> objects(2);
  objects[1].depth = 9;
  daemon.run([&] {
    wire::Listed page;
    page.cursor = 55;
    page.objects = objects;
    EXPECT_EQ(peer.answer<wire::List>(page).capacity, 2u);
    page.cursor = 0;
    EXPECT_EQ(peer.answer<wire::List>(page).cursor, 55u);
  });
  lmcd_listed_t listed[2];
  uint32_t count = 0;
  uint64_t cursor = 0;
  ASSERT_EQ(lmcd_list(session, &selector, listed, 2, &count, &cursor, &error), LMCD_OK);
  EXPECT_EQ(cursor, 55u);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(listed[1].depth, 9u);
  // More than was asked for breaks the protocol and writes past nothing.
  EXPECT_EQ(lmcd_list(session, &selector, listed, 1, &count, &cursor, &error), LMCD_E_PROTOCOL);
  EXPECT_EQ(lmcd_list(session, &selector, listed, 4097, &count, &cursor, &error), LMCD_E_INVALID);
  daemon.finish();
}

TEST_F(Admin, quotas_are_set_and_listed) {
  lmcd_quota_t quota{};
  std::memcpy(quota.tenant, "carol", 6);
  quota.limited = 1;
  quota.limit_bytes = 1000;
  daemon.run([&] {
    const wire::QuotaSet asked = peer.answer<wire::QuotaSet>(wire::Done{});
    EXPECT_EQ(asked.tenant, "carol");
    EXPECT_EQ(asked.limit_bytes, 1000u);
    wire::Quotas page;
    page.quotas = {&quota, 1};
    peer.answer<wire::QuotaList>(page);
  });
  ASSERT_EQ(lmcd_quota_set(session, &quota, &error), LMCD_OK) << error.text;
  lmcd_quota_t listed{};
  uint32_t count = 0;
  uint64_t cursor = 0;
  ASSERT_EQ(lmcd_quota_list(session, &listed, 1, &count, &cursor, &error), LMCD_OK) << error.text;
  EXPECT_STREQ(listed.tenant, "carol");
  std::memset(quota.tenant, 'x', sizeof quota.tenant);
  EXPECT_EQ(lmcd_quota_set(session, &quota, &error), LMCD_E_INVALID);
  daemon.finish();
}

TEST_F(Admin, what_the_daemon_cannot_do_yet_is_its_answer) {
  wire::Fault later;
  later.code = static_cast<uint64_t>(int64_t{LMCD_E_UNSUPPORTED});
  daemon.run([&] {
    peer.answer<wire::Drain>(later);
    peer.answer<wire::Reload>(later);
  });
  EXPECT_EQ(lmcd_drain(session, &error), LMCD_E_UNSUPPORTED);
  EXPECT_EQ(lmcd_reload(session, &error), LMCD_E_UNSUPPORTED);
  daemon.finish();
}

// -- Events ---------------------------------------------------------------------------------

class Events : public ClientTest {
 protected:
  void SetUp() override { open_session(); }
  void push(uint64_t first, uint64_t count) {
    std::vector<lmcd_event_t> some(count);
    for (uint64_t i = 0; i < count; ++i) {
      some[i].sequence = first + i;
      some[i].kind = LMCD_EVENT_COMMITTED;
    }
    wire::Events message;
    message.events = some;
    peer.send(message);
  }
  std::vector<lmcd_event_t> take(uint32_t capacity, uint32_t timeout_ms = 10'000) {
    std::vector<lmcd_event_t> taken(capacity);
    uint32_t count = 0;
    EXPECT_EQ(lmcd_events_next(session, taken.data(), capacity, timeout_ms, &count, &error),
              LMCD_OK)
        << error.text;
    taken.resize(count);
    return taken;
  }
};

TEST_F(Events, come_in_order_and_in_portions) {
  daemon.run([&] {
    peer.answer<wire::EventsSubscribe>(wire::Done{});
    push(1, 3);
  });
  ASSERT_EQ(lmcd_events_subscribe(session, &error), LMCD_OK) << error.text;
  std::vector<lmcd_event_t> all = take(2);
  while (all.size() < 3) {
    for (const lmcd_event_t& event : take(2)) all.push_back(event);
  }
  for (uint64_t i = 0; i < 3; ++i) EXPECT_EQ(all[i].sequence, i + 1);
  EXPECT_TRUE(take(1, 0).empty());
  daemon.finish();
}

TEST_F(Events, that_find_no_room_are_counted) {
  constexpr uint64_t kPushed = 20'000;
  daemon.run([&] {
    for (uint64_t i = 0; i < kPushed; i += 1000) push(i, 1000);
    peer.answer<wire::Ping>(wire::Done{});
  });
  ASSERT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  uint64_t seen = 0;
  uint64_t missed = 0;
  for (auto some = take(4096, 0); !some.empty(); some = take(4096, 0)) {
    for (const lmcd_event_t& event : some) {
      if (event.kind == LMCD_EVENT_MISSED) {
        missed += event.count;
      } else {
        EXPECT_EQ(event.sequence, seen++);
      }
    }
  }
  EXPECT_GT(missed, 0u);
  EXPECT_EQ(seen + missed, kPushed);
  daemon.finish();
}

TEST_F(Events, a_subscription_outlives_the_connection_and_tells_of_the_gap) {
  daemon.run([&] { peer.answer<wire::EventsSubscribe>(wire::Done{}); });
  ASSERT_EQ(lmcd_events_subscribe(session, &error), LMCD_OK) << error.text;
  daemon.finish();
  peer.hang_up();
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  daemon.run([&] {
    peer = daemon.accept_and_greet();
    peer.answer<wire::EventsSubscribe>(wire::Done{});
    peer.answer<wire::Ping>(wire::Done{});
    push(9, 1);
  });
  EXPECT_EQ(ping_until_connected(), LMCD_OK) << error.text;
  EXPECT_EQ(take(1)[0].kind, static_cast<uint32_t>(LMCD_EVENT_MISSED));
  EXPECT_EQ(take(1)[0].sequence, 9u);
  daemon.finish();
}

// -- daemon_driven --------------------------------------------------------------------------

class Transfers : public ClientTest {
 protected:
  void SetUp() override {
    memory = FileDescriptor(memfd_create("kv", MFD_CLOEXEC));
    ASSERT_EQ(ftruncate(memory.get(), 4096), 0);
  }
  ~Transfers() override { lmcd_segment_close(segment); }

  void open_segment() {
    open_session();
    open_space();
    daemon.run([&] {
      wire::SegmentOpened opened;
      opened.segment = 2;
      const wire::SegmentOpen asked = peer.answer<wire::SegmentOpen>(opened);
      EXPECT_EQ(asked.length, 4096u);
      EXPECT_EQ(asked.pages[0].run_bytes, 512u);
      EXPECT_EQ(asked.name, "kv");
    });
    ASSERT_EQ(lmcd_segment_open(session, &(options = options_of()), &segment, &error), LMCD_OK)
        << error.text;
    daemon.finish();
  }
  lmcd_segment_options_t options_of() {
    lmcd_segment_options_t given{};
    given.struct_size = sizeof given;
    given.page_count = 1;
    given.pages = &page;
    given.descriptor = memory.get();
    given.length = 4096;
    given.name = "kv";
    return given;
  }
  lmcd_op_t* begin_store() {
    transfer.struct_size = sizeof transfer;
    transfer.blocks_per_item = 2;
    transfer.keys.struct_size = sizeof transfer.keys;
    transfer.keys.count = 1;
    transfer.keys.space = space;
    transfer.keys.keys = &key;
    transfer.block_ids = blocks;
    lmcd_op_t* op = nullptr;
    EXPECT_EQ(lmcd_store_begin(segment, &transfer, &outcome, &op, &error), LMCD_OK) << error.text;
    return op;
  }
  // The daemon's side of closing the segment.
  void answer_close() {
    daemon.run([&] { EXPECT_EQ(peer.answer<wire::SegmentClose>(wire::Done{}).segment, 2u); });
    lmcd_segment_close(std::exchange(segment, nullptr));
    daemon.finish();
  }

  FileDescriptor memory;
  lmcd_page_t page{0, 512, 0, 512, 1, 8, 0};
  lmcd_segment_options_t options{};
  lmcd_segment_t* segment = nullptr;
  lmcd_transfer_t transfer{};
  const lmcd_key_t key = key_of(1);
  const uint32_t blocks[2] = {4, 5};
  uint32_t outcome = 99;
};

TEST_F(Transfers, the_segment_travels_and_outcomes_come_back) {
  open_segment();
  ASSERT_EQ(peer.descriptors().count, 1u);
  EXPECT_EQ(lseek(peer.descriptors().items[0].get(), 0, SEEK_END), 4096);
  lmcd_op_t* op = begin_store();
  EXPECT_EQ(outcome, static_cast<uint32_t>(LMCD_NONE));
  const uint32_t stored = LMCD_STORED;
  wire::Transferred answer;
  answer.outcomes = {&stored, 1};
  const wire::Store asked = peer.answer<wire::Store>(answer);
  EXPECT_EQ(asked.segment, 2u);
  EXPECT_EQ(asked.space, 3u);
  EXPECT_EQ(copy_of(asked.block_ids), (std::vector<uint32_t>{4, 5}));
  EXPECT_EQ(lmcd_op_wait(op, 10'000, &error), LMCD_OK) << error.text;
  EXPECT_EQ(outcome, stored);
  lmcd_op_close(op);

  op = nullptr;
  ASSERT_EQ(lmcd_load_begin(segment, &transfer, &outcome, &op, &error), LMCD_OK) << error.text;
  const uint32_t absent = LMCD_ABSENT;
  answer.outcomes = {&absent, 1};
  EXPECT_EQ(peer.answer<wire::Load>(answer).blocks_per_item, 2u);
  EXPECT_EQ(lmcd_op_wait(op, 10'000, &error), LMCD_OK) << error.text;
  EXPECT_EQ(outcome, absent);
  lmcd_op_close(op);
  answer_close();
}

TEST_F(Transfers, closing_an_unanswered_one_cancels_it_and_waits) {
  open_segment();
  lmcd_op_t* op = begin_store();
  EXPECT_EQ(lmcd_op_wait(op, 1, &error), LMCD_E_TIMEOUT);
  std::atomic<bool> closed{false};
  daemon.run([&] {
    uint64_t store = 0;
    uint64_t cancel = 0;
    peer.expect<wire::Store>(&store);
    EXPECT_EQ(peer.expect<wire::Cancel>(&cancel).request, store);
    EXPECT_FALSE(closed) << "the copy is still going on";
    const uint32_t refused = LMCD_REFUSED;
    wire::Transferred answer;
    answer.outcomes = {&refused, 1};
    peer.send(answer, store);
    peer.send(wire::Done{}, cancel);
  });
  lmcd_op_close(op);
  closed = true;
  daemon.finish();
  answer_close();
}

TEST_F(Transfers, a_lost_session_gives_no_blocks_back_before_the_daemon_is_dead) {
  // A child plays the daemon's process: it holds the other end of the connection.
  const std::string path = daemon.socket();
  daemon.stop_listening();
  int go[2];
  ASSERT_EQ(pipe(go), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(go[1]);
    daemon.listen();
    daemon.welcome.daemon_pid = static_cast<uint64_t>(getpid());
    peer = daemon.accept_and_greet();
    answer_namespace(3);
    peer.answer<wire::SegmentOpen>(wire::SegmentOpened{});
    peer.expect<wire::Store>();
    daemon.stop_listening();
    peer.hang_up();
    char byte;
    _exit(read(go[0], &byte, 1) == 0 ? 0 : 1);
  }
  close(go[0]);
  until([&] { return try_open() != LMCD_E_NO_DAEMON; });
  ASSERT_NE(session, nullptr) << error.text;
  lmcd_namespace_options_t given{};
  given.struct_size = sizeof given;
  given.description = "model: test";
  ASSERT_EQ(lmcd_namespace_open(session, &given, &space, &error), LMCD_OK) << error.text;
  ASSERT_EQ(lmcd_segment_open(session, &(options = options_of()), &segment, &error), LMCD_OK)
      << error.text;
  lmcd_op_t* op = begin_store();
  // The session is lost, the copy may go on: no answer.
  EXPECT_EQ(lmcd_op_wait(op, 200, &error), LMCD_E_TIMEOUT);
  EXPECT_NE(std::string(error.text).find("may still copy"), std::string::npos) << error.text;
  close(go[1]);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(lmcd_op_wait(op, 10'000, &error), LMCD_E_SESSION_LOST);
  lmcd_op_close(op);
}

TEST_F(Transfers, wrong_segments_and_transfers_are_named) {
  open_segment();
  lmcd_segment_t* none = nullptr;
  options = options_of();
  options.page_count = 0;
  EXPECT_EQ(lmcd_segment_open(session, &options, &none, &error), LMCD_E_INVALID);
  options = options_of();
  options.descriptor = -1;
  EXPECT_EQ(lmcd_segment_open(session, &options, &none, &error), LMCD_E_INVALID);
  EXPECT_NE(std::string(error.text).find("descriptor is -1"), std::string::npos) << error.text;
  options = options_of();
  options.rank = 256;
  EXPECT_EQ(lmcd_segment_open(session, &options, &none, &error), LMCD_E_INVALID);
  options = options_of();
  options.length = 0;
  EXPECT_EQ(lmcd_segment_open(session, &options, &none, &error), LMCD_E_INVALID);

  lmcd_op_t* op = nullptr;
  transfer.struct_size = sizeof transfer;
  transfer.keys.struct_size = sizeof transfer.keys;
  transfer.keys.space = space;
  transfer.keys.keys = &key;
  transfer.keys.count = 1;
  transfer.block_ids = blocks;
  EXPECT_EQ(lmcd_store_begin(segment, &transfer, &outcome, &op, &error), LMCD_E_INVALID);
  EXPECT_NE(std::string(error.text).find("blocks_per_item"), std::string::npos) << error.text;
  transfer.blocks_per_item = (1u << 19) + 1;
  EXPECT_EQ(lmcd_store_begin(segment, &transfer, &outcome, &op, &error), LMCD_E_INVALID);
  answer_close();
}

}  // namespace
}  // namespace lmcd::test
