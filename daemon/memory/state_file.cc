#include "daemon/memory/state_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

#include "lib/base/fd.h"

namespace lmcd::memory {
namespace {

Status write_all(int file, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno_fault(LMCD_E_IO, errno, "write %s", path.c_str());
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

Status sync(const std::string& path, int file) {
  if (fsync(file) == 0) return {};
  return errno_fault(LMCD_E_IO, errno, "sync %s", path.c_str());
}

}  // namespace

Result<std::optional<std::string>> read_state_file(const std::string& path) {
  // Without O_NONBLOCK a FIFO under this name would be waited for.
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) {
    if (errno == ENOENT) return std::optional<std::string>();
    return errno_fault(LMCD_E_IO, errno, "open %s", path.c_str());
  }
  struct stat facts;
  if (fstat(file.get(), &facts) != 0) return errno_fault(LMCD_E_IO, errno, "stat %s", path.c_str());
  if (!S_ISREG(facts.st_mode))
    return fault(LMCD_E_CORRUPT, "%s is no plain file: move it away", path.c_str());
  std::string content;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(file.get(), buffer, sizeof buffer);
    if (got == 0) return std::optional(std::move(content));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno_fault(LMCD_E_IO, errno, "read %s", path.c_str());
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > kStateFileBytes)
      return fault(LMCD_E_CORRUPT, "%s has more than %zu bytes", path.c_str(), kStateFileBytes);
  }
}

Status write_state_file(const std::string& path, std::string_view content) {
  const std::string neighbour = path + ".tmp";
  FileDescriptor file(
      open(neighbour.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return errno_fault(LMCD_E_IO, errno, "open %s", neighbour.c_str());
  LMCD_TRY(write_all(file.get(), content, neighbour));
  LMCD_TRY(sync(neighbour, file.get()));
  if (std::rename(neighbour.c_str(), path.c_str()) != 0)
    return errno_fault(LMCD_E_IO, errno, "rename %s to %s", neighbour.c_str(), path.c_str());
  const std::string directory = std::filesystem::path(path).parent_path().string();
  FileDescriptor parent(
      open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) return errno_fault(LMCD_E_IO, errno, "open %s", directory.c_str());
  return sync(directory, parent.get());
}

}  // namespace lmcd::memory
