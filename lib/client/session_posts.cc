// What is sent and not answered, and the attendant's round.
#include <poll.h>

#include <algorithm>
#include <atomic>

#include "lib/client/session.h"
#include "lib/wire/limits.h"

namespace lmcd::client {
namespace {

constexpr std::size_t kQueuedBytes = 8 << 20;  // that the socket has not taken: more is dropped
constexpr uint64_t kPostsPerLook = 32;         // for what the daemon sends: refusals, its end
constexpr int kEpochShift = 48;

// Removes items from those that are open.
Status end_items(ItemSet& open, uint64_t lease, std::span<const uint32_t> items) {
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i] >= open.size()) {
      return fault(LMCD_E_INVALID, "items[%zu] is %u: lease %llx is of a batch of %u", i, items[i],
                   static_cast<unsigned long long>(lease), open.size());
    }
    if (!open.contains(items[i])) {
      return fault(LMCD_E_INVALID,
                   "items[%zu] is %u: that item of lease %llx was not reserved, or is committed", i,
                   items[i], static_cast<unsigned long long>(lease));
    }
    open.erase(items[i]);
  }
  return {};
}

// The open items with their crcs, out of one crc per item of the batch.
void select_open(const ItemSet& open, std::span<const uint32_t> crcs, std::vector<uint32_t>& items,
                 std::vector<uint32_t>& chosen) {
  for (uint32_t item = 0; item < open.size(); ++item) {
    if (!open.contains(item)) continue;
    items.push_back(item);
    chosen.push_back(crcs[item]);
  }
}

}  // namespace

template <typename Message>
Status Session::post(const Message& message) {
  if (!channel_) {
    wish_connection();
    return lost();
  }
  if (channel_->queued_bytes() > kQueuedBytes) {
    ++dropped_posts_;
    return fault(LMCD_E_LIMIT, "the daemon takes no messages: %s is dropped, the %lluth",
                 Message::kName, static_cast<unsigned long long>(dropped_posts_));
  }
  LMCD_SYNC_POINT(step_of("before", Message::kName).c_str());
  LMCD_TRY(channel_->queue(message, 0));
  flush();
  LMCD_SYNC_POINT(step_of("after", Message::kName).c_str());
  if (channel_ && ++posts_ % kPostsPerLook == 0 && !channel_->reading) read_now();
  return channel_ ? Status() : lost();
}

uint64_t Session::next_lease() {
  constexpr uint64_t kCounter = (uint64_t{1} << kEpochShift) - 1;
  return epoch_ << kEpochShift | (++last_lease_ & kCounter);
}

bool Session::stale(uint64_t lease) const {
  return !channel_ || lease >> kEpochShift != (epoch_ & 0xffff);
}

// The user has ended a write lease: from now on it is for the daemon to hear.
void Session::end_write(uint64_t lease) {
  if (!stale(lease)) return leases_.end_write_told(lease, last_request_);
  leases_.end_write_untold(lease);
  if (channel_) {
    tell_what_stopped();
  } else {
    wish_connection();
  }
}

Status Session::commit(uint64_t lease, std::span<const uint32_t> items,
                       std::span<const uint32_t> crcs) {
  // The caller's stores, streaming ones too, come before the daemon hears of them.
#if defined(__x86_64__)
  __builtin_ia32_sfence();
#endif
  std::atomic_thread_fence(std::memory_order_seq_cst);

  Lock lock(mutex_);
  WriteLease* held = leases_.find_write(lease);
  if (held == nullptr) {
    if (stale(lease)) return fault(LMCD_E_SESSION_LOST, "the lease ended with its session");
    return fault(LMCD_E_NOT_FOUND, "%llx is no write lease of this session",
                 static_cast<unsigned long long>(lease));
  }
  if (items.empty() && !crcs.empty() && crcs.size() != held->open.size()) {
    return fault(LMCD_E_INVALID,
                 "count is %zu: without items there is a crc for each of the %u "
                 "items of the batch",
                 crcs.size(), held->open.size());
  }
  ItemSet open = held->open;
  LMCD_TRY(end_items(open, lease, items));
  Status posted = fault(LMCD_E_SESSION_LOST, "the lease ended with its session");
  if (!stale(lease)) {
    std::vector<uint32_t> all_items;
    std::vector<uint32_t> all_crcs;
    if (items.empty() && !crcs.empty()) select_open(open, crcs, all_items, all_crcs);
    wire::Commit message;
    message.lease = lease;
    message.items = all_items.empty() ? items : all_items;
    message.crcs = all_crcs.empty() ? crcs : all_crcs;
    posted = post(message);
    if (posted.code() == LMCD_E_LIMIT) return posted;
  }
  held->open = std::move(open);
  if (items.empty() || held->open.count() == 0) end_write(lease);
  return posted;
}

Status Session::abort(uint64_t lease) {
  Lock lock(mutex_);
  return abort_locked(lease);
}

Status Session::abort_locked(uint64_t lease) {
  if (leases_.find_write(lease) == nullptr) {
    if (lease == 0 || stale(lease)) return {};
    return fault(LMCD_E_NOT_FOUND, "%llx is no write lease of this session",
                 static_cast<unsigned long long>(lease));
  }
  if (!stale(lease)) {
    wire::Abort message;
    message.lease = lease;
    Status posted = post(message);
    if (posted.code() == LMCD_E_LIMIT) return posted;
  }
  end_write(lease);
  return {};
}

Status Session::release(uint64_t lease) {
  Lock lock(mutex_);
  return release_locked(lease);
}

Status Session::release_locked(uint64_t lease) {
  if (lease == 0) return {};
  if (stale(lease)) {
    // A read lease is void by now; of a write lease this is the word that its writer stopped.
    if (leases_.find_write(lease) != nullptr) end_write(lease);
    return {};
  }
  if (!leases_.has_read(lease)) {
    return fault(LMCD_E_NOT_FOUND, "%llx is no read lease of this session",
                 static_cast<unsigned long long>(lease));
  }
  wire::Release message;
  message.lease = lease;
  Status posted = post(message);
  if (posted.code() == LMCD_E_LIMIT) return posted;
  leases_.end_read(lease);
  return {};
}

void Session::give_back(uint64_t lease) {
  // A post that is dropped leaves the lease in the book: a read lease goes on being renewed, and
  // both end with the session.
  static_cast<void>(leases_.find_write(lease) ? abort_locked(lease) : release_locked(lease));
}

Status Session::touch(std::span<const wire::Sighting> records) {
  Lock lock(mutex_);
  wire::Touch message;
  message.records = records;
  return post(message);
}

Status Session::acquire_posted(const Mapping& mapping, std::span<const wire::Sighting> records,
                               uint64_t* lease) {
  Lock lock(mutex_);
  if (&mapping != this->mapping().get())
    return fault(LMCD_E_SESSION_LOST, "the daemon came back with another arena meanwhile");
  const uint64_t number = next_lease();
  wire::AcquirePosted message;
  message.lease = number;
  message.records = records;
  LMCD_TRY(post(message));
  book_read(number);
  *lease = number;
  return {};
}

// -- Leases of the living -------------------------------------------------------------------

void Session::book_read(uint64_t lease) {
  if (!leases_.has_reads()) {
    const uint64_t third = facts_.read_ttl_ms / 3;
    if (renew_at_.passed()) renew_at_ = Deadline::after_ms(third);
    attendant_.wish_within(static_cast<uint64_t>(renew_at_.poll_ms()));
  }
  leases_.open_read(lease);
}

void Session::renew() {
  const std::vector<uint64_t> reads = leases_.reads();
  std::span<const uint64_t> rest = reads;
  while (!rest.empty() && channel_) {
    const std::size_t count = std::min<std::size_t>(rest.size(), wire::kBatchItems);
    wire::Renew message;
    message.leases = rest.first(count);
    static_cast<void>(post(message));  // a lease that ends shows in its validation
    rest = rest.subspan(count);
  }
  renew_at_ = Deadline::after_ms(facts_.read_ttl_ms / 3);
}

void Session::write_what_is_queued(Lock& lock) {
  constexpr int kLookMs = 50;
  const std::shared_ptr<Channel> channel = channel_;
  pollfd polled{channel->descriptor(), POLLOUT, 0};
  lock.unlock();
  poll(&polled, 1, kLookMs);
  lock.lock();
  if (channel == channel_) flush();
  // The daemon may be waiting to write itself.
  if (channel == channel_ && !channel_->reading) read_now();
}

uint64_t Session::attend() {
  Lock lock(mutex_);
  if (closed_) return Attendant::kNever;
  if (reconnect_) {
    // The loss may not have been noticed: by nobody who only looks up.
    if (channel_ && !channel_->reading) read_now();
    if (!channel_ && !next_attempt_.passed()) return static_cast<uint64_t>(next_attempt_.poll_ms());
    reconnect_ = false;
    static_cast<void>(connect(lock, deadline()));  // why not is told to the next call
  }
  if (channel_ && channel_->queued_bytes() > 0) write_what_is_queued(lock);
  if (channel_ && leases_.has_reads() && renew_at_.passed()) renew();
  if (!channel_) return Attendant::kNever;
  if (channel_->queued_bytes() > 0) return 0;
  return leases_.has_reads() ? static_cast<uint64_t>(renew_at_.poll_ms()) : Attendant::kNever;
}

}  // namespace lmcd::client
