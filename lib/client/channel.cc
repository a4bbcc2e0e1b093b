#include "lib/client/channel.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "lib/base/bytes.h"

namespace lmcd::client {
namespace {

constexpr std::size_t kInboxBytes = 64 * kKiB;  // an answer for 1,024 keys fits

Status closed() { return fault(LMCD_E_SESSION_LOST, "the daemon closed the connection"); }

Status connect_fault(const std::string& path, int error_number) {
  struct stat there;
  if (error_number == ECONNREFUSED && ::stat(path.c_str(), &there) == 0 && !S_ISSOCK(there.st_mode))
    return fault(LMCD_E_INVALID, "connect to %s: it is no socket", path.c_str());
  switch (error_number) {
    case ENOENT:
    case ECONNREFUSED:
      return errno_fault(LMCD_E_NO_DAEMON, error_number, "no daemon at %s", path.c_str());
    case EACCES:
    case EPERM:
      return errno_fault(LMCD_E_DENIED, error_number, "connect to %s", path.c_str());
    case EAGAIN:  // the listener's backlog stayed full (unix(7))
      return fault(LMCD_E_TIMEOUT, "connect to %s: the daemon takes no connection", path.c_str());
    default:
      return errno_fault(LMCD_E_IO, error_number, "connect to %s", path.c_str());
  }
}

// Bounds what would block: connect(2) by SO_SNDTIMEO, recv(2) by SO_RCVTIMEO.
void bound_waiting(int socket, int which, int ms) {
  const timeval bound{ms / 1000, ms % 1000 * 1000};
  setsockopt(socket, SOL_SOCKET, which, &bound, sizeof bound);
}

}  // namespace

Result<std::unique_ptr<Channel>> Channel::connect(const std::string& path, Deadline deadline) {
  sockaddr_un address{};
  if (path.size() >= sizeof address.sun_path) {
    return fault(LMCD_E_INVALID, "socket: the path has %zu bytes, at most %zu are valid: %s",
                 path.size(), sizeof address.sun_path - 1, path.c_str());
  }
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);

  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return errno_fault(LMCD_E_IO, errno, "make a socket");
  bound_waiting(socket.get(), SO_SNDTIMEO, std::max(deadline.poll_ms(), 1));
  while (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINTR) return connect_fault(path, errno);
    if (deadline.passed()) return fault(LMCD_E_TIMEOUT, "connect to %s: interrupted", path.c_str());
  }
  return std::make_unique<Channel>(std::move(socket));
}

Channel::Channel(FileDescriptor socket) : socket_(std::move(socket)), inbox_(kInboxBytes / 8) {
  bound_waiting(socket_.get(), SO_RCVTIMEO, kNapMs);
}

void Channel::drop_what_was_sent() {
  constexpr std::size_t kWorthMoving = kMiB;
  if (sent_ < outbox_.size() && sent_ < kWorthMoving) return;
  outbox_.erase(outbox_.begin(), outbox_.begin() + static_cast<std::ptrdiff_t>(sent_));
  for (Attachment& attachment : attachments_) attachment.at -= sent_;
  sent_ = 0;
}

Status Channel::check_size(std::size_t start) {
  const std::size_t bytes = outbox_.size() - start;
  if (bytes <= wire::kFrameBytes) return {};
  outbox_.resize(start);
  return fault(LMCD_E_LIMIT, "the request takes a frame of %zu bytes, at most %u are valid", bytes,
               wire::kFrameBytes);
}

Status Channel::flush() {
  while (sent_ < outbox_.size()) {
    // One call ends where the next attachment's frame begins, since the kernel delivers
    // descriptors with the first byte of what they were sent with.
    std::size_t until = outbox_.size();
    int carried = -1;
    if (!attachments_.empty() && attachments_.front().at == sent_)
      carried = attachments_.front().descriptor.get();
    const std::size_t ahead = carried >= 0 ? 1 : 0;
    if (attachments_.size() > ahead) until = attachments_[ahead].at;

    LMCD_ASSIGN(const Passage passage,
                send_with_descriptors(socket_.get(), {outbox_.data() + sent_, until - sent_},
                                      {&carried, ahead}));
    if (passage.outcome == Passage::Outcome::kWouldBlock) return {};
    if (passage.outcome == Passage::Outcome::kClosed) return closed();
    if (ahead == 1) attachments_.pop_front();
    sent_ += passage.bytes;
  }
  return {};
}

std::span<std::byte> Channel::space_to_receive() {
  auto* bytes = reinterpret_cast<std::byte*>(inbox_.data());
  const std::size_t unread = end_ - begin_;
  if (begin_ > 0) {
    std::memmove(bytes, bytes + begin_, unread);
    begin_ = 0;
    end_ = unread;
  }
  std::size_t wanted = kInboxBytes;
  if (unread >= sizeof(wire::Header)) {
    wire::Header header;
    std::memcpy(&header, bytes, sizeof header);
    wanted = std::max<std::size_t>(wanted, header.bytes);  // checked by next()
  }
  if (wanted > inbox_.size() * 8) {
    inbox_.resize(wanted / 8);
    bytes = reinterpret_cast<std::byte*>(inbox_.data());
  }
  return {bytes + end_, inbox_.size() * 8 - end_};
}

Status Channel::receive(Wait wait) {
  const std::span<std::byte> space = space_to_receive();
  const ssize_t count =
      recv(socket_.get(), space.data(), space.size(), wait == Wait::kNap ? 0 : MSG_DONTWAIT);
  if (count > 0) {
    end_ += static_cast<std::size_t>(count);
    return {};
  }
  if (count == 0) return closed();
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {};
  return errno_fault(LMCD_E_SESSION_LOST, errno, "the connection broke");
}

Status Channel::receive(DescriptorBatch& descriptors) {
  LMCD_ASSIGN(const Passage passage,
              receive_with_descriptors(socket_.get(), space_to_receive(), descriptors));
  if (passage.outcome == Passage::Outcome::kClosed) return closed();
  if (passage.cut_off)
    return fault(LMCD_E_LIMIT, "this process has no file descriptors left for the daemon's memory");
  if (passage.surplus > 0) {
    return fault(LMCD_E_PROTOCOL, "the daemon sent more than %zu descriptors",
                 descriptors.items.size());
  }
  end_ += passage.bytes;
  return {};
}

Result<std::optional<Frame>> Channel::next() {
  Frame frame;
  const std::size_t unread = end_ - begin_;
  if (unread < sizeof frame.header) return std::optional<Frame>();
  const auto* bytes = reinterpret_cast<const std::byte*>(inbox_.data()) + begin_;
  std::memcpy(&frame.header, bytes, sizeof frame.header);
  const uint32_t length = frame.header.bytes;
  if (length < sizeof frame.header || length > wire::kFrameBytes || length % 8 != 0) {
    return fault(LMCD_E_PROTOCOL,
                 "the daemon sent a frame of %u bytes; a multiple of 8 from %zu to %u is valid",
                 length, sizeof frame.header, wire::kFrameBytes);
  }
  if (length > unread) return std::optional<Frame>();
  frame.payload = {bytes + sizeof frame.header, length - sizeof frame.header};
  begin_ += length;
  return std::optional<Frame>(frame);
}

void Channel::shut_down() { shutdown(socket_.get(), SHUT_RDWR); }

}  // namespace lmcd::client
