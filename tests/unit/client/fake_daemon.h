// A daemon whose every word a test writes: it listens on a real socket and speaks real frames.
//
// The test runs its side of a conversation on a thread of its own (`run`), since the calls of the
// library wait. Every wait here has a bound, so that a wrong library fails a test and does not
// hang it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "include/lmcd.h"
#include "lib/base/fd_passing.h"
#include "lib/wire/codec.h"
#include "tests/unit/client/fake_ledger.h"

namespace lmcd::test {

inline constexpr int kPatienceMs = 20'000;

// Asks again and again, for a bounded time, until the answer is yes.
inline void until(const std::function<bool()>& yes) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
  while (!yes() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
}

// The daemon's end of one connection.
class Peer {
 public:
  Peer() = default;
  explicit Peer(FileDescriptor socket) : socket_(std::move(socket)) {}

  bool connected() const { return socket_.valid(); }
  int descriptor() const { return socket_.get(); }

  // The next frame; its payload lives until the one after it. Opcode 0: the client hung up.
  struct Received {
    wire::Header header{};
    std::span<const std::byte> payload;
  };
  Received next() {
    Received received;
    if (!read_bytes(&received.header, sizeof received.header)) return {};
    frame_.assign((received.header.bytes - sizeof received.header) / 8, 0);
    if (!read_bytes(frame_.data(), frame_.size() * 8)) return {};
    received.payload = std::as_bytes(std::span(frame_));
    return received;
  }

  // The next frame, which must be this message. Its texts and arrays live until the next frame.
  template <typename Message>
  Message expect(uint64_t* request = nullptr) {
    const Received received = next();
    EXPECT_STREQ(wire::message_name(received.header.opcode), Message::kName);
    Message message;
    if (received.header.opcode == Message::kOpcode) {
      EXPECT_TRUE(wire::decode(received.payload, message).ok());
    }
    if (request != nullptr) *request = received.header.request;
    return message;
  }
  // Expects a question and answers it.
  template <typename Question, typename Answer>
  Question answer(const Answer& answer) {
    uint64_t request = 0;
    Question question = expect<Question>(&request);
    send(answer, request);
    return question;
  }

  template <typename Message>
  void send(const Message& message, uint64_t request = 0, std::vector<int> descriptors = {}) {
    std::vector<std::byte> frame;
    wire::encode(message, request, static_cast<uint16_t>(descriptors.size()), frame);
    send_bytes(frame, descriptors);
  }
  void send_bytes(std::span<const std::byte> bytes, std::span<const int> descriptors = {}) {
    while (!bytes.empty()) {
      Result<Passage> sent = send_with_descriptors(socket_.get(), bytes, descriptors);
      if (!sent.ok() || sent.value().outcome == Passage::Outcome::kClosed) return;
      if (sent.value().outcome == Passage::Outcome::kWouldBlock) {
        pollfd polled{socket_.get(), POLLOUT, 0};
        if (poll(&polled, 1, kPatienceMs) != 1) return;
        continue;
      }
      bytes = bytes.subspan(sent.value().bytes);
      descriptors = {};
    }
  }

  // Whether the client ends the connection without another word.
  bool sees_end() { return next().header.opcode == 0; }
  void hang_up() { socket_.reset(); }
  // Descriptors that came with what was read so far.
  DescriptorBatch& descriptors() { return descriptors_; }

 private:
  bool read_bytes(void* to, std::size_t count) {
    auto* at = static_cast<std::byte*>(to);
    while (count > 0) {
      pollfd polled{socket_.get(), POLLIN, 0};
      if (poll(&polled, 1, kPatienceMs) != 1) {
        ADD_FAILURE() << "the library says nothing";
        return false;
      }
      Result<Passage> read = receive_with_descriptors(socket_.get(), {at, count}, descriptors_);
      if (!read.ok() || read.value().outcome != Passage::Outcome::kMoved) return false;
      at += read.value().bytes;
      count -= read.value().bytes;
    }
    return true;
  }

  FileDescriptor socket_;
  std::vector<uint64_t> frame_;
  DescriptorBatch descriptors_;
};

class FakeDaemon {
 public:
  FakeDaemon() : ledger(std::make_unique<FakeLedger>(0xabcd)) {
    char path[] = "/tmp/lmcd-client-XXXXXX";
    folder_ = mkdtemp(path);
    listen();
    liveness_ = FileDescriptor(memfd_create("liveness", MFD_CLOEXEC));
    EXPECT_EQ(ftruncate(liveness_.get(), 4096), 0);
    welcome.protocol = 1;
    welcome.session = 100;
    welcome.incarnation_low = 0xabcd;
    welcome.arena_bytes = FakeLedger::kArenaBytes;
    welcome.ledger_bytes = ledger->ledger_bytes();
    welcome.align_bytes = 4096;
    welcome.chunk_tokens = 256;
    welcome.read_ttl_ms = 300'000;
    welcome.write_ttl_ms = 600'000;
    welcome.transfer_modes = 3;
    welcome.daemon_pid = static_cast<uint64_t>(getpid());
    welcome.admin = 1;
    welcome.liveness_slot = 5;
    welcome.hash_algorithm = "blake3";
    welcome.daemon_version = "0.1.0";
    welcome.instance_id = "test";
  }
  ~FakeDaemon() {
    finish();
    std::filesystem::remove_all(folder_);
  }

  const std::string socket() const { return folder_ + "/lmcd.sock"; }
  int liveness_descriptor() const { return liveness_.get(); }

  void listen() {
    unlink(socket().c_str());
    listener_ = FileDescriptor(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
  }
  void stop_listening() {
    listener_.reset();
    unlink(socket().c_str());
  }

  Peer accept() {
    pollfd polled{listener_.get(), POLLIN, 0};
    if (poll(&polled, 1, kPatienceMs) != 1) {
      ADD_FAILURE() << "nobody connects";
      return Peer();
    }
    return Peer(FileDescriptor(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }

  // Answers Hello and takes Alive.
  wire::Hello greet(Peer& peer) {
    uint64_t request = 0;
    const wire::Hello hello = peer.expect<wire::Hello>(&request);
    std::vector<int> descriptors{ledger->ledger_descriptor(), ledger->arena_descriptor()};
    if (hello.liveness_inode == 0) descriptors.push_back(liveness_.get());
    peer.send(welcome, request, descriptors);
    EXPECT_EQ(peer.expect<wire::Alive>().liveness_slot, welcome.liveness_slot);
    return hello;
  }
  Peer accept_and_greet() {
    Peer peer = accept();
    greet(peer);
    return peer;
  }

  // Runs the daemon's side of what follows.
  void run(std::function<void()> script) {
    finish();
    script_ = std::thread(std::move(script));
  }
  void finish() {
    if (script_.joinable()) script_.join();
  }

  wire::Welcome welcome;
  std::unique_ptr<FakeLedger> ledger;

 private:
  std::string folder_;
  FileDescriptor listener_;
  FileDescriptor liveness_;
  std::thread script_;
};

// A session with a fake daemon, past its greeting.
class ClientTest : public ::testing::Test {
 protected:
  ~ClientTest() override {
    daemon.finish();
    lmcd_namespace_close(space);
    lmcd_session_close(session);
  }

  // Opens the session; `peer` is the daemon's end.
  void open_session(uint32_t timeout_ms = 10'000) {
    daemon.run([&] { peer = daemon.accept_and_greet(); });
    ASSERT_EQ(try_open(timeout_ms), LMCD_OK) << error.text;
    daemon.finish();
  }
  lmcd_code_t try_open(uint32_t timeout_ms = 10'000) {
    const std::string path = daemon.socket();
    lmcd_session_options_t options{};
    options.struct_size = sizeof options;
    options.timeout_ms = timeout_ms;
    options.socket = path.c_str();
    options.name = "test";
    return lmcd_session_open(&options, &session, &error);
  }
  // Opens `space`, which the daemon numbers 3.
  void open_space(uint64_t number = 3) {
    daemon.run([this, number] { answer_namespace(number); });
    lmcd_namespace_options_t options{};
    options.struct_size = sizeof options;
    options.description = "model: test";
    ASSERT_EQ(lmcd_namespace_open(session, &options, &space, &error), LMCD_OK) << error.text;
    daemon.finish();
  }
  void answer_namespace(uint64_t number) {
    wire::NamespaceOpened opened;
    opened.space = number;
    peer.answer<wire::NamespaceOpen>(opened);
  }

  lmcd_reserve_t reserve_of(const std::vector<lmcd_key_t>& keys) {
    lmcd_reserve_t request{};
    request.struct_size = sizeof request;
    request.count = static_cast<uint32_t>(keys.size());
    request.space = space;
    request.keys = keys.data();
    request.length = 4096;
    return request;
  }
  lmcd_acquire_t acquire_of(const std::vector<lmcd_key_t>& keys) {
    lmcd_acquire_t request{};
    request.struct_size = sizeof request;
    request.count = static_cast<uint32_t>(keys.size());
    request.space = space;
    request.keys = keys.data();
    return request;
  }

  // Calls until the library has connected again, which it tries every 100 ms.
  lmcd_code_t ping_until_connected() {
    lmcd_code_t code = LMCD_E_NO_DAEMON;
    until([&] {
      code = lmcd_ping(session, &error);
      return code != LMCD_E_NO_DAEMON && code != LMCD_E_SESSION_LOST;
    });
    return code;
  }

  FakeDaemon daemon;
  Peer peer;
  lmcd_session_t* session = nullptr;
  lmcd_namespace_t* space = nullptr;
  lmcd_error_t error{};
};

inline lmcd_key_t key_of(uint8_t first) {
  lmcd_key_t key{};
  key.bytes[0] = first;
  key.bytes[9] = 1;
  return key;
}

inline wire::Grant grant_of(lmcd_outcome_t outcome, uint32_t record, uint64_t offset = 0,
                            uint32_t length = 4096) {
  return {outcome, record, uint64_t{record} + 1000, offset, length, 0, 0, 0};
}

template <typename Item>
std::vector<Item> copy_of(std::span<const Item> items) {
  return {items.begin(), items.end()};
}

}  // namespace lmcd::test
