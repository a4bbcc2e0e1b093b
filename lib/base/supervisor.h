// Whoever started this process and keeps things for it: systemd, or `lmcd serve`. Both speak
// systemd's protocol (sd_notify(3), sd_listen_fds(3)), of which this is all that lmcd needs.
//
// Owns the notification socket and the descriptors that were inherited until they are taken.
// The protocol is made of environment variables; they are read here, once, and removed, so that
// no child takes them for its own. Where nobody supervises, every message is a success that
// reaches no one. Made before any thread starts; loop thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/fd.h"

namespace lmcd {

// Keeps descriptors beyond this process's death, by name: at most 255 printable ASCII bytes
// without ':'.
class DescriptorStore {
 public:
  virtual ~DescriptorStore() = default;
  // Tells whether there is somebody to keep what is stored.
  virtual bool keeps() const = 0;
  // Hands over what an earlier process stored under `name`; invalid when there is none.
  virtual FileDescriptor take(std::string_view name) = 0;
  // Stores a copy of the descriptor under `name`.
  virtual Status store(std::string_view name, int descriptor) = 0;
  // Drops what is stored under `name`, if anything is.
  virtual Status forget(std::string_view name) = 0;
};

class Supervisor final : public DescriptorStore {
 public:
  // The most descriptors that are inherited.
  static constexpr uint32_t kInheritedDescriptors = 64;

  // Nobody.
  Supervisor() = default;
  // Reads and removes NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_PID, LISTEN_FDS and
  // LISTEN_FDNAMES. Faults: LMCD_E_INVALID, naming the variable that makes no sense.
  static Result<Supervisor> from_environment();

  // How often at least it wants to hear watchdog(), doubled for safety by the caller; 0: never.
  uint64_t watchdog_ms() const { return watchdog_ms_; }

  bool keeps() const override { return socket_.valid(); }
  // Also the way to a listening socket, which has the name of its unit.
  FileDescriptor take(std::string_view name) override;
  Status store(std::string_view name, int descriptor) override;
  Status forget(std::string_view name) override;

  // Each waits at most a second for a supervisor that does not read, watchdog() not at all.
  Status ready();
  // Tells in one line of text how things are; systemctl status shows it.
  Status describe(std::string_view text);
  Status stopping();
  Status watchdog();

 private:
  struct Inherited {
    std::string name;
    FileDescriptor descriptor;
  };

  Status connect(const char* address);
  Status inherit(const char* count, const char* names);
  Status send(std::string_view message, const int* descriptor);

  FileDescriptor socket_;
  uint64_t watchdog_ms_ = 0;
  std::vector<Inherited> inherited_;
};

}  // namespace lmcd
