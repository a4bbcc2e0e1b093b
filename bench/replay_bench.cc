// Replays requests on the real store and reports each eviction policy's hit rate by size, beside
// the optimum.
//
//   replay_bench [--trace FILE] [--seed N] [--json FILE]
//
// Always runs made-up conversations (bench/conversations.h), and the requests of FILE as well
// (bench/request_trace.h) where one is given. The hit rate is that of prefixes: of all blocks
// asked for, those in the leading run that was hot. Sizes are in blocks of 512 tokens. Nothing
// here depends on the machine or on time: the same arguments give the same figures.
//
// Bounds: the default policy has the best mean over the sizes, and is nowhere more than 2.5
// points below LRU.
#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/conversations.h"
#include "bench/optimum.h"
#include "bench/replay_store.h"
#include "bench/report.h"
#include "bench/request_trace.h"
#include "daemon/policy/registry.h"

namespace lmcd::bench {
namespace {

constexpr std::array<uint32_t, 4> kSizes = {4096, 8192, 16384, 32768};
constexpr double kPointsBelowLru = 2.5;

struct Arguments {
  std::optional<std::string> trace;
  std::optional<std::string> json;
  uint64_t seed = kDefaultSeed;
};

// Requests to replay, and what they are called.
struct Work {
  std::string name;
  Trace trace;
};

// The hit rates of one policy, in per cent.
struct Rates {
  std::string policy;
  std::array<double, kSizes.size()> by_size;

  double mean() const {
    double sum = 0;
    for (double rate : by_size) sum += rate;
    return sum / static_cast<double>(by_size.size());
  }
};

Result<Arguments> parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; i += 2) {
    std::string_view name = argv[i];
    if (i + 1 == argc) return fault(LMCD_E_INVALID, "%s needs a value", argv[i]);
    std::string_view value = argv[i + 1];
    if (name == "--trace") {
      arguments.trace = value;
    } else if (name == "--json") {
      arguments.json = value;
    } else if (name == "--seed") {
      auto [end, error] =
          std::from_chars(value.data(), value.data() + value.size(), arguments.seed);
      if (error != std::errc() || end != value.data() + value.size())
        return fault(LMCD_E_INVALID, "--seed %s is not a number from 0 to 2^64 - 1", argv[i + 1]);
    } else {
      return fault(LMCD_E_INVALID, "%s is unknown; valid are --trace FILE, --seed N, --json FILE",
                   argv[i]);
    }
  }
  return arguments;
}

double percent(uint64_t part, uint64_t whole) {
  return 100 * static_cast<double>(part) / static_cast<double>(std::max<uint64_t>(whole, 1));
}

Rates optimum(const Trace& trace) {
  Rates rates{"optimum", {}};
  for (std::size_t i = 0; i < kSizes.size(); ++i)
    rates.by_size[i] = percent(optimum_hits(trace, kSizes[i]), blocks_requested(trace));
  return rates;
}

Result<Rates> replay(std::string_view policy, const Trace& trace) {
  Rates rates{std::string(policy), {}};
  for (std::size_t i = 0; i < kSizes.size(); ++i) {
    LMCD_ASSIGN(auto store, ReplayStore::make(policy, kSizes[i]));
    uint64_t hits = 0;
    for (const Request& request : trace) {
      LMCD_ASSIGN(uint64_t hot, store->serve(request));
      hits += hot;
    }
    rates.by_size[i] = percent(hits, blocks_requested(trace));
  }
  return rates;
}

void print_head(const Work& work) {
  std::printf("%s: %zu requests, %llu blocks, %llu different, in %llu s\n", work.name.c_str(),
              work.trace.size(), static_cast<unsigned long long>(blocks_requested(work.trace)),
              static_cast<unsigned long long>(blocks_distinct(work.trace)),
              static_cast<unsigned long long>(work.trace.back().timestamp_ms / 1000));
  std::printf("  %-12s", "hit rate, %");
  for (uint32_t size : kSizes) std::printf(" %6uk", size / 1024);
  std::printf(" %7s\n", "mean");
}

void print(const Rates& rates) {
  std::printf("  %-12s", rates.policy.c_str());
  for (double rate : rates.by_size) std::printf(" %7.2f", rate);
  std::printf(" %7.2f\n", rates.mean());
}

void record(const Work& work, const Rates& rates, const Rates& best, Report* report) {
  std::string name = "hit rate, " + work.name + ", " + rates.policy + ", ";
  for (std::size_t i = 0; i < kSizes.size(); ++i)
    report->add({name + std::to_string(kSizes[i] / 1024) + "k blocks", rates.by_size[i], "%",
                 rates.by_size[i] / best.by_size[i]});
  report->add({name + "mean", rates.mean(), "%", rates.mean() / best.mean()});
}

// What the default policy must be. Both rows are in points of hit rate.
std::vector<Row> verdicts(const Work& work, const std::vector<Rates>& all) {
  const Rates& chosen = *std::ranges::find(all, policy::kDefaultPolicy, &Rates::policy);
  const Rates& lru = *std::ranges::find(all, "LRU", &Rates::policy);
  double best_other = 0;
  for (const Rates& other : all)
    if (other.policy != chosen.policy) best_other = std::max(best_other, other.mean());
  double worst = 100;
  for (std::size_t i = 0; i < kSizes.size(); ++i)
    worst = std::min(worst, chosen.by_size[i] - lru.by_size[i]);
  std::string name = work.name + ": " + chosen.policy;
  return {{.name = name + ", mean above the next best",
           .value = chosen.mean() - best_other,
           .unit = "points",
           .bound = at_least(0)},
          {.name = name + ", least above LRU at any size",
           .value = worst,
           .unit = "points",
           .bound = at_least(-kPointsBelowLru)}};
}

// Replays one trace under every policy. Adds each figure to `figures`, the bounds to both.
Status run(const Work& work, Report* figures, Report* bounds) {
  print_head(work);
  Rates best = optimum(work.trace);
  std::vector<Rates> all;
  for (std::string_view policy : policy::policy_names()) {
    LMCD_ASSIGN(Rates rates, replay(policy, work.trace));
    print(rates);
    record(work, rates, best, figures);
    all.push_back(rates);
  }
  print(best);
  record(work, best, best, figures);
  std::printf("\n");
  for (const Row& row : verdicts(work, all)) {
    figures->add(row);
    bounds->add(row);
  }
  return {};
}

Status run_all(const Arguments& arguments) {
  std::vector<Work> works;
  if (arguments.trace) {
    LMCD_ASSIGN(Trace trace, read_trace(*arguments.trace));
    works.push_back({"trace", std::move(trace)});
  }
  works.push_back({"conversations", make_conversations({}, arguments.seed)});

  Report figures;
  Report bounds;
  for (const Work& work : works) LMCD_TRY(run(work, &figures, &bounds));
  bounds.print();
  if (arguments.json && !figures.write_json(arguments.json->c_str()))
    return errno_fault(LMCD_E_IO, errno, "write %s", arguments.json->c_str());
  return {};
}

Status run_with(int argc, char** argv) {
  LMCD_ASSIGN(Arguments arguments, parse(argc, argv));
  return run_all(arguments);
}

}  // namespace
}  // namespace lmcd::bench

int main(int argc, char** argv) {
  lmcd::Status status = lmcd::bench::run_with(argc, argv);
  if (status.ok()) return 0;
  std::fprintf(stderr, "replay_bench: %s\n", std::string(status.text()).c_str());
  return 2;
}
