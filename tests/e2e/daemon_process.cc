#include "tests/e2e/daemon_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "lib/base/fd.h"

namespace lmcd::e2e {
namespace {

constexpr int kStartMs = 20'000;

std::string make_directory() {
  char name[] = "/tmp/lmcd-e2e-XXXXXX";
  return ::mkdtemp(name);
}

// Where the daemon says that it is ready, as to a service manager (sd_notify(3)).
FileDescriptor listen_for_notes(const std::string& path) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ::unlink(path.c_str());
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    socket.reset();
  return socket;
}

}  // namespace

DaemonProcess::DaemonProcess(std::vector<std::string> options, std::string directory,
                             std::string home)
    : options_(std::move(options)), directory_(std::move(directory)), home_(std::move(home)) {
  if (home_.empty()) home_ = directory_;
}

DaemonProcess::DaemonProcess(std::vector<std::string> options)
    : DaemonProcess(std::move(options), make_directory(), "") {}

DaemonProcess DaemonProcess::rival_of(const DaemonProcess& other) {
  return DaemonProcess(other.options_, make_directory(), other.home_);
}

DaemonProcess::~DaemonProcess() {
  if (pid_ != 0) end(SIGKILL);
  std::error_code ignored;
  if (home_ == directory_) {
    const std::string name = "/dev/shm/lmcd_" + identity();
    ::unlink((name + "_arena").c_str());
    ::unlink((name + "_ledger").c_str());
  }
  std::filesystem::remove_all(directory_, ignored);
}

bool DaemonProcess::start(std::vector<std::string> environment) {
  std::vector<std::string> words = {LMCD_DAEMON, "--socket", socket(), "--state-dir",
                                    home_ + "/state"};
  if (std::find(options_.begin(), options_.end(), "--l1-size-gb") == options_.end())
    words.insert(words.end(), {"--l1-size-gb", "0.0625"});
  words.insert(words.end(), options_.begin(), options_.end());
  const std::string notes_path = directory_ + "/notify";
  const FileDescriptor notes = listen_for_notes(notes_path);
  environment.push_back("NOTIFY_SOCKET=" + notes_path);
  std::vector<char*> arguments;
  std::vector<char*> variables;
  for (std::string& word : words) arguments.push_back(word.data());
  for (std::string& variable : environment) variables.push_back(variable.data());
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  const std::string log_path = directory_ + "/log";
  pid_ = ::fork();
  if (pid_ == 0) {
    int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(log, 1);
    ::dup2(log, 2);
    const rlimit limit{descriptors_, descriptors_};
    if (descriptors_ != 0) ::setrlimit(RLIMIT_NOFILE, &limit);
    ::execve(arguments[0], arguments.data(), variables.data());
    std::_Exit(127);
  }
  FileDescriptor death(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  for (;;) {
    pollfd ready[] = {{notes.get(), POLLIN, 0}, {death.get(), POLLIN, 0}};
    if (::poll(ready, 2, kStartMs) <= 0) return false;
    char note[256] = {};
    if (ready[0].revents != 0 && ::recv(notes.get(), note, sizeof note - 1, 0) > 0 &&
        std::strstr(note, "READY=1") != nullptr) {
      return true;
    }
    if (ready[1].revents != 0) {
      wait_for_end();
      return false;
    }
  }
}

int DaemonProcess::end(int signal) {
  ::kill(pid_, signal);
  return wait_for_end();
}

int DaemonProcess::wait_for_end() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = 0;
  return status;
}

void DaemonProcess::wait_until_stopped() {
  int status = 0;
  ::waitpid(pid_, &status, WUNTRACED);
}

std::string DaemonProcess::identity() const {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(home_ + "/state", ignored))
    return entry.path().filename().string();
  return "unknown";
}

std::string DaemonProcess::log() const {
  std::ifstream file(directory_ + "/log");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace lmcd::e2e
