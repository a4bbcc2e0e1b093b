// Proves that no bytes from the daemon's side harm the process: thousands of damaged and random
// frames, after each of which the call has an answer and the session works again.
#include <random>

#include "include/lmcd_admin.h"
#include "tests/unit/client/fake_daemon.h"

namespace lmcd::test {
namespace {

class Garbage : public ClientTest {
 protected:
  // Answers one question with these bytes, then hangs up.
  lmcd_code_t ask(const std::function<std::vector<std::byte>(uint64_t request)>& answer) {
    daemon.run([&] {
      Peer other = daemon.accept_and_greet();
      const Peer::Received question = other.next();
      other.send_bytes(answer(question.header.request));
    });
    EXPECT_EQ(try_open(), LMCD_OK) << error.text;
    lmcd_text_t* text = nullptr;
    const lmcd_code_t code = lmcd_stats(session, &text, &error);
    lmcd_text_close(text);
    lmcd_session_close(std::exchange(session, nullptr));
    daemon.finish();
    return code;
  }
};

TEST_F(Garbage, damaged_answers_are_faults) {
  std::mt19937 random(20240607);  // a seed of its own makes each run the same
  wire::Text text;
  text.text = "{\"a\": 1, \"b\": [1, 2, 3, 4, 5, 6, 7, 8]}";
  for (int i = 0; i < 400; ++i) {
    const lmcd_code_t code = ask([&](uint64_t request) {
      std::vector<std::byte> frame;
      wire::encode(text, request, 0, frame);
      const std::size_t changes = 1 + random() % 3;
      for (std::size_t change = 0; change < changes; ++change)
        frame[random() % frame.size()] = static_cast<std::byte>(random());
      if (random() % 4 == 0) frame.resize(random() % frame.size());
      return frame;
    });
    EXPECT_TRUE(code == LMCD_OK || code == LMCD_E_PROTOCOL || code == LMCD_E_SESSION_LOST)
        << code << ": " << error.text;
  }
}

TEST_F(Garbage, random_bytes_are_faults) {
  std::mt19937 random(4711);
  for (int i = 0; i < 200; ++i) {
    const lmcd_code_t code = ask([&](uint64_t) {
      std::vector<std::byte> bytes(1 + random() % 256);
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random());
      return bytes;
    });
    EXPECT_TRUE(code == LMCD_E_PROTOCOL || code == LMCD_E_SESSION_LOST) << code << error.text;
  }
}

TEST_F(Garbage, a_header_alone_is_checked_before_it_is_believed) {
  for (const uint32_t bytes : {0u, 8u, 15u, 17u, (4u << 20) + 8, ~0u}) {
    const lmcd_code_t code = ask([&](uint64_t request) {
      const wire::Header header{bytes, wire::Text::kOpcode, 0, request};
      const auto* first = reinterpret_cast<const std::byte*>(&header);
      return std::vector<std::byte>(first, first + sizeof header);
    });
    EXPECT_EQ(code, LMCD_E_SESSION_LOST) << bytes;
    EXPECT_NE(std::string(error.text).find(std::to_string(bytes)), std::string::npos) << error.text;
  }
}

TEST_F(Garbage, an_answer_nobody_asked_for_ends_the_session) {
  EXPECT_EQ(ask([&](uint64_t request) {
              std::vector<std::byte> frame;
              wire::encode(wire::Done{}, request + 1, 0, frame);
              return frame;
            }),
            LMCD_E_SESSION_LOST);
}

TEST_F(Garbage, an_answer_of_the_largest_size_arrives) {
  const std::string large((4 << 20) - 64, 'x');
  daemon.run([&] {
    peer = daemon.accept_and_greet();
    wire::Text text;
    text.text = large;
    peer.answer<wire::Stats>(text);
    peer.answer<wire::Ping>(wire::Done{});
  });
  ASSERT_EQ(try_open(), LMCD_OK) << error.text;
  lmcd_text_t* text = nullptr;
  ASSERT_EQ(lmcd_stats(session, &text, &error), LMCD_OK) << error.text;
  EXPECT_EQ(lmcd_text_bytes(text), large);
  lmcd_text_close(text);
  EXPECT_EQ(lmcd_ping(session, &error), LMCD_OK) << error.text;
  daemon.finish();
}

}  // namespace
}  // namespace lmcd::test
