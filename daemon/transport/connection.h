// One client's socket as a stream of frames.
//
// Owns the socket, the bytes of a frame that has not come whole, and the answers that the client
// has not read. Knows frames, not messages. Loop thread only; never blocks.
//
// Reading. A turn takes one recvmsg() into a buffer shared by all connections, and frames are
// handed out where they lie; only what is left over is kept here, so an idle connection holds no
// buffer. What a turn may do is bounded, so that one flooding client does not starve the others:
// kTurnFrames frames; the rest waits for this connection's next turn.
//
// Writing. Answers are queued and sent when the turn ends. A client that does not read them is not
// served further past kPauseBytes, and is a fault past kQueueBytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "lib/base/fd_passing.h"
#include "lib/base/status.h"
#include "lib/wire/codec.h"

namespace lmcd::transport {

struct Frame {
  wire::Header header;
  std::span<const std::byte> payload;  // aligned to 8; lives during the handler's call
  std::vector<FileDescriptor> descriptors;
};

// Scratch memory for reading, one for all connections of a thread.
class ReadBuffer {
 public:
  static constexpr std::size_t kBytes = 256 * 1024;
  std::span<std::byte> bytes() { return {memory_.get(), kBytes}; }

 private:
  std::unique_ptr<std::byte[]> memory_{new std::byte[kBytes]};  // operator new aligns to 16
};

class Connection {
 public:
  static constexpr uint32_t kTurnFrames = 64;
  static constexpr std::size_t kPauseBytes = std::size_t{1} << 20;
  static constexpr std::size_t kQueueBytes = std::size_t{8} << 20;
  // A frame of a client that has not introduced itself.
  static constexpr uint32_t kStrangerFrameBytes = 4096;

  enum class Turn {
    kIdle,   // nothing to do until the socket is readable
    kMore,   // a whole frame waits here for the next turn
    kEnded,  // the peer closed its end
  };
  // Returns false to stop this turn: the frame ended the session.
  using Handler = std::function<bool(Frame&)>;

  explicit Connection(FileDescriptor socket) : socket_(std::move(socket)) {}

  int descriptor() const { return socket_.get(); }

  // Receives once (unless a whole frame waits from before) and hands out whole frames in order.
  // Faults: LMCD_E_PROTOCOL (a frame's size is wrong, descriptors that no frame announced or
  // fewer than it did), LMCD_E_LIMIT, LMCD_E_IO.
  Result<Turn> receive(ReadBuffer& buffer, const Handler& handler);
  // From now on frames may be as large as the protocol allows.
  void welcome() { frame_limit_ = wire::kFrameBytes; }
  // Bytes of a frame that has not come whole.
  std::size_t partial_bytes() const { return kept_.size(); }

  // Queues one message. `descriptors` stay the caller's and outlive the connection.
  template <typename Message>
  void send(const Message& message, uint64_t request, std::span<const int> descriptors = {}) {
    if (deaf_) return;
    std::size_t start =
        wire::encode(message, request, static_cast<uint16_t>(descriptors.size()), queue_);
    if (!descriptors.empty())
      passing_.push_back({start, {descriptors.begin(), descriptors.end()}});
  }
  // Sends what the socket takes. Where the peer reads no more, answers are dropped from now on:
  // what it posted before it went still counts, so reading goes on to the end. Faults: LMCD_E_LIMIT
  // (past kQueueBytes), LMCD_E_IO.
  Status flush();
  void drop_answers();
  std::size_t queued_bytes() const { return queue_.size() - sent_; }
  bool paused() const { return queued_bytes() > kPauseBytes; }
  // Bytes received and sent so far: whether it moves at all.
  uint64_t moved_bytes() const { return moved_bytes_; }

 private:
  struct Passing {
    std::size_t at;  // in queue_: the frame that the descriptors travel with
    std::vector<int> descriptors;
  };

  Result<std::size_t> receive_into(std::span<std::byte> room);
  Result<std::size_t> frame_bytes(std::span<const std::byte> bytes) const;
  Status take_frames(std::span<const std::byte> bytes, const Handler& handler, std::size_t* taken,
                     bool* more);
  Status hand_out(std::span<const std::byte> frame, const Handler& handler, bool* go_on);
  Status fill_rest();
  Result<std::size_t> send_some();

  FileDescriptor socket_;
  uint32_t frame_limit_ = kStrangerFrameBytes;
  bool ended_ = false;  // nothing more will come
  bool deaf_ = false;   // nothing more will be read
  uint64_t moved_bytes_ = 0;

  std::vector<std::byte> kept_;  // received, not handed out
  DescriptorBatch received_;  // came with bytes up to the last received

  std::vector<std::byte> queue_;
  std::size_t sent_ = 0;
  std::deque<Passing> passing_;
};

}  // namespace lmcd::transport
