// Proves how a session begins, ends and comes back: against a scripted daemon on a real socket,
// each step of the handshake right and wrong, the loss of the connection at each step, and what a
// forked child may do.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

class Session : public ClientTest {};

// Whether some process other than the asker holds this byte of the liveness file.
bool is_locked(int descriptor, off_t slot) {
  const pid_t child = fork();
  if (child == 0) {
    struct flock byte {};
    byte.l_type = F_WRLCK;
    byte.l_whence = SEEK_SET;
    byte.l_start = slot;
    byte.l_len = 1;
    fcntl(descriptor, F_GETLK, &byte);
    _exit(byte.l_type == F_UNLCK ? 1 : 0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WEXITSTATUS(status) == 0;
}

TEST_F(Session, says_who_it_is_and_learns_the_facts) {
  daemon.run([&] {
    peer = daemon.accept();
    const wire::Hello hello = daemon.greet(peer);
    EXPECT_EQ(hello.protocol_min, 1u);
    EXPECT_EQ(hello.protocol_max, 1u);
    EXPECT_EQ(hello.pid, static_cast<uint64_t>(getpid()));
    EXPECT_EQ(hello.liveness_inode, 0u);
  });
  ASSERT_EQ(try_open(), LMCD_OK) << error.text;
  lmcd_session_info_t info{};
  info.struct_size = sizeof info;
  ASSERT_EQ(lmcd_session_info(session, &info, &error), LMCD_OK) << error.text;
  EXPECT_EQ(info.id, 100u);
  EXPECT_EQ(info.arena_bytes, FakeLedger::kArenaBytes);
  EXPECT_EQ(info.chunk_tokens, 256u);
  EXPECT_EQ(info.admin, 1u);
  EXPECT_EQ(info.incarnation[0], 0xcd);
  EXPECT_STREQ(info.hash_algorithm, "blake3");
  EXPECT_STREQ(info.instance_id, "test");
  EXPECT_GE(lmcd_session_descriptor(session), 0);
  daemon.finish();
}

TEST_F(Session, ping_is_answered) {
  open_session();
  daemon.run([&] { peer.answer<wire::Ping>(wire::Done{}); });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  EXPECT_EQ(error.code, LMCD_OK);
  daemon.finish();
}

TEST_F(Session, the_liveness_byte_is_held_and_outlives_sessions) {
  open_session();
  EXPECT_TRUE(is_locked(daemon.liveness_descriptor(), 5));
  EXPECT_FALSE(is_locked(daemon.liveness_descriptor(), 6));
  lmcd_session_close(session);
  session = nullptr;
  EXPECT_TRUE(is_locked(daemon.liveness_descriptor(), 5));

  // The next session names the byte, and a descriptor that comes all the same drops no lock.
  daemon.run([&] {
    peer = daemon.accept();
    uint64_t request = 0;
    const wire::Hello hello = peer.expect<wire::Hello>(&request);
    struct stat status {};
    fstat(daemon.liveness_descriptor(), &status);
    EXPECT_EQ(hello.liveness_inode, status.st_ino);
    EXPECT_EQ(hello.liveness_slot, 5u);
    peer.send(daemon.welcome, request,
              {daemon.ledger->ledger_descriptor(), daemon.ledger->arena_descriptor(),
               daemon.liveness_descriptor()});
    peer.expect<wire::Alive>();
  });
  ASSERT_EQ(try_open(), LMCD_OK) << error.text;
  daemon.finish();
  EXPECT_TRUE(is_locked(daemon.liveness_descriptor(), 5));
}

TEST_F(Session, a_failed_handshake_drops_no_lock) {
  open_session();
  lmcd_session_t* first = std::exchange(session, nullptr);
  daemon.run([&] {
    Peer other = daemon.accept();
    uint64_t request = 0;
    other.expect<wire::Hello>(&request);
    wire::Welcome wrong = daemon.welcome;
    wrong.protocol = 9;
    other.send(wrong, request,
               {daemon.ledger->ledger_descriptor(), daemon.ledger->arena_descriptor(),
                daemon.liveness_descriptor()});
    EXPECT_TRUE(other.sees_end());
  });
  EXPECT_EQ(try_open(), LMCD_E_VERSION);
  daemon.finish();
  EXPECT_TRUE(is_locked(daemon.liveness_descriptor(), 5));
  session = first;
}

// -- A daemon that is not there, does not want us, or talks nonsense -------------------------

TEST_F(Session, nobody_at_the_socket_is_told_with_its_path) {
  daemon.stop_listening();
  EXPECT_EQ(try_open(), LMCD_E_NO_DAEMON);
  EXPECT_NE(std::string(error.text).find(daemon.socket()), std::string::npos) << error.text;
  EXPECT_EQ(session, nullptr);
}

TEST_F(Session, a_refusal_is_passed_on) {
  for (const lmcd_code_t code : {LMCD_E_VERSION, LMCD_E_DENIED, LMCD_E_LIMIT}) {
    daemon.run([&] {
      Peer other = daemon.accept();
      wire::Fault refusal;
      refusal.code = static_cast<uint64_t>(int64_t{code});
      refusal.text = "because";
      other.answer<wire::Hello>(refusal);
    });
    EXPECT_EQ(try_open(), code);
    EXPECT_STREQ(error.text, "because");
  }
  daemon.finish();
}

TEST_F(Session, a_daemon_that_hangs_up_is_no_daemon) {
  daemon.run([&] { daemon.accept().expect<wire::Hello>(); });
  EXPECT_EQ(try_open(), LMCD_E_NO_DAEMON);
  daemon.finish();
}

TEST_F(Session, a_daemon_that_says_nothing_is_given_up) { EXPECT_EQ(try_open(30), LMCD_E_TIMEOUT); }

TEST_F(Session, a_wrong_welcome_is_refused) {
  using Change = std::function<void(wire::Welcome&, std::vector<int>&)>;
  const std::vector<std::pair<Change, lmcd_code_t>> cases = {
      {[](auto& w, auto&) { w.protocol = 0; }, LMCD_E_VERSION},
      {[](auto& w, auto&) { w.protocol = 2; }, LMCD_E_VERSION},
      {[](auto&, auto& d) { d.clear(); }, LMCD_E_PROTOCOL},
      {[](auto&, auto& d) {
         d.pop_back();
         d.pop_back();
       },
       LMCD_E_PROTOCOL},
      {[](auto&, auto& d) { d.push_back(d[0]); }, LMCD_E_PROTOCOL},
      {[](auto&, auto& d) { d.resize(8, d[0]); }, LMCD_E_PROTOCOL},
      {[](auto&, auto& d) { std::swap(d[0], d[1]); }, LMCD_E_CORRUPT},
      {[](auto& w, auto&) { w.align_bytes = 3; }, LMCD_E_PROTOCOL},
      {[](auto& w, auto&) { w.arena_bytes += 1; }, LMCD_E_PROTOCOL},
      {[](auto& w, auto&) { w.arena_bytes = 0; }, LMCD_E_PROTOCOL},
      {[](auto& w, auto&) { w.ledger_bytes += 1; }, LMCD_E_PROTOCOL},
      {[](auto& w, auto&) { w.ledger_bytes = 4096; }, LMCD_E_CORRUPT},
      {[](auto& w, auto&) { w.incarnation_low = 1; }, LMCD_E_PROTOCOL},
      {[](auto& w, auto&) { w.liveness_slot = uint64_t{1} << 40; }, LMCD_E_PROTOCOL},
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    daemon.run([&] {
      Peer other = daemon.accept();
      uint64_t request = 0;
      other.expect<wire::Hello>(&request);
      wire::Welcome wrong = daemon.welcome;
      std::vector<int> descriptors{daemon.ledger->ledger_descriptor(),
                                   daemon.ledger->arena_descriptor(), daemon.liveness_descriptor()};
      cases[i].first(wrong, descriptors);
      other.send(wrong, request, descriptors);
      while (other.next().header.opcode == wire::Alive::kOpcode) {
      }
    });
    EXPECT_EQ(try_open(), cases[i].second) << "case " << i << ": " << error.text;
    EXPECT_EQ(session, nullptr);
    daemon.finish();
  }
}

TEST_F(Session, another_answer_to_hello_is_refused) {
  daemon.run([&] { daemon.accept().answer<wire::Hello>(wire::Done{}); });
  EXPECT_EQ(try_open(), LMCD_E_PROTOCOL);
  daemon.finish();
}

TEST_F(Session, options_out_of_range_are_named) {
  lmcd_session_options_t options{};
  EXPECT_EQ(lmcd_session_open(&options, &session, &error), LMCD_E_INVALID);
  EXPECT_NE(std::string(error.text).find("struct_size"), std::string::npos) << error.text;
  options.struct_size = sizeof options;
  options.timeout_ms = 600'001;
  EXPECT_EQ(lmcd_session_open(&options, &session, &error), LMCD_E_INVALID);
  EXPECT_NE(std::string(error.text).find("600001"), std::string::npos) << error.text;
  options.timeout_ms = 0;
  const std::string long_name(64, 'n');
  options.name = long_name.c_str();
  EXPECT_EQ(lmcd_session_open(&options, &session, &error), LMCD_E_INVALID);
  options.name = nullptr;
  const std::string long_path(200, 's');
  options.socket = long_path.c_str();
  EXPECT_EQ(lmcd_session_open(&options, &session, &error), LMCD_E_INVALID);
  EXPECT_NE(std::string(error.text).find("107"), std::string::npos) << error.text;
  EXPECT_EQ(lmcd_session_open(&options, nullptr, &error), LMCD_E_INVALID);
}

TEST_F(Session, a_field_that_a_later_header_may_have_must_be_zero) {
  struct {
    lmcd_session_options_t known;
    uint64_t later;
  } options{};
  options.known.struct_size = sizeof options;
  options.known.timeout_ms = 20;
  daemon.stop_listening();
  const std::string path = daemon.socket();
  options.known.socket = path.c_str();
  EXPECT_EQ(lmcd_session_open(&options.known, &session, &error), LMCD_E_NO_DAEMON);
  options.later = 1;
  EXPECT_EQ(lmcd_session_open(&options.known, &session, &error), LMCD_E_UNSUPPORTED);
}

// -- Loss and return ------------------------------------------------------------------------

TEST_F(Session, a_daemon_that_goes_away_is_told_once_and_found_again) {
  open_session();
  peer.hang_up();
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  daemon.run([&] {
    peer = daemon.accept_and_greet();
    peer.answer<wire::Ping>(wire::Done{});
  });
  EXPECT_EQ(ping_until_connected(), LMCD_OK) << error.text;
  daemon.finish();
}

TEST_F(Session, attempts_to_connect_keep_a_distance) {
  open_session();
  daemon.stop_listening();
  peer.hang_up();
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  // Whatever the number of calls, the daemon that is back is found by one of the next attempts.
  for (int i = 0; i < 100; ++i) EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_NO_DAEMON);
  daemon.listen();
  daemon.run([&] {
    peer = daemon.accept_and_greet();
    peer.answer<wire::Ping>(wire::Done{});
  });
  EXPECT_EQ(ping_until_connected(), LMCD_OK) << error.text;
  daemon.finish();
}

TEST_F(Session, a_loss_while_waiting_ends_the_wait) {
  open_session();
  daemon.run([&] {
    peer.expect<wire::Ping>();
    peer.hang_up();
  });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  daemon.finish();
}

TEST_F(Session, the_reason_that_the_daemon_gives_is_told) {
  open_session();
  wire::Fault word;
  word.code = static_cast<uint64_t>(int64_t{LMCD_E_PROTOCOL});
  word.text = "that made no sense";
  peer.send(word);
  peer.hang_up();
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_E_SESSION_LOST);
  EXPECT_NE(std::string(error.text).find("that made no sense"), std::string::npos) << error.text;
}

TEST_F(Session, a_closed_session_refuses_what_was_opened_from_it) {
  open_session();
  open_space();
  lmcd_session_close(std::exchange(session, nullptr));
  EXPECT_TRUE(peer.sees_end());
  const lmcd_presence_t none{};
  EXPECT_EQ(lmcd_usable_prefix(space, &none, 1), 0u);
}

// -- Fork -----------------------------------------------------------------------------------

// Runs `work` in a forked child and returns whether it answered true.
bool in_child(const std::function<bool()>& work) {
  const pid_t child = fork();
  if (child == 0) _exit(work() ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_F(Session, a_forked_child_gets_its_own_code_and_harms_nobody) {
  open_session();
  open_space();
  lmcd_mapping_t* mapping = nullptr;
  ASSERT_EQ(lmcd_mapping_open(session, &mapping, &error), LMCD_OK);
  lmcd_grant_t grant{};
  grant.outcome = LMCD_LEASED;
  grant.incarnation = 0xabcd;
  grant.extent.length = 8;
  ASSERT_NE(lmcd_mapping_address(mapping, &grant), nullptr);
  EXPECT_TRUE(in_child([&] {
    const lmcd_key_t key = key_of(1);
    lmcd_presence_t presence{};
    uint8_t valid = 9;
    const bool refused = lmcd_ping(session, &error) == LMCD_E_FORKED &&
                         lmcd_lookup(session, space, &key, 1, &presence, &error) == LMCD_E_FORKED &&
                         lmcd_release(session, 1, &error) == LMCD_E_FORKED &&
                         lmcd_mapping_address(mapping, &grant) == nullptr &&
                         lmcd_validate(mapping, &grant, 1, &valid) == 0 && valid == 0 &&
                         lmcd_session_descriptor(session) == -1;
    lmcd_mapping_close(mapping);
    lmcd_namespace_close(space);
    lmcd_session_close(session);
    return refused;
  }));
  // The parent's connection is as it was.
  daemon.run([&] { peer.answer<wire::Ping>(wire::Done{}); });
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  daemon.finish();  // is_locked() forks, and TSan counts what nobody joined against the child
  EXPECT_TRUE(is_locked(daemon.liveness_descriptor(), 5));
  lmcd_mapping_close(mapping);
}

TEST_F(Session, a_child_opens_a_session_of_its_own) {
  open_session();
  daemon.run([&] {
    Peer other = daemon.accept();
    daemon.welcome.liveness_slot = 6;
    const wire::Hello hello = daemon.greet(other);
    EXPECT_EQ(hello.liveness_inode, 0u);  // it holds no byte yet
    other.answer<wire::Ping>(wire::Done{});
  });
  EXPECT_TRUE(
      in_child([&] { return try_open() == LMCD_OK && lmcd_ping(session, &error) == LMCD_OK; }));
  daemon.finish();
  EXPECT_FALSE(is_locked(daemon.liveness_descriptor(), 6));
  EXPECT_TRUE(is_locked(daemon.liveness_descriptor(), 5));
}

TEST_F(Session, a_byte_that_another_process_holds_is_not_taken) {
  open_session();
  daemon.run([&] {
    Peer other = daemon.accept();
    uint64_t request = 0;
    other.expect<wire::Hello>(&request);
    other.send(daemon.welcome, request,
               {daemon.ledger->ledger_descriptor(), daemon.ledger->arena_descriptor(),
                daemon.liveness_descriptor()});
    EXPECT_TRUE(other.sees_end());
  });
  EXPECT_TRUE(in_child([&] { return try_open() == LMCD_E_IO; }));
  daemon.finish();
}

TEST_F(Session, the_end_of_a_session_is_seen_although_a_child_holds_a_copy_of_the_socket) {
  open_session();
  int wait_for_parent[2];
  ASSERT_EQ(pipe(wait_for_parent), 0);
  const pid_t child = fork();
  if (child == 0) {
    close(wait_for_parent[1]);
    char byte;
    _exit(read(wait_for_parent[0], &byte, 1) == 0 ? 0 : 1);
  }
  lmcd_session_close(std::exchange(session, nullptr));
  EXPECT_TRUE(peer.sees_end());
  close(wait_for_parent[0]);
  close(wait_for_parent[1]);
  waitpid(child, nullptr, 0);
}

}  // namespace
}  // namespace lmcd::test
