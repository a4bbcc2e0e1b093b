// The raw_block tier against a bare io_uring loop around the page cache: records of 4 MiB, four in
// flight, the same memory, files of the same file system, by turns; and how long it takes to open a
// log of a million records of 4 KiB by its summaries.
//
// Usage: raw_block_bench [--json FILE]    in the temporary directory, which must be on a disk
#include <fcntl.h>
#include <liburing.h>
#include <unistd.h>

#include <chrono>
#include <cstring>

#include "bench/report.h"
#include "bench/rounds.h"
#include "daemon/tier/raw_block/aligned.h"
#include "daemon/tier/raw_block/log_file.h"
#include "daemon/tier/registry.h"
#include "lib/base/crc32c.h"
#include "tests/scratch_directory.h"

namespace lmcd::bench {
namespace {

constexpr uint64_t kObjectBytes = 4 * kMiB;
constexpr uint64_t kObjects = 32;  // a round
constexpr unsigned kDepth = 4;
constexpr int kRounds = 9;
constexpr double kCapacityGb = 2;
constexpr uint64_t kRecoveredRecords = 1'000'000;

void require(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "raw_block_bench: %s\n", std::string(status.text()).c_str());
  std::exit(1);
}

class BareLoop {
 public:
  explicit BareLoop(const std::string& path)
      : file_(::open(path.c_str(), O_CREAT | O_RDWR | O_DIRECT | O_CLOEXEC, 0600)) {
    if (!file_.valid() || posix_fallocate(file_.get(), 0, kSpan) != 0 ||
        io_uring_queue_init(2 * kDepth, &ring_, 0) != 0)
      require(fault(LMCD_E_IO, "cannot set up the bare loop"));
  }
  ~BareLoop() { io_uring_queue_exit(&ring_); }

  enum class Way { kRead, kWrite };
  // Reads what was written last: extents that never were are zeros, not reads.
  void move(Way way, std::byte* memory) {
    if (way == Way::kWrite) ++turn_;
    uint64_t begun = 0, ended = 0;
    while (ended < kObjects) {
      for (; begun < kObjects && begun - ended < kDepth; ++begun) {
        io_uring_sqe* entry = io_uring_get_sqe(&ring_);
        const uint64_t offset = (turn_ * kObjects + begun) * kObjectBytes % kSpan;
        std::byte* at = memory + begun * kObjectBytes;
        if (way == Way::kRead)
          io_uring_prep_read(entry, file_.get(), at, kObjectBytes, offset);
        else
          io_uring_prep_write(entry, file_.get(), at, kObjectBytes, offset);
      }
      io_uring_submit_and_wait(&ring_, 1);
      io_uring_cqe* end = nullptr;
      while (io_uring_peek_cqe(&ring_, &end) == 0) {
        if (end->res != static_cast<int>(kObjectBytes))
          require(fault(LMCD_E_IO, "the bare loop moved %d bytes", end->res));
        io_uring_cqe_seen(&ring_, end);
        ++ended;
      }
    }
  }

 private:
  static constexpr uint64_t kSpan = 2 * kGiB;
  FileDescriptor file_;
  io_uring ring_{};
  uint64_t turn_ = 0;
};

class TierLoop {
 public:
  explicit TierLoop(const std::string& path)
      : loop_(std::move(Loop::make(clock_).value())),
        pool_(std::move(ThreadWorkerPool::make(*loop_, {}).value())) {
    Result<std::unique_ptr<tier::Tier>> opened = tier::open_tier(
        {"raw_block", {{"path", path}, {"capacity_gb", kCapacityGb}}}, *loop_, *pool_);
    require(opened.ok() ? Status() : opened.status());
    tier_ = std::move(opened.value());
  }

  void put(std::byte* memory) {
    move([&](uint64_t number, tier::Tier::Done done) {
      lmcd_tier_record_t record{};
      record.length = kObjectBytes;
      record.key = key_of(written_ + number);
      return tier_->put(record, tier::Tier::Checksum::kUnknown,
                        {memory + number * kObjectBytes, kObjectBytes}, 0, std::move(done));
    });
    written_ += kObjects;
  }
  // The records of the last put.
  void get(std::byte* memory) {
    move([&](uint64_t number, tier::Tier::Done done) {
      return tier_->get({key_of(written_ - kObjects + number), {}},
                        {memory + number * kObjectBytes, kObjectBytes}, 0, std::move(done));
    });
  }

 private:
  static lmcd_key_t key_of(uint64_t number) {
    lmcd_key_t key{};
    std::memcpy(key.bytes, &number, sizeof number);
    return key;
  }
  template <typename Begin>
  void move(Begin begin) {
    uint64_t begun = 0, ended = 0;
    while (ended < kObjects) {
      for (; begun < kObjects && begun - ended < kDepth; ++begun)
        require(begin(begun, [&](const tier::Tier::Completion& end) {
          if (end.code != LMCD_OK || (end.outcome != LMCD_STORED && end.outcome != LMCD_LOADED))
            require(fault(LMCD_E_IO, "an operation ended with %d, %u", end.code, end.outcome));
          ++ended;
        }));
      require(loop_->turn(Loop::Wait::kUntilDue));
    }
  }

  MonotonicClock clock_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<ThreadWorkerPool> pool_;
  std::unique_ptr<tier::Tier> tier_;
  uint64_t written_ = 0;
};

void measure_moves(const std::string& directory, Report& report) {
  tier::AlignedMemory memory = tier::allocate_aligned(kObjects * kObjectBytes);
  for (uint64_t at = 0; at < kObjects * kObjectBytes; at += 8)
    std::memcpy(memory.get() + at, &at, sizeof at);
  BareLoop bare(directory + "/bare");
  TierLoop tier(directory + "/log");
  volatile uint32_t crc = 0;
  std::vector<Arm> arms;
  arms.emplace_back("write, bare loop",
                    [&](std::size_t) { bare.move(BareLoop::Way::kWrite, memory.get()); });
  arms.emplace_back("write, raw_block", [&](std::size_t) { tier.put(memory.get()); });
  arms.emplace_back("checksum alone",
                    [&](std::size_t) { crc = crc32c(memory.get(), kObjects * kObjectBytes); });
  run_rounds(arms, kRounds);
  const double bytes = static_cast<double>(kObjects * kObjectBytes);
  auto row = [&](const Arm& arm, const Arm* other) {
    Row made{arm.name(), bytes / arm.seconds() / 1e6, "MB/s"};
    if (other) {
      made.ratio = other->seconds() / arm.seconds();
      made.bound = at_least(0.85);
    }
    report.add(made);
  };
  row(arms[0], nullptr);
  row(arms[1], &arms[0]);
  row(arms[2], nullptr);
  std::vector<Arm> reads;
  reads.emplace_back("read, bare loop",
                     [&](std::size_t) { bare.move(BareLoop::Way::kRead, memory.get()); });
  reads.emplace_back("read, raw_block", [&](std::size_t) { tier.get(memory.get()); });
  run_rounds(reads, kRounds);
  row(reads[0], nullptr);
  row(reads[1], &reads[0]);
}

// Fills a log by its summaries alone, which is all that opening it reads.
void fill_by_summaries(const std::string& path, uint64_t capacity_bytes) {
  Result<std::unique_ptr<tier::LogFile>> opened = tier::LogFile::open(path, capacity_bytes);
  require(opened.ok() ? Status() : opened.status());
  tier::LogFile& log = *opened.value();
  uint64_t made = 0;
  for (uint64_t segment = 0; made < kRecoveredRecords; ++segment) {
    std::vector<tier::Entry> entries;
    for (uint64_t at = 0; made < kRecoveredRecords; at += tier::log_bytes(4096), ++made) {
      if (at + tier::log_bytes(4096) > log.data_bytes()) break;
      tier::Entry entry{};
      std::memcpy(entry.record.key.bytes, &made, sizeof made);
      entry.record.length = 4096;
      entry.offset = log.offset_of(segment) + at;
      entry.kind = tier::Kind::kRecord;
      entries.push_back(entry);
    }
    require(log.seal(segment, segment + 1, entries));
  }
}

void measure_recovery(const std::string& directory, Report& report) {
  const std::string path = directory + "/million";
  const double capacity_gb = 9;
  fill_by_summaries(path, static_cast<uint64_t>(capacity_gb * static_cast<double>(kGiB)));
  MonotonicClock clock;
  std::unique_ptr<Loop> loop = std::move(Loop::make(clock).value());
  std::unique_ptr<ThreadWorkerPool> pool = std::move(ThreadWorkerPool::make(*loop, {}).value());
  const auto begin = std::chrono::steady_clock::now();
  Result<std::unique_ptr<tier::Tier>> opened =
      tier::open_tier({"raw_block", {{"path", path}, {"capacity_gb", capacity_gb}}}, *loop, *pool);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  require(opened.ok() ? Status() : opened.status());
  if (opened.value()->usage().records != kRecoveredRecords)
    require(fault(LMCD_E_CORRUPT, "not all records were found"));
  report.add({"open a log of a million records", took.count(), "s", {}, at_most(5)});
}

}  // namespace
}  // namespace lmcd::bench

int main(int argc, char** argv) {
  lmcd::ScratchDirectory scratch;
  lmcd::bench::Report report;
  lmcd::bench::measure_moves(scratch.path(), report);
  lmcd::bench::measure_recovery(scratch.path(), report);
  return lmcd::bench::finish(report, argc, argv);
}
