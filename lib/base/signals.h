// Signals as events of the loop (signalfd), never as interruptions.
//
// Blocks the given signals in the calling thread and tells of each on the loop's thread. Made
// before any other thread starts, so that all threads inherit the blocked mask; the mask is not
// given back. Loop thread only.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "lib/base/loop.h"

namespace lmcd {

class Signals final : private Watcher {
 public:
  // `action` gets the signal's number. `loop` outlives this.
  static Result<std::unique_ptr<Signals>> make(Loop& loop, std::initializer_list<int> numbers,
                                               std::function<void(int)> action);
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

 private:
  Signals(Loop& loop, FileDescriptor source, std::function<void(int)> action);

  void on_ready(uint32_t events) override;

  Loop& loop_;
  FileDescriptor source_;
  std::function<void(int)> action_;
};

}  // namespace lmcd
