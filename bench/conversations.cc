#include "bench/conversations.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

namespace lmcd::bench {
namespace {

// The engine's output is fixed by the standard; the distributions of <random> are not, so the
// few that are needed are written out.
class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}

  // In (0, 1].
  double uniform() { return static_cast<double>((engine_() >> 11) + 1) * 0x1p-53; }
  bool chance(double probability) { return uniform() <= probability; }
  double exponential(double mean) { return -mean * std::log(uniform()); }
  double log_normal(const LogNormal& d) {
    double normal =
        std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform());
    return d.median * std::exp(d.spread * normal);
  }
  uint64_t tokens(const LogNormal& d) { return static_cast<uint64_t>(log_normal(d)) + 1; }

  // Zipf: item i has weight 1 / (i + 1).
  std::size_t popular(std::size_t items) {
    double sum = 0;
    for (std::size_t i = 0; i < items; ++i) sum += 1.0 / static_cast<double>(i + 1);
    double left = uniform() * sum;
    for (std::size_t i = 0; i + 1 < items; ++i) {
      left -= 1.0 / static_cast<double>(i + 1);
      if (left <= 0) return i;
    }
    return items - 1;
  }

 private:
  std::mt19937_64 engine_;
};

// A text shared by many sessions.
struct Prompt {
  uint64_t tokens;
  std::vector<uint64_t> blocks;
};

class Generator {
 public:
  Generator(const Workload& workload, uint64_t seed) : workload_(workload), dice_(seed) {}

  Trace run() {
    make_chats();
    make_agents();
    make_one_shots();
    std::stable_sort(trace_.begin(), trace_.end(), [](const Request& a, const Request& b) {
      return a.timestamp_ms < b.timestamp_ms;
    });
    return std::move(trace_);
  }

 private:
  // A text that grows; blocks that are full keep their ids.
  struct Session {
    double seconds;
    uint64_t tokens;
    std::vector<uint64_t> blocks;
  };

  std::vector<Prompt> make_prompts(int count, const LogNormal& tokens) {
    std::vector<Prompt> prompts;
    for (int i = 0; i < count; ++i) {
      Prompt prompt{dice_.tokens(tokens), {}};
      fill(prompt.tokens, &prompt.blocks);
      prompts.push_back(std::move(prompt));
    }
    return prompts;
  }

  void fill(uint64_t tokens, std::vector<uint64_t>* blocks) {
    while (blocks->size() < tokens / kBlockTokens) blocks->push_back(next_block_++);
  }

  Session start(double seconds, const std::vector<Prompt>& prompts) {
    const Prompt& prompt = prompts[dice_.popular(prompts.size())];
    return {seconds, prompt.tokens, prompt.blocks};
  }

  // Asks with `tokens` more and appends the answer. Returns whether the session may go on.
  bool ask(Session* session, uint64_t tokens, const LogNormal& answer) {
    session->tokens += tokens;
    uint64_t answer_tokens = dice_.tokens(answer);
    if (session->tokens + answer_tokens > workload_.context_tokens_max) return false;
    if (session->seconds >= workload_.seconds) return false;
    fill(session->tokens, &session->blocks);
    trace_.push_back({static_cast<uint64_t>(session->seconds * 1000), session->tokens,
                      answer_tokens, session->blocks});
    session->tokens += answer_tokens;
    return true;
  }

  void make_chats() {
    const Chats& chats = workload_.chats;
    auto prompts = make_prompts(chats.prompts, chats.prompt_tokens);
    double mean = 1 / chats.starts_per_second;
    for (double at = dice_.exponential(mean); at < workload_.seconds;
         at += dice_.exponential(mean)) {
      Session session = start(at, prompts);
      do {
        uint64_t tokens = dice_.tokens(chats.message_tokens);
        if (dice_.chance(chats.document_share)) tokens += dice_.tokens(chats.document_tokens);
        if (!ask(&session, tokens, chats.answer_tokens)) break;
        bool takes_a_break = dice_.chance(chats.break_share);
        session.seconds +=
            dice_.log_normal(takes_a_break ? chats.break_seconds : chats.pause_seconds);
      } while (!dice_.chance(1 / chats.turns_mean));
    }
  }

  void make_agents() {
    const Agents& agents = workload_.agents;
    auto prompts = make_prompts(agents.prompts, agents.prompt_tokens);
    double mean = 1 / agents.starts_per_second;
    for (double at = dice_.exponential(mean); at < workload_.seconds;
         at += dice_.exponential(mean)) {
      Session session = start(at, prompts);
      uint64_t tokens = dice_.tokens(agents.task_tokens);
      while (ask(&session, tokens, agents.answer_tokens)) {
        if (dice_.chance(1 / agents.steps_mean)) break;
        tokens = dice_.tokens(agents.result_tokens);
        session.seconds += dice_.log_normal(agents.pause_seconds);
      }
    }
  }

  void make_one_shots() {
    const OneShots& shots = workload_.one_shots;
    auto prompts = make_prompts(shots.prompts, shots.prompt_tokens);
    double mean = 1 / shots.starts_per_second;
    for (double at = dice_.exponential(mean); at < workload_.seconds;
         at += dice_.exponential(mean)) {
      Session session = start(at, prompts);
      ask(&session, dice_.tokens(shots.document_tokens), shots.answer_tokens);
    }
  }

  const Workload& workload_;
  Dice dice_;
  Trace trace_;
  uint64_t next_block_ = 0;
};

}  // namespace

Trace make_conversations(const Workload& workload, uint64_t seed) {
  return Generator(workload, seed).run();
}

}  // namespace lmcd::bench
