// A crew helps while it is free and never holds up who calls: threads join a call, several calls
// share the threads, a call finds no help when all are busy, and each call ends only when who
// joined it has left. Orders are forced with barriers and latches.
#include "lib/copy/crew.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <barrier>
#include <latch>
#include <set>
#include <thread>

namespace lmcd::copy {
namespace {

std::unique_ptr<Crew> crew_of(uint32_t size) { return std::move(Crew::start(size).value()); }

TEST(Crew, threads_join_up_to_the_number_asked_for) {
  std::unique_ptr<Crew> crew = crew_of(3);
  for (uint32_t threads : {2u, 3u, 4u}) {
    // Opens only when that many are in the call at once.
    std::barrier together(threads);
    std::atomic<uint32_t> entered{0};
    crew->run(threads, [&] {
      if (entered.fetch_add(1) < threads) together.arrive_and_wait();
    });
    EXPECT_EQ(entered, threads);
  }
}

TEST(Crew, the_caller_works_alone_when_there_is_nobody) {
  std::unique_ptr<Crew> crew = crew_of(0);
  std::set<std::thread::id> workers;
  crew->run(8, [&] { workers.insert(std::this_thread::get_id()); });
  EXPECT_EQ(workers, std::set{std::this_thread::get_id()});
}

TEST(Crew, a_busy_crew_does_not_hold_up_another_caller) {
  std::unique_ptr<Crew> crew = crew_of(1);
  std::latch busy(2), let_go(1);
  std::thread other([&] {
    crew->run(2, [&] {
      busy.count_down();
      let_go.wait();
    });
  });
  busy.wait();  // the other caller and the only thread are inside
  int runs = 0;
  crew->run(2, [&] { ++runs; });
  EXPECT_EQ(runs, 1);
  let_go.count_down();
  other.join();
}

TEST(Crew, what_the_crew_wrote_is_there_when_the_call_returns) {
  std::unique_ptr<Crew> crew = crew_of(3);
  for (int round = 0; round < 500; ++round) {
    std::vector<int> written(64, 0);
    std::atomic<std::size_t> next{0};
    crew->run(4, [&] {
      for (std::size_t i; (i = next.fetch_add(1)) < written.size();) written[i] = round;
    });
    EXPECT_EQ(written, std::vector<int>(64, round));
  }
}

TEST(Crew, several_callers_share_it) {
  std::unique_ptr<Crew> crew = crew_of(2);
  std::vector<std::thread> callers;
  std::atomic<int> done{0};
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        std::atomic<int> left{16};
        crew->run(3, [&] {
          while (left.fetch_sub(1) > 0) done.fetch_add(1);
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(done, 4 * 200 * 16);
}

TEST(Crew, an_engines_signal_handlers_do_not_run_on_its_threads) {
  std::unique_ptr<Crew> crew = crew_of(1);
  std::barrier together(2);
  std::thread::id caller = std::this_thread::get_id();
  sigset_t mask;
  sigemptyset(&mask);
  crew->run(2, [&] {
    if (std::this_thread::get_id() != caller) pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    together.arrive_and_wait();
  });
  EXPECT_TRUE(sigismember(&mask, SIGTERM));
  EXPECT_TRUE(sigismember(&mask, SIGUSR1));
  EXPECT_FALSE(sigismember(&mask, SIGBUS));
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_FALSE(sigismember(&mask, SIGTERM)) << "the caller's own mask has changed";
}

TEST(Crew, its_size_has_a_limit) {
  Result<std::unique_ptr<Crew>> crew = Crew::start(64);
  ASSERT_FALSE(crew.ok());
  EXPECT_EQ(crew.status().text(), "a crew of 64 threads; valid: 0 to 63");
}

}  // namespace
}  // namespace lmcd::copy
