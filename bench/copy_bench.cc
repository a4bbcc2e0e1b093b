// Gather and scatter against the best contiguous copy between the same memories.
//
// Extents are shared memory, the engine's is anonymous, both populated and larger than any cache;
// block ids are random. The limit is whichever contiguous copy (contiguous_copy.h) came out
// fastest; with two threads each copies a fixed half.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>

#include "bench/contiguous_copy.h"
#include "bench/report.h"
#include "bench/rounds.h"
#include "lib/base/bytes.h"
#include "lib/copy/transfer.h"

namespace lmcd::bench {
namespace {

using copy::Crew;
using copy::Item;
using copy::Layout;
using copy::Memory;
using copy::Page;

constexpr std::size_t kExtentBytes = 32 * kMiB;
constexpr std::size_t kExtents = 8;
constexpr std::size_t kMemoryBytes = kExtents * kExtentBytes;
constexpr std::size_t kPageBytes = 4096;
constexpr int kRounds = 60;

enum class Direction { kGather, kScatter };

struct Shape {
  const char* name;
  uint32_t run_bytes;
  std::optional<double> share_of_limit;  // to reach
  uint32_t past_page = 0;                // where the engine's memory begins, from a page's start
};

constexpr Shape kShapes[] = {
    {"4 KiB", 4 * kKiB, {}},
    {"16 KiB", 16 * kKiB, {}},
    {"18 KiB", 18 * kKiB, {}},
    {"32 KiB", 32 * kKiB, 0.90},
    {"33001 bytes", 33001, {}},
    {"128 KiB", 128 * kKiB, 0.94},
    {"512 KiB", 512 * kKiB, 0.94},
    {"2 MiB", 2 * kMiB, 0.94},
    // As malloc gives it to an array, and just before a page.
    {"32 KiB, 16 past a page", 32 * kKiB, {}, 16},
    {"32 KiB, 64 short of a page", 32 * kKiB, {}, 4096 - 64},
};

// The second thread of the limit: parked until asked, as those of a crew are.
class Partner {
 public:
  Partner() : thread_([this] { wait_for_work(); }) {}
  ~Partner() {
    stopping_ = true;
    asked_.fetch_add(1);
    asked_.notify_one();
    thread_.join();
  }

  // Runs work(0) here and work(1) there.
  void both(const std::function<void(std::size_t half)>& work) {
    work_ = &work;
    uint32_t number = asked_.fetch_add(1) + 1;
    asked_.notify_one();
    work(0);
    for (uint32_t done; (done = done_.load()) != number;) done_.wait(done);
  }

 private:
  void wait_for_work() {
    for (uint32_t number = 0;; done_ = ++number, done_.notify_one()) {
      asked_.wait(number);
      if (stopping_) return;
      (*work_)(1);
    }
  }

  std::atomic<uint32_t> asked_{0};
  std::atomic<uint32_t> done_{0};
  std::atomic<bool> stopping_{false};
  const std::function<void(std::size_t)>* work_ = nullptr;
  std::thread thread_;
};

[[noreturn]] void give_up(const char* what) {
  std::perror(what);
  std::exit(2);
}

std::byte* map_populated(int flags, int descriptor) {
  void* address =
      mmap(nullptr, kMemoryBytes + kPageBytes, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  if (address == MAP_FAILED) give_up("mmap");
  std::memset(address, 1, kMemoryBytes + kPageBytes);
  return static_cast<std::byte*>(address);
}

std::byte* map_shared() {
  int descriptor = memfd_create("copy_bench", MFD_CLOEXEC);
  if (descriptor < 0 || ftruncate(descriptor, kMemoryBytes + kPageBytes) != 0) give_up("memfd");
  std::byte* address = map_populated(MAP_SHARED, descriptor);
  close(descriptor);
  return address;
}

// An engine all of whose runs have one size, spread over up to 32 pages that fill its memory; the
// blocks of the extents are a random permutation of all.
class Engine {
 public:
  Engine(std::byte* memory, uint32_t run_bytes) {
    std::size_t runs = kExtentBytes / run_bytes;
    std::size_t page_count = std::min<std::size_t>(32, std::max<std::size_t>(1, runs / 4));
    blocks_per_extent_ = runs / page_count;
    extent_bytes_ = blocks_per_extent_ * page_count * run_bytes;
    auto block_count = static_cast<uint32_t>(blocks_per_extent_ * kExtents);
    std::vector<Page> pages;
    for (std::size_t i = 0; i < page_count; ++i)
      pages.push_back(
          {i * block_count * run_bytes, run_bytes, run_bytes, run_bytes, 1, block_count, 0});
    Memory all{reinterpret_cast<uintptr_t>(memory), kMemoryBytes};
    layout_ = std::make_unique<Layout>(std::move(Layout::make(pages, all).value()));
    block_ids_.resize(block_count);
    std::iota(block_ids_.begin(), block_ids_.end(), 0);
    std::shuffle(block_ids_.begin(), block_ids_.end(), std::mt19937_64(run_bytes));
  }

  const Layout& layout() const { return *layout_; }
  std::size_t extent_bytes() const { return extent_bytes_; }
  std::span<const uint32_t> block_ids(std::size_t extent) const {
    return std::span(block_ids_).subspan(extent * blocks_per_extent_, blocks_per_extent_);
  }

 private:
  std::size_t blocks_per_extent_;
  std::size_t extent_bytes_;
  std::unique_ptr<Layout> layout_;
  std::vector<uint32_t> block_ids_;
};

// All arms of one direction.
class Comparison {
 public:
  Comparison(Direction direction, std::byte* shared, std::byte* engine, Crew& crew,
             Partner& partner)
      : direction_(direction), shared_(shared), crew_(crew), partner_(partner) {
    to_ = direction == Direction::kGather ? shared : engine;
    from_ = direction == Direction::kGather ? engine : shared;
    arms_.emplace_back(
        "memcpy", [this](std::size_t turn) { std::memcpy(to(turn), from(turn), kExtentBytes); });
    for (const ContiguousCopy& way : contiguous_copies()) add_contiguous(way);
    first_transfer_ = arms_.size();
    for (const Shape& shape : kShapes) {
      engines_.push_back(std::make_unique<Engine>(engine + shape.past_page, shape.run_bytes));
      for (bool checksum : {false, true})
        for (uint32_t threads : {1u, 2u}) add_transfer(*engines_.back(), threads, checksum);
    }
  }

  void run(Report& report) {
    run_rounds(arms_, kRounds);
    prefix_ = direction_ == Direction::kGather ? "gather, " : "scatter, ";
    memcpy_rate_ = kExtentBytes / arms_[0].seconds() / 1e9;
    report_limit(report);
    for (std::size_t i = 0; i < engines_.size(); ++i) report_shape(report, i);
  }

 private:
  // Source and destination turn through the memories out of step.
  std::byte* to(std::size_t turn) const { return to_ + turn % kExtents * kExtentBytes; }
  const std::byte* from(std::size_t turn) const {
    return from_ + (turn * 3 + 1) % kExtents * kExtentBytes;
  }

  void add_contiguous(const ContiguousCopy& way) {
    arms_.emplace_back(
        way.name, [this, way](std::size_t turn) { way.copy(to(turn), from(turn), kExtentBytes); });
    arms_.emplace_back(way.name, [this, way](std::size_t turn) {
      partner_.both([&](std::size_t half) {
        std::size_t offset = half * kExtentBytes / 2;
        way.copy(to(turn) + offset, from(turn) + offset, kExtentBytes / 2);
      });
    });
  }

  void add_transfer(const Engine& engine, uint32_t threads, bool checksum) {
    arms_.emplace_back("", [=, this, &engine](std::size_t turn) {
      std::size_t extent = turn % kExtents;
      Item item{shared_ + extent * kExtentBytes, engine.extent_bytes(), engine.block_ids(extent)};
      if (checksum) item.expected_crc = 0;
      copy::Transfer transfer{engine.layout(), {&item, 1}, threads};
      uint32_t crc;
      uint8_t intact;
      Status status = direction_ == Direction::kGather
                          ? copy::gather(transfer, crew_, {&crc, checksum ? 1u : 0u})
                          : copy::scatter(transfer, crew_, {&intact, 1});
      if (!status.ok()) give_up(std::string(status.text()).c_str());
    });
  }

  void report_limit(Report& report) {
    for (std::size_t i = 1; i < first_transfer_; i += 2) {
      double one = kExtentBytes / arms_[i].seconds() / 1e9;
      double two = kExtentBytes / arms_[i + 1].seconds() / 1e9;
      report.add({prefix_ + "contiguous " + arms_[i].name(), one, "GB/s"});
      limit_rate_ = std::max(limit_rate_, one);
      limit_rate_of_two_ = std::max(limit_rate_of_two_, two);
    }
    report.add({prefix_ + "limit", limit_rate_, "GB/s"});
    report.add({prefix_ + "limit, 2 threads: gain", limit_rate_of_two_, "GB/s",
                limit_rate_of_two_ / limit_rate_});
    report.add(
        {prefix_ + "memcpy: of the limit", memcpy_rate_, "GB/s", memcpy_rate_ / limit_rate_});
  }

  void report_shape(Report& report, std::size_t index) {
    const Shape& shape = kShapes[index];
    auto rate = [&](std::size_t arm) {
      auto bytes = static_cast<double>(engines_[index]->extent_bytes());
      return bytes / arms_[first_transfer_ + 4 * index + arm].seconds() / 1e9;
    };
    auto bound = [&](double limit) {
      return shape.share_of_limit ? std::optional(at_least(limit)) : std::nullopt;
    };
    double one = rate(0), two = rate(1), one_checked = rate(2), two_checked = rate(3);
    std::string name = prefix_ + shape.name;
    report.add({name + ": of the limit", one, "GB/s", one / limit_rate_,
                bound(shape.share_of_limit.value_or(0))});
    report.add({name + ": of memcpy", one, "GB/s", one / memcpy_rate_, bound(1.6)});
    report.add({name + ", 2 threads: gain, of the limit's", two, "GB/s",
                (two / one) / (limit_rate_of_two_ / limit_rate_), bound(0.95)});
    report.add({name + ", crc: of the limit", one_checked, "GB/s", one_checked / limit_rate_});
    report.add({name + ", crc, 2 threads: of the limit", two_checked, "GB/s",
                two_checked / limit_rate_of_two_});
  }

  Direction direction_;
  std::byte* shared_;
  std::byte* to_;
  const std::byte* from_;
  Crew& crew_;
  Partner& partner_;
  std::vector<Arm> arms_;  // memcpy; each contiguous copy by one and by two; four of each engine
  std::size_t first_transfer_;
  std::vector<std::unique_ptr<Engine>> engines_;
  std::string prefix_;
  double memcpy_rate_ = 0;
  double limit_rate_ = 0;
  double limit_rate_of_two_ = 0;
};

}  // namespace
}  // namespace lmcd::bench

int main(int argc, char** argv) {
  using namespace lmcd::bench;
  std::byte* shared = map_shared();
  std::byte* engine = map_populated(MAP_PRIVATE | MAP_ANONYMOUS, -1);
  auto crew = std::move(lmcd::copy::Crew::start(1).value());
  Partner partner;
  Report report;
  for (Direction direction : {Direction::kGather, Direction::kScatter})
    Comparison(direction, shared, engine, *crew, partner).run(report);
  return finish(report, argc, argv);
}
