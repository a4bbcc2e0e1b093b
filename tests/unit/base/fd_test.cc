// A descriptor is closed exactly once, and passed between processes without one getting lost:
// proved by counting the entries of /proc/self/fd.
#include "lib/base/fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "lib/base/fd_passing.h"

namespace lmcd {
namespace {

std::size_t open_descriptors() {
  std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

FileDescriptor memory() { return FileDescriptor(memfd_create("test", MFD_CLOEXEC)); }

std::span<const std::byte> bytes_of(const char* text) {
  return std::as_bytes(std::span(text, std::strlen(text)));
}

struct SocketPair {
  SocketPair() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  FileDescriptor near, far;
};

TEST(FileDescriptor, is_closed_once_wherever_it_was_moved) {
  const std::size_t before = open_descriptors();
  {
    FileDescriptor a = memory();
    FileDescriptor b = std::move(a);
    EXPECT_FALSE(a.valid());
    FileDescriptor c = memory();
    c = std::move(b);
    EXPECT_TRUE(c.valid());
    EXPECT_EQ(open_descriptors(), before + 1);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(FileDescriptor, reopened_read_only_refuses_a_writable_mapping) {
  FileDescriptor file = memory();
  ASSERT_EQ(ftruncate(file.get(), 4096), 0);
  auto reader = reopen(file.get(), Access::kReadOnly);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, reader.value().get(), 0),
            MAP_FAILED);
  EXPECT_EQ(fcntl(reader.value().get(), F_GETFD), FD_CLOEXEC);
}

TEST(FileDescriptor, reopening_what_is_not_open_names_it) {
  auto lost = reopen(1 << 20, Access::kReadWrite);
  ASSERT_FALSE(lost.ok());
  EXPECT_EQ(lost.status().text(), "open /proc/self/fd/1048576 again: No such file or directory");
}

TEST(FdPassing, a_descriptor_arrives_with_its_bytes_and_closed_on_exec) {
  SocketPair pair;
  FileDescriptor file = memory();
  ASSERT_EQ(write(file.get(), "kv", 2), 2);
  const int numbers[] = {file.get()};
  auto sent = send_with_descriptors(pair.near.get(), bytes_of("hello"), numbers);
  ASSERT_TRUE(sent.ok());
  EXPECT_EQ(sent.value().bytes, 5u);

  std::byte buffer[64];
  DescriptorBatch batch;
  auto received = receive_with_descriptors(pair.far.get(), buffer, batch);
  ASSERT_TRUE(received.ok());
  EXPECT_EQ(received.value().outcome, Passage::Outcome::kMoved);
  EXPECT_EQ(std::memcmp(buffer, "hello", 5), 0);
  ASSERT_EQ(batch.count, 1u);
  EXPECT_EQ(fcntl(batch.items[0].get(), F_GETFD), FD_CLOEXEC);
  char content[2];
  EXPECT_EQ(pread(batch.items[0].get(), content, 2, 0), 2);
  EXPECT_EQ(std::memcmp(content, "kv", 2), 0);
}

TEST(FdPassing, surplus_descriptors_are_counted_and_closed) {
  SocketPair pair;
  FileDescriptor file = memory();
  const std::size_t before = open_descriptors();
  const std::vector<int> numbers(5, file.get());
  ASSERT_TRUE(send_with_descriptors(pair.near.get(), bytes_of("a"), numbers).ok());
  ASSERT_TRUE(send_with_descriptors(pair.near.get(), bytes_of("b"), numbers).ok());
  {
    std::byte one[1];
    DescriptorBatch batch;
    EXPECT_EQ(receive_with_descriptors(pair.far.get(), one, batch).value().surplus, 0u);
    EXPECT_EQ(receive_with_descriptors(pair.far.get(), one, batch).value().surplus, 2u);
    EXPECT_EQ(batch.count, kPassedDescriptors);
    EXPECT_EQ(open_descriptors(), before + kPassedDescriptors);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(FdPassing, an_empty_socket_would_block_and_a_closed_one_is_closed) {
  SocketPair pair;
  std::byte buffer[8];
  DescriptorBatch batch;
  EXPECT_EQ(receive_with_descriptors(pair.far.get(), buffer, batch).value().outcome,
            Passage::Outcome::kWouldBlock);
  pair.near.reset();
  EXPECT_EQ(receive_with_descriptors(pair.far.get(), buffer, batch).value().outcome,
            Passage::Outcome::kClosed);
  EXPECT_EQ(send_with_descriptors(pair.far.get(), bytes_of("x"), {}).value().outcome,
            Passage::Outcome::kClosed);
}

}  // namespace
}  // namespace lmcd
