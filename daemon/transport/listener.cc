#include "daemon/transport/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace lmcd::transport {
namespace {

constexpr std::size_t kPathBytes = sizeof(sockaddr_un::sun_path) - 1;

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.front() != '/' || path.size() > kPathBytes) {
    return fault(LMCD_E_INVALID, "socket: \"%s\" is not an absolute path of at most %zu bytes",
                 path.c_str(), kPathBytes);
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

// What the socket at `path` is called before it is renamed into place: no longer than that.
std::string beside(std::string path) {
  path.back() = path.back() == '~' ? '_' : '~';
  return path;
}

void remove_socket(const std::string& path) {
  struct stat there;
  if (::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode)) ::unlink(path.c_str());
}

// Makes the directories of `path` that are missing, for this user alone.
Status make_directories(const std::string& path) {
  for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    std::string directory = path.substr(0, slash);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST && errno != EISDIR) {
      int reason = errno;
      struct stat there;
      if (::stat(directory.c_str(), &there) == 0 && S_ISDIR(there.st_mode)) continue;
      return errno_fault(LMCD_E_IO, reason, "socket: make directory %s", directory.c_str());
    }
  }
  return {};
}

Result<FileDescriptor> lock_name(const std::string& path) {
  std::string name = path + ".lock";
  FileDescriptor lock(::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!lock.valid()) return errno_fault(LMCD_E_IO, errno, "socket: open %s", name.c_str());
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return fault(LMCD_E_LIMIT, "socket: another daemon serves %s", path.c_str());
    return errno_fault(LMCD_E_IO, errno, "socket: lock %s", name.c_str());
  }
  return lock;
}

FileDescriptor make_socket() {
  return FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
}

// Faults when the name at `path` is in use by anything but a socket that nobody answers at.
Status probe(const std::string& path, const sockaddr_un& address) {
  struct stat there;
  if (::lstat(path.c_str(), &there) != 0) {
    if (errno == ENOENT) return {};
    return errno_fault(LMCD_E_IO, errno, "socket: look at %s", path.c_str());
  }
  if (!S_ISSOCK(there.st_mode))
    return fault(LMCD_E_INVALID, "socket: %s exists and is no socket", path.c_str());
  FileDescriptor socket = make_socket();
  if (!socket.valid()) return errno_fault(LMCD_E_IO, errno, "socket: make one");
  const sockaddr* name = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket.get(), name, sizeof address) == 0 || errno == EAGAIN)
    return fault(LMCD_E_LIMIT, "socket: somebody answers at %s already", path.c_str());
  return {};
}

}  // namespace

Listener::Listener(Loop& loop, FileDescriptor socket, OnConnection on_connection)
    : loop_(loop),
      on_connection_(std::move(on_connection)),
      socket_(std::move(socket)),
      resume_(loop, [this] { watch(); }) {}

Listener::~Listener() { stop(); }

Result<std::unique_ptr<Listener>> Listener::open(Loop& loop, const std::string& path,
                                                 OnConnection on_connection) {
  LMCD_ASSIGN(sockaddr_un address, address_of(path));
  LMCD_TRY(make_directories(path));
  LMCD_ASSIGN(FileDescriptor lock, lock_name(path));
  LMCD_TRY(probe(path, address));

  // Bound beside its place, made private, listening, and only then renamed: whoever finds the
  // name can connect, and nobody else's umask or moment matters.
  const std::string first_path = beside(path);
  LMCD_ASSIGN(sockaddr_un first_address, address_of(first_path));
  FileDescriptor socket = make_socket();
  if (!socket.valid()) return errno_fault(LMCD_E_IO, errno, "socket: make one");
  remove_socket(first_path);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&first_address),
             sizeof first_address) != 0 ||
      ::chmod(first_path.c_str(), 0600) != 0 || ::listen(socket.get(), kBacklog) != 0 ||
      ::rename(first_path.c_str(), path.c_str()) != 0) {
    int reason = errno;
    remove_socket(first_path);
    return errno_fault(LMCD_E_IO, reason, "socket: listen at %s", path.c_str());
  }
  std::unique_ptr<Listener> listener(
      new Listener(loop, std::move(socket), std::move(on_connection)));
  listener->path_ = path;
  listener->lock_ = std::move(lock);
  return listener;
}

Result<std::unique_ptr<Listener>> Listener::inherit(Loop& loop, FileDescriptor socket,
                                                    OnConnection on_connection) {
  int domain = 0;
  int type = 0;
  int listening = 0;
  socklen_t length = sizeof domain;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_DOMAIN, &domain, &length);
  ::getsockopt(socket.get(), SOL_SOCKET, SO_TYPE, &type, &length);
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &length);
  if (domain != AF_UNIX || type != SOCK_STREAM || listening == 0) {
    return fault(LMCD_E_INVALID,
                 "socket: descriptor %d of the service manager is no listening Unix stream socket",
                 socket.get());
  }
  int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) != 0)
    return errno_fault(LMCD_E_IO, errno, "socket: make the inherited one non-blocking");
  return std::unique_ptr<Listener>(new Listener(loop, std::move(socket), std::move(on_connection)));
}

Status Listener::start() {
  reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  LMCD_TRY(loop_.add(socket_.get(), EPOLLIN, *this));
  watched_ = true;
  return {};
}

void Listener::stop() {
  resume_.cancel();
  if (watched_) loop_.remove(socket_.get());
  watched_ = false;
  if (!path_.empty()) ::unlink(path_.c_str());
  path_.clear();
  socket_.reset();
  lock_.reset();
}

void Listener::watch() {
  if (!socket_.valid() || watched_) return;
  if (!reserve_.valid()) reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (loop_.add(socket_.get(), EPOLLIN, *this).ok())
    watched_ = true;
  else
    resume_.arm_in(kPauseMs);
}

void Listener::on_ready(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && watched_; ++i) {
    if (!accept_one()) return;
  }
}

// Returns false when nobody waits any more, or for now.
bool Listener::accept_one() {
  int number = ::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (number >= 0) {
    on_connection_(FileDescriptor(number));
    return true;
  }
  switch (errno) {
    case EINTR:
    case ECONNABORTED:
      return true;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      turn_one_away();
      return watched_;
    default:
      return false;
  }
}

void Listener::turn_one_away() {
  reserve_.reset();
  FileDescriptor unwelcome(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  const bool accepted = unwelcome.valid();
  unwelcome.reset();
  reserve_.reset(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  on_connection_(FileDescriptor());
  if (accepted && reserve_.valid()) return;
  // The descriptors are gone system-wide: come back later instead of spinning.
  loop_.remove(socket_.get());
  watched_ = false;
  resume_.arm_in(kPauseMs);
}

}  // namespace lmcd::transport
