#include "lib/base/fd_passing.h"

#include <sys/socket.h>

#include <cassert>
#include <cerrno>
#include <cstring>

namespace lmcd {
namespace {

// Room for more than we accept, so that a sender's surplus is seen and counted rather than cut
// off by the kernel. 253 is the most it passes at once (SCM_MAX_FD in unix(7)).
constexpr std::size_t kKernelDescriptors = 253;

// Takes the descriptors of one control message; returns how many found no room.
uint32_t take(const cmsghdr& header, DescriptorBatch& into) {
  uint32_t surplus = 0;
  const std::size_t count = (header.cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (std::size_t i = 0; i < count; ++i) {
    int number;
    std::memcpy(&number, CMSG_DATA(&header) + i * sizeof number, sizeof number);
    FileDescriptor descriptor(number);
    if (into.count < into.items.size())
      into.items[into.count++] = std::move(descriptor);
    else
      ++surplus;
  }
  return surplus;
}

bool is_loss(int error) { return error == EPIPE || error == ECONNRESET; }
bool is_wait(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

Result<Passage> send_with_descriptors(int socket, std::span<const std::byte> bytes,
                                      std::span<const int> descriptors) {
  assert(!bytes.empty() && descriptors.size() <= kPassedDescriptors);
  iovec piece{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;

  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kPassedDescriptors)] = {};
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }

  ssize_t sent;
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  if (sent >= 0) return Passage{Passage::Outcome::kMoved, static_cast<std::size_t>(sent)};
  if (is_wait(errno)) return Passage{Passage::Outcome::kWouldBlock};
  if (is_loss(errno)) return Passage{Passage::Outcome::kClosed};
  return errno_fault(LMCD_E_IO, errno, "send %zu bytes and %zu descriptors", bytes.size(),
                     descriptors.size());
}

Result<Passage> receive_with_descriptors(int socket, std::span<std::byte> bytes,
                                         DescriptorBatch& into) {
  assert(!bytes.empty());
  iovec piece{bytes.data(), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kKernelDescriptors)];
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;

  ssize_t received;
  do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (received < 0 && errno == EINTR);
  if (received < 0) {
    if (is_wait(errno)) return Passage{Passage::Outcome::kWouldBlock};
    if (is_loss(errno)) return Passage{Passage::Outcome::kClosed};
    return errno_fault(LMCD_E_IO, errno, "receive from socket %d", socket);
  }

  Passage passage{received == 0 ? Passage::Outcome::kClosed : Passage::Outcome::kMoved,
                  static_cast<std::size_t>(received)};
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header))
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS)
      passage.surplus += take(*header, into);
  passage.cut_off = (message.msg_flags & MSG_CTRUNC) != 0;
  return passage;
}

}  // namespace lmcd
