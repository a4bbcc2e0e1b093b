// Watchers, timers, posted tasks and deferred work run when due, in the stated order, and never
// after they were taken away, also when that happens in the middle of a turn. Time is turned by
// hand; readiness comes from pipes.
#include "lib/base/loop.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <thread>

#include "lib/base/bell.h"
#include "lib/base/signals.h"

namespace lmcd {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    out.reset(ends[0]);
    in.reset(ends[1]);
  }
  void fill() { EXPECT_EQ(write(in.get(), "x", 1), 1); }
  FileDescriptor out, in;
};

struct Recorder final : Watcher {
  void on_ready(uint32_t events) override {
    ++calls;
    last = events;
    if (action) action();
  }
  int calls = 0;
  uint32_t last = 0;
  std::function<void()> action;
};

struct LoopTest : testing::Test {
  LoopTest() : loop(std::move(Loop::make(clock).value())) {}
  void turn() { ASSERT_TRUE(loop->turn(Loop::Wait::kNot).ok()); }

  ManualClock clock;
  std::unique_ptr<Loop> loop;
};

TEST_F(LoopTest, a_ready_descriptor_is_told_until_it_is_read) {
  Pipe pipe;
  Recorder recorder;
  ASSERT_TRUE(loop->add(pipe.out.get(), EPOLLIN, recorder).ok());
  turn();
  EXPECT_EQ(recorder.calls, 0);
  pipe.fill();
  turn();
  turn();
  EXPECT_EQ(recorder.calls, 2);
  EXPECT_EQ(recorder.last, uint32_t{EPOLLIN});
  ASSERT_TRUE(loop->modify(pipe.out.get(), 0).ok());
  turn();
  EXPECT_EQ(recorder.calls, 2);
  loop->remove(pipe.out.get());
  turn();
  EXPECT_EQ(recorder.calls, 2);
}

TEST_F(LoopTest, an_event_fetched_before_removal_is_dropped) {
  Pipe a, b;
  Recorder first, second;
  // Whichever is told first takes the other away.
  first.action = [&] { loop->remove(b.out.get()); };
  second.action = [&] { loop->remove(a.out.get()); };
  ASSERT_TRUE(loop->add(a.out.get(), EPOLLIN, first).ok());
  ASSERT_TRUE(loop->add(b.out.get(), EPOLLIN, second).ok());
  a.fill();
  b.fill();
  turn();
  EXPECT_EQ(first.calls + second.calls, 1);
}

TEST_F(LoopTest, an_event_of_a_closed_descriptor_does_not_reach_its_number_s_next_owner) {
  Pipe a, b, fresh;
  Recorder first, second, heir;
  auto replace = [&](FileDescriptor& victim) {
    loop->remove(victim.get());
    ASSERT_EQ(dup2(fresh.out.get(), victim.get()), victim.get());
    ASSERT_TRUE(loop->add(victim.get(), EPOLLIN, heir).ok());
  };
  first.action = [&] { replace(b.out); };
  second.action = [&] { replace(a.out); };
  ASSERT_TRUE(loop->add(a.out.get(), EPOLLIN, first).ok());
  ASSERT_TRUE(loop->add(b.out.get(), EPOLLIN, second).ok());
  a.fill();
  b.fill();
  turn();
  EXPECT_EQ(first.calls + second.calls, 1);
  EXPECT_EQ(heir.calls, 0);
}

TEST_F(LoopTest, timers_run_in_the_order_of_their_times) {
  std::string order;
  Timer a(*loop, [&] { order += 'a'; });
  Timer b(*loop, [&] { order += 'b'; });
  Timer c(*loop, [&] { order += 'c'; });
  Timer d(*loop, [&] { order += 'd'; });
  a.arm_in(30);
  b.arm_in(10);
  c.arm_in(20);
  d.arm_in(5);
  d.arm_in(40);  // moved
  clock.advance_ms(9);
  turn();
  EXPECT_EQ(order, "");
  clock.advance_ms(1);
  turn();
  EXPECT_EQ(order, "b");
  c.cancel();
  clock.advance_ms(100);
  turn();
  EXPECT_EQ(order, "bad");
  EXPECT_FALSE(a.armed());
}

TEST_F(LoopTest, a_thousand_timers_armed_moved_and_cancelled_stay_sorted) {
  std::vector<uint64_t> ran;
  std::vector<std::unique_ptr<Timer>> timers;
  uint64_t random = 1;
  auto next = [&] { return (random = random * 6364136223846793005u + 1442695040888963407u) >> 40; };
  for (int i = 0; i < 1000; ++i) {
    timers.push_back(std::make_unique<Timer>(*loop, [&ran, &timers, i] {
      ran.push_back(timers[static_cast<std::size_t>(i)]->due_ms());
    }));
  }
  for (int i = 0; i < 5000; ++i) {
    Timer& timer = *timers[next() % timers.size()];
    if (next() % 4)
      timer.arm_at(2 + next() % 10000);
    else
      timer.cancel();
  }
  const auto armed = static_cast<std::size_t>(
      std::count_if(timers.begin(), timers.end(), [](auto& timer) { return timer->armed(); }));
  clock.advance_ms(20000);
  turn();
  EXPECT_EQ(ran.size(), armed);
  EXPECT_TRUE(std::is_sorted(ran.begin(), ran.end()));
}

TEST_F(LoopTest, a_timer_armed_again_for_now_waits_for_the_next_turn) {
  int runs = 0;
  Timer* self = nullptr;
  Timer timer(*loop, [&] { ++runs, self->arm_in(0); });
  self = &timer;
  timer.arm_in(0);
  turn();
  EXPECT_EQ(runs, 1);
  turn();
  EXPECT_EQ(runs, 2);
}

TEST_F(LoopTest, a_timer_may_destroy_itself_and_others) {
  int runs = 0;
  std::unique_ptr<Timer> a, b;
  a = std::make_unique<Timer>(*loop, [&] { ++runs, b.reset(), a.reset(); });
  b = std::make_unique<Timer>(*loop, [&] { ++runs, a.reset(), b.reset(); });
  a->arm_in(1);
  b->arm_in(1);
  clock.advance_ms(1);
  turn();
  EXPECT_EQ(runs, 1);
}

TEST_F(LoopTest, deferred_work_runs_once_at_the_end_of_its_turn) {
  std::string order;
  Deferred flush(*loop, [&] { order += 'f'; });
  Pipe pipe;
  Recorder recorder;
  recorder.action = [&] { order += 'w', flush.request(), flush.request(); };
  ASSERT_TRUE(loop->add(pipe.out.get(), EPOLLIN, recorder).ok());
  Timer timer(*loop, [&] { order += 't'; });
  timer.arm_in(0);
  pipe.fill();
  turn();
  EXPECT_EQ(order, "wtf");
  loop->remove(pipe.out.get());
}

TEST_F(LoopTest, deferred_work_that_asks_again_runs_in_a_next_turn_that_does_not_sleep) {
  int runs = 0;
  Deferred* self = nullptr;
  Deferred again(*loop, [&] {
    if (++runs < 3) self->request();
  });
  self = &again;
  again.request();
  turn();
  EXPECT_EQ(runs, 1);
  ASSERT_TRUE(loop->turn(Loop::Wait::kUntilDue).ok());
  EXPECT_EQ(runs, 2);
}

TEST_F(LoopTest, deferred_work_destroyed_by_other_deferred_work_does_not_run) {
  int runs = 0;
  std::unique_ptr<Deferred> a, b;
  a = std::make_unique<Deferred>(*loop, [&] { ++runs, b.reset(); });
  b = std::make_unique<Deferred>(*loop, [&] { ++runs, a.reset(); });
  a->request();
  b->request();
  turn();
  EXPECT_EQ(runs, 1);
}

TEST_F(LoopTest, a_full_queue_refuses_a_task) {
  auto small = std::move(Loop::make(clock, {.posted_tasks = 2}).value());
  int ran = 0;
  EXPECT_TRUE(small->post([&] { ++ran; }));
  EXPECT_TRUE(small->post([&] { ++ran; }));
  EXPECT_FALSE(small->post([&] { ++ran; }));
  ASSERT_TRUE(small->turn(Loop::Wait::kNot).ok());
  EXPECT_EQ(ran, 2);
  EXPECT_TRUE(small->post([&] { ++ran; }));
}

TEST_F(LoopTest, tasks_of_many_threads_all_run_and_wake_the_loop) {
  constexpr int kThreads = 4, kTasks = 500;
  int ran = 0;  // the loop's thread alone writes it
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < kTasks; ++i)
        while (!loop->post([&] {
          if (++ran == kThreads * kTasks) loop->stop();
        }))
          std::this_thread::yield();
    });
  ASSERT_TRUE(loop->run().ok());
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(ran, kThreads * kTasks);
}

TEST_F(LoopTest, many_rings_are_one_action) {
  int runs = 0;
  auto bell = std::move(Bell::make(*loop, [&] { ++runs; }).value());
  bell->ring();
  bell->ring();
  turn();
  turn();
  EXPECT_EQ(runs, 1);
}

TEST_F(LoopTest, signals_arrive_as_events) {
  std::vector<int> got;
  auto signals = std::move(
      Signals::make(*loop, {SIGUSR1, SIGUSR2}, [&](int number) { got.push_back(number); }).value());
  raise(SIGUSR2);
  turn();
  raise(SIGUSR1);
  turn();
  EXPECT_EQ(got, (std::vector<int>{SIGUSR2, SIGUSR1}));
}

TEST(LoopIdle, sleeps_until_the_next_timer_and_not_a_turn_more) {
  MonotonicClock clock;
  auto loop = std::move(Loop::make(clock).value());
  Timer timer(*loop, [&] { loop->stop(); });
  rusage before, after;
  getrusage(RUSAGE_THREAD, &before);
  const uint64_t start = clock.now_ms();
  timer.arm_in(30);
  int turns = 0;
  while (timer.armed()) {
    ASSERT_TRUE(loop->turn(Loop::Wait::kUntilDue).ok());
    ++turns;
  }
  getrusage(RUSAGE_THREAD, &after);
  EXPECT_GE(clock.now_ms() - start, 30u);
  EXPECT_EQ(turns, 1);
  EXPECT_LE(after.ru_nvcsw - before.ru_nvcsw, 3);
}

TEST_F(LoopTest, what_cannot_be_watched_is_named) {
  Recorder recorder;
  EXPECT_EQ(loop->add(1000, EPOLLIN, recorder).text(),
            "watch descriptor 1000: Bad file descriptor");
}

}  // namespace
}  // namespace lmcd
