// Arms of a comparison, run by turns.
//
// On a shared machine a slow minute must be a slow minute for every arm: each round runs all of
// them once, in another order each time, so that none always follows the same other. An arm's time
// is the lower decile of its rounds: what other processes take shows in the upper ones, and the
// very best is luck.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace lmcd::bench {

class Arm {
 public:
  // `work` is given a number that counts up through all arms and rounds: which of several like
  // pieces of memory to use, so that none is in a cache.
  Arm(std::string name, std::function<void(std::size_t turn)> work)
      : name_(std::move(name)), work_(std::move(work)) {}

  const std::string& name() const { return name_; }
  // Requires: it has run.
  double seconds() const {
    std::vector<double> sorted = seconds_;
    auto decile = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 10);
    std::nth_element(sorted.begin(), decile, sorted.end());
    return *decile;
  }

  void run(std::size_t turn) {
    auto begin = std::chrono::steady_clock::now();
    work_(turn);
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    seconds_.push_back(took.count());
  }
  void forget() { seconds_.clear(); }

 private:
  std::string name_;
  std::function<void(std::size_t)> work_;
  std::vector<double> seconds_;
};

// Runs `rounds` that count, after one that does not.
inline void run_rounds(std::vector<Arm>& arms, int rounds) {
  std::vector<std::size_t> order(arms.size());
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(1);
  std::size_t turn = 0;
  for (int round = 0; round <= rounds; ++round) {
    std::shuffle(order.begin(), order.end(), random);
    for (std::size_t arm : order) arms[arm].run(turn++);
    if (round == 0)
      for (Arm& arm : arms) arm.forget();
  }
}

}  // namespace lmcd::bench
