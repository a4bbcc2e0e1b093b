#include "daemon/memory/named_backing.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "daemon/memory/host.h"
#include "lib/ledger/layout.h"

namespace lmcd::memory {
namespace {

// Somebody who looks whether a name is stale holds its lock for microseconds (shm_sweep.cc).
constexpr int kLockTries = 10;
constexpr timespec kLockPause{.tv_sec = 0, .tv_nsec = 10'000'000};

bool is_device(const std::string& path) {
  struct stat facts;
  return stat(path.c_str(), &facts) == 0 && S_ISCHR(facts.st_mode);
}

bool is_tmpfs(int descriptor) {
  struct statfs system;
  return fstatfs(descriptor, &system) == 0 && system.f_type == TMPFS_MAGIC;
}

// Opens a file that an earlier daemon left; invalid when there is none.
Result<FileDescriptor> open_ours(const std::string& path) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file.valid()) {
    if (errno == ENOENT) return FileDescriptor();
    return errno_fault(errno == EACCES ? LMCD_E_DENIED : LMCD_E_IO, errno, "open %s", path.c_str());
  }
  struct stat facts;
  if (fstat(file.get(), &facts) != 0) return errno_fault(LMCD_E_IO, errno, "stat %s", path.c_str());
  if (!S_ISREG(facts.st_mode) && !S_ISCHR(facts.st_mode))
    return fault(LMCD_E_INVALID, "%s is neither a file nor a DAX device", path.c_str());
  if (S_ISREG(facts.st_mode) && facts.st_uid != geteuid())
    return fault(LMCD_E_DENIED,
                 "%s belongs to user %u, this daemon runs as %u: remove it or name "
                 "another --instance-id",
                 path.c_str(), facts.st_uid, geteuid());
  return file;
}

Result<FileDescriptor> make_file(const std::string& path, uint64_t bytes) {
  FileDescriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid())
    return errno_fault(errno == EACCES ? LMCD_E_DENIED : LMCD_E_IO, errno, "make %s", path.c_str());
  if (ftruncate(file.get(), static_cast<off_t>(bytes)) != 0)
    return errno_fault(LMCD_E_NO_MEMORY, errno, "size %s to %s (lower --l1-size-gb)", path.c_str(),
                       print_bytes(bytes).c_str());
  return file;
}

Status unlink_if_there(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return errno_fault(LMCD_E_IO, errno, "unlink %s", path.c_str());
}

uint64_t size_of(const FileDescriptor& file) {
  struct stat facts;
  if (fstat(file.get(), &facts) != 0) return 0;
  if (S_ISREG(facts.st_mode)) return static_cast<uint64_t>(facts.st_size);
  // A DAX device tells its size in sysfs; anything else that is a device has no such file.
  std::ifstream size("/sys/dev/char/" + std::to_string(major(facts.st_rdev)) + ":" +
                     std::to_string(minor(facts.st_rdev)) + "/size");
  uint64_t bytes = 0;
  size >> bytes;
  return bytes;
}

}  // namespace

NamedBacking::NamedBacking(const BackingOptions& options)
    : kind_(options.kind),
      directory_(kind_ == BackingKind::kPosixShm
                     ? options.shm_directory
                     : std::filesystem::absolute(options.path).parent_path().string()),
      arena_path_(kind_ == BackingKind::kPosixShm
                      ? options.shm_directory + "/lmcd_" + options.identity + "_arena"
                      : options.path),
      ledger_path_(kind_ == BackingKind::kPosixShm
                       ? options.shm_directory + "/lmcd_" + options.identity + "_ledger"
                   : options.ledger_path.empty() ? options.path + ".ledger"
                                                 : options.ledger_path),
      huge_pages_(options.huge_pages) {}

Result<NamedBacking::Presence> NamedBacking::hold() {
  if (lock_.valid()) return Presence::kHeld;
  LMCD_ASSIGN(FileDescriptor file, open_ours(arena_path_));
  if (!file.valid()) return Presence::kAbsent;
  for (int tries = 0; flock(file.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK) return errno_fault(LMCD_E_IO, errno, "lock %s", arena_path_.c_str());
    if (tries == kLockTries)
      return fault(LMCD_E_LIMIT,
                   "%s is in use by another daemon: stop it, or give this one another --socket, "
                   "--instance-id or --l1-path",
                   arena_path_.c_str());
    nanosleep(&kLockPause, nullptr);
  }
  struct stat facts;
  if (fstat(file.get(), &facts) != 0 || facts.st_nlink == 0) return Presence::kAbsent;
  // "Adopted": what shm_sweep.cc finds marked otherwise, it takes for left behind.
  const timespec adopted[2] = {{0, 0}, {0, 0}};
  if (kind_ == BackingKind::kPosixShm) futimens(file.get(), adopted);
  lock_ = std::move(file);
  return Presence::kHeld;
}

Result<std::optional<SharedMemory>> NamedBacking::attach() {
  LMCD_TRY(check_ours());
  LMCD_ASSIGN(const Presence presence, hold());
  if (presence == Presence::kAbsent) return std::optional<SharedMemory>();
  SharedMemory memory;
  LMCD_ASSIGN(memory.arena, open_ours(arena_path_));
  LMCD_ASSIGN(memory.ledger, open_ours(ledger_path_));
  if (!memory.arena.valid() || !memory.ledger.valid()) return std::optional<SharedMemory>();
  memory.arena_bytes = size_of(memory.arena);
  memory.ledger_bytes = size_of(memory.ledger);
  if (memory.arena_bytes == 0 || memory.ledger_bytes == 0) return std::optional<SharedMemory>();
  LMCD_TRY(check_huge_pages());
  memory.advise_huge_pages = huge_pages_;
  return std::optional(std::move(memory));
}

Result<SharedMemory> NamedBacking::create(uint64_t arena_bytes, uint64_t ledger_bytes) {
  LMCD_TRY(check_huge_pages());
  // Before anything goes: a size that this machine can never have costs nothing.
  if (kind_ == BackingKind::kPosixShm) LMCD_TRY(check_memory(arena_bytes + ledger_bytes));
  LMCD_TRY(discard());
  Result<SharedMemory> memory = make_pair(arena_bytes, ledger_bytes);
  if (memory.ok()) return memory;
  LMCD_TRY(unlink_pair());
  return memory;
}

Result<SharedMemory> NamedBacking::make_pair(uint64_t arena_bytes, uint64_t ledger_bytes) {
  if (kind_ == BackingKind::kPosixShm) {
    LMCD_TRY(check_room(directory_, arena_bytes + ledger_bytes,
                        "enlarge it (mount -o remount,size=..., docker --shm-size), remove what "
                        "lies there, lower --l1-size-gb, or use --l1-backing memfd"));
  }
  SharedMemory memory;
  memory.arena_bytes = arena_bytes;
  memory.ledger_bytes = ledger_bytes;
  memory.advise_huge_pages = huge_pages_;
  LMCD_ASSIGN(memory.ledger, make_file(ledger_path_, ledger_bytes));
  if (is_device(arena_path_)) {
    LMCD_ASSIGN(memory.arena, open_device(arena_bytes));
  } else {
    LMCD_ASSIGN(memory.arena, make_file(arena_path_, arena_bytes));
  }
  LMCD_TRY(make_room(memory));
  LMCD_ASSIGN(const Presence presence, hold());
  if (presence == Presence::kAbsent)
    return fault(LMCD_E_IO, "%s was removed while it was made", arena_path_.c_str());
  return memory;
}

Status NamedBacking::discard() {
  LMCD_TRY(check_ours());
  LMCD_ASSIGN([[maybe_unused]] const Presence presence, hold());
  return unlink_pair();
}

Status NamedBacking::unlink_pair() {
  if (!is_device(arena_path_)) LMCD_TRY(unlink_if_there(arena_path_));
  LMCD_TRY(unlink_if_there(ledger_path_));
  lock_.reset();
  return {};
}

Status NamedBacking::sync(const SharedMemory& memory) {
  if (!outlives_boot()) return {};
  // Arena first: a ledger that is through promises bytes that are.
  if (fsync(memory.arena.get()) != 0 && !is_device(arena_path_))
    return errno_fault(LMCD_E_IO, errno, "sync %s", arena_path_.c_str());
  if (fsync(memory.ledger.get()) != 0)
    return errno_fault(LMCD_E_IO, errno, "sync %s", ledger_path_.c_str());
  return {};
}

// Refuses to touch a file of the operator's that only happens to have the name.
Status NamedBacking::check_ours() const {
  if (kind_ == BackingKind::kPosixShm) return {};
  LMCD_ASSIGN(FileDescriptor ledger, open_ours(ledger_path_));
  if (!ledger.valid()) {
    LMCD_ASSIGN(FileDescriptor arena, open_ours(arena_path_));
    if (!arena.valid() || is_device(arena_path_) || size_of(arena) == 0) return {};
    return fault(LMCD_E_INVALID,
                 "--l1-path %s: there is a file that is no arena of lmcd (%s is missing). Remove "
                 "it or name another path",
                 arena_path_.c_str(), ledger_path_.c_str());
  }
  uint64_t magic = 0;
  const ssize_t got = pread(ledger.get(), &magic, sizeof magic, 0);
  if (got == 0 || (got == sizeof magic && (magic == 0 || magic == ledger::kMagic))) return {};
  return fault(LMCD_E_INVALID,
               "--l1-path %s: %s is no ledger of lmcd. Remove it or name another path",
               arena_path_.c_str(), ledger_path_.c_str());
}

Status NamedBacking::check_huge_pages() const {
  if (!huge_pages_) return {};
  if (kind_ == BackingKind::kFile && !is_device(arena_path_))
    return fault(LMCD_E_UNSUPPORTED,
                 "--l1-use-hugepages: files have none. Use --l1-backing memfd or posix_shm");
  if (kind_ == BackingKind::kFile || tmpfs_takes_huge_pages(directory_)) return {};
  return fault(LMCD_E_NO_MEMORY,
               "--l1-use-hugepages: %s gives none. Allow them (mount -o remount,huge=advise %s) "
               "or use --l1-backing memfd",
               directory_.c_str(), directory_.c_str());
}

// Makes sure of the blocks of a file, since a lack would show as SIGBUS in the middle of a copy.
// On a tmpfs that would mean touching every page, so there the free room was looked at instead.
Status NamedBacking::make_room(const SharedMemory& memory) const {
  if (kind_ == BackingKind::kPosixShm) return {};
  constexpr const char* kMend = "free some, lower --l1-size-gb or name another --l1-path";
  const uint64_t bytes = memory.arena_bytes + memory.ledger_bytes;
  if (is_tmpfs(memory.arena.get())) return check_room(directory_, bytes, kMend);
  if (is_device(arena_path_)) return {};
  for (const auto& [file, length] : {std::pair(memory.arena.get(), memory.arena_bytes),
                                     std::pair(memory.ledger.get(), memory.ledger_bytes)}) {
    if (fallocate(file, 0, 0, static_cast<off_t>(length)) == 0) continue;
    if (errno == EOPNOTSUPP) return check_room(directory_, bytes, kMend);
    return errno_fault(LMCD_E_NO_MEMORY, errno, "%s in %s (%s)", print_bytes(bytes).c_str(),
                       directory_.c_str(), kMend);
  }
  return {};
}

Result<FileDescriptor> NamedBacking::open_device(uint64_t arena_bytes) const {
  LMCD_ASSIGN(FileDescriptor device, open_ours(arena_path_));
  const uint64_t bytes = size_of(device);
  if (bytes == 0)
    return fault(LMCD_E_INVALID, "--l1-path %s is a device, but no DAX device",
                 arena_path_.c_str());
  if (arena_bytes > bytes)
    return fault(LMCD_E_NO_MEMORY, "--l1-path %s has %s, %s are wanted. Lower --l1-size-gb",
                 arena_path_.c_str(), print_bytes(bytes).c_str(), print_bytes(arena_bytes).c_str());
  return device;
}

}  // namespace lmcd::memory
