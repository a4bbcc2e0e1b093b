#include "lib/client/process_mark.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace lmcd::client {
namespace {

using Mark = std::atomic<uint64_t>;

// Process-wide, since what is asked is about the process. Never unmapped: a handle may outlive
// the destructors of statics.
Mark* wiped_on_fork() {
  static Mark* const mark = []() -> Mark* {
    constexpr std::size_t kPage = 4096;  // rounded up by the kernel
    void* page = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return nullptr;
    if (madvise(page, kPage, MADV_WIPEONFORK) != 0) {
      munmap(page, kPage);
      return nullptr;
    }
    return static_cast<Mark*>(page);
  }();
  return mark;
}

// Inherited by children, which therefore never take a number that an ancestor had.
std::atomic<uint64_t> last_mark{0};

}  // namespace

uint64_t process_mark() {
  Mark* mark = wiped_on_fork();
  if (mark == nullptr) return static_cast<uint64_t>(getpid());  // before Linux 4.14
  uint64_t value = mark->load(std::memory_order_relaxed);
  if (value != 0) return value;
  const uint64_t fresh = last_mark.fetch_add(1) + 1;
  return mark->compare_exchange_strong(value, fresh) ? fresh : value;
}

}  // namespace lmcd::client
