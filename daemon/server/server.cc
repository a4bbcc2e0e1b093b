#include "daemon/server/server.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "daemon/config/describe.h"
#include "daemon/config/reload.h"
#include "daemon/memory/shm_sweep.h"
#include "daemon/mover/no_copies.h"
#include "daemon/mover/worker_copies.h"
#include "lib/base/bytes.h"
#include "lib/base/sync_point.h"
#include "lib/wire/limits.h"

namespace lmcd::server {
namespace {

// The name under which the service manager passes the socket: that of its unit.
constexpr const char* kSocketName = "lmcd.socket";
constexpr const char* kHashNames[] = {"blake3", "sha256_cbor", "builtin"};
constexpr const char* kBackingNames[] = {"posix_shm", "memfd", "file"};
constexpr uint32_t kEngineDriven = 1;  // lmcd_session_info_t: transfer_modes
constexpr uint32_t kDaemonDriven = 2;
// How long readiness waits for the lists of the tiers, which go on being read after it.
constexpr uint64_t kRecoveryMs = 10'000;
// How long tiers have to let go of the arena.
constexpr uint64_t kTiersIdleMs = 10'000;
constexpr uint64_t kLookAgainMs = 10;

uint32_t transfer_modes(config::TransferMode mode) {
  switch (mode) {
    case config::TransferMode::kEngineDriven:
      return kEngineDriven;
    case config::TransferMode::kDaemonDriven:
      return kDaemonDriven;
    default:
      return kEngineDriven | kDaemonDriven;
  }
}

core::SpillWhen spill_when(const config::Options& options) {
  if (options.l2_adapters.empty()) return core::SpillWhen::kNever;
  switch (options.l2_store_policy) {
    case config::StorePolicy::kOnEvict:
      // A policy that evicts nothing has nothing that is next to go.
      return options.eviction_policy == "noop" ? core::SpillWhen::kCommitted
                                               : core::SpillWhen::kEvicted;
    case config::StorePolicy::kReused:
      return core::SpillWhen::kReused;
    default:
      return core::SpillWhen::kCommitted;
  }
}

Incarnation::Plan plan_of(const config::Options& options) {
  Incarnation::Plan plan;
  plan.arena_bytes = options.l1_size_bytes;
  plan.align_bytes = static_cast<uint32_t>(options.l1_align_bytes);
  plan.records = static_cast<uint32_t>(options.max_objects);
  plan.store.read_ttl_ms = options.l1_read_ttl_ms;
  plan.store.write_ttl_ms = options.l1_write_ttl_ms;
  plan.store.session_bytes = options.max_session_bytes;
  plan.store.watermark = options.eviction_trigger_watermark;
  plan.store.ratio = options.eviction_ratio;
  plan.store.spill = spill_when(options);
  plan.store.drop_when_cold =
      options.l2_store_policy == config::StorePolicy::kSkipL1 || options.eviction_policy == "noop";
  plan.store.tiers = (1u << options.l2_adapters.size()) - 1;
  plan.store.promoting_rest_ms = options.l2_rest_ms;
  plan.policy = options.eviction_policy;
  plan.quota_required = options.eviction_policy == "IsolatedLRU";
  plan.cold = options.cold;
  plan.eager = !options.l1_use_lazy;
  plan.ahead_bytes = options.l1_init_size_bytes;
  return plan;
}

std::string joined(const std::vector<std::string_view>& names) {
  std::string text;
  for (std::string_view name : names) (text += text.empty() ? "" : ",") += name;
  return text.empty() ? "none" : text;
}

}  // namespace

Server::Server(const config::Options& options, Reread reread, Log& log, Supervisor& supervisor)
    : options_(options),
      given_(options),
      reread_(std::move(reread)),
      log_(log),
      supervisor_(supervisor),
      started_ms_(clock_.now_ms()) {}

Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::start(const config::Options& options, Reread reread,
                                              Log& log, Supervisor& supervisor) {
  std::unique_ptr<Server> server(new Server(options, std::move(reread), log, supervisor));
  LMCD_TRY(server->prepare());
  LMCD_TRY(server->open_listener());
  LMCD_ASSIGN(server->life_, server->begin_life(options.cold));
  LMCD_TRY(server->await_recovery());
  LMCD_SYNC_POINT("start.before_ready");
  LMCD_TRY(server->listener_->start());
  LMCD_TRY(supervisor.ready());
  server->announce();
  server->life_->incarnation->look_ahead();
  return server;
}

Status Server::prepare() {
  LMCD_ASSIGN(loop_, Loop::make(clock_));
  // Before any thread starts, so that all of them leave signals to the loop.
  LMCD_ASSIGN(signals_, Signals::make(*loop_, {SIGTERM, SIGINT, SIGHUP},
                                      [this](int signal) { on_signal(signal); }));
  memory::Identity::Options identity;
  identity.state_base = options_.state_dir;
  identity.socket_path = options_.socket;
  identity.instance_id = options_.instance_id;
  LMCD_ASSIGN(identity_, memory::Identity::take(identity));
  options_.instance_id = identity_->instance_id();
  LMCD_ASSIGN(liveness_, memory::Liveness::open(identity_->path_of("processes")));

  memory::BackingOptions backing;
  backing.kind = static_cast<memory::BackingKind>(options_.l1_backing);
  backing.identity = identity_->digest();
  backing.path = options_.l1_path;
  backing.huge_pages = options_.l1_use_hugepages;
  LMCD_ASSIGN(backing_, memory::make_backing(backing, supervisor_));
  if (backing.kind == memory::BackingKind::kPosixShm) {
    // What others left behind does not stop this start.
    Result<memory::Swept> swept = memory::sweep_shm(backing.shm_directory, ::time(nullptr));
    if (!swept.ok())
      log_.event(Severity::kWarning, "start.sweep").field("reason", swept.status().text());
  }

  ThreadWorkerPool::Options workers;
  workers.threads = static_cast<uint32_t>(options_.max_cpu_workers);
  LMCD_ASSIGN(workers_, ThreadWorkerPool::make(*loop_, workers));
  workers.threads = 1;
  workers.name = "lmcd-state";
  LMCD_ASSIGN(state_writer_, ThreadWorkerPool::make(*loop_, workers));
  renewal_ = std::make_unique<Deferred>(*loop_, [this] { renew(); });
  tiers_idle_ = std::make_unique<Timer>(*loop_, [this] { end_renewal(); });
  if (supervisor_.watchdog_ms() != 0) {
    watchdog_ = std::make_unique<Timer>(*loop_, [this] {
      supervisor_.watchdog().code();  // one that is not heard is followed by the next
      watchdog_->arm_in(supervisor_.watchdog_ms() / 2);
    });
    watchdog_->arm_in(supervisor_.watchdog_ms() / 2);
  }
  return {};
}

Status Server::open_listener() {
  auto accept = [this](FileDescriptor socket) {
    // A client that comes between two lives tries again.
    if (renewal_until_ms_ == 0) life_->transport->accept(std::move(socket));
  };
  FileDescriptor inherited = supervisor_.take(kSocketName);
  if (inherited.valid()) {
    LMCD_ASSIGN(listener_,
                transport::Listener::inherit(*loop_, std::move(inherited), std::move(accept)));
  } else {
    LMCD_ASSIGN(listener_, transport::Listener::open(*loop_, options_.socket, std::move(accept)));
  }
  return {};
}

Result<std::unique_ptr<Server::Life>> Server::begin_life(bool cold) {
  auto life = std::make_unique<Life>();
  life->events = std::make_unique<transport::EventStream>(
      static_cast<uint32_t>(options_.event_queue_capacity));
  Incarnation::Plan plan = plan_of(options_);
  plan.cold = cold;
  plan.state_id = identity_->uuid();
  LMCD_ASSIGN(life->incarnation, Incarnation::open(plan, {*backing_, clock_, *life->events, log_}));
  core::Store& store = life->incarnation->store();
  LMCD_ASSIGN(life->copies, make_copies(*life->incarnation));
  LMCD_ASSIGN(life->mover, make_mover(*life->incarnation));
  life->quotas = std::make_unique<admin::QuotaFile>(identity_->path_of("quotas"), store.accounts(),
                                                    *state_writer_);
  LMCD_TRY(life->quotas->load());
  transport::Sessions::Limits limits;
  limits.sessions = options_.max_sessions;
  limits.reap_timeout_ms = options_.worker_reap_timeout_ms;
  life->transport = std::make_unique<transport::Transport>(
      transport::Transport::Parts{*loop_, log_, store, *life->events, *liveness_, *life->copies,
                                  *life->mover, *life->quotas, [this] { after_turn(); },
                                  [this](auto done) { return reload(std::move(done)); }},
      facts_of(*life->incarnation), limits);
  life->mover->recover();
  return life;
}

Result<std::unique_ptr<mover::Copies>> Server::make_copies(Incarnation& incarnation) {
  if (options_.transfer_mode == config::TransferMode::kEngineDriven)
    return std::unique_ptr<mover::Copies>(std::make_unique<mover::NoCopies>());
  mover::WorkerCopies::Options copies;
  LMCD_TRY(draw_random(&copies.session, sizeof copies.session));
  copies.jobs_in_pool = 2 * static_cast<uint32_t>(options_.max_cpu_workers);
  if (options_.verify == config::Verify::kAlways)
    copies.checksums = mover::WorkerCopies::Checksums::kAlways;
  LMCD_ASSIGN(std::unique_ptr<mover::Copies> made,
              mover::WorkerCopies::make(incarnation.store(), *workers_,
                                        incarnation.arena().region(), copies));
  return made;
}

Result<std::unique_ptr<mover::Mover>> Server::make_mover(Incarnation& incarnation) {
  mover::Mover::Options options;
  options.threads = static_cast<uint32_t>(options_.max_cpu_workers);
  options.align_bytes = static_cast<uint32_t>(options_.l1_align_bytes);
  options.spills.on_evict = spill_when(options_) == core::SpillWhen::kEvicted;
  options.spills.adopted = spill_when(options_) == core::SpillWhen::kCommitted;
  options.spills.in_flight = static_cast<uint32_t>(options_.l2_store_max_in_flight);
  mover::Prefetches::Options& prefetches = options.prefetches;
  LMCD_TRY(draw_random(&prefetches.session, sizeof prefetches.session));
  prefetches.retain = options_.l2_prefetch_policy == config::PrefetchPolicy::kRetain;
  prefetches.in_flight = static_cast<uint32_t>(options_.l2_prefetch_max_in_flight);
  prefetches.min_hit_keys = static_cast<uint32_t>(options_.l2_prefetch_min_keys);
  prefetches.min_bytes_per_ms =
      options_.l2_prefetch_min_bandwidth_gb * static_cast<double>(kGiB) / 1000;
  prefetches.arena_bytes = incarnation.arena_bytes();
  return mover::Mover::make({*loop_, incarnation.store(), incarnation.arena().region(), log_},
                            options_.l2_adapters, options, [this] {
                              if (renewal_until_ms_ == 0 && life_) life_->transport->landed();
                            });
}

// What the tiers have should be found by the first client. A tier that is slow to say it keeps
// nobody waiting for long.
Status Server::await_recovery() {
  const uint64_t until_ms = clock_.now_ms() + kRecoveryMs;
  Timer bound(*loop_, [] {});
  bound.arm_at(until_ms);
  while (!life_->mover->recovered() && clock_.now_ms() < until_ms)
    LMCD_TRY(loop_->turn(Loop::Wait::kUntilDue));
  return {};
}

transport::Transport::Facts Server::facts_of(Incarnation& incarnation) const {
  transport::Transport::Facts facts;
  transport::Terms& terms = facts.terms;
  std::memcpy(terms.incarnation, incarnation.id(), sizeof terms.incarnation);
  terms.arena_bytes = incarnation.arena_bytes();
  terms.ledger_bytes = incarnation.ledger_bytes();
  terms.align_bytes = static_cast<uint32_t>(options_.l1_align_bytes);
  terms.chunk_tokens = static_cast<uint32_t>(options_.chunk_tokens);
  terms.read_ttl_ms = options_.l1_read_ttl_ms;
  terms.write_ttl_ms = options_.l1_write_ttl_ms;
  terms.verify = static_cast<uint32_t>(options_.verify);
  terms.transfer_modes = transfer_modes(options_.transfer_mode);
  terms.hash_algorithm = kHashNames[static_cast<std::size_t>(options_.hash_algorithm)];
  terms.daemon_version = LMCD_VERSION;
  terms.instance_id = identity_->instance_id();
  terms.admin_uids = options_.admin_uids;
  terms.ledger_descriptor = incarnation.ledger_descriptor();
  terms.arena_descriptor = incarnation.arena_descriptor();

  admin::DaemonFacts& daemon = facts.daemon;
  daemon.version = LMCD_VERSION;
  daemon.instance_id = identity_->instance_id();
  daemon.identity = identity_->digest();
  daemon.socket = options_.socket;
  daemon.policy = options_.eviction_policy;
  daemon.backing = kBackingNames[static_cast<std::size_t>(options_.l1_backing)];
  daemon.pid = static_cast<uint32_t>(::getpid());
  daemon.protocol = wire::kProtocolMax;
  daemon.started_ms = started_ms_;
  std::memcpy(daemon.incarnation, incarnation.id(), sizeof daemon.incarnation);
  daemon.warm = incarnation.warm();
  daemon.adopted = incarnation.adopted();
  facts.config = config::effective_config(options_);
  return facts;
}

void Server::announce() const {
  const core::Adopted& adopted = life_->incarnation->adopted();
  log_.event(Severity::kInfo, "daemon.ready")
      .field("version", LMCD_VERSION)
      .field("socket", options_.socket)
      .field("identity", identity_->digest())
      .field("arena_bytes", life_->incarnation->arena_bytes())
      .field("policy", options_.eviction_policy)
      .field("warm_objects", adopted.objects)
      .field("warm_bytes", adopted.bytes)
      .field("quarantined", adopted.quarantined)
      .field("rejected", adopted.rejected)
      .field("start_ms", clock_.now_ms() - started_ms_);
  char text[128];
  std::snprintf(text, sizeof text,
                "serving: arena of %" PRIu64 " MiB, started %s with %" PRIu64 " objects",
                life_->incarnation->arena_bytes() / kMiB,
                life_->incarnation->warm() ? "warm" : "cold", adopted.objects);
  supervisor_.describe(text).code();  // one that is not heard changes nothing
}

Status Server::run() {
  LMCD_TRY(loop_->run());
  if (!failure_.ok()) {
    if (life_ && !await_tiers()) abandon(failure_);
    return std::move(failure_);
  }
  return finish();
}

void Server::after_turn() {
  Incarnation& incarnation = *life_->incarnation;
  life_->mover->turn();
  incarnation.look_ahead();
  if (incarnation.lost()) renewal_->request();
}

void Server::renew() {
  if (renewal_until_ms_ != 0) return;
  log_.event(Severity::kError, "incarnation.lost")
      .field("reason", "arena or ledger was shortened, or its memory ran out; all sessions end");
  renewal_until_ms_ = clock_.now_ms() + kTiersIdleMs;
  life_->transport->stop();
  workers_->finish();
  state_writer_->finish();
  life_->incarnation->give_up();
  life_->mover->stop();
  end_renewal();
}

void Server::end_renewal() {
  if (!life_->mover->idle()) {
    if (clock_.now_ms() < renewal_until_ms_) return tiers_idle_->arm_in(kLookAgainMs);
    failure_ = fault(LMCD_E_TIMEOUT, "a tier hangs and does not let go of the arena");
    return loop_->stop();
  }
  life_.reset();
  renewal_until_ms_ = 0;
  Result<std::unique_ptr<Life>> next = begin_life(true);
  if (next.ok()) {
    life_ = std::move(next.value());
    life_->incarnation->look_ahead();
    return announce();
  }
  failure_ = next.status();
  loop_->stop();
}

void Server::on_signal(int signal) {
  if (signal != SIGHUP) return loop_->stop();
  Status status = reload([](const Status&) {});  // what became of it is in the log
  if (!status.ok()) log_.event(Severity::kWarning, "daemon.reload").field("reason", status.text());
}

Status Server::reload(std::function<void(const Status&)> done) {
  auto apply = [this, done = std::move(done)](Result<config::Options> next) {
    if (next.ok()) {
      take_over(next.value());
      return done({});
    }
    const Status status = next.status();
    log_.event(Severity::kWarning, "daemon.reload").field("reason", status.text());
    done(status);
  };
  if (state_writer_->submit(make_job(reread_, std::move(apply)))) return {};
  return fault(LMCD_E_LIMIT, "reload: too many are under way");
}

void Server::take_over(const config::Options& next) {
  const config::Reloaded reloaded = config::reload(options_, given_, next);
  transport::Transport::Tuning tuning;
  tuning.session_bytes = options_.max_session_bytes;
  tuning.reap_timeout_ms = options_.worker_reap_timeout_ms;
  tuning.watermark = options_.eviction_trigger_watermark;
  tuning.ratio = options_.eviction_ratio;
  tuning.config = config::effective_config(options_);
  life_->transport->retune(std::move(tuning));
  log_.event(Severity::kInfo, "daemon.reload")
      .field("changed", joined(reloaded.changed))
      .field("need_restart", joined(reloaded.need_restart));
}

// The orderly stop: what is left behind is whole, and says so.
Status Server::finish() {
  tiers_idle_->cancel();  // no new life after this
  Status told = supervisor_.stopping();
  if (!told.ok()) log_.event(Severity::kWarning, "supervisor.deaf").field("reason", told.text());
  LMCD_SYNC_POINT("stop.before");
  listener_->stop();
  life_->transport->stop();
  life_->mover->stop();
  const bool idle = await_tiers();
  workers_->finish();
  state_writer_->finish();
  Status closed = life_->incarnation->close();
  LMCD_SYNC_POINT("stop.after");
  log_.event(Severity::kInfo, "daemon.stopped")
      .field("objects", life_->incarnation->store().snapshot().objects)
      .field("uptime_ms", clock_.now_ms() - started_ms_);
  if (!idle) abandon(closed);
  life_.reset();
  return closed;
}

// Returns whether the tiers of this life have let go of the arena.
bool Server::await_tiers() {
  const uint64_t until_ms = clock_.now_ms() + kTiersIdleMs;
  Timer look(*loop_, [&] { look.arm_in(kLookAgainMs); });
  look.arm_in(kLookAgainMs);
  while (!life_->mover->idle() && clock_.now_ms() < until_ms)
    if (!loop_->turn(Loop::Wait::kUntilDue).ok()) break;
  return life_->mover->idle();
}

// Ends the process where a tier hangs: nothing that it may still touch is taken down.
void Server::abandon(const Status& status) {
  log_.event(Severity::kError, "tier.hangs").field("reason", "it does not let go of the arena");
  ::_exit(status.ok() ? 0 : 1);
}

}  // namespace lmcd::server
