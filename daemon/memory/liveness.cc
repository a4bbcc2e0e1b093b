#include "daemon/memory/liveness.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <charconv>
#include <string_view>
#include <vector>

namespace lmcd::memory {
namespace {

// Slots with a lock that allocate() passes over before it takes one all the same.
constexpr uint32_t kLooks = 64;
constexpr const char* kProbe = "probe";

std::string name_of(uint32_t slot) { return std::to_string(slot); }

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

bool is_locked(int file, uint32_t slot) {
  const auto lock = ask(file, slot);
  return !lock || lock->l_type != F_UNLCK;
}

}  // namespace

Result<Liveness> Liveness::open(const std::string& path, uint32_t slots) {
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
    return errno_fault(LMCD_E_IO, errno, "make the liveness directory %s", path.c_str());
  FileDescriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory.valid())
    return errno_fault(LMCD_E_IO, errno, "open the liveness directory %s", path.c_str());
  Liveness liveness(std::move(directory), slots);
  // A file system without locks would make the living look dead, which is the one lie that
  // nothing later could put right.
  if (Status status = liveness.probe(); !status.ok()) {
    return fault(LMCD_E_UNSUPPORTED, "%s in %s (choose another --state-dir)",
                 std::string(status.text()).c_str(), path.c_str());
  }
  return liveness;
}

Status Liveness::probe() const {
  FileDescriptor file(
      openat(directory_.get(), kProbe, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return errno_fault(LMCD_E_IO, errno, "no file can be made");
  const bool lockable = ask(file.get(), 0).has_value();
  const int reason = errno;
  unlinkat(directory_.get(), kProbe, 0);
  if (lockable) return {};
  return errno_fault(LMCD_E_UNSUPPORTED, reason, "no record locks");
}

Result<uint32_t> Liveness::allocate() {
  look_at_left();
  for (uint64_t tried = 0; tried < uint64_t{slots_} + kLooks; ++tried) {
    const uint32_t slot = next_;
    next_ = (next_ + 1) % slots_;
    if (book_.contains(slot)) continue;
    const FileDescriptor old = open_file(slot);
    // Its process would have to be sent another file when it comes back: a courtesy, with a bound.
    if (tried < kLooks && old.valid() && is_locked(old.get(), slot)) continue;
    LMCD_ASSIGN(FileDescriptor file, make_file(slot));
    Entry entry = entry_of(std::move(file));
    entry.holds = 1;
    book_.emplace(slot, std::move(entry));
    return slot;
  }
  return fault(LMCD_E_LIMIT, "all %u slots for client processes are in use", slots_);
}

bool Liveness::hold(uint32_t slot) {
  if (slot >= slots_) return false;
  auto found = book_.find(slot);
  if (found == book_.end()) found = book_.emplace(slot, entry_of(open_file(slot))).first;
  ++found->second.holds;
  return true;
}

void Liveness::drop(uint32_t slot) {
  auto found = book_.find(slot);
  assert(found != book_.end() && found->second.holds > 0);
  if (--found->second.holds != 0) return;
  // A process that ends closes its socket before its lock is gone.
  if (is_alive(slot)) {
    left_.insert(slot);
  } else {
    remove_file(slot);
  }
  book_.erase(found);
}

// Looks at two for each process that comes, so that they get no more.
void Liveness::look_at_left() {
  for (int looks = 0; looks < 2 && !left_.empty(); ++looks) {
    auto at = left_.upper_bound(last_look_);
    if (at == left_.end()) at = left_.begin();
    last_look_ = *at;
    const FileDescriptor file = open_file(*at);
    if (!book_.contains(*at)) {
      if (file.valid() && is_locked(file.get(), *at)) continue;
      remove_file(*at);
    }
    left_.erase(at);
  }
}

void Liveness::sweep() {
  // A directory stream owns its descriptor, and reads from where that stands.
  FileDescriptor again(openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DIR* stream = again.valid() ? fdopendir(again.get()) : nullptr;
  if (stream == nullptr) return;
  again.release();
  std::vector<uint32_t> slots;
  while (const dirent* entry = readdir(stream)) {
    const std::string_view name = entry->d_name;
    uint32_t slot = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), slot);
    if (error == std::errc() && end == name.data() + name.size()) slots.push_back(slot);
  }
  closedir(stream);
  for (uint32_t slot : slots) {
    if (book_.contains(slot)) continue;
    const FileDescriptor file = open_file(slot);
    if (file.valid() && !is_locked(file.get(), slot)) remove_file(slot);
  }
}

int Liveness::descriptor(uint32_t slot) const {
  const Entry* entry = find(slot);
  return entry == nullptr ? -1 : entry->file.get();
}

bool Liveness::has_file(uint32_t slot, uint64_t device, uint64_t inode) const {
  const Entry* entry = find(slot);
  return entry != nullptr && entry->file.valid() && entry->device == device &&
         entry->inode == inode;
}

bool Liveness::is_alive(uint32_t slot) const {
  if (slot >= slots_) return false;
  const Entry* entry = find(slot);
  return entry == nullptr || !entry->file.valid() || is_locked(entry->file.get(), slot);
}

int32_t Liveness::pid_of(uint32_t slot) const {
  const Entry* entry = find(slot);
  if (entry == nullptr || !entry->file.valid()) return 0;
  const auto lock = ask(entry->file.get(), slot);
  return lock && lock->l_type != F_UNLCK ? lock->l_pid : 0;
}

// Empty when there is none.
FileDescriptor Liveness::open_file(uint32_t slot) const {
  return FileDescriptor(openat(directory_.get(), name_of(slot).c_str(),
                               O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

// A new inode: locks on the file of before count for nothing here.
Result<FileDescriptor> Liveness::make_file(uint32_t slot) const {
  remove_file(slot);
  FileDescriptor file(openat(directory_.get(), name_of(slot).c_str(),
                             O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file.valid()) return errno_fault(LMCD_E_IO, errno, "make the liveness file %u", slot);
  return file;
}

void Liveness::remove_file(uint32_t slot) const {
  unlinkat(directory_.get(), name_of(slot).c_str(), 0);
}

Liveness::Entry Liveness::entry_of(FileDescriptor file) {
  Entry entry;
  struct stat facts;
  if (file.valid() && fstat(file.get(), &facts) == 0) {
    entry.device = facts.st_dev;
    entry.inode = facts.st_ino;
    entry.file = std::move(file);
  }
  return entry;
}

const Liveness::Entry* Liveness::find(uint32_t slot) const {
  auto found = book_.find(slot);
  return found == book_.end() ? nullptr : &found->second;
}

}  // namespace lmcd::memory
