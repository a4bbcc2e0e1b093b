#include "lib/client/liveness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "lib/client/process_mark.h"

namespace lmcd::client {

// A child begins anew rather than with its parent's books: it holds no lock, and a lock of this
// mutex may have been held by a thread that the child does not have. The parent's descriptors
// are left open there, since the program may have closed them and taken their numbers for
// something else.
Liveness& Liveness::of_this_process() {
  static std::atomic<Liveness*> current{nullptr};
  const uint64_t mark = process_mark();
  Liveness* liveness = current.load();
  while (liveness == nullptr || liveness->mark_ != mark) {
    auto* fresh = new Liveness(mark);
    if (current.compare_exchange_strong(liveness, fresh)) return *fresh;
    delete fresh;
  }
  return *liveness;
}

Liveness::File* Liveness::file_of(uint64_t device, uint64_t inode) {
  auto it = std::find_if(files_.begin(), files_.end(), [&](const File& file) {
    return file.device == device && file.inode == inode;
  });
  return it == files_.end() ? nullptr : &*it;
}

Liveness::File* Liveness::file_for(const std::string& socket) {
  auto it = std::find_if(files_.begin(), files_.end(), [&](const File& file) {
    return std::find(file.sockets.begin(), file.sockets.end(), socket) != file.sockets.end();
  });
  return it == files_.end() ? nullptr : &*it;
}

Liveness::Byte Liveness::held_for(const std::string& socket) {
  std::lock_guard lock(mutex_);
  const File* file = file_for(socket);
  return file ? Byte{file->device, file->inode, file->slot} : Byte{};
}

Status Liveness::hold(const std::string& socket, int descriptor, uint64_t slot) {
  std::lock_guard lock(mutex_);
  File* file = file_for(socket);
  if (descriptor >= 0) {
    struct stat status {};
    if (fstat(descriptor, &status) != 0) return errno_fault(LMCD_E_IO, errno, "liveness file");
    if (file != nullptr) std::erase(file->sockets, socket);
    file = file_of(status.st_dev, status.st_ino);
    // A second descriptor of a file that is held stays open unused: see the header.
    if (file == nullptr)
      file = &files_.emplace_back(File{status.st_dev, status.st_ino, descriptor, slot, {}});
    file->sockets.push_back(socket);
  }
  if (file == nullptr) {
    return fault(LMCD_E_PROTOCOL,
                 "the daemon sent no liveness file, and this process holds none of its own");
  }
  struct flock byte {};
  byte.l_type = F_WRLCK;
  byte.l_whence = SEEK_SET;
  byte.l_start = static_cast<off_t>(slot);
  byte.l_len = 1;
  if (fcntl(file->descriptor, F_SETLK, &byte) != 0) {
    return errno_fault(LMCD_E_IO, errno, "lock byte %llu of the liveness file",
                       static_cast<unsigned long long>(slot));
  }
  file->slot = slot;
  return {};
}

void Liveness::discard(int descriptor) {
  if (descriptor < 0) return;
  std::lock_guard lock(mutex_);
  struct stat status {};
  const bool held =
      fstat(descriptor, &status) == 0 && file_of(status.st_dev, status.st_ino) != nullptr;
  if (!held) close(descriptor);
}

}  // namespace lmcd::client
