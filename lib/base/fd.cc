#include "lib/base/fd.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace lmcd {

void FileDescriptor::reset(int number) {
  // close() is not tried again on EINTR: Linux has freed the number by then (close(2)).
  if (number_ >= 0) close(number_);
  number_ = number;
}

Result<FileDescriptor> FileDescriptor::duplicate() const {
  FileDescriptor copy(fcntl(number_, F_DUPFD_CLOEXEC, 0));
  if (!copy.valid()) return errno_fault(LMCD_E_IO, errno, "duplicate descriptor %d", number_);
  return copy;
}

Result<FileDescriptor> reopen(int number, Access access) {
  char path[32];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", number);
  FileDescriptor opened(open(path, O_CLOEXEC | (access == Access::kReadOnly ? O_RDONLY : O_RDWR)));
  if (!opened.valid()) return errno_fault(LMCD_E_IO, errno, "open %s again", path);
  return opened;
}

}  // namespace lmcd
