// A file descriptor that is closed exactly once. Every descriptor of lmcd sits in one from its
// first line. Any thread; one at a time.
#pragma once

#include <utility>

#include "lib/base/status.h"

namespace lmcd {

class FileDescriptor {
 public:
  FileDescriptor() = default;
  // Takes the descriptor over; a negative number means none.
  explicit FileDescriptor(int number) : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }
  ~FileDescriptor() { reset(); }

  bool valid() const { return number_ >= 0; }
  int get() const { return number_; }

  // Closes the present descriptor and takes `number` over.
  void reset(int number = -1);
  // Returns the number, which the caller closes from now on.
  int release() { return std::exchange(number_, -1); }

  // Returns another descriptor of the same open file description, closed on exec.
  Result<FileDescriptor> duplicate() const;

 private:
  int number_ = -1;
};

enum class Access { kReadOnly, kReadWrite };

// Opens the file behind `number` anew: a description of its own, which shares neither flock,
// offset nor access mode with the first. This is what is handed to a client. Closed on exec.
Result<FileDescriptor> reopen(int number, Access access);

}  // namespace lmcd
