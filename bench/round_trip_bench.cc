// What a question to the daemon costs the engine that asks, beside the least that it can cost.
//
// The divisor is the ping-pong of ping_pong.h. Ping-pong and verbs run by turns in every round,
// 100 calls each, a millisecond apart, the asker on one CPU and the one who answers on another;
// each has the median of its best round. The same unpinned and back to back stands beside it
// without a bound: there the scheduler decides more than lmcd. Rates are those of
// acquire+release of 16 objects, back to back, in rounds again.
//
// Reserves find room: the arena is cleared before. What they cost where each must evict
// is a figure of its own.
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "bench/engine.h"
#include "bench/ping_pong.h"
#include "bench/placement.h"
#include "bench/report.h"
#include "tests/e2e/daemon_process.h"

namespace lmcd::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

constexpr uint64_t kArenaBytes = 1 << 30;
constexpr uint64_t kObjectBytes = 4096;
constexpr std::size_t kManyKeys = 1024;
constexpr std::size_t kFewKeys = 16;
constexpr int kRounds = 9;
constexpr int kCalls = 100;
constexpr microseconds kPace{1000};

// One verb, and the best median of its rounds under each condition.
struct Arm {
  std::string name;
  std::function<void()> call;
  std::optional<double> bound;  // times the ping-pong
  std::size_t new_keys = 0;     // that a call uses up
  double placed_us = 1e9;
  double unpinned_us = 1e9;
  double unpaced_us = 1e9;
  double evicting_us = 1e9;
};

class RoundTrips {
 public:
  explicit RoundTrips(const e2e::DaemonProcess& daemon)
      : daemon_(daemon.pid()), engine_(daemon.socket()), stored_(new_keys(kManyKeys, random_)) {
    arms_.push_back({"ping-pong", [this] { peer_.ping(); }, {}});
    add_verbs(kFewKeys, 1.3);
    add_verbs(kManyKeys, 2.0);
  }

  void run(Report& report) {
    for (int round = 0; round < kRounds; ++round) {
      move_to(kClientCpu, kServerCpu);
      time_all(kPace, &Arm::placed_us);
      time_all(microseconds(0), &Arm::unpaced_us);
      move_to(kAnyCpu, kAnyCpu);
      time_all(kPace, &Arm::unpinned_us);
      move_to(kClientCpu, kServerCpu);
      time_evicting();
    }
    for (const Arm& arm : arms_) report_arm(report, arm);
  }

 private:
  void add_verbs(std::size_t count, double bound) {
    const std::string keys = " of " + std::to_string(count);
    const Engine::Keys stored = Engine::Keys(stored_).first(count);
    arms_.push_back({"reserve+commit" + keys,
                     [this, count] {
                       engine_.commit(engine_.reserve(fresh(count), kObjectBytes));
                     },
                     bound, count});
    arms_.push_back({"acquire+release" + keys,
                     [this, stored] { engine_.release(engine_.acquire(stored)); }, bound});
    arms_.push_back({"posted acquire+release" + keys,
                     [this, stored] { engine_.release(engine_.acquire_posted(stored)); }, {}});
  }

  Engine::Keys fresh(std::size_t count) {
    next_fresh_ += count;
    return Engine::Keys(fresh_).subspan(next_fresh_ - count, count);
  }

  void move_to(int client, int server) {
    place(0, client);
    place(peer_.pid(), server);
    place(daemon_, server);
  }

  void time_arm(Arm& arm, microseconds pace, double Arm::*best) {
    fresh_ = new_keys(arm.new_keys * kCalls, random_);
    next_fresh_ = 0;
    arm.*best = std::min(arm.*best, median(time_calls(kCalls, pace, arm.call)));
    engine_.settle();
  }

  void time_all(microseconds pace, double Arm::*best) {
    engine_.clear();
    engine_.commit(engine_.reserve(stored_, kObjectBytes));
    for (Arm& arm : arms_) time_arm(arm, pace, best);
  }

  void time_evicting() {
    for (uint64_t filled = 0; filled < kArenaBytes; filled += kManyKeys * kObjectBytes)
      engine_.commit(engine_.reserve(new_keys(kManyKeys, random_), kObjectBytes));
    for (Arm& arm : arms_)
      if (arm.new_keys > 0) time_arm(arm, kPace, &Arm::evicting_us);
  }

  void report_arm(Report& report, const Arm& arm) const {
    const Arm& ping = arms_.front();
    report.add({arm.name + ", paced, two CPUs", arm.placed_us, "us",
                arm.placed_us / ping.placed_us,
                arm.bound ? std::optional(at_most(*arm.bound)) : std::nullopt});
    report.add({arm.name + ", paced, unpinned", arm.unpinned_us, "us",
                arm.unpinned_us / ping.unpinned_us});
    report.add({arm.name + ", back to back, two CPUs", arm.unpaced_us, "us",
                arm.unpaced_us / ping.unpaced_us});
    if (arm.new_keys > 0)
      report.add({arm.name + ", evicting as many", arm.evicting_us, "us",
                  arm.evicting_us / ping.placed_us});
  }

  std::mt19937_64 random_{1};
  pid_t daemon_;
  PingPong peer_;
  Engine engine_;
  std::vector<lmcd_key_t> stored_;
  std::vector<lmcd_key_t> fresh_;
  std::size_t next_fresh_ = 0;
  std::vector<Arm> arms_;
};

// Requests a second by clients that are processes of their own, all on one CPU, the daemon on
// the other.
class Rates {
 public:
  explicit Rates(const e2e::DaemonProcess& daemon)
      : socket_(daemon.socket()), keys_(new_keys(kFewKeys, random_)) {
    place(daemon.pid(), kServerCpu);
    place(0, kClientCpu);
    Engine engine(socket_);
    engine.clear();
    engine.commit(engine.reserve(keys_, kObjectBytes));
    engine.settle();
  }

  void run(Report& report) {
    double one = 0, four = 0, pipelined = 0;
    for (int round = 0; round < kRounds; ++round) {
      one = std::max(one, rate_of(1, serially));
      four = std::max(four, rate_of(4, serially));
      pipelined = std::max(pipelined, rate_of(1, eight_deep));
    }
    report.add({"one client, one request at a time", one, "/s"});
    report.add({"four clients: of one", four, "/s", four / one, at_least(2)});
    report.add({"pipelined 8 deep: of serial", pipelined, "/s", pipelined / one, at_least(4)});
  }

 private:
  static constexpr std::chrono::milliseconds kSpan{200};
  static constexpr std::size_t kDepth = 8;
  using Way = uint64_t (*)(Engine&, Engine::Keys);

  static uint64_t serially(Engine& engine, Engine::Keys keys) {
    engine.release(engine.acquire(keys));
    return 1;
  }

  // Eight are on their way all the time: one is sent for each that came back.
  static uint64_t eight_deep(Engine& engine, Engine::Keys keys) {
    struct InFlight {
      std::vector<lmcd_grant_t> grants = std::vector<lmcd_grant_t>(kFewKeys);
      uint64_t lease = 0;
      lmcd_op_t* op = nullptr;
    };
    constexpr uint64_t kRequests = 256;
    std::vector<InFlight> slots(kDepth);
    const lmcd_acquire_t request = engine.acquire_request(keys);
    for (uint64_t i = 0; i < kRequests + kDepth; ++i) {
      InFlight& slot = slots[i % kDepth];
      if (i >= kDepth) {
        check("acquire", lmcd_op_wait, slot.op, 5000u);
        lmcd_op_close(slot.op);
        engine.release(slot.lease);
      }
      if (i < kRequests)
        check("acquire", lmcd_acquire_begin, engine.session(), &request, slot.grants.data(),
              &slot.lease, &slot.op);
    }
    return kRequests;
  }

  // All clients connect, wait for each other, and then count what they get done in one span.
  double rate_of(int clients, Way way) const {
    const auto begin = Clock::now() + std::chrono::milliseconds(100);
    int results[2];
    if (pipe(results) != 0) give_up("pipe", "failed");
    for (int i = 0; i < clients; ++i)
      if (fork() == 0) {
        const uint64_t done = count(begin, way);
        std::_Exit(write(results[1], &done, sizeof done) == sizeof done ? 0 : 1);
      }
    uint64_t sum = 0;
    for (int i = 0; i < clients; ++i) {
      uint64_t done = 0;
      int status = 0;
      if (wait(&status) < 0 || status != 0) give_up("client", "failed");
      if (read(results[0], &done, sizeof done) != sizeof done) give_up("client", "said nothing");
      sum += done;
    }
    close(results[0]);
    close(results[1]);
    return static_cast<double>(sum) / std::chrono::duration<double>(kSpan).count();
  }

  uint64_t count(Clock::time_point begin, Way way) const {
    Engine engine(socket_);
    way(engine, keys_);
    std::this_thread::sleep_until(begin);
    uint64_t done = 0;
    while (Clock::now() < begin + kSpan) done += way(engine, keys_);
    return done;
  }

  std::mt19937_64 random_{2};
  std::string socket_;
  std::vector<lmcd_key_t> keys_;
};

// CPU time that all threads of a process have had.
uint64_t cpu_ns(pid_t pid) {
  uint64_t sum = 0;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  for (const auto& task : std::filesystem::directory_iterator(tasks)) {
    uint64_t ran = 0;
    std::ifstream(task.path() / "schedstat") >> ran;
    sum += ran;
  }
  return sum;
}

// With a session that asks for nothing. Clock ticks of 10 ms would be too coarse for the bound.
void report_idle(Report& report, const e2e::DaemonProcess& daemon) {
  Engine engine(daemon.socket());
  constexpr std::chrono::seconds kSpan{5};
  std::this_thread::sleep_for(std::chrono::seconds(1));
  const uint64_t before = cpu_ns(daemon.pid());
  std::this_thread::sleep_for(kSpan);
  const double busy = static_cast<double>(cpu_ns(daemon.pid()) - before) /
                      std::chrono::nanoseconds(kSpan).count();
  report.add({"idle daemon with one session", busy * 100, "% CPU", {}, at_most(0.1)});
}

}  // namespace
}  // namespace lmcd::bench

int main(int argc, char** argv) {
  using namespace lmcd::bench;
  lmcd::e2e::DaemonProcess daemon({"--l1-size-gb", "1", "--l1-use-lazy=false", "--max-objects",
                                   "262144"});
  if (!daemon.start()) give_up("lmcd-daemon", daemon.log().c_str());
  Report report;
  RoundTrips(daemon).run(report);
  Rates(daemon).run(report);
  report_idle(report, daemon);
  return finish(report, argc, argv);
}
