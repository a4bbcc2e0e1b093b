// Whatever a daemon answers, a client's calls end, with a code, and touch nothing but its own
// memory and the arena.
//
// The input is a list of answers: {flags, reserved, opcode, bytes} of 8 bytes, and so many bytes
// of payload. A greeted client asks one question of each kind; every question gets the next
// answer, under the number that was asked, and the connection ends when there is no other. Copies
// by the daemon are left out: a client rightly waits for ever until a daemon that lives has
// stopped using its memory.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "include/lmcd_admin.h"
#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

constexpr uint8_t kPushed = 1;  // not an answer: request 0
constexpr uint8_t kMore = 2;    // the next answer follows at once
constexpr uint8_t kCutOff = 4;  // its length says eight bytes more than there are
constexpr uint32_t kKeys = 4;

struct Answer {
  uint8_t flags;
  uint8_t reserved;
  uint16_t opcode;
  uint32_t bytes;
};
static_assert(sizeof(Answer) == 8);

class Answers {
 public:
  Answers(const uint8_t* data, std::size_t size) : rest_(data, size) {}

  // Answers one question. Returns false when nothing more can come.
  bool send_next(Peer& peer, uint64_t request) {
    Answer answer{};
    do {
      if (rest_.size() < sizeof answer) return false;
      std::memcpy(&answer, rest_.data(), sizeof answer);
      rest_ = rest_.subspan(sizeof answer);
      const std::size_t bytes = std::min<std::size_t>(answer.bytes, rest_.size());
      send(peer, answer, rest_.first(bytes), request);
      rest_ = rest_.subspan(bytes);
      if (answer.flags & kCutOff) return false;
    } while (answer.flags & (kMore | kPushed));
    return true;
  }

 private:
  static void send(Peer& peer, const Answer& answer, std::span<const uint8_t> payload,
                   uint64_t request) {
    const std::size_t padded = (payload.size() + 7) / 8 * 8;
    wire::Header header{};
    header.bytes = static_cast<uint32_t>(sizeof header + padded + (answer.flags & kCutOff ? 8 : 0));
    header.opcode = answer.opcode;
    header.request = answer.flags & kPushed ? 0 : request;
    std::vector<std::byte> frame(sizeof header + padded);
    std::memcpy(frame.data(), &header, sizeof header);
    if (!payload.empty()) std::memcpy(frame.data() + sizeof header, payload.data(), payload.size());
    peer.send_bytes(frame);
  }

  std::span<const uint8_t> rest_;
};

class Client : public ClientTest {
 public:
  void TestBody() override {}

  void run(const uint8_t* data, std::size_t size) {
    daemon.run([&] {
      Answers answers(data, size);
      Peer server = daemon.accept_and_greet();
      daemon.stop_listening();
      for (;;) {
        const Peer::Received question = server.next();
        if (question.header.opcode == 0) return;
        if (question.header.request != 0 && !answers.send_next(server, question.header.request))
          return;
      }
    });
    if (try_open(1000) != LMCD_OK) std::abort();
    ask();
    lmcd_namespace_close(std::exchange(space, nullptr));
    lmcd_session_close(std::exchange(session, nullptr));
  }

 private:
  void ask() {
    lmcd_namespace_options_t options{};
    options.struct_size = sizeof options;
    options.description = "fuzz";
    lmcd_ping(session, &error);
    if (lmcd_namespace_open(session, &options, &space, &error) != LMCD_OK) return;
    store_and_retrieve();
    operate();
    lmcd_events_subscribe(session, &error);
    lmcd_event_t events[8];
    uint32_t count = 0;
    lmcd_events_next(session, events, 8, 0, &count, &error);
    if (count > 8) std::abort();
  }

  void store_and_retrieve() {
    const std::vector<lmcd_key_t> keys = {key_of(1), key_of(2), key_of(3), key_of(4)};
    lmcd_presence_t presence[kKeys];
    lmcd_lookup_daemon(session, space, keys.data(), kKeys, presence, &error);
    lmcd_mapping_t* mapping = nullptr;
    if (lmcd_mapping_open(session, &mapping, &error) != LMCD_OK) return;
    lmcd_grant_t grants[kKeys]{};
    uint64_t lease = 0;
    const lmcd_reserve_t reserve = reserve_of(keys);
    if (lmcd_reserve(session, &reserve, grants, &lease, &error) == LMCD_OK) {
      touch(mapping, grants);
      lmcd_commit(session, lease, nullptr, nullptr, 0, &error);
    }
    const lmcd_acquire_t acquire = acquire_of(keys);
    if (lmcd_acquire(session, &acquire, grants, &lease, &error) == LMCD_OK) {
      touch(mapping, grants);
      lmcd_release(session, lease, &error);
    }
    lmcd_mapping_close(mapping);
  }

  // Uses what was granted as a caller would.
  void touch(lmcd_mapping_t* mapping, const lmcd_grant_t* grants) {
    uint8_t valid[kKeys];
    lmcd_validate(mapping, grants, kKeys, valid);
    for (uint32_t i = 0; i < kKeys; ++i) {
      auto* bytes = static_cast<volatile uint8_t*>(lmcd_mapping_address(mapping, &grants[i]));
      if (bytes == nullptr || grants[i].extent.length == 0) continue;
      bytes[0] = bytes[grants[i].extent.length - 1];
    }
  }

  void operate() {
    lmcd_text_t* text = nullptr;
    if (lmcd_stats(session, &text, &error) == LMCD_OK) {
      if (std::strlen(lmcd_text_bytes(text)) > lmcd_text_length(text)) std::abort();
      lmcd_text_close(text);
    }
    lmcd_selector_t everything{};
    everything.struct_size = sizeof everything;
    uint32_t count = 0;
    uint64_t cursor = 0;
    lmcd_listed_t listed[4];
    lmcd_list(session, &everything, listed, 4, &count, &cursor, &error);
    if (count > 4) std::abort();
    lmcd_quota_t quotas[4];
    cursor = count = 0;
    lmcd_quota_list(session, quotas, 4, &count, &cursor, &error);
    if (count > 4) std::abort();
    lmcd_cleared_t cleared;
    lmcd_clear(session, &everything, 0, &cleared, &error);
    uint64_t changed = 0;
    lmcd_pin(session, &everything, 1, &changed, &error);
  }
};

}  // namespace
}  // namespace lmcd::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  lmcd::test::Client().run(data, size);
  return 0;
}
