// The thread that moves bytes between memory and one file, by io_uring.
//
// The loop hands it transfers; they begin in the order given, kDepth of them in flight at a time.
// `before` runs on the thread as a transfer begins (a checksum, a header), `after` when its bytes
// have moved; then it waits for the loop, which is woken and takes what is done. So the loop never
// waits for the medium, nor the medium for the loop.
//
// submit() and take_done() on the loop's thread.
#pragma once

#include <liburing.h>
#include <sys/uio.h>

#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "include/lmcd_tier.h"
#include "lib/base/fd.h"

namespace lmcd::tier {

class Transfer {
 public:
  virtual ~Transfer() = default;
  enum class Way : uint8_t { kRead, kWrite };

  // On the ring's thread. Fills in `way`, `offset` and `pieces`. Returns false when there is
  // nothing to move: the transfer is done at once.
  virtual bool before() = 0;
  // On the ring's thread. `error_number`: 0, or why the bytes did not move.
  virtual void after(int error_number) = 0;
  // On the loop's thread.
  virtual void done() = 0;

 protected:
  Way way = Way::kRead;
  uint64_t offset = 0;
  std::vector<iovec> pieces;

 private:
  friend class Ring;
  std::size_t first_piece_ = 0;
};

class Ring {
 public:
  static constexpr unsigned kDepth = 32;

  // `host` outlives it. Faults: LMCD_E_UNSUPPORTED where io_uring is not allowed.
  static Result<std::unique_ptr<Ring>> make(const lmcd_tier_host_t& host, int file);
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;
  // Ends all that was submitted, without done().
  ~Ring();

  void submit(std::unique_ptr<Transfer> transfer);
  // Takes what has not begun.
  std::deque<std::unique_ptr<Transfer>> take_waiting();
  std::vector<std::unique_ptr<Transfer>> take_done();

 private:
  Ring(const lmcd_tier_host_t& host, int file) : host_(host), file_(file) {}

  void serve();  // the body of the thread
  bool begin_waiting();
  void begin(std::unique_ptr<Transfer> transfer);
  void prepare(Transfer& transfer);
  void listen();
  void reap();
  void moved(Transfer* transfer, int result);
  void finish(std::unique_ptr<Transfer> transfer);
  void knock();

  const lmcd_tier_host_t& host_;
  const int file_;
  io_uring ring_{};
  bool made_ = false;
  FileDescriptor knocked_;  // an eventfd
  uint64_t knocks_ = 0;
  unsigned in_flight_ = 0;  // the thread's
  std::mutex mutex_;
  std::deque<std::unique_ptr<Transfer>> waiting_;  // guarded by mutex_, as are the two below
  std::vector<std::unique_ptr<Transfer>> done_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lmcd::tier
