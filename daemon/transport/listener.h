// The Unix socket that clients connect to.
//
// Owns the listening socket and, where it made it, the name in the file system and the lock that
// keeps a second daemon from it. The file's mode decides who may connect: 0600 for a socket made
// here, the service manager's word for an inherited one. Loop thread only; never blocks.
//
// Running out of descriptors leaves a waiting connection readable for ever; so one descriptor is
// kept in reserve, given up to accept that connection, which is closed at once.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "lib/base/fd.h"
#include "lib/base/loop.h"

namespace lmcd::transport {

class Listener final : private Watcher {
 public:
  static constexpr int kBacklog = 1024;
  static constexpr int kAcceptsPerTurn = 16;
  static constexpr uint64_t kPauseMs = 100;  // when not even the reserve helped

  // Takes over an accepted connection; an empty descriptor says that one had to be turned away.
  using OnConnection = std::function<void(FileDescriptor)>;

  // Makes the socket at `path`, with the directory it is in. A socket that nobody answers at, left
  // by a daemon that died, is replaced.
  // Faults: LMCD_E_INVALID (the path cannot be a socket's), LMCD_E_LIMIT (another daemon has it),
  // LMCD_E_IO.
  static Result<std::unique_ptr<Listener>> open(Loop& loop, const std::string& path,
                                                OnConnection on_connection);
  // Listens at a socket that the service manager passed.
  // Faults: LMCD_E_INVALID (not a listening Unix stream socket).
  static Result<std::unique_ptr<Listener>> inherit(Loop& loop, FileDescriptor socket,
                                                   OnConnection on_connection);
  ~Listener();

  // Begins to accept. Clients may connect before; they wait until then.
  Status start();
  // Accepts no more and takes the name away, if it was made here.
  void stop();

 private:
  Listener(Loop& loop, FileDescriptor socket, OnConnection on_connection);

  void on_ready(uint32_t events) override;
  bool accept_one();
  void turn_one_away();
  void watch();

  Loop& loop_;
  OnConnection on_connection_;
  std::string path_;     // empty: inherited
  FileDescriptor lock_;  // of path_
  FileDescriptor socket_;
  FileDescriptor reserve_;
  Timer resume_;
  bool watched_ = false;
};

}  // namespace lmcd::transport
