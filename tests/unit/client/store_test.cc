// Proves what becomes of write leases: reserve, commit and abort with a scripted daemon, answers
// that come late or break the protocol, and what the daemon hears about leases of a session that
// was lost: never of one that the user has not ended.
#include <thread>

#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

class Store : public ClientTest {
 protected:
  void SetUp() override {
    open_session();
    open_space();
  }

  wire::Reserve grant(const std::vector<wire::Grant>& items) {
    wire::Granted granted;
    granted.grants = items;
    return peer.answer<wire::Reserve>(granted);
  }
  // Reserves as many keys as there are grants.
  lmcd_code_t reserve(const std::vector<wire::Grant>& granted) {
    daemon.run([&, granted] { grant(granted); });
    keys.clear();
    for (uint8_t i = 0; i < granted.size(); ++i) keys.push_back(key_of(i));
    grants.assign(granted.size(), lmcd_grant_t{});
    const lmcd_reserve_t request = reserve_of(keys);
    const lmcd_code_t code = lmcd_reserve(session, &request, grants.data(), &lease, &error);
    daemon.finish();
    return code;
  }
  // Has one object in the ledger that is hot.
  void open_hot_space() {
    daemon.ledger->add_space(3, "model: test");
    daemon.ledger->add_hot(2, 3, key_of(1), 0, 4096);
  }
  // The daemon ends the connection; the library finds out.
  void lose_session() {
    peer.hang_up();
    EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  }
  // Lets the library connect again. `next` is what the daemon reads after the greeting.
  void come_back(std::function<void()> next = [] {}) {
    daemon.run([&, next] {
      daemon.welcome.session += 1;
      peer = daemon.accept_and_greet();
      next();
      peer.answer<wire::Ping>(wire::Done{});
    });
    EXPECT_EQ(ping_until_connected(), LMCD_OK) << error.text;
    daemon.finish();
  }

  std::vector<lmcd_key_t> keys;
  std::vector<lmcd_grant_t> grants;
  uint64_t lease = 0;
};

TEST_F(Store, a_reservation_says_what_was_asked_and_gets_what_was_granted) {
  keys = {key_of(1), key_of(2)};
  const std::vector<lmcd_part_t> parts{{0, 0}, {0, 0}};
  const std::vector<uint64_t> lengths{100, 200};
  const lmcd_key_t parent = key_of(9);
  lmcd_reserve_t request = reserve_of(keys);
  request.parts = parts.data();
  request.lengths = lengths.data();
  request.parent = &parent;
  request.depth = 4;
  request.tenant = "alice";
  daemon.run([&] {
    const wire::Reserve asked =
        grant({grant_of(LMCD_RESERVED, 7, 8192, 100), grant_of(LMCD_EXISTS, 0)});
    EXPECT_EQ(asked.space, 3u);
    EXPECT_EQ(asked.depth, 4u);
    EXPECT_EQ(asked.tenant, "alice");
    EXPECT_EQ(asked.keys.size(), 2u);
    EXPECT_EQ(asked.keys[1].bytes[0], 2);
    EXPECT_EQ(asked.lengths[1], 200u);
    EXPECT_EQ(asked.parts.size(), 2u);
    EXPECT_EQ(asked.parent[0].bytes[0], 9);
    EXPECT_EQ(asked.lease >> 48, 1u);
  });
  grants.resize(2);
  ASSERT_EQ(lmcd_reserve(session, &request, grants.data(), &lease, &error), LMCD_OK) << error.text;
  EXPECT_NE(lease, 0u);
  EXPECT_EQ(grants[0].outcome, LMCD_RESERVED);
  EXPECT_EQ(grants[0].record, 7u);
  EXPECT_EQ(grants[0].word, 1007u);
  EXPECT_EQ(grants[0].incarnation, 0xabcdu);
  EXPECT_EQ(grants[0].extent.offset, 8192u);
  EXPECT_EQ(grants[0].extent.length, 100u);
  EXPECT_EQ(grants[1].outcome, LMCD_EXISTS);
  daemon.finish();
}

TEST_F(Store, nothing_reserved_is_no_lease) {
  ASSERT_EQ(reserve({grant_of(LMCD_EXISTS, 0), grant_of(LMCD_NO_SPACE, 0)}), LMCD_OK);
  EXPECT_EQ(lease, 0u);
}

TEST_F(Store, a_refused_request_passes_the_daemons_fault_on) {
  daemon.run([&] {
    wire::Fault refusal;
    refusal.code = static_cast<uint64_t>(int64_t{LMCD_E_LIMIT});
    refusal.text = "too many leases";
    peer.answer<wire::Reserve>(refusal);
  });
  keys = {key_of(1)};
  lmcd_grant_t one{};
  const lmcd_reserve_t request = reserve_of(keys);
  EXPECT_EQ(lmcd_reserve(session, &request, &one, &lease, &error), LMCD_E_LIMIT);
  EXPECT_STREQ(error.text, "too many leases");
  daemon.finish();
}

TEST_F(Store, commit_and_abort_are_posted_in_order) {
  ASSERT_EQ(reserve({grant_of(LMCD_RESERVED, 1), grant_of(LMCD_RESERVED, 2, 4096),
                     grant_of(LMCD_EXISTS, 0)}),
            LMCD_OK);
  const uint32_t item = 1;
  const uint32_t crc = 77;
  EXPECT_EQ(lmcd_commit(session, lease, &item, &crc, 1, &error), LMCD_OK) << error.text;
  EXPECT_EQ(lmcd_abort(session, lease, &error), LMCD_OK) << error.text;
  const auto commit = peer.expect<wire::Commit>();
  EXPECT_EQ(commit.lease, lease);
  EXPECT_EQ(copy_of(commit.items), std::vector<uint32_t>{1});
  EXPECT_EQ(copy_of(commit.crcs), std::vector<uint32_t>{77});
  EXPECT_EQ(peer.expect<wire::Abort>().lease, lease);
  EXPECT_EQ(lmcd_abort(session, lease, &error), LMCD_E_NOT_FOUND);
}

TEST_F(Store, crcs_without_items_are_those_of_the_batch) {
  ASSERT_EQ(reserve({grant_of(LMCD_EXISTS, 0), grant_of(LMCD_RESERVED, 2)}), LMCD_OK);
  const uint32_t crcs[] = {11, 22};
  EXPECT_EQ(lmcd_commit(session, lease, nullptr, crcs, 1, &error), LMCD_E_INVALID);
  EXPECT_EQ(lmcd_commit(session, lease, nullptr, crcs, 2, &error), LMCD_OK) << error.text;
  const auto commit = peer.expect<wire::Commit>();
  EXPECT_EQ(copy_of(commit.items), std::vector<uint32_t>{1});
  EXPECT_EQ(copy_of(commit.crcs), std::vector<uint32_t>{22});
}

TEST_F(Store, a_commit_of_what_is_not_ours_is_refused_and_posts_nothing) {
  ASSERT_EQ(reserve({grant_of(LMCD_RESERVED, 1), grant_of(LMCD_EXISTS, 0)}), LMCD_OK);
  for (const std::vector<uint32_t>& items :
       {std::vector<uint32_t>{2}, std::vector<uint32_t>{1}, std::vector<uint32_t>{0, 0}}) {
    EXPECT_EQ(lmcd_commit(session, lease, items.data(), nullptr,
                          static_cast<uint32_t>(items.size()), &error),
              LMCD_E_INVALID);
    EXPECT_NE(std::string(error.text).find("items["), std::string::npos) << error.text;
  }
  const uint32_t none = 0;
  EXPECT_EQ(lmcd_commit(session, lease, &none, nullptr, 0, &error), LMCD_OK);
  EXPECT_EQ(lmcd_commit(session, lease + 1, nullptr, nullptr, 0, &error), LMCD_E_NOT_FOUND);
  EXPECT_EQ(lmcd_commit(session, lease, nullptr, nullptr, 0, &error), LMCD_OK) << error.text;
  EXPECT_TRUE(peer.expect<wire::Commit>().items.empty());
}

TEST_F(Store, a_batch_of_more_than_64_items_keeps_count) {
  std::vector<wire::Grant> many;
  for (uint32_t i = 0; i < 130; ++i) many.push_back(grant_of(LMCD_RESERVED, i % 64));
  ASSERT_EQ(reserve(many), LMCD_OK);
  for (uint32_t item : {0u, 63u, 64u, 129u})
    EXPECT_EQ(lmcd_commit(session, lease, &item, nullptr, 1, &error), LMCD_OK) << error.text;
  const uint32_t again = 64;
  EXPECT_EQ(lmcd_commit(session, lease, &again, nullptr, 1, &error), LMCD_E_INVALID);
  const uint32_t past = 130;
  EXPECT_EQ(lmcd_commit(session, lease, &past, nullptr, 1, &error), LMCD_E_INVALID);
}

TEST_F(Store, wrong_arguments_are_named_and_nothing_is_sent) {
  keys = {key_of(1)};
  lmcd_grant_t one{};
  const auto expect_invalid = [&](const std::function<void(lmcd_reserve_t&)>& change,
                                  const char* named) {
    lmcd_reserve_t request = reserve_of(keys);
    change(request);
    EXPECT_EQ(lmcd_reserve(session, &request, &one, &lease, &error), LMCD_E_INVALID) << named;
    EXPECT_NE(std::string(error.text).find(named), std::string::npos) << error.text;
  };
  const lmcd_part_t outside{1, 0};
  const lmcd_part_t no_group{0, 1};
  const uint64_t huge = uint64_t{1} << 32;
  const std::string long_tenant(256, 't');
  expect_invalid([](auto& r) { r.struct_size = 8; }, "struct_size");
  expect_invalid([](auto& r) { r.count = 0; }, "count");
  expect_invalid([](auto& r) { r.count = 16385; }, "16385");
  expect_invalid([](auto& r) { r.keys = nullptr; }, "keys");
  expect_invalid([](auto& r) { r.space = nullptr; }, "space");
  expect_invalid([](auto& r) { r.length = 0; }, "length");
  expect_invalid([&](auto& r) { r.lengths = &huge; }, "lengths[0]");
  expect_invalid([&](auto& r) { r.part = outside; }, "rank 1");
  expect_invalid([&](auto& r) { r.parts = &no_group; }, "parts[0]");
  expect_invalid([&](auto& r) { r.tenant = long_tenant.c_str(); }, "tenant");
  const lmcd_reserve_t request = reserve_of(keys);
  EXPECT_EQ(lmcd_reserve(nullptr, &request, &one, &lease, &error), LMCD_E_INVALID);
  EXPECT_EQ(lmcd_reserve(session, nullptr, &one, &lease, nullptr), LMCD_E_INVALID);
  EXPECT_EQ(lmcd_reserve(session, &request, nullptr, &lease, &error), LMCD_E_INVALID);
  EXPECT_EQ(lmcd_reserve(session, &request, &one, nullptr, &error), LMCD_E_INVALID);
  daemon.run([&] { peer.answer<wire::Ping>(wire::Done{}); });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK);
  daemon.finish();
}

// -- Answers that cannot be -----------------------------------------------------------------

TEST_F(Store, an_answer_that_cannot_be_ends_the_session) {
  const std::vector<std::vector<wire::Grant>> wrong = {
      {},
      {grant_of(LMCD_RESERVED, 1), grant_of(LMCD_RESERVED, 2)},
      {grant_of(LMCD_LEASED, 1)},
      {grant_of(LMCD_NONE, 1)},
      {grant_of(LMCD_RESERVED, 1, FakeLedger::kArenaBytes)},
      {grant_of(LMCD_RESERVED, 1, UINT64_MAX)},
      {grant_of(LMCD_RESERVED, FakeLedger::kRecords)},
      {grant_of(LMCD_RESERVED, 1, 0, 4095)},
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    keys = {key_of(1)};
    lmcd_grant_t one{};
    daemon.run([&] {
      if (i > 0) answer_namespace(3);  // each is asked in a new connection
      grant(wrong[i]);
      EXPECT_TRUE(peer.sees_end());
    });
    const lmcd_reserve_t request = reserve_of(keys);
    EXPECT_EQ(lmcd_reserve(session, &request, &one, &lease, &error), LMCD_E_PROTOCOL) << i;
    EXPECT_EQ(lease, 0u);
    EXPECT_EQ(one.outcome, static_cast<uint32_t>(LMCD_NONE));
    daemon.finish();
    come_back([&] { peer.expect<wire::Stopped>(); });
  }
}

// -- Late answers ---------------------------------------------------------------------------

TEST_F(Store, what_is_granted_too_late_is_given_back) {
  lmcd_session_close(std::exchange(session, nullptr));
  lmcd_namespace_close(std::exchange(space, nullptr));
  open_session(50);
  open_space();
  keys = {key_of(1)};
  lmcd_grant_t one{};
  const lmcd_reserve_t request = reserve_of(keys);
  EXPECT_EQ(lmcd_reserve(session, &request, &one, &lease, &error), LMCD_E_TIMEOUT);
  EXPECT_EQ(lease, 0u);
  uint64_t question = 0;
  const wire::Reserve asked = peer.expect<wire::Reserve>(&question);
  const uint64_t promised = asked.lease;
  wire::Granted granted;
  const wire::Grant late = grant_of(LMCD_RESERVED, 1);
  granted.grants = {&late, 1};
  peer.send(granted, question);
  daemon.run([&] {
    // Whatever the library asks next, it has read the answer before.
    uint64_t ping = 0;
    peer.expect<wire::Ping>(&ping);
    peer.send(wire::Done{}, ping);
    EXPECT_EQ(peer.expect<wire::Abort>().lease, promised);
  });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  daemon.finish();
  EXPECT_EQ(one.outcome, static_cast<uint32_t>(LMCD_NONE));
}

TEST_F(Store, an_operation_polls_waits_and_keeps_its_result) {
  keys = {key_of(1)};
  lmcd_grant_t one{};
  lmcd_op_t* op = nullptr;
  const lmcd_reserve_t request = reserve_of(keys);
  ASSERT_EQ(lmcd_reserve_begin(session, &request, &one, &lease, &op, &error), LMCD_OK);
  EXPECT_EQ(lmcd_op_wait(op, 0, &error), LMCD_E_TIMEOUT);
  grant({grant_of(LMCD_RESERVED, 1)});
  EXPECT_EQ(lmcd_op_wait(op, 10'000, &error), LMCD_OK) << error.text;
  EXPECT_EQ(lmcd_op_wait(op, 0, &error), LMCD_OK);
  EXPECT_NE(lease, 0u);
  EXPECT_EQ(one.outcome, static_cast<uint32_t>(LMCD_RESERVED));
  lmcd_op_close(op);
  EXPECT_EQ(lmcd_abort(session, lease, &error), LMCD_OK);
  EXPECT_EQ(peer.expect<wire::Abort>().lease, lease);
}

TEST_F(Store, closing_an_operation_gives_back_what_nobody_got_to_know) {
  keys = {key_of(1)};
  lmcd_grant_t one{};
  lmcd_op_t* early = nullptr;
  lmcd_op_t* late = nullptr;
  const lmcd_reserve_t request = reserve_of(keys);
  ASSERT_EQ(lmcd_reserve_begin(session, &request, &one, &lease, &early, &error), LMCD_OK);
  lmcd_op_close(early);  // before the answer is there
  const uint64_t first = grant({grant_of(LMCD_RESERVED, 1)}).lease;
  ASSERT_EQ(lmcd_reserve_begin(session, &request, &one, &lease, &late, &error), LMCD_OK);
  const uint64_t second = grant({grant_of(LMCD_RESERVED, 2)}).lease;
  daemon.run([&] {
    uint64_t ping = 0;
    peer.expect<wire::Ping>(&ping);
    peer.send(wire::Done{}, ping);
    EXPECT_EQ(peer.expect<wire::Abort>().lease, first);
  });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK);
  daemon.finish();
  lmcd_op_close(late);  // the answer was read by the ping
  EXPECT_EQ(peer.expect<wire::Abort>().lease, second);
  EXPECT_EQ(lease, 0u);
}

// -- Event loops ----------------------------------------------------------------------------

bool readable(int descriptor, int timeout_ms = 0) {
  pollfd polled{descriptor, POLLIN, 0};
  return poll(&polled, 1, timeout_ms) == 1;
}

TEST_F(Store, the_descriptor_is_readable_until_the_answer_is_collected) {
  keys = {key_of(1)};
  lmcd_grant_t one{};
  lmcd_op_t* op = nullptr;
  const lmcd_reserve_t request = reserve_of(keys);
  ASSERT_EQ(lmcd_reserve_begin(session, &request, &one, &lease, &op, &error), LMCD_OK);
  const int descriptor = lmcd_session_descriptor(session);
  EXPECT_FALSE(readable(descriptor));
  grant({grant_of(LMCD_RESERVED, 1)});
  EXPECT_TRUE(readable(descriptor, kPatienceMs));
  // Somebody else's wait takes the answer off the socket: it still is to be collected.
  daemon.run([&] { peer.answer<wire::Ping>(wire::Done{}); });
  ASSERT_EQ(lmcd_ping(session, &error), LMCD_OK);
  EXPECT_TRUE(readable(descriptor));
  EXPECT_EQ(lmcd_op_wait(op, 0, &error), LMCD_OK) << error.text;
  EXPECT_FALSE(readable(descriptor));
  lmcd_op_close(op);
  daemon.finish();
}

TEST_F(Store, the_descriptor_tells_of_a_loss_and_serves_the_next_connection) {
  keys = {key_of(1)};
  lmcd_grant_t one{};
  lmcd_op_t* op = nullptr;
  const lmcd_reserve_t request = reserve_of(keys);
  ASSERT_EQ(lmcd_reserve_begin(session, &request, &one, &lease, &op, &error), LMCD_OK);
  const int descriptor = lmcd_session_descriptor(session);
  lose_session();
  EXPECT_EQ(lmcd_session_descriptor(session), -1);
  EXPECT_TRUE(readable(descriptor));
  EXPECT_EQ(lmcd_op_wait(op, 0, &error), LMCD_E_SESSION_LOST);
  lmcd_op_close(op);
  EXPECT_FALSE(readable(descriptor));
  come_back([&] { peer.expect<wire::Stopped>(); });
  EXPECT_EQ(lmcd_session_descriptor(session), descriptor);
  const lmcd_event_t event{};
  wire::Events events;
  events.events = {&event, 1};
  peer.send(events);
  EXPECT_TRUE(readable(descriptor, kPatienceMs));
  lmcd_event_t taken{};
  uint32_t count = 0;
  EXPECT_EQ(lmcd_events_next(session, &taken, 1, 0, &count, &error), LMCD_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_FALSE(readable(descriptor));
}

// -- Leases of a session that was lost ------------------------------------------------------

TEST_F(Store, commit_after_session_loss_is_refused_and_the_daemon_hears_of_the_stop) {
  ASSERT_EQ(reserve({grant_of(LMCD_RESERVED, 1)}), LMCD_OK);
  lose_session();
  come_back();
  EXPECT_EQ(lmcd_commit(session, lease, nullptr, nullptr, 0, &error), LMCD_E_SESSION_LOST);
  const auto stopped = peer.expect<wire::Stopped>();
  EXPECT_EQ(stopped.session, 100u);
  EXPECT_EQ(copy_of(stopped.leases), std::vector<uint64_t>{lease});
}

TEST_F(Store, an_abort_while_there_is_no_daemon_reaches_the_next_one) {
  ASSERT_EQ(reserve({grant_of(LMCD_RESERVED, 1)}), LMCD_OK);
  daemon.stop_listening();
  lose_session();
  EXPECT_EQ(lmcd_abort(session, lease, &error), LMCD_OK) << error.text;
  daemon.listen();
  come_back([&] {
    const auto stopped = peer.expect<wire::Stopped>();
    EXPECT_EQ(stopped.session, 100u);
    EXPECT_EQ(copy_of(stopped.leases), std::vector<uint64_t>{lease});
  });
}

TEST_F(Store, a_lease_that_the_user_has_not_ended_is_never_said_to_be_stopped) {
  ASSERT_EQ(reserve({grant_of(LMCD_RESERVED, 1), grant_of(LMCD_RESERVED, 2)}), LMCD_OK);
  const uint32_t item = 0;
  EXPECT_EQ(lmcd_commit(session, lease, &item, nullptr, 1, &error), LMCD_OK);
  peer.expect<wire::Commit>();
  lose_session();
  come_back();  // the next frame after the greeting is the ping
  lose_session();
  come_back();
  const uint32_t other = 1;
  EXPECT_EQ(lmcd_commit(session, lease, &other, nullptr, 1, &error), LMCD_E_SESSION_LOST);
  EXPECT_EQ(peer.expect<wire::Stopped>().session, 100u);
}

TEST_F(Store, an_abort_that_may_not_have_arrived_is_told_again_until_it_is_certain) {
  ASSERT_EQ(reserve({grant_of(LMCD_RESERVED, 1)}), LMCD_OK);
  EXPECT_EQ(lmcd_abort(session, lease, &error), LMCD_OK);
  lose_session();  // nothing was answered since
  come_back([&] { EXPECT_EQ(copy_of(peer.expect<wire::Stopped>().leases)[0], lease); });
  lose_session();
  come_back();  // the ping's answer was the certainty
}

TEST_F(Store, a_reservation_that_was_never_answered_is_stopped) {
  daemon.run([&] {
    peer.expect<wire::Reserve>();
    peer.hang_up();
  });
  keys = {key_of(1)};
  lmcd_grant_t one{};
  const lmcd_reserve_t request = reserve_of(keys);
  EXPECT_EQ(lmcd_reserve(session, &request, &one, &lease, &error), LMCD_E_SESSION_LOST);
  EXPECT_EQ(lease, 0u);
  come_back([&] { EXPECT_EQ(peer.expect<wire::Stopped>().leases.size(), 1u); });
  daemon.finish();
}

TEST_F(Store, a_namespace_is_opened_again_in_each_connection) {
  lose_session();
  come_back();
  daemon.run([&] {
    answer_namespace(8);
    EXPECT_EQ(grant({grant_of(LMCD_RESERVED, 1)}).space, 8u);
  });
  keys = {key_of(1)};
  lmcd_grant_t one{};
  const lmcd_reserve_t request = reserve_of(keys);
  EXPECT_EQ(lmcd_reserve(session, &request, &one, &lease, &error), LMCD_OK) << error.text;
  EXPECT_EQ(lease >> 48, 2u);
  daemon.finish();
}

// -- Threads --------------------------------------------------------------------------------

TEST_F(Store, threads_that_wait_get_their_own_answers_in_any_order) {
  constexpr int kThreads = 4;
  daemon.run([&] {
    for (int round = 0; round < 50; ++round) {
      std::vector<std::pair<uint64_t, uint32_t>> asked;
      for (int i = 0; i < kThreads; ++i) {
        uint64_t request = 0;
        const wire::Reserve reserve = peer.expect<wire::Reserve>(&request);
        asked.emplace_back(request, reserve.keys[0].bytes[0]);
      }
      for (auto it = asked.rbegin(); it != asked.rend(); ++it) {
        wire::Granted granted;
        const wire::Grant grant = grant_of(LMCD_RESERVED, it->second);
        granted.grants = {&grant, 1};
        peer.send(granted, it->first);
      }
    }
  });
  std::vector<std::thread> threads;
  for (uint8_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const std::vector<lmcd_key_t> mine{key_of(i)};
      const lmcd_reserve_t request = reserve_of(mine);
      for (int round = 0; round < 50; ++round) {
        lmcd_grant_t one{};
        uint64_t my_lease = 0;
        lmcd_error_t my_error{};
        EXPECT_EQ(lmcd_reserve(session, &request, &one, &my_lease, &my_error), LMCD_OK)
            << my_error.text;
        EXPECT_EQ(one.record, i);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  daemon.finish();
}

// -- A daemon that does not read ------------------------------------------------------------

TEST_F(Store, posts_to_a_daemon_that_does_not_read_are_bounded_and_arrive_when_it_does) {
  open_hot_space();
  const std::vector<lmcd_key_t> many(16384, key_of(1));
  lmcd_code_t code = LMCD_OK;
  uint32_t posted = 0;
  // A quarter of a megabyte each; the socket and the queue take some megabytes.
  while (code == LMCD_OK && posted < 1000) {
    code = lmcd_touch(session, space, many.data(), 16384, &error);
    posted += code == LMCD_OK;
  }
  EXPECT_EQ(code, LMCD_E_LIMIT) << error.text;
  EXPECT_GT(posted, 30u);
  daemon.run([&] {
    for (uint32_t i = 0; i < posted; ++i)
      EXPECT_EQ(peer.expect<wire::Touch>().records.size(), 16384u);
    peer.answer<wire::Ping>(wire::Done{});
  });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  daemon.finish();
}

TEST_F(Store, what_the_socket_did_not_take_is_written_without_another_call) {
  open_hot_space();
  const std::vector<lmcd_key_t> many(16384, key_of(1));
  for (int i = 0; i < 8; ++i)
    ASSERT_EQ(lmcd_touch(session, space, many.data(), 16384, &error), LMCD_OK) << error.text;
  for (int i = 0; i < 8; ++i) EXPECT_EQ(peer.expect<wire::Touch>().records.size(), 16384u);
}

}  // namespace
}  // namespace lmcd::test
