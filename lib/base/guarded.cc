#include "lib/base/guarded.h"

#include <linux/magic.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

#include "lib/base/bytes.h"
#include "lib/base/huge_pages.h"

namespace lmcd {
namespace {

// One row of the table. `state` is a generation (high half) and an owner (low half): kFree,
// kClaimed, or the pid of the process that mapped the region, which publishes the rest. The
// generation lets the handler, which cannot lock, see that a row changed while it read: a field
// of a later claim is read only after that claim's change of the state (release and acquire on
// each field, since TSan knows no fences).
struct Row {
  std::atomic<uint64_t> state;
  std::atomic<bool> lost;
  std::atomic<uintptr_t> begin;
  std::atomic<uintptr_t> end;
  std::atomic<uintptr_t> page_bytes;
  std::atomic<int> protection;
};

constexpr uint32_t kFree = 0;
constexpr uint32_t kClaimed = ~uint32_t{0};

constexpr uint64_t make_state(uint64_t generation, uint32_t owner) {
  return generation << 32 | owner;
}
constexpr uint64_t generation_of(uint64_t state) { return state >> 32; }
constexpr uint32_t owner_of(uint64_t state) { return static_cast<uint32_t>(state); }
uint32_t self() { return static_cast<uint32_t>(getpid()); }

Row table[kGuardedRegions];
std::atomic<uint32_t> rows_used{0};  // rows at and above it were never claimed
struct sigaction previous;

// Puts zero pages from the fault to the end of its region. Returns false when the address is in
// none of ours.
bool replace_rest(uintptr_t address) {
  const uint32_t owner = self();
  const uint32_t used = rows_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used; ++i) {
    Row& row = table[i];
    const uint64_t state = row.state.load(std::memory_order_acquire);
    if (owner_of(state) != owner) continue;
    const uintptr_t begin = row.begin.load(std::memory_order_acquire);
    const uintptr_t end = row.end.load(std::memory_order_acquire);
    const uintptr_t page_bytes = row.page_bytes.load(std::memory_order_acquire);
    const int protection = row.protection.load(std::memory_order_acquire);
    if (row.state.load(std::memory_order_relaxed) != state) continue;
    if (address < begin || address >= end) continue;
    // The row is that of the region being touched, which nobody unmaps meanwhile. The flag comes
    // before the pages, so that whoever reads a zero put here finds it set.
    row.lost.store(true, std::memory_order_seq_cst);
    const uintptr_t from = address & ~(page_bytes - 1);
    return mmap(reinterpret_cast<void*>(from), end - from, protection,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED;
  }
  return false;
}

void pass_on(int number, siginfo_t* info, void* context) {
  if (previous.sa_flags & SA_SIGINFO) return previous.sa_sigaction(number, info, context);
  const bool sent = info->si_code <= 0;  // by kill() or the like: not a faulting access
  if (previous.sa_handler == SIG_IGN && sent) return;
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN)
    return previous.sa_handler(number);
  // The default action: an access faults again on return, a sent signal is sent again.
  struct sigaction standard {};
  standard.sa_handler = SIG_DFL;
  sigaction(number, &standard, nullptr);
  if (sent) raise(number);
}

void on_sigbus(int number, siginfo_t* info, void* context) {
  const int saved = errno;
  if (info->si_code <= 0 || !replace_rest(reinterpret_cast<uintptr_t>(info->si_addr)))
    pass_on(number, info, context);
  errno = saved;
}

// The process that forks, as its child must know it: its parent's pid may be another by then.
std::atomic<uint32_t> forking{kFree};

void before_fork() { forking.store(self(), std::memory_order_relaxed); }

// What the parent had mapped is not inherited (MADV_DONTFORK), but pointers into it are: pages of
// the child's own stand in for it. Only what a signal handler may call, since the parent may have
// other threads.
void after_fork_in_child() {
  const uint32_t parent = forking.load(std::memory_order_relaxed);
  const uint32_t used = rows_used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < used; ++i) {
    Row& row = table[i];
    if (owner_of(row.state.load(std::memory_order_acquire)) != parent) continue;
    row.lost.store(true, std::memory_order_relaxed);
    const uintptr_t begin = row.begin.load(std::memory_order_relaxed);
    mmap(reinterpret_cast<void*>(begin), row.end.load(std::memory_order_relaxed) - begin,
         row.protection.load(std::memory_order_relaxed),
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  }
}

bool install() {
  if (pthread_atfork(before_fork, nullptr, after_fork_in_child) != 0) return false;
  if (sigaction(SIGBUS, nullptr, &previous) != 0) return false;
  struct sigaction ours {};
  ours.sa_sigaction = on_sigbus;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  return sigaction(SIGBUS, &ours, nullptr) == 0;
}

// Pages of hugetlbfs can be replaced only whole; it tells their size as the block size.
uintptr_t page_bytes_of(int descriptor) {
  struct statfs system;
  if (fstatfs(descriptor, &system) == 0 && system.f_type == HUGETLBFS_MAGIC)
    return static_cast<uintptr_t>(system.f_bsize);
  return static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
}

// Maps at a multiple of 2 MiB what is as large, for huge pages of the file are mapped as such only
// there. Returns MAP_FAILED with errno as mmap(2).
void* map_shared(int descriptor, uint64_t length, uintptr_t page_bytes, int protection) {
  if (length < kHugePageBytes || page_bytes >= kHugePageBytes)
    return mmap(nullptr, length, protection, MAP_SHARED, descriptor, 0);
  const uint64_t mapped_bytes = round_up(length, page_bytes);
  const uint64_t reserved_bytes = mapped_bytes + kHugePageBytes;
  void* reserved =
      mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return MAP_FAILED;
  const uintptr_t begin = reinterpret_cast<uintptr_t>(reserved);
  const uintptr_t from = round_up(begin, kHugePageBytes);
  void* address = mmap(reinterpret_cast<void*>(from), length, protection, MAP_SHARED | MAP_FIXED,
                       descriptor, 0);
  const int error = errno;
  if (address == MAP_FAILED) {
    munmap(reserved, reserved_bytes);
  } else {
    if (from > begin) munmap(reserved, from - begin);
    munmap(reinterpret_cast<void*>(from + mapped_bytes),
           begin + reserved_bytes - from - mapped_bytes);
  }
  errno = error;
  return address;
}

// Claims a row for the region, or returns kGuardedRegions when all are taken.
uint32_t claim(uintptr_t begin, uintptr_t end, uintptr_t page_bytes, int protection) {
  for (uint32_t i = 0; i < kGuardedRegions; ++i) {
    Row& row = table[i];
    uint64_t state = row.state.load(std::memory_order_relaxed);
    if (owner_of(state) != kFree) continue;
    const uint64_t generation = generation_of(state) + 1;
    if (!row.state.compare_exchange_strong(state, make_state(generation, kClaimed),
                                           std::memory_order_acq_rel))
      continue;
    row.lost.store(false, std::memory_order_relaxed);
    row.begin.store(begin, std::memory_order_release);
    row.end.store(end, std::memory_order_release);
    row.page_bytes.store(page_bytes, std::memory_order_release);
    row.protection.store(protection, std::memory_order_release);
    row.state.store(make_state(generation, self()), std::memory_order_release);
    uint32_t used = rows_used.load(std::memory_order_relaxed);
    while (used <= i && !rows_used.compare_exchange_weak(used, i + 1, std::memory_order_release)) {
    }
    return i;
  }
  return kGuardedRegions;
}

}  // namespace

GuardedRegion::GuardedRegion(GuardedRegion&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)),
      length_(std::exchange(other.length_, 0)),
      slot_(other.slot_) {}

GuardedRegion& GuardedRegion::operator=(GuardedRegion&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  address_ = std::exchange(other.address_, nullptr);
  length_ = std::exchange(other.length_, 0);
  slot_ = other.slot_;
  return *this;
}

GuardedRegion::~GuardedRegion() { unmap(); }

Result<GuardedRegion> GuardedRegion::map(int descriptor, uint64_t length, Access access) {
  static const bool installed = install();
  if (!installed) return fault(LMCD_E_IO, "the handlers of SIGBUS and fork could not be installed");

  const int protection = access == Access::kReadOnly ? PROT_READ : PROT_READ | PROT_WRITE;
  const uintptr_t page_bytes = page_bytes_of(descriptor);
  void* address = map_shared(descriptor, length, page_bytes, protection);
  if (address == MAP_FAILED)
    return errno_fault(errno == ENOMEM ? LMCD_E_NO_MEMORY : LMCD_E_IO, errno,
                       "map %llu bytes of descriptor %d", static_cast<unsigned long long>(length),
                       descriptor);
  // What a forked child cannot reach it cannot change.
  madvise(address, length, MADV_DONTFORK);

  const uintptr_t begin = reinterpret_cast<uintptr_t>(address);
  const uint64_t mapped_bytes = round_up(length, page_bytes);
  const uint32_t slot = claim(begin, begin + mapped_bytes, page_bytes, protection);
  if (slot == kGuardedRegions) {
    munmap(address, mapped_bytes);
    return fault(LMCD_E_LIMIT, "%u guarded regions are mapped already", kGuardedRegions);
  }
  GuardedRegion region;
  region.address_ = static_cast<std::byte*>(address);
  region.length_ = length;
  region.slot_ = slot;
  return region;
}

bool GuardedRegion::lost() const {
  return address_ && table[slot_].lost.load(std::memory_order_seq_cst);
}

void GuardedRegion::unmap() {
  if (!address_) return;
  Row& row = table[slot_];
  const uint64_t state = row.state.load(std::memory_order_relaxed);
  // A forked child never had the mapping: something else may stand at the address.
  if (owner_of(state) == self()) {
    const uint64_t mapped_bytes =
        row.end.load(std::memory_order_relaxed) - row.begin.load(std::memory_order_relaxed);
    // The row goes first: its addresses may be somebody else's the moment they are unmapped.
    row.state.store(make_state(generation_of(state), kFree), std::memory_order_release);
    munmap(address_, mapped_bytes);
  }
  address_ = nullptr;
  length_ = 0;
}

bool guard_in_force() {
  if (rows_used.load(std::memory_order_acquire) == 0) return true;
  struct sigaction present;
  return sigaction(SIGBUS, nullptr, &present) == 0 && (present.sa_flags & SA_SIGINFO) &&
         present.sa_sigaction == on_sigbus;
}

}  // namespace lmcd
