// What first touch costs those who copy: into and out of an arena that is populated already, while
// it is being populated, and where it is not yet.
//
// An object is 32 MiB, copied by lmcd_gather and lmcd_scatter between the arena and blocks of
// 128 KiB, one thread. Five measurements, each five times with a new process or a new daemon;
// a figure is the median of the ratios, and both sides of a ratio come from the same process:
//
//   first copy, ranges populated    the first pass of a new client over 8 objects after
//                                   lmcd_populate_wait, beside the median of its later passes
//   first copy, at once             the same with nothing asked for before
//   copy while populating           passes while the daemon populates, beside those after it
//   store, populated                objects stored where the daemon has populated and nobody has
//                                   written, beside the same extents stored again
//   store, beyond the frontier      flat out from a daemon that begins with nothing populated,
//                                   beside one thread populating shared memory of that size
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <functional>
#include <thread>

#include "bench/engine.h"
#include "bench/placement.h"
#include "bench/report.h"
#include "daemon/memory/frontier.h"
#include "tests/e2e/daemon_process.h"

namespace lmcd::bench {
namespace {

using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

constexpr uint64_t kObjectBytes = 32 << 20;
constexpr uint32_t kBlockBytes = 128 << 10;
constexpr uint32_t kBlocks = kObjectBytes / kBlockBytes;
constexpr std::size_t kObjects = 8;
constexpr std::size_t kManyObjects = 32;
constexpr int kTimes = 5;
constexpr int kLaterPasses = 7;

double rate_of(std::size_t objects, double seconds) {
  return static_cast<double>(objects * kObjectBytes) / seconds / 1e9;
}

// An engine with one page of blocks, all touched, for as many objects as no cache holds; one object
// after the other takes the next.
class Copier {
 public:
  explicit Copier(const std::string& socket) : engine_(socket) {
    std::memset(blocks_, 1, kObjects * kObjectBytes);
    for (uint32_t i = 0; i < kObjects * kBlocks; ++i) block_ids_.push_back(i);
    page_.base = reinterpret_cast<uintptr_t>(blocks_);
    page_.block_stride = kBlockBytes;
    page_.run_bytes = kBlockBytes;
    page_.run_count = 1;
    page_.block_count = kObjects * kBlocks;
  }

  Copier(const Copier&) = delete;
  Copier& operator=(const Copier&) = delete;
  ~Copier() { std::free(blocks_); }

  Engine& engine() { return engine_; }

  void gather(const lmcd_grant_t& grant) {
    const lmcd_paged_copy_t copy = copy_of(grant);
    check("gather", lmcd_gather, engine_.mapping(), &copy, static_cast<uint32_t*>(nullptr));
  }
  void scatter(const lmcd_grant_t& grant) {
    const lmcd_paged_copy_t copy = copy_of(grant);
    uint8_t valid = 0;
    check("scatter", lmcd_scatter, engine_.mapping(), &copy, &valid);
    if (valid != 1) give_up("scatter", "the lease was lost");
  }
  double store(Engine::Keys keys) {
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const uint64_t lease = engine_.reserve(keys.subspan(i, 1), kObjectBytes);
      gather(engine_.grants()[0]);
      engine_.commit(lease);
    }
    return Seconds(Clock::now() - begin).count();
  }

 private:
  lmcd_paged_copy_t copy_of(const lmcd_grant_t& grant) {
    lmcd_paged_copy_t copy{};
    copy.struct_size = sizeof copy;
    copy.page_count = 1;
    copy.pages = &page_;
    copy.grants = &grant;
    copy.block_ids = block_ids_.data() + turn_++ % kObjects * kBlocks;
    copy.count = 1;
    copy.blocks_per_item = kBlocks;
    return copy;
  }

  Engine engine_;
  // Aligned as tensors are.
  void* const blocks_ = std::aligned_alloc(4096, kObjects * kObjectBytes);
  std::size_t turn_ = 0;
  std::vector<uint32_t> block_ids_;
  lmcd_page_t page_{};
};

// Runs `measure` in a new process. Returns the numbers that it returns.
using Numbers = std::array<double, 3>;
Numbers in_new_process(const std::function<Numbers()>& measure) {
  int ends[2];
  if (pipe(ends) != 0) give_up("pipe", "failed");
  const pid_t child = fork();
  if (child == 0) {
    const Numbers numbers = measure();
    std::_Exit(write(ends[1], &numbers, sizeof numbers) == sizeof numbers ? 0 : 1);
  }
  Numbers numbers{};
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0 ||
      read(ends[0], &numbers, sizeof numbers) != sizeof numbers)
    give_up("client", "failed");
  close(ends[0]);
  close(ends[1]);
  return numbers;
}

// Medians of what several runs gave.
Numbers several(const std::function<Numbers()>& run) {
  std::array<std::vector<double>, 3> all;
  for (int i = 0; i < kTimes; ++i) {
    const Numbers numbers = run();
    for (std::size_t n = 0; n < numbers.size(); ++n) all[n].push_back(numbers[n]);
  }
  return {median(all[0]), median(all[1]), median(all[2])};
}

uint64_t populated_bytes(const e2e::DaemonProcess& daemon) {
  for (const auto& entry : std::filesystem::directory_iterator(daemon.directory() + "/state")) {
    const std::string arena = "/dev/shm/lmcd_" + entry.path().filename().string() + "_arena";
    struct stat status;
    if (stat(arena.c_str(), &status) == 0) return static_cast<uint64_t>(status.st_blocks) * 512;
  }
  give_up("arena", "not found in /dev/shm");
}

void wait_for_populated(const e2e::DaemonProcess& daemon, uint64_t bytes) {
  while (populated_bytes(daemon) < bytes) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

std::unique_ptr<e2e::DaemonProcess> start_daemon(const char* gib, const char* initial_gib) {
  auto daemon = std::make_unique<e2e::DaemonProcess>(
      std::vector<std::string>{"--l1-size-gb", gib, "--l1-init-size-gb", initial_gib});
  if (!daemon->start()) give_up("lmcd-daemon", daemon->log().c_str());
  return daemon;
}

enum class Direction { kGather, kScatter };
enum class Populated { kBefore, kNot };

// First pass over later ones; the later ones' rate; CPU ms of populating.
Numbers first_copy(const std::string& socket, Engine::Keys stored, Direction direction,
                   Populated populated) {
  Copier copier(socket);
  Engine& engine = copier.engine();
  std::mt19937_64 random(std::random_device{}());
  if (direction == Direction::kGather)
    engine.reserve(new_keys(kObjects, random), kObjectBytes);
  else
    engine.acquire(stored);
  uint64_t cpu_ns = 0;
  if (populated == Populated::kBefore) {
    check("populate", lmcd_populate, engine.mapping(), engine.grants().data(),
          static_cast<uint32_t>(kObjects));
    check("populate", lmcd_populate_wait, engine.mapping(), 60'000u, &cpu_ns);
  }
  auto pass = [&] {
    for (const lmcd_grant_t& grant : engine.grants())
      direction == Direction::kGather ? copier.gather(grant) : copier.scatter(grant);
  };
  const double first = time_calls(1, std::chrono::microseconds(0), pass)[0];
  const double later = median(time_calls(kLaterPasses, std::chrono::microseconds(0), pass));
  return {first / later, rate_of(kObjects, later / 1e6), static_cast<double>(cpu_ns) / 1e6};
}

void report_first_copies(Report& report) {
  auto daemon = start_daemon("1", "1");
  std::mt19937_64 random(1);
  const std::vector<lmcd_key_t> stored = new_keys(kObjects, random);
  wait_for_populated(*daemon, 1 << 30);
  in_new_process([&] {
    Copier copier(daemon->socket());
    copier.store(stored);
    copier.engine().settle();
    return Numbers{};
  });
  for (Direction direction : {Direction::kGather, Direction::kScatter})
    for (Populated populated : {Populated::kBefore, Populated::kNot}) {
      const Numbers found = several([&] {
        return in_new_process([&] {
          return first_copy(daemon->socket(), stored, direction, populated);
        });
      });
      std::string name = direction == Direction::kGather ? "first copy in" : "first copy out";
      const bool before = populated == Populated::kBefore;
      report.add({name + (before ? ", populated: of steady" : ", at once: of steady"), found[1],
                  "GB/s", found[0], at_most(before ? 1.15 : 1.8)});
      if (before) report.add({name + ": CPU time of populating 256 MiB", found[2], "ms"});
    }
}

// Rate while populating over the rate after it; the latter.
Numbers copy_while_populating() {
  auto daemon = start_daemon("4", "4");
  wait_for_populated(*daemon, 512 << 20);
  return in_new_process([&] {
    Copier copier(daemon->socket());
    Engine& engine = copier.engine();
    std::mt19937_64 random(1);
    engine.reserve(new_keys(kObjects, random), kObjectBytes);
    std::size_t turn = 0;
    auto copy = [&] { copier.gather(engine.grants()[turn++ % kObjects]); };
    time_calls(kObjects, std::chrono::microseconds(0), copy);
    std::vector<double> during;
    while (populated_bytes(*daemon) < (uint64_t{4} << 30) - (64 << 20))
      during.push_back(time_calls(1, std::chrono::microseconds(0), copy)[0]);
    if (during.size() < 5) give_up("copy while populating", "it was over too soon");
    wait_for_populated(*daemon, uint64_t{4} << 30);
    const double after = median(time_calls(40, std::chrono::microseconds(0), copy));
    return Numbers{after / median(during), rate_of(1, after / 1e6), 0};
  });
}

// Rate of stores into populated extents over that into the same again; the latter.
Numbers store_into_populated() {
  auto daemon = start_daemon("1", "1");
  wait_for_populated(*daemon, 1 << 30);
  return in_new_process([&] {
    Copier copier(daemon->socket());
    Engine& engine = copier.engine();
    check("populate", lmcd_populate, engine.mapping(), static_cast<lmcd_grant_t*>(nullptr), 0u);
    check("populate", lmcd_populate_wait, engine.mapping(), 60'000u,
          static_cast<uint64_t*>(nullptr));
    std::mt19937_64 random(1);
    const double first = copier.store(new_keys(kManyObjects, random));
    std::vector<double> again;
    for (int pass = 0; pass < kTimes; ++pass) {
      engine.clear();
      again.push_back(copier.store(new_keys(kManyObjects, random)));
    }
    return Numbers{median(again) / first, rate_of(kManyObjects, median(again)), 0};
  });
}

// What one thread takes to populate as much new shared memory as the daemon's does.
double seconds_to_populate() {
  const std::size_t bytes = kManyObjects * kObjectBytes;
  const int descriptor = memfd_create("populate_bench", MFD_CLOEXEC);
  if (descriptor < 0 || ftruncate(descriptor, static_cast<off_t>(bytes)) != 0)
    give_up("memfd", "failed");
  void* address = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) give_up("mmap", "failed");
  const auto begin = Clock::now();
  for (std::size_t at = 0; at < bytes; at += 4 << 20)
    if (memory::populate(static_cast<std::byte*>(address) + at, 4 << 20) != 0)
      give_up("populate", "failed");
  const double took = Seconds(Clock::now() - begin).count();
  munmap(address, bytes);
  close(descriptor);
  return took;
}

// Rate of stores beyond the frontier over the rate of populating; both rates.
Numbers store_beyond_frontier() {
  const double populating = seconds_to_populate();
  auto daemon = start_daemon("2", "0");
  return in_new_process([&] {
    Copier copier(daemon->socket());
    std::mt19937_64 random(1);
    const double took = copier.store(new_keys(kManyObjects, random));
    return Numbers{populating / took, rate_of(kManyObjects, took),
                   rate_of(kManyObjects, populating)};
  });
}

}  // namespace
}  // namespace lmcd::bench

int main(int argc, char** argv) {
  using namespace lmcd::bench;
  Report report;
  report_first_copies(report);
  const Numbers during = several(copy_while_populating);
  report.add({"copy while the daemon populates: of after", during[1], "GB/s", during[0],
              at_least(0.9)});
  const Numbers stored = several(store_into_populated);
  report.add({"store into populated: of steady", stored[1], "GB/s", stored[0], at_least(0.95)});
  const Numbers beyond = several(store_beyond_frontier);
  report.add({"one thread populating shared memory", beyond[2], "GB/s"});
  report.add({"store beyond the frontier: of populating", beyond[1], "GB/s", beyond[0],
              at_least(0.9)});
  return finish(report, argc, argv);
}
