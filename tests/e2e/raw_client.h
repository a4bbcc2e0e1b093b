// A client that speaks the wire protocol by hand, for tests that must send what the library never
// would. Blocking, with a bound; a daemon that does not answer in time fails the call.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lib/base/fd.h"
#include "lib/base/fd_passing.h"
#include "lib/ledger/reader.h"
#include "lib/wire/codec.h"

namespace lmcd::e2e {

struct Reply {
  wire::Header header{};
  std::vector<std::byte> payload;

  bool is(uint16_t opcode) const { return header.opcode == opcode; }
  // The message; text and arrays view this reply. The empty message when it is another.
  template <typename Message>
  Message as() const {
    Message message;
    if (header.opcode == Message::kOpcode) wire::decode(payload, message).code();
    return message;
  }
  // The code of a Fault; LMCD_OK for any other message.
  int64_t fault() const { return static_cast<int64_t>(as<wire::Fault>().code); }
  std::string text() const { return std::string(as<wire::Fault>().text); }
};

class RawClient {
 public:
  static constexpr int kAnswerMs = 10'000;

  // Connects, and no more.
  static std::optional<RawClient> connect(const std::string& socket);
  // Connects, says Hello, maps arena and ledger, takes the liveness lock and says Alive.
  static std::optional<RawClient> open(const std::string& socket);
  RawClient(RawClient&& other) noexcept;
  RawClient& operator=(RawClient&&) = delete;
  ~RawClient();

  // Sends a frame; `request` 0 posts.
  template <typename Message>
  bool send(const Message& message, uint64_t request, std::span<const int> descriptors = {}) {
    std::vector<std::byte> bytes;
    wire::encode(message, request, static_cast<uint16_t>(descriptors.size()), bytes);
    return send_bytes(bytes, descriptors);
  }
  bool send_bytes(std::span<const std::byte> bytes, std::span<const int> descriptors = {});
  // The next frame; nothing when the daemon closed or did not answer in time.
  std::optional<Reply> receive();
  // Whether the daemon has closed its end; what it sent before is read and kept for last_fault().
  bool closed();

  // Sends a question and waits for its answer; pushed events that come first are kept.
  template <typename Message>
  Reply ask(const Message& message, std::span<const int> descriptors = {}) {
    const uint64_t request = ++last_request_;
    if (!send(message, request, descriptors)) return {};
    return answer_to(request);
  }
  template <typename Message>
  void post(const Message& message) {
    send(message, 0);
  }
  Reply answer_to(uint64_t request);
  // Posts are handled in order, so after this all earlier ones are.
  void settle() { ask(wire::Ping{}); }

  bool greet();      // Hello and Welcome
  bool take_lock();  // of the liveness byte
  // Locks every byte of this process's liveness files, those of other slots too.
  static bool squat();
  wire::Hello hello() const;

  // The events pushed so far.
  std::vector<lmcd_event_t> take_events();
  const wire::Welcome& welcome() const { return welcome_; }
  std::byte* arena() const { return arena_; }
  const ledger::Reader& ledger() const { return *ledger_; }
  const Reply& last_fault() const { return last_fault_; }
  int descriptor() const { return socket_.get(); }

  // -- The everyday verbs --------------------------------------------------------------------

  uint32_t open_space(const std::string& description = "test");
  // Reserves one object of `bytes`; the grant as it came.
  wire::Grant reserve(uint32_t space, const lmcd_key_t& key, uint64_t bytes, uint64_t lease);
  // Writes the pattern of `key` into a reserved extent and posts the commit.
  void write(const wire::Grant& grant, const lmcd_key_t& key);
  wire::Grant acquire(uint32_t space, const lmcd_key_t& key, uint64_t lease,
                      uint64_t timeout_ms = 0);
  // Whether the bytes of a leased grant are the pattern of `key`, and whole.
  bool whole(const wire::Grant& grant, const lmcd_key_t& key) const;

 private:
  explicit RawClient(FileDescriptor socket) : socket_(std::move(socket)) {}

  FileDescriptor socket_;
  std::vector<std::byte> received_;
  DescriptorBatch descriptors_;
  uint64_t last_request_ = 0;
  wire::Welcome welcome_;
  std::byte* arena_ = nullptr;
  void* ledger_memory_ = nullptr;
  std::optional<ledger::Reader> ledger_;
  std::vector<lmcd_event_t> events_;
  Reply last_fault_;
};

// A key that looks like a digest, different for each number.
lmcd_key_t key_of(uint64_t number);

}  // namespace lmcd::e2e
