// Proves that a connection turns any stream of bytes into whole frames or a fault: frames cut at
// every byte, many in one piece, sizes that lie, descriptors that were or were not announced,
// answers nobody reads. The peer is the other end of a socketpair, played by hand.

#include "daemon/transport/connection.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace lmcd::transport {
namespace {

struct Seen {
  uint16_t opcode;
  uint64_t request;
  std::size_t payload_bytes;
  std::size_t descriptors;
};

class ConnectionTest : public testing::Test {
 protected:
  ConnectionTest() { connect(); }

  void connect() {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    peer_ = FileDescriptor(ends[1]);
    connection_ = std::make_unique<Connection>(FileDescriptor(ends[0]));
  }

  static std::vector<std::byte> ping(uint64_t request) {
    std::vector<std::byte> bytes;
    wire::encode(wire::Ping{7}, request, 0, bytes);
    return bytes;
  }

  void write(std::span<const std::byte> bytes, std::span<const int> descriptors = {}) {
    Result<Passage> passage = send_with_descriptors(peer_.get(), bytes, descriptors);
    ASSERT_TRUE(passage.ok());
    ASSERT_EQ(passage.value().bytes, bytes.size());
  }

  Result<Connection::Turn> turn() {
    return connection_->receive(buffer_, [&](Frame& frame) {
      seen_.push_back({frame.header.opcode, frame.header.request, frame.payload.size(),
                       frame.descriptors.size()});
      EXPECT_EQ(reinterpret_cast<uintptr_t>(frame.payload.data()) % 8, 0u);
      return seen_.size() != stop_after_;
    });
  }

  lmcd_code_t code_of_turn() {
    Result<Connection::Turn> result = turn();
    return result.ok() ? LMCD_OK : result.status().code();
  }

  FileDescriptor peer_;
  std::unique_ptr<Connection> connection_;
  ReadBuffer buffer_;
  std::vector<Seen> seen_;
  std::size_t stop_after_ = SIZE_MAX;
};

TEST_F(ConnectionTest, a_frame_cut_anywhere_comes_whole) {
  const std::vector<std::byte> frame = ping(42);
  for (std::size_t cut = 1; cut < frame.size(); ++cut) {
    seen_.clear();
    write(std::span(frame).first(cut));
    ASSERT_EQ(turn().value(), Connection::Turn::kIdle);
    EXPECT_TRUE(seen_.empty());
    EXPECT_EQ(connection_->partial_bytes(), cut);
    write(std::span(frame).subspan(cut));
    for (int i = 0; i < 3 && seen_.empty(); ++i) ASSERT_TRUE(turn().ok());
    ASSERT_EQ(seen_.size(), 1u) << "cut at " << cut;
    EXPECT_EQ(seen_[0].request, 42u);
    EXPECT_EQ(connection_->partial_bytes(), 0u);
  }
}

TEST_F(ConnectionTest, one_turn_is_bounded_and_the_rest_keeps_its_order) {
  constexpr std::size_t kFrames = 3 * Connection::kTurnFrames + 5;
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < kFrames; ++i) wire::encode(wire::Ping{}, i + 1, 0, bytes);
  write(bytes);
  EXPECT_EQ(turn().value(), Connection::Turn::kMore);
  EXPECT_EQ(seen_.size(), Connection::kTurnFrames);
  while (turn().value() == Connection::Turn::kMore) {
  }
  ASSERT_EQ(seen_.size(), kFrames);
  for (std::size_t i = 0; i < kFrames; ++i) EXPECT_EQ(seen_[i].request, i + 1);
}

TEST_F(ConnectionTest, frames_before_the_end_still_count) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i < Connection::kTurnFrames + 1; ++i)
    wire::encode(wire::Ping{}, i + 1, 0, bytes);
  write(bytes);
  peer_.reset();
  EXPECT_EQ(turn().value(), Connection::Turn::kMore);
  Connection::Turn last = Connection::Turn::kMore;
  for (int i = 0; i < 4 && last != Connection::Turn::kEnded; ++i) last = turn().value();
  EXPECT_EQ(last, Connection::Turn::kEnded);
  EXPECT_EQ(seen_.size(), Connection::kTurnFrames + 1);
}

TEST_F(ConnectionTest, sizes_that_lie_are_faults) {
  for (uint32_t size : {0u, 8u, 17u, 20u, Connection::kStrangerFrameBytes + 8, UINT32_MAX - 7}) {
    connect();
    wire::Header header{size, wire::Ping::kOpcode, 0, 1};
    write(std::as_bytes(std::span(&header, 1)));
    EXPECT_EQ(code_of_turn(), LMCD_E_PROTOCOL) << size;
  }
  EXPECT_TRUE(seen_.empty());
}

TEST_F(ConnectionTest, an_announced_size_alone_takes_no_memory) {
  connection_->welcome();
  wire::Header header{wire::kFrameBytes, wire::Ping::kOpcode, 0, 1};
  write(std::as_bytes(std::span(&header, 1)));
  EXPECT_EQ(turn().value(), Connection::Turn::kIdle);
  EXPECT_EQ(turn().value(), Connection::Turn::kIdle);
  EXPECT_EQ(connection_->partial_bytes(), sizeof header);
}

TEST_F(ConnectionTest, the_largest_frame_comes_through_in_pieces) {
  connection_->welcome();
  std::vector<std::byte> frame(wire::kFrameBytes);
  wire::Header header{wire::kFrameBytes, wire::Touch::kOpcode, 0, 9};
  std::memcpy(frame.data(), &header, sizeof header);
  std::span<const std::byte> rest = frame;
  while (!rest.empty()) {
    ssize_t count = ::write(peer_.get(), rest.data(), rest.size());
    if (count > 0) rest = rest.subspan(static_cast<std::size_t>(count));
    ASSERT_TRUE(turn().ok());
  }
  for (int i = 0; i < 8 && seen_.empty(); ++i) ASSERT_TRUE(turn().ok());
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_EQ(seen_[0].payload_bytes, wire::kFrameBytes - sizeof header);
}

TEST_F(ConnectionTest, announced_descriptors_come_with_their_frame) {
  FileDescriptor null(::open("/dev/null", O_RDONLY));
  const int numbers[] = {null.get(), null.get()};
  std::vector<std::byte> first = ping(1);
  write(first);
  std::vector<std::byte> second;
  wire::encode(wire::Ping{}, 2, 2, second);
  write(second, numbers);
  while (seen_.size() < 2) ASSERT_TRUE(turn().ok());
  EXPECT_EQ(seen_[0].descriptors, 0u);
  EXPECT_EQ(seen_[1].descriptors, 2u);
}

TEST_F(ConnectionTest, descriptors_nobody_announced_are_a_fault) {
  FileDescriptor null(::open("/dev/null", O_RDONLY));
  const int number = null.get();
  write(ping(1), std::span(&number, 1));
  EXPECT_EQ(code_of_turn(), LMCD_E_PROTOCOL);
}

TEST_F(ConnectionTest, descriptors_that_did_not_come_are_a_fault) {
  std::vector<std::byte> frame;
  wire::encode(wire::Ping{}, 1, 1, frame);
  write(frame);
  EXPECT_EQ(code_of_turn(), LMCD_E_PROTOCOL);
  EXPECT_TRUE(seen_.empty());
}

TEST_F(ConnectionTest, more_descriptors_than_fit_are_a_fault_and_are_closed) {
  FileDescriptor null(::open("/dev/null", O_RDONLY));
  const std::vector<int> numbers(kPassedDescriptors, null.get());
  std::vector<std::byte> frame;
  wire::encode(wire::Ping{}, 1, 1, frame);
  write(frame, numbers);
  write(frame, numbers);
  lmcd_code_t code = code_of_turn();
  if (code == LMCD_OK) code = code_of_turn();
  EXPECT_NE(code, LMCD_OK);
}

TEST_F(ConnectionTest, a_handler_that_stops_gets_no_further_frame) {
  stop_after_ = 1;
  std::vector<std::byte> bytes;
  wire::encode(wire::Ping{}, 1, 0, bytes);
  wire::encode(wire::Ping{}, 2, 0, bytes);
  write(bytes);
  EXPECT_TRUE(turn().ok());
  EXPECT_EQ(seen_.size(), 1u);
}

TEST_F(ConnectionTest, answers_arrive_in_order_with_their_descriptors) {
  FileDescriptor null(::open("/dev/null", O_RDONLY));
  const int number = null.get();
  connection_->send(wire::Done{1}, 1);
  connection_->send(wire::Welcome{}, 2, std::span(&number, 1));
  connection_->send(wire::Done{3}, 3);
  ASSERT_TRUE(connection_->flush().ok());
  EXPECT_EQ(connection_->queued_bytes(), 0u);

  std::vector<std::byte> bytes(4096);
  DescriptorBatch batch;
  std::size_t have = 0;
  for (int i = 0; i < 4; ++i) {
    Result<Passage> passage =
        receive_with_descriptors(peer_.get(), std::span(bytes).subspan(have), batch);
    ASSERT_TRUE(passage.ok());
    have += passage.value().bytes;
  }
  std::vector<uint64_t> requests;
  for (std::size_t at = 0; at < have;) {
    wire::Header header;
    std::memcpy(&header, bytes.data() + at, sizeof header);
    requests.push_back(header.request);
    at += header.bytes;
  }
  EXPECT_EQ(requests, (std::vector<uint64_t>{1, 2, 3}));
  EXPECT_EQ(batch.count, 1u);
}

TEST_F(ConnectionTest, unread_answers_pause_the_service_then_end_it) {
  const std::string text(64 * 1024, 'x');
  while (!connection_->paused()) {
    connection_->send(wire::Text{text}, 1);
    ASSERT_TRUE(connection_->flush().ok());
  }
  write(ping(1));
  EXPECT_EQ(turn().value(), Connection::Turn::kMore);  // it waits here
  EXPECT_TRUE(seen_.empty());
  Status status;
  for (int i = 0; i < 200 && status.ok(); ++i) {
    connection_->send(wire::Text{text}, 1);
    status = connection_->flush();
  }
  EXPECT_EQ(status.code(), LMCD_E_LIMIT);
}

TEST_F(ConnectionTest, what_a_deaf_peer_posted_still_counts) {
  write(ping(5));
  ::shutdown(peer_.get(), SHUT_RD);
  connection_->send(wire::Done{}, 1);
  EXPECT_TRUE(connection_->flush().ok());
  EXPECT_EQ(connection_->queued_bytes(), 0u);
  EXPECT_TRUE(turn().ok());
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_EQ(seen_[0].request, 5u);
}

}  // namespace
}  // namespace lmcd::transport
