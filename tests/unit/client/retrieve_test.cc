// Proves how bytes are found and read: look-ups that ask nobody, read leases asked for and posted,
// their renewal, validation, and memory that somebody shortened under the reader.
#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

class Retrieve : public ClientTest {
 protected:
  void SetUp() override {
    daemon.ledger->add_space(3, "model: test");
    open_session();
    open_space();
    word = daemon.ledger->add_hot(2, 3, key_of(1), 4096, 4096);
    ASSERT_EQ(lmcd_mapping_open(session, &mapping, &error), LMCD_OK);
  }
  ~Retrieve() override { lmcd_mapping_close(mapping); }

  wire::Acquire grant(const std::vector<wire::Grant>& items) {
    wire::Granted granted;
    granted.grants = items;
    return peer.answer<wire::Acquire>(granted);
  }
  lmcd_grant_t acquire_posted(uint8_t first = 1) {
    const std::vector<lmcd_key_t> keys{key_of(first)};
    const lmcd_acquire_t request = acquire_of(keys);
    lmcd_grant_t one{};
    EXPECT_EQ(lmcd_acquire_posted(session, &request, &one, &lease, &error), LMCD_OK) << error.text;
    return one;
  }
  uint8_t validate(const lmcd_grant_t& grant) {
    uint8_t valid = 9;
    EXPECT_EQ(lmcd_validate(mapping, &grant, 1, &valid), valid);
    return valid;
  }

  uint64_t word = 0;
  uint64_t lease = 0;
  lmcd_mapping_t* mapping = nullptr;
};

// -- Look-ups -------------------------------------------------------------------------------

TEST_F(Retrieve, a_lookup_asks_nobody_and_needs_nobody) {
  peer.hang_up();
  daemon.stop_listening();
  const std::vector<lmcd_key_t> keys{key_of(1), key_of(2)};
  lmcd_presence_t found[2];
  ASSERT_EQ(lmcd_lookup(session, space, keys.data(), 2, found, &error), LMCD_OK) << error.text;
  EXPECT_EQ(found[0].hot, 1u);
  EXPECT_EQ(found[0].record, 2u);
  EXPECT_EQ(found[1].hot, 0u);
}

TEST_F(Retrieve, a_namespace_that_nobody_opened_in_the_ledger_has_nothing) {
  daemon.ledger->add_space(0, "model: other");
  daemon.run([&] { answer_namespace(1); });
  lmcd_namespace_options_t options{};
  options.struct_size = sizeof options;
  options.description = "model: neither";
  lmcd_namespace_t* neither = nullptr;
  ASSERT_EQ(lmcd_namespace_open(session, &options, &neither, &error), LMCD_OK) << error.text;
  const lmcd_key_t key = key_of(1);
  lmcd_presence_t found{9, 9, 9, 9};
  ASSERT_EQ(lmcd_lookup(session, neither, &key, 1, &found, &error), LMCD_OK);
  EXPECT_EQ(found.hot | found.cold | found.pending, 0u);
  lmcd_namespace_close(neither);
  daemon.finish();
}

TEST_F(Retrieve, the_daemon_can_be_asked_as_well) {
  const lmcd_key_t key = key_of(1);
  const lmcd_presence_t cold{0, 1, 0, 0};
  daemon.run([&] {
    wire::Found found;
    found.presence = {&cold, 1};
    const wire::Lookup asked = peer.answer<wire::Lookup>(found);
    EXPECT_EQ(asked.space, 3u);
    EXPECT_EQ(asked.keys.size(), 1u);
  });
  lmcd_presence_t found{};
  ASSERT_EQ(lmcd_lookup_daemon(session, space, &key, 1, &found, &error), LMCD_OK) << error.text;
  EXPECT_EQ(found.cold, 1u);
  daemon.finish();
}

TEST_F(Retrieve, an_answer_about_another_number_of_keys_breaks_the_protocol) {
  const lmcd_key_t key = key_of(1);
  daemon.run([&] { peer.answer<wire::Lookup>(wire::Found{}); });
  lmcd_presence_t found{};
  EXPECT_EQ(lmcd_lookup_daemon(session, space, &key, 1, &found, &error), LMCD_E_PROTOCOL);
  daemon.finish();
}

TEST_F(Retrieve, a_voided_ledger_has_nothing_and_sends_the_library_looking) {
  daemon.ledger->header().voided = 1;
  peer.hang_up();
  const lmcd_key_t key = key_of(1);
  lmcd_presence_t found{};
  ASSERT_EQ(lmcd_lookup(session, space, &key, 1, &found, &error), LMCD_OK);
  EXPECT_EQ(found.hot, 0u);

  // Another daemon with another arena is found without a call that waits.
  FakeLedger next(0xbeef);
  next.add_space(1, "model: test");
  next.add_hot(9, 1, key_of(1), 0, 4096);
  daemon.welcome.incarnation_low = 0xbeef;
  daemon.run([&] {
    Peer other = daemon.accept();
    uint64_t request = 0;
    EXPECT_NE(other.expect<wire::Hello>(&request).liveness_inode, 0u);
    other.send(daemon.welcome, request, {next.ledger_descriptor(), next.arena_descriptor()});
    other.expect<wire::Alive>();
    peer = std::move(other);
  });
  until([&] {
    EXPECT_EQ(lmcd_lookup(session, space, &key, 1, &found, &error), LMCD_OK) << error.text;
    return found.hot != 0;
  });
  EXPECT_EQ(found.record, 9u);
  daemon.finish();
}

// -- Read leases ----------------------------------------------------------------------------

TEST_F(Retrieve, what_is_acquired_is_read_validated_and_released) {
  const std::vector<lmcd_key_t> keys{key_of(1), key_of(2)};
  lmcd_acquire_t request = acquire_of(keys);
  request.timeout_ms = 70;
  daemon.run([&] {
    wire::Grant hot = grant_of(LMCD_LEASED, 2, 4096);
    hot.word = word;
    hot.has_crc = 1;
    hot.crc32c = 5;
    const wire::Acquire asked = grant({hot, grant_of(LMCD_ABSENT, 0)});
    EXPECT_EQ(asked.timeout_ms, 70u);
    EXPECT_EQ(asked.keys.size(), 2u);
  });
  lmcd_grant_t grants[2];
  ASSERT_EQ(lmcd_acquire(session, &request, grants, &lease, &error), LMCD_OK) << error.text;
  daemon.ledger->arena()[4096] = std::byte{42};
  EXPECT_EQ(*static_cast<const uint8_t*>(lmcd_mapping_address(mapping, &grants[0])), 42);
  EXPECT_EQ(lmcd_mapping_address(mapping, &grants[1]), nullptr);
  uint8_t valid[2];
  EXPECT_EQ(lmcd_validate(mapping, grants, 2, valid), 1u);
  EXPECT_EQ(valid[0], 1);
  EXPECT_EQ(valid[1], 0);
  EXPECT_EQ(grants[0].crc32c, 5u);
  EXPECT_EQ(lmcd_release(session, lease, &error), LMCD_OK);
  EXPECT_EQ(peer.expect<wire::Release>().lease, lease);
  EXPECT_EQ(lmcd_release(session, lease, &error), LMCD_E_NOT_FOUND);
  EXPECT_EQ(lmcd_release(session, 0, &error), LMCD_OK);
  daemon.finish();
}

TEST_F(Retrieve, a_lease_can_be_posted) {
  const lmcd_grant_t one = acquire_posted();
  EXPECT_EQ(one.outcome, static_cast<uint32_t>(LMCD_LEASED));
  EXPECT_EQ(one.extent.offset, 4096u);
  const auto posted = peer.expect<wire::AcquirePosted>();
  EXPECT_EQ(posted.lease, lease);
  ASSERT_EQ(posted.records.size(), 1u);
  EXPECT_EQ(posted.records[0].record, 2u);
  EXPECT_EQ(posted.records[0].word, word);
  EXPECT_EQ(validate(one), 1);
  daemon.ledger->record(2).word = word + 256;  // the next generation
  EXPECT_EQ(validate(one), 0);
}

TEST_F(Retrieve, nothing_found_posts_nothing) {
  EXPECT_EQ(acquire_posted(8).outcome, static_cast<uint32_t>(LMCD_ABSENT));
  EXPECT_EQ(lease, 0u);
  daemon.run([&] { peer.answer<wire::Ping>(wire::Done{}); });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK);
  daemon.finish();
}

TEST_F(Retrieve, a_late_lease_is_released) {
  const std::vector<lmcd_key_t> keys{key_of(1)};
  const lmcd_acquire_t request = acquire_of(keys);
  lmcd_grant_t one{};
  lmcd_op_t* op = nullptr;
  ASSERT_EQ(lmcd_acquire_begin(session, &request, &one, &lease, &op, &error), LMCD_OK);
  lmcd_op_close(op);
  const uint64_t promised = grant({grant_of(LMCD_LEASED, 2)}).lease;
  daemon.run([&] {
    uint64_t ping = 0;
    peer.expect<wire::Ping>(&ping);
    peer.send(wire::Done{}, ping);
    EXPECT_EQ(peer.expect<wire::Release>().lease, promised);
  });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  daemon.finish();
}

TEST_F(Retrieve, uses_are_reported_with_the_words_seen) {
  const std::vector<lmcd_key_t> keys{key_of(8), key_of(1)};
  ASSERT_EQ(lmcd_touch(session, space, keys.data(), 2, &error), LMCD_OK) << error.text;
  const auto touch = peer.expect<wire::Touch>();
  ASSERT_EQ(touch.records.size(), 1u);
  EXPECT_EQ(touch.records[0].record, 2u);
  EXPECT_EQ(touch.records[0].word, word);
}

TEST_F(Retrieve, a_read_lease_of_a_lost_session_is_simply_over) {
  acquire_posted();
  peer.expect<wire::AcquirePosted>();
  peer.hang_up();
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  EXPECT_EQ(lmcd_release(session, lease, &error), LMCD_OK);
  const std::vector<lmcd_key_t> keys{key_of(1)};
  const lmcd_acquire_t request = acquire_of(keys);
  lmcd_grant_t one{};
  EXPECT_EQ(lmcd_acquire_posted(session, &request, &one, &lease, &error), LMCD_E_SESSION_LOST);
  EXPECT_EQ(lease, 0u);
}

// -- Leases of the living -------------------------------------------------------------------

TEST_F(Retrieve, leases_that_are_held_are_renewed_and_others_are_not) {
  lmcd_mapping_close(std::exchange(mapping, nullptr));
  lmcd_namespace_close(std::exchange(space, nullptr));
  lmcd_session_close(std::exchange(session, nullptr));
  daemon.welcome.read_ttl_ms = 30;
  open_session();
  open_space();
  acquire_posted();
  const uint64_t released = lease;
  ASSERT_EQ(lmcd_release(session, released, &error), LMCD_OK);
  acquire_posted();
  peer.expect<wire::AcquirePosted>();
  peer.expect<wire::Release>();
  peer.expect<wire::AcquirePosted>();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(copy_of(peer.expect<wire::Renew>().leases), std::vector<uint64_t>{lease});
}

// -- Mappings -------------------------------------------------------------------------------

TEST_F(Retrieve, a_mapping_outlives_its_session) {
  const lmcd_grant_t one = acquire_posted();
  lmcd_namespace_close(std::exchange(space, nullptr));
  lmcd_session_close(std::exchange(session, nullptr));
  daemon.ledger->arena()[4096] = std::byte{7};
  EXPECT_EQ(*static_cast<const uint8_t*>(lmcd_mapping_address(mapping, &one)), 7);
  EXPECT_EQ(validate(one), 1);
}

TEST_F(Retrieve, a_grant_of_elsewhere_has_no_address) {
  lmcd_grant_t one = acquire_posted();
  const lmcd_grant_t good = one;
  EXPECT_NE(lmcd_mapping_address(mapping, &one), nullptr);
  one.incarnation += 1;
  EXPECT_EQ(lmcd_mapping_address(mapping, &one), nullptr);
  EXPECT_EQ(validate(one), 0);
  one = good;
  one.extent.offset = FakeLedger::kArenaBytes - 1;
  EXPECT_EQ(lmcd_mapping_address(mapping, &one), nullptr);
  one.extent.offset = UINT64_MAX;
  EXPECT_EQ(lmcd_mapping_address(mapping, &one), nullptr);
  one = good;
  one.extent.segment = 1;
  EXPECT_EQ(lmcd_mapping_address(mapping, &one), nullptr);
  one = good;
  one.record = FakeLedger::kRecords;
  EXPECT_EQ(validate(one), 0);
  one = good;
  one.outcome = LMCD_RESERVED;
  EXPECT_EQ(validate(one), 0) << "what is reserved was never committed";
}

TEST_F(Retrieve, an_arena_that_is_cut_short_invalidates_instead_of_killing) {
  const lmcd_grant_t one = acquire_posted();
  EXPECT_EQ(validate(one), 1);
  ASSERT_EQ(ftruncate(daemon.ledger->arena_descriptor(), 0), 0);
  const volatile uint8_t* bytes =
      static_cast<const volatile uint8_t*>(lmcd_mapping_address(mapping, &one));
  EXPECT_EQ(bytes[0], 0);
  EXPECT_EQ(validate(one), 0);
}

// -- Prefixes -------------------------------------------------------------------------------

uint32_t usable(lmcd_session_t* session, Peer& peer, FakeDaemon& daemon,
                const std::vector<lmcd_group_t>& groups, const std::vector<uint32_t>& hot) {
  daemon.run([&] {
    wire::NamespaceOpened opened;
    EXPECT_EQ(peer.answer<wire::NamespaceOpen>(opened).groups.size(), groups.size());
  });
  lmcd_namespace_options_t options{};
  options.struct_size = sizeof options;
  options.group_count = static_cast<uint32_t>(groups.size());
  options.groups = groups.data();
  options.description = "groups";
  lmcd_namespace_t* space = nullptr;
  lmcd_error_t error{};
  EXPECT_EQ(lmcd_namespace_open(session, &options, &space, &error), LMCD_OK) << error.text;
  daemon.finish();
  std::vector<lmcd_presence_t> presence;
  for (uint32_t bits : hot) presence.push_back({bits, 0, 0, 0});
  const uint32_t count =
      lmcd_usable_prefix(space, presence.data(), static_cast<uint32_t>(hot.size()));
  lmcd_namespace_close(space);
  return count;
}

TEST_F(Retrieve, the_usable_prefix_is_the_longest_that_every_group_agrees_to) {
  const lmcd_group_t full{LMCD_GROUP_FULL, 0};
  const lmcd_group_t window{LMCD_GROUP_WINDOW, 2};
  const lmcd_group_t state{LMCD_GROUP_STATE, 0};
  const auto of = [&](const std::vector<lmcd_group_t>& groups, const std::vector<uint32_t>& hot) {
    return usable(session, peer, daemon, groups, hot);
  };
  EXPECT_EQ(of({full}, {1, 1, 0, 1}), 2u);
  EXPECT_EQ(of({full}, {0, 1}), 0u);
  EXPECT_EQ(of({window}, {0, 0, 1, 1, 0}), 4u) << "chunks before the window are not needed";
  EXPECT_EQ(of({window}, {1, 0, 1}), 1u) << "a short prefix is its own window";
  EXPECT_EQ(of({state}, {0, 1, 0, 1, 0}), 4u);
  EXPECT_EQ(of({full, window}, {3, 3, 3, 1, 1}), 3u);
  EXPECT_EQ(of({full, state}, {1, 3, 1, 1}), 2u);
  EXPECT_EQ(of({full, window, state}, {3, 7, 3, 5, 7}), 2u);
  EXPECT_EQ(of({full, state}, {1, 1}), 0u);
}

TEST_F(Retrieve, groups_that_cannot_be_are_named) {
  lmcd_group_t group{7, 0};
  lmcd_namespace_options_t options{};
  options.struct_size = sizeof options;
  options.group_count = 1;
  options.groups = &group;
  options.description = "x";
  lmcd_namespace_t* none = nullptr;
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
  EXPECT_NE(std::string(error.text).find("groups[0].kind is 7"), std::string::npos) << error.text;
  group = {LMCD_GROUP_WINDOW, 0};
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
  group = {LMCD_GROUP_FULL, 3};
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
  options.group_count = 17;
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
  options.group_count = 0;
  options.rank_count = 257;
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
  options.rank_count = 0;
  options.description = "";
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
  options.description = nullptr;
  EXPECT_EQ(lmcd_namespace_open(session, &options, &none, &error), LMCD_E_INVALID);
}

}  // namespace
}  // namespace lmcd::test
