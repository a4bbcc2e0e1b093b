// A real lmcd-daemon on a private socket, for tests: started, killed and started again over the
// same state. Its directory, shared memory and process are gone when it goes.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace lmcd::e2e {

class DaemonProcess {
 public:
  // Options beyond those for the private socket and state directory; without any a small arena.
  explicit DaemonProcess(std::vector<std::string> options = {});
  // One that claims the socket and the state of another.
  static DaemonProcess rival_of(const DaemonProcess& other);
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;
  ~DaemonProcess();

  // Options of the next starts, in place of those given before.
  void set_options(std::vector<std::string> options) { options_ = std::move(options); }
  // From the next start on the daemon may open this many descriptors.
  void limit_descriptors(unsigned count) { descriptors_ = count; }
  // Starts the daemon and waits until it says that it is ready. `environment`: "NAME=value".
  // Returns false, with its output in log(), when it ended instead.
  bool start(std::vector<std::string> environment = {});
  // Sends the signal and waits for the end. Returns the status as of waitpid.
  int end(int signal);
  // Waits for the end that comes by itself.
  int wait_for_end();
  // Waits until the daemon has stopped itself (SIGSTOP).
  void wait_until_stopped();

  pid_t pid() const { return pid_; }
  const std::string& directory() const { return directory_; }
  std::string socket() const { return home_ + "/lmcd.sock"; }
  // What its shared memory is named by.
  std::string identity() const;
  // What it wrote so far, in all its lives.
  std::string log() const;

 private:
  DaemonProcess(std::vector<std::string> options, std::string directory, std::string home);

  std::vector<std::string> options_;
  std::string directory_;  // of its own: log and whatever else
  std::string home_;       // of socket and state; another's for a rival
  pid_t pid_ = 0;
  unsigned descriptors_ = 0;  // 0: no limit
};

}  // namespace lmcd::e2e
