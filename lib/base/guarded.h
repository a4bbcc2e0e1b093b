// Memory that somebody else can shorten, and that is nevertheless safe to touch.
//
// A segment shared with a client may be truncated by it, and a sparse one may find its file
// system full; the next access to such a page raises SIGBUS. Inside a GuardedRegion the handler
// puts zero pages over the rest of the region, from the page that faulted on, marks the region
// lost, and the access goes on. Whoever copies from or to a region asks lost() when done and
// throws the bytes away if so. (Wayland's wl_shm_buffer_begin_access does the same.)
//
// A signal handler belongs to a process, hence the one table and the one handler behind this
// file, and only here. The handler is installed with the first region, never again, and hands a
// SIGBUS that is none of ours to the handler it found. Regions may be made and destroyed by any
// thread; the handler is async-signal-safe.
//
// In a child of fork() the regions of the parent are lost: zero pages of the child's own stand at
// their addresses, so that what still points there harms nobody and never crashes. (A child made
// by clone() without the handlers of fork() has nothing there.)
//
// A system call on lost pages answers EFAULT (madvise(MADV_POPULATE_WRITE) as well) and raises
// no signal: that is the caller's fault to report, and lost() does not tell it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/base/fd.h"

namespace lmcd {

// The most regions of one process at a time.
inline constexpr uint32_t kGuardedRegions = 4096;

// A shared mapping under guard. Move-only; unmapped when it goes, when nobody may touch it any
// more.
class GuardedRegion {
 public:
  GuardedRegion() = default;
  GuardedRegion(GuardedRegion&& other) noexcept;
  GuardedRegion& operator=(GuardedRegion&& other) noexcept;
  ~GuardedRegion();

  // Maps the first `length` bytes of `descriptor`, which may be closed afterwards.
  // Requires: length > 0.
  // Faults: LMCD_E_LIMIT beyond kGuardedRegions, LMCD_E_NO_MEMORY or LMCD_E_IO as mmap says.
  static Result<GuardedRegion> map(int descriptor, uint64_t length, Access access);

  std::byte* address() const { return address_; }
  uint64_t length() const { return length_; }
  // Tells whether zeros stand in for some of the bytes. Any thread. Never turns back.
  bool lost() const;

 private:
  void unmap();

  std::byte* address_ = nullptr;
  uint64_t length_ = 0;
  uint32_t slot_ = 0;
};

// Tells whether the handler is still the one that SIGBUS reaches. Somebody who installs their
// own afterwards must call ours in turn, or regions are unguarded (for `lmcd doctor`).
// Returns true when no region was ever made.
bool guard_in_force();

}  // namespace lmcd
