// Wakes a loop from another thread: an eventfd and what to do when it was rung.
//
// ring() may be called from any thread and any number of times; the action runs on the loop's
// thread once for all rings before it. Made and destroyed on the loop's thread, destroyed when
// nobody rings any more.
#pragma once

#include <functional>
#include <memory>

#include "lib/base/loop.h"

namespace lmcd {

class Bell final : private Watcher {
 public:
  // `loop` outlives the bell.
  static Result<std::unique_ptr<Bell>> make(Loop& loop, std::function<void()> action);
  Bell(const Bell&) = delete;
  Bell& operator=(const Bell&) = delete;
  ~Bell();

  // Async-signal-safe, never blocks.
  void ring();

 private:
  Bell(Loop& loop, FileDescriptor event, std::function<void()> action);

  void on_ready(uint32_t events) override;

  Loop& loop_;
  FileDescriptor event_;
  std::function<void()> action_;
};

}  // namespace lmcd
