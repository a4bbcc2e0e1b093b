#include "daemon/memory/liveness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>

namespace lmcd::memory {
namespace {

// Asks who would refuse us the slot's byte.
std::optional<struct flock> ask(int file, uint32_t slot) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = slot;
  lock.l_len = 1;
  if (fcntl(file, F_GETLK, &lock) != 0) return std::nullopt;
  return lock;
}

}  // namespace

Result<Liveness> Liveness::open(const std::string& path, uint32_t slots) {
  FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid())
    return errno_fault(LMCD_E_IO, errno, "open the liveness file %s", path.c_str());
  struct stat facts;
  if (fstat(file.get(), &facts) != 0)
    return errno_fault(LMCD_E_IO, errno, "stat the liveness file %s", path.c_str());
  // A file system without locks would make the living look dead, which is the one lie that
  // nothing later could put right.
  if (!ask(file.get(), 0))
    return errno_fault(LMCD_E_UNSUPPORTED, errno,
                       "no record locks on %s (choose another --state-dir)", path.c_str());
  return Liveness(std::move(file), facts.st_dev, facts.st_ino, slots);
}

Liveness::Liveness(FileDescriptor file, uint64_t device, uint64_t inode, uint32_t slots)
    : file_(std::move(file)), device_(device), inode_(inode), holds_(slots) {}

std::optional<uint32_t> Liveness::allocate() {
  const auto slots = static_cast<uint32_t>(holds_.size());
  for (uint32_t tried = 0; tried < slots; ++tried) {
    const uint32_t slot = next_;
    next_ = (next_ + 1) % slots;
    if (holds_[slot] > 0 || is_alive(slot)) continue;
    holds_[slot] = 1;
    return slot;
  }
  return std::nullopt;
}

bool Liveness::hold(uint32_t slot) {
  if (slot >= holds_.size()) return false;
  ++holds_[slot];
  return true;
}

void Liveness::drop(uint32_t slot) {
  assert(slot < holds_.size() && holds_[slot] > 0);
  --holds_[slot];
}

bool Liveness::is_alive(uint32_t slot) const {
  if (slot >= holds_.size()) return false;
  const auto lock = ask(file_.get(), slot);
  return !lock || lock->l_type != F_UNLCK;
}

int32_t Liveness::pid_of(uint32_t slot) const {
  if (slot >= holds_.size()) return 0;
  const auto lock = ask(file_.get(), slot);
  return lock && lock->l_type != F_UNLCK ? lock->l_pid : 0;
}

}  // namespace lmcd::memory
