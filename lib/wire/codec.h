// Bytes of a frame from a message and back.
//
// A frame is a Header and the message's fields in order. Every field starts at a multiple of
// eight bytes: a number takes eight; a text or array is a number (its bytes or elements) and
// then its bytes, padded with zeros to eight. So every array is aligned where it lies, and
// nothing is copied to be read. Little-endian, as all hosts that share memory with lmcd are.
//
// Decoding is total: any bytes give a message or a fault, and no count is believed before the
// bytes it stands for are there. Pure functions; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/limits.h"
#include "lib/wire/messages.h"

namespace lmcd::wire {

struct Header {
  uint32_t bytes;        // of the frame, this header included; a multiple of 8
  uint16_t opcode;
  uint16_t descriptors;  // file descriptors that travel with the frame
  uint64_t request;      // chosen by the asker, repeated by the answer; 0: posted or pushed
};
static_assert(sizeof(Header) == 16);

// Appends one frame to `out`. Returns its offset in `out`.
// Requires: the message keeps the limits of limits.h.
template <typename Message>
std::size_t encode(const Message& message, uint64_t request, uint16_t descriptors,
                   std::vector<std::byte>& out);

// Reads the fields of a frame's payload (what follows the header) into `message`, whose texts
// and arrays view the payload.
// Requires: payload.data() is aligned to 8.
template <typename Message>
Status decode(std::span<const std::byte> payload, Message& message);

namespace detail {

class Measure {
 public:
  void operator()(const uint64_t&) { bytes_ += 8; }
  void operator()(const std::string_view& text) { bytes_ += 8 + round_up(text.size(), 8); }
  template <typename T>
  void operator()(const std::span<const T>& array) {
    bytes_ += 8 + round_up(array.size_bytes(), 8);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = sizeof(Header);
};

// Writes fields into zeroed memory that Measure found large enough.
class Writer {
 public:
  explicit Writer(std::byte* at) : at_(at) {}
  void operator()(const uint64_t& number) {
    std::memcpy(at_, &number, 8);
    at_ += 8;
  }
  void operator()(const std::string_view& text) { run(text.size(), text.data(), text.size()); }
  template <typename T>
  void operator()(const std::span<const T>& array) {
    run(array.size(), array.data(), array.size_bytes());
  }

 private:
  void run(uint64_t count, const void* bytes, std::size_t size) {
    (*this)(count);
    if (size != 0) std::memcpy(at_, bytes, size);
    at_ += round_up(size, 8);
  }

  std::byte* at_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::byte> payload) : rest_(payload) {}
  void operator()(uint64_t& number) { number = take_number(); }
  void operator()(std::string_view& text) {
    std::span<const std::byte> bytes = take_run(1);
    text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  template <typename T>
  void operator()(std::span<const T>& array) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8);
    std::span<const std::byte> bytes = take_run(sizeof(T));
    array = {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
  }
  bool broken() const { return broken_; }

 private:
  uint64_t take_number() {
    if (rest_.empty()) return 0;  // a sender of an older version ends here
    if (rest_.size() < 8) {
      broken_ = true;
      return 0;
    }
    uint64_t number;
    std::memcpy(&number, rest_.data(), 8);
    rest_ = rest_.subspan(8);
    return number;
  }
  std::span<const std::byte> take_run(std::size_t element_bytes) {
    uint64_t count = take_number();
    if (count > rest_.size() / element_bytes) {
      broken_ = true;
      rest_ = {};
      return {};
    }
    std::size_t bytes = static_cast<std::size_t>(count) * element_bytes;
    std::span<const std::byte> run = rest_.first(bytes);
    std::size_t padded = round_up(bytes, 8);
    if (padded > rest_.size()) {
      broken_ = true;
      rest_ = {};
      return {};
    }
    rest_ = rest_.subspan(padded);
    return run;
  }

  std::span<const std::byte> rest_;
  bool broken_ = false;
};

}  // namespace detail

template <typename Message>
std::size_t encode(const Message& message, uint64_t request, uint16_t descriptors,
                   std::vector<std::byte>& out) {
  detail::Measure measure;
  visit(measure, message);
  std::size_t start = out.size();
  out.resize(start + measure.bytes());  // zeroed: the padding is
  Header header{static_cast<uint32_t>(measure.bytes()), Message::kOpcode, descriptors, request};
  std::memcpy(out.data() + start, &header, sizeof header);
  detail::Writer writer(out.data() + start + sizeof header);
  visit(writer, message);
  return start;
}

template <typename Message>
Status decode(std::span<const std::byte> payload, Message& message) {
  detail::Reader reader(payload);
  visit(reader, message);
  if (reader.broken()) {
    return fault(LMCD_E_PROTOCOL, "%s: a field ends past the frame of %zu bytes", Message::kName,
                 payload.size() + sizeof(Header));
  }
  return {};
}

}  // namespace lmcd::wire
