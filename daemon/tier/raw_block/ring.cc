#include "daemon/tier/raw_block/ring.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "lib/base/thread.h"

namespace lmcd::tier {

Result<std::unique_ptr<Ring>> Ring::make(const lmcd_tier_host_t& host, int file) {
  std::unique_ptr<Ring> ring(new Ring(host, file));
  ring->knocked_.reset(eventfd(0, EFD_CLOEXEC));
  if (!ring->knocked_.valid()) return errno_fault(LMCD_E_IO, errno, "eventfd");
  const int failed = io_uring_queue_init(2 * kDepth, &ring->ring_, 0);
  if (failed < 0)
    return errno_fault(LMCD_E_UNSUPPORTED, -failed,
                       "io_uring, which this tier needs, is not to be had");
  ring->made_ = true;
  ring->thread_ = start_thread("lmcd-ring", Priority::kBatch, [raw = ring.get()] { raw->serve(); });
  return ring;
}

Ring::~Ring() {
  if (thread_.joinable()) {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    knock();
    thread_.join();
  }
  if (made_) io_uring_queue_exit(&ring_);
}

void Ring::knock() {
  const uint64_t one = 1;
  // It fails only when the counter is full, and then the thread is awake.
  if (write(knocked_.get(), &one, sizeof one) < 0) return;
}

void Ring::submit(std::unique_ptr<Transfer> transfer) {
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(transfer));
    if (waiting_.size() > 1) return;  // it was knocked for the first
  }
  knock();
}

std::deque<std::unique_ptr<Transfer>> Ring::take_waiting() {
  std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

std::vector<std::unique_ptr<Transfer>> Ring::take_done() {
  std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

void Ring::serve() {
  listen();
  while (begin_waiting()) {
    io_uring_submit_and_wait(&ring_, 1);
    reap();
  }
}

// Begins what waits, as far as the depth allows.
// Returns false when the ring is to stop and nothing is left.
bool Ring::begin_waiting() {
  for (;;) {
    std::unique_ptr<Transfer> transfer;
    {
      std::lock_guard lock(mutex_);
      if (waiting_.empty()) return !(stopping_ && in_flight_ == 0);
      if (in_flight_ == kDepth) return true;
      transfer = std::move(waiting_.front());
      waiting_.pop_front();
    }
    begin(std::move(transfer));
    // What was begun moves while the next one's checksum is taken.
    io_uring_submit(&ring_);
  }
}

void Ring::begin(std::unique_ptr<Transfer> transfer) {
  if (!transfer->before()) return finish(std::move(transfer));
  ++in_flight_;
  prepare(*transfer.release());  // to the kernel, which hands it back in a completion
}

void Ring::prepare(Transfer& transfer) {
  // Never without a free entry: the queue has twice the depth.
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  const iovec* pieces = transfer.pieces.data() + transfer.first_piece_;
  const auto count = static_cast<unsigned>(transfer.pieces.size() - transfer.first_piece_);
  if (transfer.way == Transfer::Way::kRead)
    io_uring_prep_readv(entry, file_, pieces, count, transfer.offset);
  else
    io_uring_prep_writev(entry, file_, pieces, count, transfer.offset);
  io_uring_sqe_set_data(entry, &transfer);
}

void Ring::listen() {
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  io_uring_prep_read(entry, knocked_.get(), &knocks_, sizeof knocks_, 0);
  io_uring_sqe_set_data(entry, nullptr);
}

void Ring::reap() {
  io_uring_cqe* completion = nullptr;
  while (io_uring_peek_cqe(&ring_, &completion) == 0) {
    auto* transfer = static_cast<Transfer*>(io_uring_cqe_get_data(completion));
    const int result = completion->res;
    io_uring_cqe_seen(&ring_, completion);
    transfer ? moved(transfer, result) : listen();
  }
}

void Ring::moved(Transfer* transfer, int result) {
  if (result == -EINTR || result == -EAGAIN) return prepare(*transfer);
  int error_number = result < 0 ? -result : 0;
  if (result > 0) {
    auto left = static_cast<std::size_t>(result);
    transfer->offset += left;
    while (transfer->first_piece_ < transfer->pieces.size()) {
      iovec& piece = transfer->pieces[transfer->first_piece_];
      const std::size_t taken = std::min(left, piece.iov_len);
      piece.iov_base = static_cast<char*>(piece.iov_base) + taken;
      piece.iov_len -= taken;
      left -= taken;
      if (piece.iov_len > 0) return prepare(*transfer);  // a short move: the rest
      ++transfer->first_piece_;
    }
  } else if (result == 0) {
    error_number = EIO;  // the file ends here, which it must not
  }
  --in_flight_;
  transfer->after(error_number);
  finish(std::unique_ptr<Transfer>(transfer));
}

void Ring::finish(std::unique_ptr<Transfer> transfer) {
  {
    std::lock_guard lock(mutex_);
    done_.push_back(std::move(transfer));
    if (done_.size() > 1) return;  // the loop was woken for the first
  }
  host_.wake_soon(host_.context);
}

}  // namespace lmcd::tier
