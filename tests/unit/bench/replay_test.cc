// The replay bench measures what it says: its optimum is what trying everything finds, its store
// with room for all misses each block once, its made-up requests are prefixes and the same for the
// same seed, and a malformed trace is named by line and field.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "bench/conversations.h"
#include "bench/optimum.h"
#include "bench/replay_store.h"
#include "bench/request_trace.h"

namespace lmcd::bench {
namespace {

// Requests over a tree of prefixes: block b's parent is (b - 1) / 2, 0 is the root.
Trace tree_trace(uint64_t seed, int requests, uint64_t blocks) {
  std::mt19937_64 dice(seed);
  Trace trace(static_cast<std::size_t>(requests));
  for (Request& request : trace) {
    for (uint64_t block = dice() % blocks;; block = (block - 1) / 2) {
      request.blocks.insert(request.blocks.begin(), block);
      if (block == 0) break;
    }
  }
  return trace;
}

// The most hits of any choice of what to keep after each request, found by trying all.
uint64_t most_hits(const Trace& trace, std::size_t at, const std::set<uint64_t>& kept,
                   std::size_t capacity, std::map<std::set<uint64_t>, uint64_t> (&known)[16]) {
  if (at == trace.size()) return 0;
  if (auto entry = known[at].find(kept); entry != known[at].end()) return entry->second;
  uint64_t hits = 0;
  for (uint64_t block : trace[at].blocks) {
    if (!kept.contains(block)) break;
    ++hits;
  }
  std::set<uint64_t> all = kept;
  all.insert(trace[at].blocks.begin(), trace[at].blocks.end());
  std::vector<uint64_t> choice(all.begin(), all.end());
  uint64_t best = 0;
  for (uint32_t mask = 0; mask < (1u << choice.size()); ++mask) {
    if (static_cast<std::size_t>(__builtin_popcount(mask)) != std::min(capacity, choice.size()))
      continue;
    std::set<uint64_t> next;
    for (std::size_t i = 0; i < choice.size(); ++i)
      if (mask & (1u << i)) next.insert(choice[i]);
    best = std::max(best, most_hits(trace, at + 1, next, capacity, known));
  }
  return known[at][kept] = hits + best;
}

TEST(Optimum, no_choice_of_what_to_keep_does_better) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Trace trace = tree_trace(seed, 8, 9);
    for (std::size_t capacity : {1, 2, 3, 4}) {
      std::map<std::set<uint64_t>, uint64_t> known[16];
      EXPECT_EQ(optimum_hits(trace, capacity), most_hits(trace, 0, {}, capacity, known))
          << "seed " << seed << ", capacity " << capacity;
    }
  }
}

uint64_t replay_hits(const Trace& trace, std::string_view policy, uint32_t capacity) {
  auto made = ReplayStore::make(policy, capacity);
  EXPECT_TRUE(made.ok());
  uint64_t hits = 0;
  for (const Request& request : trace) {
    auto hot = made.value()->serve(request);
    EXPECT_TRUE(hot.ok());
    hits += hot.value();
  }
  return hits;
}

TEST(ReplayStore, with_room_for_all_each_block_is_missed_once) {
  Trace trace = tree_trace(1, 1000, 500);
  EXPECT_EQ(replay_hits(trace, "ARC", 500), blocks_requested(trace) - blocks_distinct(trace));
}

TEST(ReplayStore, no_policy_beats_the_optimum) {
  Trace trace = tree_trace(2, 2000, 500);
  for (const char* policy : {"LRU", "ARC", "S3FIFO", "IsolatedLRU", "noop"}) {
    uint64_t hits = replay_hits(trace, policy, 50);
    EXPECT_GT(hits, 0u) << policy;
    EXPECT_LE(hits, optimum_hits(trace, 50)) << policy;
  }
}

TEST(ReplayStore, a_request_larger_than_the_store_keeps_what_fits) {
  Request request;
  for (uint64_t block = 0; block < 20; ++block) request.blocks.push_back(block);
  EXPECT_EQ(replay_hits({request, request}, "LRU", 8), 8u);
}

TEST(Conversations, the_same_seed_gives_the_same_requests) {
  const Workload workload{.seconds = 60};
  Trace first = make_conversations(workload, 7);
  Trace second = make_conversations(workload, 7);
  ASSERT_EQ(first.size(), second.size());
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].blocks, second[i].blocks);
  EXPECT_NE(make_conversations(workload, 8).size(), 0u);
  EXPECT_NE(blocks_requested(make_conversations(workload, 8)), blocks_requested(first));
}

TEST(Conversations, a_block_always_follows_the_same_blocks) {
  Trace trace = make_conversations({.seconds = 300}, 1);
  std::map<uint64_t, uint64_t> parents;
  uint64_t last_ms = 0;
  for (const Request& request : trace) {
    EXPECT_GE(request.timestamp_ms, last_ms);
    last_ms = request.timestamp_ms;
    EXPECT_EQ(request.blocks.size(), request.input_tokens / kBlockTokens);
    uint64_t parent = UINT64_MAX;
    for (uint64_t block : request.blocks) {
      EXPECT_EQ(parents.try_emplace(block, parent).first->second, parent);
      parent = block;
    }
  }
}

class TraceFile : public testing::Test {
 protected:
  void write(const std::string& text) { std::ofstream(path_) << text; }
  ~TraceFile() override { std::remove(path_.c_str()); }

  std::string path_ = testing::TempDir() + "lmcd_request_trace_test.jsonl";
};

TEST_F(TraceFile, requests_are_read_as_they_stand) {
  write(
      "{\"timestamp\": 5, \"input_length\": 1100, \"output_length\": 7, \"hash_ids\": [1, 22]}\n"
      "\n"
      "{\"hash_ids\":[],\"output_length\":0,\"input_length\":0,\"timestamp\":6}\n");
  auto made = read_trace(path_);
  ASSERT_TRUE(made.ok());
  const Trace& trace = made.value();
  ASSERT_EQ(trace.size(), 2u);
  EXPECT_EQ(trace[0].timestamp_ms, 5u);
  EXPECT_EQ(trace[0].input_tokens, 1100u);
  EXPECT_EQ(trace[0].output_tokens, 7u);
  EXPECT_EQ(trace[0].blocks, (std::vector<uint64_t>{1, 22}));
  EXPECT_TRUE(trace[1].blocks.empty());
}

TEST_F(TraceFile, a_malformed_line_is_named) {
  write(
      "{\"timestamp\": 5, \"input_length\": 1, \"output_length\": 7, \"hash_ids\": [1]}\n"
      "{\"timestamp\": 5, \"input_length\": 1, \"output_length\": 7, \"hash_ids\": [1, x]}\n");
  auto made = read_trace(path_);
  ASSERT_FALSE(made.ok());
  Status status = made.status();
  EXPECT_EQ(status.code(), LMCD_E_INVALID);
  EXPECT_NE(status.text().find("line 2: no valid \"hash_ids\""), std::string::npos)
      << status.text();
}

TEST_F(TraceFile, an_empty_or_absent_file_is_a_fault) {
  write("\n");
  EXPECT_EQ(read_trace(path_).status().code(), LMCD_E_INVALID);
  EXPECT_EQ(read_trace(path_ + ".absent").status().code(), LMCD_E_IO);
}

}  // namespace
}  // namespace lmcd::bench
