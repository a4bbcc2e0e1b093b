// Bytes and descriptors over a Unix stream socket (SCM_RIGHTS), one system call each.
//
// Received descriptors are closed on exec from their first instant and owned from then on;
// those beyond what the caller has room for are closed and counted. Nothing waits, whether the
// socket may or not. Any thread; one at a time per socket.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "lib/base/fd.h"

namespace lmcd {

// The most descriptors that travel with one call.
inline constexpr std::size_t kPassedDescriptors = 8;

// Descriptors on their way, oldest first.
struct DescriptorBatch {
  std::array<FileDescriptor, kPassedDescriptors> items;
  std::size_t count = 0;
};

struct Passage {
  enum class Outcome {
    kMoved,       // `bytes` of them, at least one
    kWouldBlock,  // nothing moved; wait for the socket
    kClosed,      // the peer is gone
  };
  Outcome outcome = Outcome::kMoved;
  std::size_t bytes = 0;
  uint32_t surplus = 0;  // received descriptors that found no room; closed
  bool cut_off = false;  // some more could not be had: this process has no numbers left for them
};

// Sends some of `bytes`, and all of `descriptors` with the first of them. Never raises SIGPIPE.
// Requires: bytes is not empty; at most kPassedDescriptors descriptors.
Result<Passage> send_with_descriptors(int socket, std::span<const std::byte> bytes,
                                      std::span<const int> descriptors);

// Receives up to `bytes.size()` bytes and appends what descriptors come with them to `into`.
// Requires: bytes is not empty.
Result<Passage> receive_with_descriptors(int socket, std::span<std::byte> bytes,
                                         DescriptorBatch& into);

}  // namespace lmcd
