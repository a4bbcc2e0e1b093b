#include "lib/base/supervisor.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "lib/base/fd_passing.h"

namespace lmcd {
namespace {

constexpr int kFirstInherited = 3;  // SD_LISTEN_FDS_START
constexpr std::size_t kNameBytes = 255;

std::optional<uint64_t> number_of(std::string_view text) {
  uint64_t number;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Takes a variable out of the environment.
std::optional<std::string> take_variable(const char* name) {
  const char* value = std::getenv(name);
  if (!value) return std::nullopt;
  std::string copy = value;
  unsetenv(name);
  return copy;
}

Status check_name(std::string_view name) {
  bool good = !name.empty() && name.size() <= kNameBytes;
  for (char c : name) good = good && c > ' ' && c < 0x7f && c != ':';
  if (good) return {};
  return fault(LMCD_E_INVALID,
               "descriptor name \"%.*s\": want 1 to %zu printable ASCII bytes without ':'",
               static_cast<int>(std::min(name.size(), kNameBytes)), name.data(), kNameBytes);
}

// Tells whether a variable that names a process names this one.
bool is_self(const std::optional<std::string>& pid) {
  return pid && number_of(*pid) == static_cast<uint64_t>(getpid());
}

}  // namespace

Result<Supervisor> Supervisor::from_environment() {
  const auto address = take_variable("NOTIFY_SOCKET");
  const auto interval = take_variable("WATCHDOG_USEC");
  const auto watched = take_variable("WATCHDOG_PID");
  const auto listener = take_variable("LISTEN_PID");
  const auto count = take_variable("LISTEN_FDS");
  const auto names = take_variable("LISTEN_FDNAMES");

  Supervisor supervisor;
  if (address) LMCD_TRY(supervisor.connect(address->c_str()));
  if (interval && (!watched || is_self(watched))) {
    const auto microseconds = number_of(*interval);
    if (!microseconds || *microseconds == 0)
      return fault(LMCD_E_INVALID, "WATCHDOG_USEC is \"%s\": want microseconds", interval->c_str());
    supervisor.watchdog_ms_ = std::max<uint64_t>(1, *microseconds / 1000);
  }
  if (count && is_self(listener))
    LMCD_TRY(supervisor.inherit(count->c_str(), names ? names->c_str() : ""));
  return supervisor;
}

Status Supervisor::connect(const char* address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(address);
  if ((address[0] != '/' && address[0] != '@') || length < 2 || length >= sizeof name.sun_path)
    return fault(LMCD_E_INVALID,
                 "NOTIFY_SOCKET is \"%s\": want a path or @name of at most %zu bytes", address,
                 sizeof name.sun_path - 1);
  std::memcpy(name.sun_path, address, length);
  if (address[0] == '@') name.sun_path[0] = '\0';  // the abstract namespace, unix(7)

  FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return errno_fault(LMCD_E_IO, errno, "make a notification socket");
  const timeval patience{.tv_sec = 1, .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), size) != 0)
    return errno_fault(LMCD_E_IO, errno, "connect to NOTIFY_SOCKET %s", address);
  socket_ = std::move(socket);
  return {};
}

Status Supervisor::inherit(const char* count, const char* names) {
  const auto number = number_of(count);
  if (!number || *number > kInheritedDescriptors)
    return fault(LMCD_E_INVALID, "LISTEN_FDS is \"%s\": want a number up to %u", count,
                 kInheritedDescriptors);
  std::string_view rest = names;
  for (int i = 0; i < static_cast<int>(*number); ++i) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    std::string name(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (fcntl(kFirstInherited + i, F_SETFD, FD_CLOEXEC) != 0)
      return errno_fault(LMCD_E_INVALID, errno, "LISTEN_FDS is %s, but descriptor %d", count,
                         kFirstInherited + i);
    inherited_.push_back({std::move(name), FileDescriptor(kFirstInherited + i)});
  }
  return {};
}

FileDescriptor Supervisor::take(std::string_view name) {
  for (auto& inherited : inherited_)
    if (inherited.name == name && inherited.descriptor.valid())
      return std::move(inherited.descriptor);
  return {};
}

Status Supervisor::store(std::string_view name, int descriptor) {
  LMCD_TRY(check_name(name));
  return send("FDSTORE=1\nFDNAME=" + std::string(name), &descriptor);
}

Status Supervisor::forget(std::string_view name) {
  LMCD_TRY(check_name(name));
  return send("FDSTOREREMOVE=1\nFDNAME=" + std::string(name), nullptr);
}

Status Supervisor::ready() { return send("READY=1", nullptr); }
Status Supervisor::describe(std::string_view text) {
  return send("STATUS=" + std::string(text), nullptr);
}
Status Supervisor::stopping() { return send("STOPPING=1", nullptr); }

Status Supervisor::watchdog() {
  constexpr std::string_view kMessage = "WATCHDOG=1";
  // A full queue means that it has enough signs of life to read.
  if (!socket_.valid() ||
      ::send(socket_.get(), kMessage.data(), kMessage.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
    return {};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {};
  return errno_fault(LMCD_E_IO, errno, "tell the supervisor WATCHDOG=1");
}

Status Supervisor::send(std::string_view message, const int* descriptor) {
  if (!socket_.valid()) return {};
  // What is stored must arrive: a supervisor whose queue is full has a second to read it.
  constexpr int kPatienceMs = 1000;
  pollfd writable{socket_.get(), POLLOUT, 0};
  ::poll(&writable, 1, kPatienceMs);
  LMCD_ASSIGN(const Passage sent,
              send_with_descriptors(socket_.get(), std::as_bytes(std::span(message)),
                                    {descriptor, descriptor ? std::size_t{1} : 0}));
  if (sent.outcome == Passage::Outcome::kMoved) return {};
  return fault(LMCD_E_IO, "tell the supervisor %.*s: it %s", static_cast<int>(message.find('\n')),
               message.data(),
               sent.outcome == Passage::Outcome::kClosed ? "is gone" : "does not read");
}

}  // namespace lmcd
