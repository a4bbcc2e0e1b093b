// An hour of made-up requests to one host, for where no trace is given.
//
// Three kinds of work share the host, in numbers taken from what such services are known to
// look like rather than from what any policy likes:
//
//   chats     a person and a model. One of a dozen system prompts, unevenly popular; a message of
//             a few hundred tokens, one time in four with a document of thousands; about four
//             turns, a minute apart, sometimes taken up again after a long break.
//   agents    a program and a model. One of four prompts of tools, a task with its files, then
//             some twenty steps seconds apart, each adding what a tool said.
//   one-shots a prompt shared by an application and an own document; never continued.
//
// A turn's prompt is the whole conversation so far, answers included. Blocks are 512 tokens and
// only full ones count, as an engine shares them. Arrivals are Poisson, lengths and pauses
// log-normal, the number of turns geometric. Rates are set so that about as many new blocks
// come in a second (50) as in the public chat trace. Same seed, same requests.
#pragma once

#include <cstdint>

#include "bench/request_trace.h"

namespace lmcd::bench {

inline constexpr uint64_t kDefaultSeed = 1;

// exp(N(ln median, spread^2)).
struct LogNormal {
  double median;
  double spread;
};

struct Chats {
  double starts_per_second = 1.6;
  int prompts = 12;
  LogNormal prompt_tokens{900, 0.7};
  LogNormal message_tokens{200, 1.0};
  double document_share = 0.25;
  LogNormal document_tokens{6000, 0.9};
  LogNormal answer_tokens{350, 0.8};
  double turns_mean = 4;
  LogNormal pause_seconds{45, 1.0};
  double break_share = 0.1;
  LogNormal break_seconds{900, 0.6};
};

struct Agents {
  double starts_per_second = 0.11;
  int prompts = 4;
  LogNormal prompt_tokens{9000, 0.4};
  LogNormal task_tokens{4000, 1.0};
  LogNormal result_tokens{700, 1.2};
  LogNormal answer_tokens{200, 0.8};
  double steps_mean = 20;
  LogNormal pause_seconds{8, 1.0};
};

struct OneShots {
  double starts_per_second = 1.4;
  int prompts = 6;
  LogNormal prompt_tokens{1500, 0.7};
  LogNormal document_tokens{3000, 0.8};
  LogNormal answer_tokens{200, 0.8};
};

struct Workload {
  double seconds = 3600;
  uint64_t context_tokens_max = 131072;
  Chats chats;
  Agents agents;
  OneShots one_shots;
};

// Requests in order of time.
Trace make_conversations(const Workload& workload, uint64_t seed);

}  // namespace lmcd::bench
