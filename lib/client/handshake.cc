#include "lib/client/handshake.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "lib/base/bytes.h"
#include "lib/client/liveness.h"

namespace lmcd::client {
namespace {

constexpr uint64_t kHelloRequest = 1;

// Descriptors that came with Welcome: ledger, arena, and perhaps the liveness file. Each is taken
// by its user; the rest go through Liveness, which knows which must not be closed.
struct Gifts {
  DescriptorBatch batch;

  ~Gifts() {
    for (std::size_t i = 0; i < batch.count; ++i)
      Liveness::of_this_process().discard(batch.items[i].release());
  }
};

Status wait_readable(const Channel& channel, Deadline deadline) {
  for (;;) {
    pollfd polled{channel.descriptor(), POLLIN, 0};
    const int count = poll(&polled, 1, deadline.poll_ms());
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return errno_fault(LMCD_E_IO, errno, "poll");
    if (deadline.passed()) return fault(LMCD_E_TIMEOUT, "the daemon does not answer Hello");
  }
}

Result<Frame> first_frame(Channel& channel, Gifts& gifts, Deadline deadline) {
  for (;;) {
    LMCD_TRY(wait_readable(channel, deadline));
    Status received = channel.receive(gifts.batch);
    if (received.code() == LMCD_E_SESSION_LOST)
      return fault(LMCD_E_NO_DAEMON, "the daemon closed the connection without an answer to Hello");
    LMCD_TRY(std::move(received));
    LMCD_ASSIGN(const std::optional<Frame> frame, channel.next());
    if (frame) return *frame;
  }
}

Status check(const wire::Welcome& welcome, const Frame& frame, const Gifts& gifts) {
  if (welcome.protocol < wire::kProtocolMin || welcome.protocol > wire::kProtocolMax) {
    return fault(LMCD_E_VERSION, "the daemon chose protocol %llu, this library speaks %u to %u",
                 static_cast<unsigned long long>(welcome.protocol), wire::kProtocolMin,
                 wire::kProtocolMax);
  }
  if (gifts.batch.count < 2 || gifts.batch.count > 3 ||
      frame.header.descriptors != gifts.batch.count) {
    return fault(LMCD_E_PROTOCOL,
                 "Welcome announces %u descriptors and brought %zu; 2 or 3 are valid",
                 frame.header.descriptors, gifts.batch.count);
  }
  if (welcome.align_bytes > kGiB || !is_power_of_two(welcome.align_bytes) ||
      welcome.read_ttl_ms > UINT32_MAX || welcome.write_ttl_ms > UINT32_MAX ||
      welcome.liveness_slot > UINT32_MAX) {
    return fault(LMCD_E_PROTOCOL,
                 "Welcome: align_bytes, a time to live or liveness_slot is not valid");
  }
  return {};
}

template <std::size_t kSize>
void copy_text(char (&to)[kSize], std::string_view from) {
  const std::size_t length = std::min(from.size(), kSize - 1);
  std::memcpy(to, from.data(), length);
  to[length] = '\0';
}

lmcd_session_info_t facts_of(const wire::Welcome& welcome) {
  lmcd_session_info_t facts{};
  facts.struct_size = sizeof facts;
  facts.protocol = static_cast<uint32_t>(welcome.protocol);
  facts.id = welcome.session;
  std::memcpy(facts.incarnation, &welcome.incarnation_low, 8);
  std::memcpy(facts.incarnation + 8, &welcome.incarnation_high, 8);
  facts.arena_bytes = welcome.arena_bytes;
  facts.align_bytes = static_cast<uint32_t>(welcome.align_bytes);
  facts.chunk_tokens = static_cast<uint32_t>(welcome.chunk_tokens);
  facts.read_ttl_ms = static_cast<uint32_t>(welcome.read_ttl_ms);
  facts.write_ttl_ms = static_cast<uint32_t>(welcome.write_ttl_ms);
  facts.verify = static_cast<uint32_t>(welcome.verify);
  facts.transfer_modes = static_cast<uint32_t>(welcome.transfer_modes);
  facts.daemon_pid = static_cast<uint32_t>(welcome.daemon_pid);
  facts.admin = welcome.admin != 0;
  copy_text(facts.hash_algorithm, welcome.hash_algorithm);
  copy_text(facts.daemon_version, welcome.daemon_version);
  copy_text(facts.instance_id, welcome.instance_id);
  return facts;
}

Result<std::shared_ptr<Mapping>> map_segments(const wire::Welcome& welcome, Gifts& gifts,
                                              const std::shared_ptr<Mapping>& present) {
  const Incarnation incarnation{welcome.incarnation_low, welcome.incarnation_high};
  if (present && present->incarnation() == incarnation) return present;
  return Mapping::make({.arena = std::move(gifts.batch.items[1]),
                        .arena_bytes = welcome.arena_bytes,
                        .ledger = std::move(gifts.batch.items[0]),
                        .ledger_bytes = welcome.ledger_bytes},
                       incarnation);
}

Status say_hello(Channel& channel, const Settings& settings) {
  const Liveness::Byte byte = Liveness::of_this_process().held_for(settings.socket);
  wire::Hello hello;
  hello.protocol_min = wire::kProtocolMin;
  hello.protocol_max = wire::kProtocolMax;
  hello.pid = static_cast<uint64_t>(getpid());
  hello.liveness_device = byte.device;
  hello.liveness_inode = byte.inode;
  hello.liveness_slot = byte.slot;
  hello.name = settings.name;
  LMCD_TRY(channel.queue(hello, kHelloRequest));
  return channel.flush();
}

// Before anything else is asked: from here on the daemon can tell whether this process lives.
Status declare_alive(Channel& channel, const Settings& settings, const wire::Welcome& welcome,
                     Gifts& gifts) {
  const int file = gifts.batch.count == 3 ? gifts.batch.items[2].release() : -1;
  LMCD_TRY(Liveness::of_this_process().hold(settings.socket, file, welcome.liveness_slot));
  wire::Alive alive;
  alive.liveness_slot = welcome.liveness_slot;
  LMCD_TRY(channel.queue(alive, 0));
  return channel.flush();
}

}  // namespace

Result<Connection> shake_hands(const Settings& settings, const std::shared_ptr<Mapping>& present,
                               Deadline deadline) {
  Gifts gifts;
  LMCD_ASSIGN(std::unique_ptr<Channel> channel, Channel::connect(settings.socket, deadline));
  LMCD_TRY(say_hello(*channel, settings));
  LMCD_ASSIGN(const Frame frame, first_frame(*channel, gifts, deadline));
  if (frame.header.request != kHelloRequest)
    return fault(LMCD_E_PROTOCOL, "the daemon's first message is no answer to Hello");
  if (frame.header.opcode == wire::Fault::kOpcode) {
    wire::Fault refusal;
    LMCD_TRY(wire::decode(frame.payload, refusal));
    return status_of(refusal);
  }
  if (frame.header.opcode != wire::Welcome::kOpcode) {
    return fault(LMCD_E_PROTOCOL, "the daemon answered Hello with %s (%u)",
                 wire::message_name(frame.header.opcode), frame.header.opcode);
  }
  wire::Welcome welcome;
  LMCD_TRY(wire::decode(frame.payload, welcome));
  LMCD_TRY(check(welcome, frame, gifts));
  LMCD_TRY(declare_alive(*channel, settings, welcome, gifts));
  LMCD_ASSIGN(std::shared_ptr<Mapping> mapping, map_segments(welcome, gifts, present));
  const lmcd_session_info_t facts = facts_of(welcome);
  auto daemon = std::make_shared<const DaemonProcess>(
      DaemonProcess::behind(channel->descriptor(), facts.daemon_pid));
  return Connection{std::move(channel), facts, std::move(mapping), std::move(daemon)};
}

Status status_of(const wire::Fault& answer) {
  const auto code = static_cast<int64_t>(answer.code);
  if (code < LMCD_E_NOT_FOUND || code >= LMCD_OK) {
    return fault(LMCD_E_PROTOCOL, "the daemon's fault has code %lld: %.*s",
                 static_cast<long long>(code), static_cast<int>(answer.text.size()),
                 answer.text.data());
  }
  return Status(static_cast<lmcd_code_t>(code), std::string(answer.text));
}

}  // namespace lmcd::client
