// Any bytes on a session's socket leave the daemon whole.
//
// The input is what a client sends after it has introduced itself: it goes through a real
// connection, the dispatch table and every handler into a real store over private memory. Whatever
// it was, once the session is over, its process dead and all objects cleared, the arena is as free
// as it was at first; and no input keeps the loop busy for ever.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "daemon/admin/quota_file.h"
#include "daemon/mover/no_copies.h"
#include "daemon/policy/registry.h"
#include "daemon/transport/dispatch.h"
#include "daemon/transport/long_runs.h"
#include "lib/base/manual_worker_pool.h"
#include "lib/base/reserved_array.h"
#include "tests/scratch_directory.h"

namespace lmcd::transport {
namespace {

constexpr uint64_t kArenaBytes = 1 << 20;
constexpr uint32_t kRecords = 128;
constexpr int kTurnsMax = 100'000;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "frames_fuzz: %s\n", what);
  std::abort();
}

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) fail(std::string(result.status().text()).c_str());
  return std::move(result.value());
}

// A daemon without a listener: its store and one session.
class World final : private Sessions::Owner {
 public:
  World()
      : log_(clock_, {.descriptor = nowhere()}),
        loop_(must(Loop::make(clock_))),
        liveness_(must(memory::Liveness::open(scratch_ / "processes", 64))),
        events_(64),
        policy_(must(policy::make_policy("ARC", {kRecords, kArenaBytes}))) {
    core::Ledger::Plan plan;
    plan.arena_bytes = kArenaBytes;
    plan.records = kRecords;
    ledger_ = must(Reservation::make(core::Ledger::bytes_for(plan)));
    store_ = must(core::Store::make(core::Ledger::format(ledger_.address(), plan), {}, *policy_,
                                    clock_, events_));
    terms_.admin_uids = {::geteuid()};
    terms_.ledger_descriptor = terms_.arena_descriptor = nowhere();
    quotas_ = std::make_unique<admin::QuotaFile>("/nonexistent/quotas", store_->accounts(), pool_);
    sessions_.reset(new Sessions(*loop_, Sessions::Limits{}, *this, store_->metrics(), log_));
    processes_ =
        std::make_unique<ProcessWatch>(*loop_, liveness_, *store_, [](core::LivenessSlot) {});
    waiting_ = std::make_unique<Waiting>(*loop_, *store_,
                                         [this](Waiter& waiter) { answer_waiter(*desk_, waiter); });
    long_runs_ = std::make_unique<LongRuns>(*loop_);
    mover_ = must(mover::Mover::make({*loop_, *store_, no_arena_, log_}, {}, {}, [] {}));
    desk_.reset(new Desk{*loop_, log_, *store_, copies_, *mover_, *sessions_, *processes_, events_,
                         *waiting_, *long_runs_, *quotas_, terms_, daemon_, config_,
                         service_times_, reload_});
    connect();
  }

  // The bytes of a client that has said Hello and opened a namespace.
  void feed(std::span<const uint8_t> bytes) {
    std::vector<std::byte> hello;
    wire::encode(wire::Hello{1, 1, 0, 0, 0, 0, "fuzz"}, 1, 0, hello);
    const lmcd_group_t groups[] = {{LMCD_GROUP_FULL, 0}, {LMCD_GROUP_WINDOW, 2}};
    wire::encode(wire::NamespaceOpen{2, groups, "fuzz"}, 2, 0, hello);
    write(hello);
    write(std::as_bytes(bytes));
    client_.reset();
    run();
  }

  void check() {
    if (sessions_->count() != 0) fail("the session outlived its socket");
    for (uint32_t slot = 0; slot < 64; ++slot) store_->writer_dead(slot);
    store_->clear({}, true);
    const core::Metrics& metrics = store_->snapshot();
    if (metrics.free_bytes != kArenaBytes) fail("bytes of the arena did not come back");
    if (metrics.quarantined_parts != 0 || metrics.read_leases != 0 || metrics.write_leases != 0)
      fail("a lease or an extent outlived its session");
  }

 private:
  int nowhere() {
    if (!nowhere_.valid()) nowhere_.reset(::open("/dev/null", O_RDWR | O_CLOEXEC));
    return nowhere_.get();
  }

  void connect() {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
      fail("socketpair");
    client_ = FileDescriptor(ends[1]);
    sessions_->accept(FileDescriptor(ends[0]));
  }

  void write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count > 0) {
        bytes = bytes.subspan(static_cast<std::size_t>(count));
        continue;
      }
      if (errno != EAGAIN) return;  // the session has ended for it
      turn();
    }
  }

  // A turn, and the reading of what was answered.
  void turn() {
    loop_->turn(Loop::Wait::kNot).code();
    pool_.run_all();
    char answer[65536];
    while (client_.valid() && ::recv(client_.get(), answer, sizeof answer, MSG_DONTWAIT) > 0) {
    }
  }

  void run() {
    for (int turns = 0; open_; ++turns) {
      if (turns == kTurnsMax) fail("the loop finds no end");
      turn();
    }
  }

  void on_frame(Session& session, Frame& frame) override {
    dispatch(*desk_, session, frame);
    // Its own process cannot show a lock to itself (fcntl(2)): taken as shown.
    if (session.phase == Phase::kGreeted) session.phase = Phase::kAlive;
  }

  void on_end(Session& session, std::function<void()> at_rest) override {
    open_ = false;
    events_.unsubscribe(session);
    waiting_->forget(session.id);
    long_runs_->forget(session.id);
    if (session.phase != Phase::kStranger) {
      store_->close_session(session.id);
      processes_->leave(session.slot);
    }
    at_rest();
  }

  void on_turn_end() override {
    waiting_->look_again();
    events_.deliver(*sessions_, store_->metrics());
    store_->tick();
  }

  bool has_more() override { return events_.has_more(*sessions_); }

  MonotonicClock clock_;
  FileDescriptor nowhere_;
  Log log_;
  std::unique_ptr<Loop> loop_;
  ScratchDirectory scratch_;
  memory::Liveness liveness_;
  EventStream events_;
  std::unique_ptr<core::EvictionPolicy> policy_;
  Reservation ledger_;
  std::unique_ptr<core::Store> store_;
  ManualWorkerPool pool_;
  mover::NoCopies copies_;
  GuardedRegion no_arena_;
  std::unique_ptr<mover::Mover> mover_;
  Terms terms_;
  admin::DaemonFacts daemon_;
  const std::string config_ = "{}";
  std::unique_ptr<admin::QuotaFile> quotas_;
  std::unique_ptr<Sessions> sessions_;
  std::unique_ptr<ProcessWatch> processes_;
  std::unique_ptr<Waiting> waiting_;
  std::unique_ptr<LongRuns> long_runs_;
  ServiceTimes service_times_;
  const Reload reload_ = [](auto done) {
    done({});
    return Status();
  };
  std::unique_ptr<Desk> desk_;
  FileDescriptor client_;
  bool open_ = true;
};

}  // namespace
}  // namespace lmcd::transport

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  lmcd::transport::World world;
  world.feed({data, size});
  world.check();
  return 0;
}
