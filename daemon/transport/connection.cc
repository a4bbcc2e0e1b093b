#include "daemon/transport/connection.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace lmcd::transport {
namespace {

// What a connection keeps for a frame that comes in pieces grows in steps with what came, so a
// header alone cannot make the daemon reserve the megabytes it announces.
constexpr std::size_t kGrowBytes = 256 * 1024;
// Memory beyond this is given back once it is empty.
constexpr std::size_t kIdleBytes = 16 * 1024;

void drop_front(std::vector<std::byte>& bytes, std::size_t count) {
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  if (bytes.empty() && bytes.capacity() > kIdleBytes) std::vector<std::byte>().swap(bytes);
}

}  // namespace

Result<Connection::Turn> Connection::receive(ReadBuffer& buffer, const Handler& handler) {
  std::size_t taken = 0;
  bool more = false;
  if (partial_bytes() == 0) {
    LMCD_ASSIGN(std::size_t count, receive_into(buffer.bytes()));
    std::span<const std::byte> bytes = buffer.bytes().first(count);
    LMCD_TRY(take_frames(bytes, handler, &taken, &more));
    kept_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
  } else {
    LMCD_TRY(fill_rest());
    LMCD_TRY(take_frames(kept_, handler, &taken, &more));
    drop_front(kept_, taken);
  }
  if (partial_bytes() == 0 && received_.count != 0) {
    return fault(LMCD_E_PROTOCOL, "%zu descriptors came with no frame that announces them",
                 received_.count);
  }
  if (more) return Turn::kMore;
  return ended_ ? Turn::kEnded : Turn::kIdle;
}

// Receives what the first frame of kept_ lacks, and nothing past it.
Status Connection::fill_rest() {
  const std::size_t have = kept_.size();
  std::size_t missing = sizeof(wire::Header) - std::min(have, sizeof(wire::Header));
  if (missing == 0) {
    LMCD_ASSIGN(std::size_t whole, frame_bytes(kept_));
    if (have >= whole) return {};
    missing = whole - have;
  }
  kept_.resize(have + std::min(missing, kGrowBytes));
  Result<std::size_t> count = receive_into(std::span(kept_).subspan(have));
  kept_.resize(have + (count.ok() ? count.value() : 0));
  return count.ok() ? Status() : count.status();
}

Result<std::size_t> Connection::receive_into(std::span<std::byte> room) {
  if (ended_) return std::size_t{0};
  LMCD_ASSIGN(Passage passage, receive_with_descriptors(socket_.get(), room, received_));
  if (passage.cut_off) return fault(LMCD_E_LIMIT, "the daemon has no file descriptors left");
  if (passage.surplus != 0) {
    return fault(LMCD_E_LIMIT, "%u descriptors too many: %u may travel with a frame",
                 passage.surplus, wire::kDescriptors);
  }
  if (passage.outcome == Passage::Outcome::kClosed) ended_ = true;
  moved_bytes_ += passage.bytes;
  return passage.bytes;
}

Result<std::size_t> Connection::frame_bytes(std::span<const std::byte> bytes) const {
  wire::Header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.bytes < sizeof header || header.bytes > frame_limit_ || header.bytes % 8 != 0) {
    return fault(LMCD_E_PROTOCOL,
                 "a frame of %u bytes (%s): valid are multiples of 8 from %zu to %u", header.bytes,
                 wire::message_name(header.opcode), sizeof header, frame_limit_);
  }
  return std::size_t{header.bytes};
}

Status Connection::take_frames(std::span<const std::byte> bytes, const Handler& handler,
                               std::size_t* taken, bool* more) {
  for (uint32_t count = 0;; ++count) {
    std::span<const std::byte> rest = bytes.subspan(*taken);
    if (rest.size() < sizeof(wire::Header)) return {};
    LMCD_ASSIGN(std::size_t whole, frame_bytes(rest));
    if (rest.size() < whole) return {};
    if (count == kTurnFrames || paused()) {
      *more = true;
      return {};
    }
    *taken += whole;
    bool go_on = true;
    LMCD_TRY(hand_out(rest.first(whole), handler, &go_on));
    if (!go_on) return {};
  }
}

Status Connection::hand_out(std::span<const std::byte> bytes, const Handler& handler, bool* go_on) {
  Frame frame;
  std::memcpy(&frame.header, bytes.data(), sizeof frame.header);
  frame.payload = bytes.subspan(sizeof frame.header);
  const std::size_t announced = frame.header.descriptors;
  if (announced > received_.count || announced > wire::kDescriptors) {
    return fault(LMCD_E_PROTOCOL, "%s announces %zu descriptors, %zu came and %u are valid",
                 wire::message_name(frame.header.opcode), announced, received_.count,
                 wire::kDescriptors);
  }
  auto first = received_.items.begin();
  auto last = first + received_.count;
  frame.descriptors.assign(std::move_iterator(first), std::move_iterator(first + announced));
  std::move(first + announced, last, first);
  received_.count -= announced;
  *go_on = handler(frame);
  return {};
}

Status Connection::flush() {
  while (queued_bytes() != 0) {
    LMCD_ASSIGN(std::size_t count, send_some());
    if (count == 0) break;
    sent_ += count;
    moved_bytes_ += count;
  }
  if (queued_bytes() == 0 || sent_ > kGrowBytes) {
    drop_front(queue_, sent_);
    for (Passing& passing : passing_) passing.at -= sent_;
    sent_ = 0;
  }
  if (queued_bytes() > kQueueBytes) {
    return fault(LMCD_E_LIMIT, "%zu bytes of answers are not read; %zu are kept", queued_bytes(),
                 kQueueBytes);
  }
  return {};
}

void Connection::drop_answers() {
  deaf_ = true;
  drop_front(queue_, queue_.size());
  sent_ = 0;
  passing_.clear();
}

// Sends up to the next frame that has descriptors, or that frame's beginning with them.
// Returns 0 when the socket takes no more.
Result<std::size_t> Connection::send_some() {
  std::size_t end = queue_.size();
  std::span<const int> descriptors;
  if (!passing_.empty() && passing_.front().at == sent_) {
    descriptors = passing_.front().descriptors;
    if (passing_.size() > 1) end = passing_[1].at;
  } else if (!passing_.empty()) {
    end = passing_.front().at;
  }
  LMCD_ASSIGN(Passage passage,
              send_with_descriptors(socket_.get(), std::span(queue_).subspan(sent_, end - sent_),
                                    descriptors));
  if (passage.outcome == Passage::Outcome::kClosed) drop_answers();
  if (passage.outcome == Passage::Outcome::kMoved && !descriptors.empty()) passing_.pop_front();
  return passage.bytes;
}

}  // namespace lmcd::transport
