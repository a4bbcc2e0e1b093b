#include "tests/e2e/daemon_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace lmcd::e2e {
namespace {

constexpr int kStartMs = 20'000;

void pause_ms(int ms) {
  timespec pause{ms / 1000, (ms % 1000) * 1'000'000L};
  // tidy(sleep): paces a poll, with a bound, of a process that can only be asked
  ::nanosleep(&pause, nullptr);
}

std::string make_directory() {
  char name[] = "/tmp/lmcd-e2e-XXXXXX";
  return ::mkdtemp(name);
}

bool answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bool connected = ::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  ::close(socket);
  return connected;
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
  // What it left in shared memory has the name of its identity.
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory_ + "/state", ignored)) {
    const std::string name = "/dev/shm/lmcd_" + entry.path().filename().string();
    ::unlink((name + "_arena").c_str());
    ::unlink((name + "_ledger").c_str());
  }
  std::filesystem::remove_all(directory_, ignored);
}

bool DaemonProcess::start(std::vector<std::string> environment) {
  std::vector<std::string> words = {LMCD_DAEMON, "--socket",  socket(), "--state-dir",
                                    home_ + "/state", "--l1-size-gb", "0.0625"};
  words.insert(words.end(), options_.begin(), options_.end());
  environment.push_back("PATH=/usr/bin:/bin");
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
    ::execve(arguments[0], arguments.data(), variables.data());
    std::_Exit(127);
  }
  for (int waited_ms = 0; waited_ms < kStartMs; ++waited_ms) {
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return false;
    }
    if (home_ == directory_ && answers(socket())) return true;
    pause_ms(1);
  }
  return false;
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

std::string DaemonProcess::log() const {
  std::ifstream file(directory_ + "/log");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace lmcd::e2e
