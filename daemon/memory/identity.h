// Who this daemon is across restarts, and that it is the only one.
//
// An identity derives from the socket's path, or from --instance-id where it is given. It owns a
// sub-directory of the state directory, named by the identity's digest, and in it
//
//   lock      held with flock(2) for as long as the daemon lives; says its pid. No client ever
//             holds a descriptor of it
//   identity  what the digest stands for, and the instance's UUID
//   processes a directory with a liveness file for each client process (liveness.h)
//
// and small files of others (state_file.h).
//
// Start and loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "lib/base/fd.h"

namespace lmcd::memory {

// What the environment and the options say about where state goes; empty where they are silent.
struct StatePlaces {
  std::string state_dir;        // --state-dir
  std::string state_directory;  // $STATE_DIRECTORY: of systemd; the first of several counts
  std::string xdg_state_home;   // $XDG_STATE_HOME
  std::string home;             // $HOME
  bool system_user = false;     // runs as root or as a user without a home
};

// Chooses the state directory: as given, else systemd's, else $XDG_STATE_HOME/lmcd (by default
// $HOME/.local/state/lmcd), else /var/lib/lmcd.
std::string state_base(const StatePlaces& places);

class Identity {
 public:
  struct Options {
    std::string state_base;   // made where it is missing
    std::string socket_path;  // absolute
    std::string instance_id;  // empty: the socket's path is the identity, and a UUID its name
  };

  // Takes the identity's lock and makes or reads its files.
  // Faults: LMCD_E_LIMIT when another daemon has the identity, naming its pid and what to do;
  // LMCD_E_INVALID for options without sense; LMCD_E_IO, LMCD_E_DENIED.
  static Result<Identity> take(const Options& options);

  // 16 hexadecimal digits: the name of sub-directory and shared memory.
  const std::string& digest() const { return digest_; }
  const std::string& directory() const { return directory_; }
  std::string path_of(const char* file) const { return directory_ + "/" + file; }
  // --instance-id, or a random UUID that stays the same over restarts.
  const std::string& instance_id() const { return instance_id_; }
  // Of the directory, whatever the instance is called: a UUID, kept in it.
  const std::string& uuid() const { return uuid_; }

 private:
  Status lock();
  Status remember(const Options& options);

  std::string digest_;
  std::string directory_;
  std::string instance_id_;
  std::string uuid_;
  FileDescriptor lock_;
};

// The id of this boot of the machine (random(4)).
Result<std::array<uint8_t, 16>> boot_id();

}  // namespace lmcd::memory
