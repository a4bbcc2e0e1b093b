// The daemon: builds the graph of its parts, announces readiness, and takes it down in order.
//
// Start. Identity (one daemon for each), state, workers, the incarnation of before or a new one,
// the socket; readiness is announced last. Whatever fails stops the start with one line that says
// how to mend it.
//
// Stop (SIGTERM, SIGINT). No new clients, sessions end, the ledger is marked clean, and arena and
// ledger stay for the next daemon. A kill at any instruction leaves them as well, only not clean.
//
// Reload (SIGHUP, an operator's word). The options are read again, on the worker of small files;
// what may change does, and what may not is named in the log.
//
// Loss. When a client has shortened arena or ledger, the incarnation is void: it is given up, all
// sessions end, and the next one begins in this process. That is more robust than an exit: it does
// not depend on a supervisor, and a client cannot stop the daemon by it.
//
// Tiers hold on to the arena while they read and write. At a stop they have some seconds to let go;
// after that the process ends without taking them down, and the ledger says what they had.
//
// Loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "daemon/admin/quota_file.h"
#include "daemon/config/options.h"
#include "daemon/memory/identity.h"
#include "daemon/memory/liveness.h"
#include "daemon/mover/copies.h"
#include "daemon/mover/mover.h"
#include "daemon/server/incarnation.h"
#include "daemon/transport/listener.h"
#include "daemon/transport/transport.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/loop.h"
#include "lib/base/signals.h"
#include "lib/base/supervisor.h"
#include "lib/base/worker_pool.h"

namespace lmcd::server {

class Server {
 public:
  // Reads the options again, on a worker.
  using Reread = std::function<Result<config::Options>()>;

  // Starts up to readiness. `log` and `supervisor` outlive the server.
  static Result<std::unique_ptr<Server>> start(const config::Options& options, Reread reread,
                                               Log& log, Supervisor& supervisor);
  ~Server();

  // Serves until told to stop.
  Status run();

 private:
  // What belongs to one incarnation, in the order in which it is made. No worker works for it any
  // more when it goes.
  struct Life {
    std::unique_ptr<transport::EventStream> events;
    std::unique_ptr<Incarnation> incarnation;
    std::unique_ptr<mover::Copies> copies;
    std::unique_ptr<mover::Mover> mover;
    std::unique_ptr<admin::QuotaFile> quotas;
    std::unique_ptr<transport::Transport> transport;
  };

  Server(const config::Options& options, Reread reread, Log& log, Supervisor& supervisor);

  Status prepare();
  Status open_listener();
  Result<std::unique_ptr<Life>> begin_life(bool cold);
  Result<std::unique_ptr<mover::Copies>> make_copies(Incarnation& incarnation);
  Result<std::unique_ptr<mover::Mover>> make_mover(Incarnation& incarnation);
  Status await_recovery();
  transport::Transport::Facts facts_of(Incarnation& incarnation) const;
  void after_turn();
  void renew();
  void on_signal(int signal);
  Status reload(std::function<void(const Status&)> done);
  void take_over(const config::Options& next);
  void end_renewal();
  bool await_tiers();
  [[noreturn]] void abandon(const Status& status);
  Status finish();
  void announce() const;

  config::Options options_;  // in use
  config::Options given_;    // as they were read
  const Reread reread_;
  Log& log_;
  Supervisor& supervisor_;
  MonotonicClock clock_;
  uint64_t started_ms_ = 0;
  Status failure_;  // why run() ended, when not on a word

  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Signals> signals_;
  std::optional<memory::Identity> identity_;
  std::optional<memory::Liveness> liveness_;
  std::unique_ptr<memory::Backing> backing_;
  std::unique_ptr<ThreadWorkerPool> workers_;       // copies
  std::unique_ptr<ThreadWorkerPool> state_writer_;  // small files, which no copy keeps waiting
  std::unique_ptr<transport::Listener> listener_;
  std::unique_ptr<Life> life_;
  std::unique_ptr<Deferred> renewal_;
  std::unique_ptr<Timer> tiers_idle_;  // a renewal waits for the tiers of the life that is over
  uint64_t renewal_until_ms_ = 0;      // 0: there is none under way
  std::unique_ptr<Timer> watchdog_;
};

}  // namespace lmcd::server
