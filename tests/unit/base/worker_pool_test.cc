// Jobs are worked on once and completed once on the loop's thread; the limit holds; a pool that
// goes in the middle completes nothing and waits for what runs. Order is forced with latches, or
// by the manual pool.
#include "lib/base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>

#include "lib/base/manual_worker_pool.h"

namespace lmcd {
namespace {

struct WorkerPoolTest : testing::Test {
  WorkerPoolTest() : loop(std::move(Loop::make(clock).value())) {}
  std::unique_ptr<ThreadWorkerPool> pool(uint32_t threads, std::size_t limit = 256) {
    return std::move(
        ThreadWorkerPool::make(*loop, {.threads = threads, .job_limit = limit}).value());
  }

  MonotonicClock clock;
  std::unique_ptr<Loop> loop;
};

TEST_F(WorkerPoolTest, a_job_is_worked_elsewhere_and_completed_here) {
  auto workers = pool(2);
  std::thread::id worker, completer;
  ASSERT_TRUE(workers->submit(make_job([&] { return worker = std::this_thread::get_id(); },
                                       [&](std::thread::id) {
                                         completer = std::this_thread::get_id();
                                         loop->stop();
                                       })));
  EXPECT_EQ(workers->in_flight(), 1u);
  ASSERT_TRUE(loop->run().ok());
  EXPECT_EQ(workers->in_flight(), 0u);
  EXPECT_EQ(completer, std::this_thread::get_id());
  EXPECT_NE(worker, completer);
}

TEST_F(WorkerPoolTest, at_the_limit_a_job_stays_with_its_caller) {
  auto workers = pool(1, 2);
  std::latch gate(1);
  std::string done;
  auto job = [&](char name) {
    return make_job([&gate, name] { return gate.wait(), name; }, [&](char n) { done += n; });
  };
  EXPECT_TRUE(workers->submit(job('a')));
  EXPECT_TRUE(workers->submit(job('b')));
  std::unique_ptr<Job> third = job('c');
  EXPECT_FALSE(workers->submit(std::move(third)));
  ASSERT_NE(third, nullptr);
  gate.count_down();
  workers->finish();
  EXPECT_EQ(done, "ab");
  EXPECT_TRUE(workers->submit(std::move(third)));
  workers->finish();
  EXPECT_EQ(done, "abc");
}

TEST_F(WorkerPoolTest, a_completion_may_submit_at_the_limit) {
  auto workers = pool(2, 1);
  int rounds = 0;
  std::function<void(int)> next = [&](int) {
    if (++rounds == 1000) return loop->stop();
    EXPECT_TRUE(workers->submit(make_job([] { return 0; }, next)));
  };
  EXPECT_TRUE(workers->submit(make_job([] { return 0; }, next)));
  ASSERT_TRUE(loop->run().ok());
  EXPECT_EQ(rounds, 1000);
}

TEST_F(WorkerPoolTest, every_job_of_many_is_completed_once) {
  auto workers = pool(4, 64);
  std::vector<int> seen(2000);
  int completed = 0;
  for (int i = 0; i < 2000; ++i) {
    auto job = make_job([i] { return i; },
                        [&](int n) { ++seen[static_cast<std::size_t>(n)], ++completed; });
    while (!workers->submit(std::move(job))) ASSERT_TRUE(loop->turn(Loop::Wait::kUntilDue).ok());
  }
  workers->finish();
  EXPECT_EQ(completed, 2000);
  EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
}

TEST_F(WorkerPoolTest, a_pool_that_goes_waits_for_running_work_and_completes_nothing) {
  auto workers = pool(1);
  std::latch started(1), gate(1);
  std::atomic<int> worked{0};
  int completed = 0;
  ASSERT_TRUE(workers->submit(make_job([&] { return started.count_down(), gate.wait(), ++worked; },
                                       [&](int) { ++completed; })));
  ASSERT_TRUE(workers->submit(make_job([&] { return ++worked; }, [&](int) { ++completed; })));
  started.wait();
  std::thread opener([&] { gate.count_down(); });
  workers.reset();
  opener.join();
  EXPECT_GE(worked.load(), 1);
  EXPECT_EQ(completed, 0);
}

TEST_F(WorkerPoolTest, no_threads_is_refused) {
  EXPECT_EQ(ThreadWorkerPool::make(*loop, {.threads = 0}).status().code(), LMCD_E_INVALID);
}

TEST(ManualWorkerPool, the_test_chooses_the_order_of_work_and_of_completion) {
  ManualWorkerPool pool(3);
  std::string order;
  auto job = [&](char name) {
    return make_job([&order, name] { return order += name, name; },
                    [&](char n) { order += static_cast<char>(n - 'a' + 'A'); });
  };
  for (char name : {'a', 'b', 'c'}) EXPECT_TRUE(pool.submit(job(name)));
  EXPECT_FALSE(pool.submit(job('d')));
  pool.work(2);
  pool.work(0);
  pool.complete(1);
  EXPECT_EQ(order, "caA");
  pool.run_all();
  EXPECT_EQ(order, "caACbB");
}

}  // namespace
}  // namespace lmcd
