// A message survives encoding and decoding; any cut, any bit and any count gives a message or
// a fault, never a read past the frame (the sanitizers watch).
#include "lib/wire/codec.h"

#include <gtest/gtest.h>

namespace lmcd::wire {
namespace {

std::vector<std::byte> sample_frame() {
  static const lmcd_key_t keys[3] = {{{1}}, {{2}}, {{3}}};
  static const uint64_t lengths[3] = {10, 20, 30};
  Reserve reserve;
  reserve.lease = 7;
  reserve.depth = 4;
  reserve.tenant = "salt!";
  reserve.keys = keys;
  reserve.lengths = lengths;
  std::vector<std::byte> frame;
  encode(reserve, 99, 0, frame);
  return frame;
}

std::span<const std::byte> payload_of(const std::vector<std::byte>& frame) {
  return std::span(frame).subspan(sizeof(Header));
}

TEST(Codec, a_message_comes_back_as_it_went) {
  std::vector<std::byte> frame = sample_frame();
  Header header;
  std::memcpy(&header, frame.data(), sizeof header);
  EXPECT_EQ(header.bytes, frame.size());
  EXPECT_EQ(header.bytes % 8, 0u);
  EXPECT_EQ(header.opcode, Reserve::kOpcode);
  EXPECT_EQ(header.request, 99u);

  Reserve back;
  ASSERT_TRUE(decode(payload_of(frame), back).ok());
  EXPECT_EQ(back.lease, 7u);
  EXPECT_EQ(back.depth, 4u);
  EXPECT_EQ(back.tenant, "salt!");
  ASSERT_EQ(back.keys.size(), 3u);
  EXPECT_EQ(back.keys[2].bytes[0], 3);
  ASSERT_EQ(back.lengths.size(), 3u);
  EXPECT_EQ(back.lengths[1], 20u);
  EXPECT_TRUE(back.parts.empty());
  EXPECT_TRUE(back.parent.empty());
}

TEST(Codec, absent_trailing_fields_are_zero_and_unknown_ones_are_passed_over) {
  std::vector<std::byte> frame;
  encode(Ping{}, 1, 0, frame);
  Welcome longer;
  ASSERT_TRUE(decode(payload_of(frame), longer).ok());
  EXPECT_EQ(longer.session, 0u);
  EXPECT_EQ(longer.instance_id, "");

  std::vector<std::byte> welcome;
  encode(Welcome{.protocol = 5}, 1, 0, welcome);
  Ping shorter;
  ASSERT_TRUE(decode(payload_of(welcome), shorter).ok());
  EXPECT_EQ(shorter.reserved, 5u);
}

TEST(Codec, every_cut_is_a_message_or_a_fault) {
  std::vector<std::byte> frame = sample_frame();
  for (std::size_t bytes = 0; bytes <= frame.size() - sizeof(Header); ++bytes) {
    std::vector<std::byte> cut(frame.begin() + sizeof(Header),
                               frame.begin() + sizeof(Header) + static_cast<long>(bytes));
    Reserve back;
    Status status = decode(std::span<const std::byte>(cut), back);
    if (bytes % 8 != 0) { EXPECT_EQ(status.code(), LMCD_E_PROTOCOL) << bytes; }
  }
}

TEST(Codec, a_count_larger_than_the_frame_is_a_fault) {
  std::vector<std::byte> frame = sample_frame();
  const uint64_t huge = ~uint64_t{0};
  std::memcpy(frame.data() + sizeof(Header) + 5 * 8, &huge, 8);  // the count of `parent`
  Reserve back;
  EXPECT_EQ(decode(payload_of(frame), back).code(), LMCD_E_PROTOCOL);
}

TEST(Codec, opcodes_have_names) {
  EXPECT_STREQ(message_name(16), "Reserve");
  EXPECT_STREQ(message_name(9999), "?");
}

}  // namespace
}  // namespace lmcd::wire
