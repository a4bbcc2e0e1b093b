#include "daemon/memory/shm_sweep.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string_view>

#include "lib/base/fd.h"

namespace lmcd::memory {
namespace {

constexpr std::string_view kPrefix = "lmcd_";
constexpr std::string_view kArena = "_arena";
constexpr std::string_view kLedger = "_ledger";

void remove(const std::string& path, const struct stat& facts, Swept& swept) {
  if (unlink(path.c_str()) != 0) return;  // somebody else was faster
  ++swept.files;
  swept.bytes += static_cast<uint64_t>(facts.st_blocks) * 512;
}

// An unheld file seen before, long enough ago, and not adopted since.
bool is_stale(const struct stat& facts, int64_t now_s, int64_t stale_s) {
  return facts.st_mtime != 0 && facts.st_mtime <= now_s - stale_s;
}

// Looks at one pair, whose arena is at `arena`; what it finds to be stale goes, arena first.
void look(const std::string& arena, const std::string& ledger, int64_t now_s, int64_t stale_s,
          Swept& swept) {
  FileDescriptor file(open(arena.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat facts;
  if (!file.valid() || fstat(file.get(), &facts) != 0 || facts.st_uid != geteuid()) return;
  if (!S_ISREG(facts.st_mode) || flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  if (facts.st_mtime == 0) {
    const timespec seen[2] = {{now_s, 0}, {now_s, 0}};
    futimens(file.get(), seen);
    return;
  }
  if (!is_stale(facts, now_s, stale_s)) return;
  remove(arena, facts, swept);
  if (lstat(ledger.c_str(), &facts) == 0) remove(ledger, facts, swept);
}

}  // namespace

Result<Swept> sweep_shm(const std::string& directory, int64_t now_s, int64_t stale_s) {
  std::error_code error;
  Swept swept;
  std::filesystem::directory_iterator entries(directory, error);
  if (error) return errno_fault(LMCD_E_IO, error.value(), "list %s", directory.c_str());
  for (; entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    const std::string path = entries->path().string();
    const std::string name = entries->path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kArena)) {
      const std::string stem = path.substr(0, path.size() - kArena.size());
      look(path, stem + std::string(kLedger), now_s, stale_s, swept);
    } else if (name.starts_with(kPrefix) && name.ends_with(kLedger)) {
      // A ledger alone is what a daemon left that died while it made the pair.
      const std::string stem = path.substr(0, path.size() - kLedger.size());
      struct stat facts;
      if (access((stem + std::string(kArena)).c_str(), F_OK) != 0 && errno == ENOENT &&
          lstat(path.c_str(), &facts) == 0 && facts.st_uid == geteuid() &&
          is_stale(facts, now_s, stale_s))
        remove(path, facts, swept);
    }
    if (error) break;
  }
  if (error) return errno_fault(LMCD_E_IO, error.value(), "list %s", directory.c_str());
  return swept;
}

}  // namespace lmcd::memory
