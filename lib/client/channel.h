// One connection: frames in and out of a Unix socket.
//
// Owns the socket, what could not be written yet and what was read and not yet looked at. Nothing
// is locked, and nothing waits but receive() when told to: whoever uses it holds the session's
// lock, but for poll(2) on descriptor(), which any holder of a reference may do, and for receive(),
// which the one thread that is `reading` may do.
//
// A frame is encoded where it is sent from and decoded where it was received, one system call
// each in the common case. Descriptors come with the answer to Hello alone; a later frame that
// announces some breaks the protocol, and the kernel drops them unseen (plain recv).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/fd_passing.h"
#include "lib/base/status.h"
#include "lib/client/deadline.h"
#include "lib/wire/codec.h"

namespace lmcd::client {

// A whole frame, viewed where it was received: good until the channel receives again.
struct Frame {
  wire::Header header;
  std::span<const std::byte> payload;
};

class Channel {
 public:
  // Connects to the daemon's socket.
  // Faults: LMCD_E_NO_DAEMON, LMCD_E_DENIED, LMCD_E_TIMEOUT, LMCD_E_INVALID (path too long),
  // LMCD_E_IO.
  static Result<std::unique_ptr<Channel>> connect(const std::string& path, Deadline deadline);

  // Takes over a connected socket.
  explicit Channel(FileDescriptor socket);

  int descriptor() const { return socket_.get(); }

  // Whether some thread is reading: between poll(2) and the last frame it hands out. Kept here,
  // since it says nothing about the connection that follows this one.
  bool reading = false;

  // Appends a frame to what is to be written; `attachment` travels with it.
  // Faults: LMCD_E_LIMIT when the frame is larger than the protocol allows.
  template <typename Message>
  Status queue(const Message& message, uint64_t request, FileDescriptor attachment = {});
  // Writes as much as the socket takes now.
  // Faults: LMCD_E_SESSION_LOST when the daemon has closed its end.
  Status flush();
  std::size_t queued_bytes() const { return outbox_.size() - sent_; }

  // How long a receive may wait for something to come: not at all, or kNapMs. To wait in recv(2)
  // itself saves the poll(2) before it, two microseconds of a round trip.
  enum class Wait { kNot, kNap };
  static constexpr int kNapMs = 100;

  // Reads what has come, once; nothing is no fault. Ends the life of frames handed out before.
  // Requires: next() was called until there was none.
  // Faults: LMCD_E_SESSION_LOST.
  Status receive(Wait wait);
  // The same, keeping the descriptors that come along.
  Status receive(DescriptorBatch& descriptors);
  // The next whole frame of what was read, if there is one.
  // Faults: LMCD_E_PROTOCOL (a length that no frame has).
  Result<std::optional<Frame>> next();

  // Ends the connection for both sides, also where a forked child has a copy of the socket.
  void shut_down();

 private:
  struct Attachment {
    std::size_t at;  // in outbox_: where its frame begins
    FileDescriptor descriptor;
  };

  void drop_what_was_sent();
  Status check_size(std::size_t start);
  std::span<std::byte> space_to_receive();

  FileDescriptor socket_;
  std::vector<std::byte> outbox_;
  std::size_t sent_ = 0;  // bytes of outbox_ that the socket has taken
  std::deque<Attachment> attachments_;

  std::vector<uint64_t> inbox_;  // 64-bit words: frames are aligned to eight
  std::size_t begin_ = 0;        // bytes of inbox_: what is unread is [begin_, end_)
  std::size_t end_ = 0;
};

template <typename Message>
Status Channel::queue(const Message& message, uint64_t request, FileDescriptor attachment) {
  drop_what_was_sent();
  const uint16_t descriptors = attachment.valid() ? 1 : 0;
  const std::size_t start = wire::encode(message, request, descriptors, outbox_);
  LMCD_TRY(check_size(start));
  if (attachment.valid()) attachments_.push_back({start, std::move(attachment)});
  return {};
}

}  // namespace lmcd::client
