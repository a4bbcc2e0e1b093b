// Proves what sessions owe each other and the daemon: a flooding one leaves the others their turn,
// a silent one is waited for only so long, and a socket closes only when nobody copies for its
// session any more. Clients are ends of socketpairs, the clock is turned by hand.

#include "daemon/transport/sessions.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <map>

namespace lmcd::transport {
namespace {

class SessionsTest : public testing::Test, protected Sessions::Owner {
 protected:
  SessionsTest()
      : nowhere_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
        log_(clock_, {.descriptor = nowhere_.get()}),
        loop_(std::move(Loop::make(clock_).value())),
        sessions_(*loop_, {.sessions = 4, .reap_timeout_ms = 1000}, *this, metrics_, log_) {}

  FileDescriptor connect() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    sessions_.accept(FileDescriptor(ends[0]));
    return FileDescriptor(ends[1]);
  }

  void on_frame(Session& session, Frame& frame) override {
    if (session.phase == Phase::kStranger) sessions_.greet(session);
    ++frames_[session.id];
    session.send(wire::Done{}, frame.header.request);
  }
  void on_end(Session&, std::function<void()> at_rest) override {
    if (copying_)
      at_rest_ = std::move(at_rest);
    else
      at_rest();
  }
  void on_turn_end() override {}
  bool has_more() override { return false; }

  static void post(const FileDescriptor& client, int frames) {
    std::vector<std::byte> bytes;
    for (int i = 0; i < frames; ++i) wire::encode(wire::Ping{}, 1, 0, bytes);
    ASSERT_EQ(::send(client.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void turns(int count) {
    for (int i = 0; i < count; ++i) ASSERT_TRUE(loop_->turn(Loop::Wait::kNot).ok());
  }
  // Reads what is there. Returns whether the daemon's end is closed.
  static bool closed(const FileDescriptor& client) {
    char bytes[4096];
    ssize_t count;
    while ((count = ::recv(client.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
    }
    return count == 0 || errno == ECONNRESET;
  }

  ManualClock clock_;
  FileDescriptor nowhere_;
  Log log_;
  std::unique_ptr<Loop> loop_;
  core::Metrics metrics_;
  Sessions sessions_;
  std::map<core::SessionId, int> frames_;
  bool copying_ = false;
  std::function<void()> at_rest_;
};

TEST_F(SessionsTest, a_flood_leaves_the_others_their_turn) {
  FileDescriptor flood = connect();
  FileDescriptor modest = connect();
  post(flood, 2000);
  post(modest, 1);
  turns(1);
  ASSERT_EQ(frames_.size(), 2u);
  for (auto [id, count] : frames_) EXPECT_LE(count, 2 * static_cast<int>(Connection::kTurnFrames));
  turns(100);
  int all = 0;
  for (auto [id, count] : frames_) all += count;
  EXPECT_EQ(all, 2001);
}

TEST_F(SessionsTest, the_socket_stays_open_while_anybody_copies) {
  FileDescriptor client = connect();
  post(client, 1);
  turns(2);
  copying_ = true;
  sessions_.for_each(
      [&](Session& session) { sessions_.fail(session, fault(LMCD_E_PROTOCOL, "enough"), 0); });
  turns(2);
  EXPECT_EQ(sessions_.count(), 0u);
  EXPECT_FALSE(closed(client));
  at_rest_();
  EXPECT_TRUE(closed(client));
}

TEST_F(SessionsTest, a_stranger_is_waited_for_only_so_long) {
  FileDescriptor client = connect();
  turns(2);
  clock_.advance_ms(Sessions::kHelloMs - 1);
  turns(2);
  EXPECT_FALSE(closed(client));
  clock_.advance_ms(1);
  turns(2);
  EXPECT_TRUE(closed(client));
}

TEST_F(SessionsTest, half_a_frame_is_waited_for_only_so_long) {
  FileDescriptor client = connect();
  post(client, 1);
  turns(2);
  clock_.advance_ms(100'000);  // an idle session is not timed
  turns(2);
  EXPECT_FALSE(closed(client));
  ASSERT_EQ(::send(client.get(), "12345", 5, 0), 5);
  turns(2);
  clock_.advance_ms(999);
  turns(2);
  EXPECT_FALSE(closed(client));
  ASSERT_EQ(::send(client.get(), "6", 1, 0), 1);  // it moves: the time begins anew
  turns(2);
  clock_.advance_ms(999);
  turns(2);
  EXPECT_FALSE(closed(client));
  clock_.advance_ms(1);
  turns(2);
  EXPECT_TRUE(closed(client));
}

TEST_F(SessionsTest, one_stranger_too_many_pushes_out_the_oldest) {
  FileDescriptor known = connect();
  post(known, 1);
  turns(2);
  std::vector<FileDescriptor> crowd;
  for (std::size_t i = 0; i < Sessions::kStrangersMax; ++i) crowd.push_back(connect());
  turns(2);
  EXPECT_EQ(metrics_.sessions_refused_total, 0u);
  crowd.push_back(connect());
  turns(2);
  EXPECT_TRUE(closed(crowd[0]));
  for (std::size_t i = 1; i < crowd.size(); ++i) EXPECT_FALSE(closed(crowd[i])) << i;
  EXPECT_FALSE(closed(known));
  EXPECT_EQ(metrics_.sessions_refused_total, 1u);
  // One that went makes room.
  crowd[5].reset();
  turns(2);
  crowd.push_back(connect());
  turns(2);
  EXPECT_FALSE(closed(crowd[1]));
  post(crowd[1], 1);
  turns(2);
  EXPECT_EQ(sessions_.count(), 2u);
}

TEST_F(SessionsTest, a_stranger_makes_room_when_descriptors_run_out) {
  FileDescriptor silent = connect();
  turns(2);
  sessions_.accept(FileDescriptor());
  turns(2);
  EXPECT_TRUE(closed(silent));
}

TEST_F(SessionsTest, what_was_posted_before_the_end_is_handled) {
  FileDescriptor client = connect();
  post(client, 300);
  client.reset();
  turns(20);
  ASSERT_EQ(frames_.size(), 1u);
  EXPECT_EQ(frames_.begin()->second, 300);
  EXPECT_EQ(sessions_.count(), 0u);
}

}  // namespace
}  // namespace lmcd::transport
