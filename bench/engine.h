// An engine as a bench plays it: a session of the C ABI in one namespace, with arrays for the
// answers. What fails ends the bench; a bench has no use for half a measurement.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "include/lmcd.h"
#include "include/lmcd_admin.h"

namespace lmcd::bench {

[[noreturn]] inline void give_up(const char* what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what, why);
  std::exit(2);
}

// check(lmcd_ping, session) calls it with an error at the end.
template <typename Function, typename... Arguments>
void check(const char* what, Function function, Arguments... arguments) {
  lmcd_error_t error{};
  if (function(arguments..., &error) != LMCD_OK) give_up(what, error.text);
}

// Keys that nobody has seen.
inline std::vector<lmcd_key_t> new_keys(std::size_t count, std::mt19937_64& random) {
  std::vector<lmcd_key_t> keys(count);
  for (lmcd_key_t& key : keys)
    for (std::size_t at = 0; at < sizeof key.bytes; at += 8) {
      uint64_t word = random();
      std::memcpy(key.bytes + at, &word, sizeof word);
    }
  return keys;
}

class Engine {
 public:
  using Keys = std::span<const lmcd_key_t>;

  explicit Engine(const std::string& socket) {
    lmcd_session_options_t options{};
    options.struct_size = sizeof options;
    options.timeout_ms = 30'000;
    options.socket = socket.c_str();
    check("open a session", lmcd_session_open, &options, &session_);
    lmcd_namespace_options_t meaning{};
    meaning.struct_size = sizeof meaning;
    meaning.description = "bench";
    check("open a namespace", lmcd_namespace_open, session_, &meaning, &space_);
  }
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine() {
    lmcd_mapping_close(mapping_);
    lmcd_namespace_close(space_);
    lmcd_session_close(session_);
  }

  lmcd_session_t* session() const { return session_; }
  lmcd_mapping_t* mapping() {
    if (mapping_ == nullptr) check("map the arena", lmcd_mapping_open, session_, &mapping_);
    return mapping_;
  }
  // Those of the last reserve or acquire.
  std::span<const lmcd_grant_t> grants() const { return grants_; }

  lmcd_reserve_t reserve_request(Keys keys, uint64_t length) const {
    lmcd_reserve_t request{};
    request.struct_size = sizeof request;
    request.count = static_cast<uint32_t>(keys.size());
    request.space = space_;
    request.keys = keys.data();
    request.length = length;
    return request;
  }
  lmcd_acquire_t acquire_request(Keys keys) const {
    lmcd_acquire_t request{};
    request.struct_size = sizeof request;
    request.count = static_cast<uint32_t>(keys.size());
    request.space = space_;
    request.keys = keys.data();
    return request;
  }

  uint64_t reserve(Keys keys, uint64_t length) {
    lmcd_reserve_t request = reserve_request(keys, length);
    grants_.resize(keys.size());
    uint64_t lease = 0;
    check("reserve", lmcd_reserve, session_, &request, grants_.data(), &lease);
    expect(LMCD_RESERVED);
    return lease;
  }
  void commit(uint64_t lease) {
    check("commit", lmcd_commit, session_, lease, static_cast<const uint32_t*>(nullptr),
          static_cast<const uint32_t*>(nullptr), 0u);
  }
  uint64_t acquire(Keys keys) { return acquire_by(lmcd_acquire, keys); }
  uint64_t acquire_posted(Keys keys) { return acquire_by(lmcd_acquire_posted, keys); }
  void release(uint64_t lease) { check("release", lmcd_release, session_, lease); }
  // Waits until the daemon has done what was posted.
  void settle() { check("ping", lmcd_ping, session_); }
  void clear() {
    settle();
    lmcd_selector_t all{};
    all.struct_size = sizeof all;
    lmcd_cleared_t cleared{};
    check("clear", lmcd_clear, session_, &all, 0u, &cleared);
  }

 private:
  template <typename Verb>
  uint64_t acquire_by(Verb verb, Keys keys) {
    lmcd_acquire_t request = acquire_request(keys);
    grants_.resize(keys.size());
    uint64_t lease = 0;
    check("acquire", verb, session_, &request, grants_.data(), &lease);
    expect(LMCD_LEASED);
    return lease;
  }
  void expect(uint32_t outcome) const {
    for (const lmcd_grant_t& grant : grants_)
      if (grant.outcome != outcome) give_up("grant", "not the outcome that was expected");
  }

  lmcd_session_t* session_ = nullptr;
  lmcd_namespace_t* space_ = nullptr;
  lmcd_mapping_t* mapping_ = nullptr;
  std::vector<lmcd_grant_t> grants_;
};

}  // namespace lmcd::bench
