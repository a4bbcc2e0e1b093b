// An engine's KV memory, registered for copies by the daemon.
//
// Owns the daemon's mapping of it, under guard: the engine may shorten it at any time, which then
// costs the copies of its session (lost()). What the engine says about its pages is checked once,
// here, against the length that is mapped, so a copy worker needs to check block ids only.
// Made and destroyed by the loop's thread; destroyed when no copy touches it any more. All else
// is const and for any thread.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "include/lmcd.h"
#include "lib/base/guarded.h"

namespace lmcd::memory {

class Segment {
 public:
  struct Description {
    uint64_t length = 0;
    std::vector<lmcd_page_t> pages;  // `base` is an offset
    std::vector<uint32_t> groups;    // of each page; empty: 0 for all
  };

  // Maps `descriptor`, which may be closed afterwards, and checks the description against it.
  // Faults: LMCD_E_INVALID, naming what is wrong and what would be right. Only memory is accepted
  // (memfd, POSIX or huge-page shared memory): a page of any other file can take for ever to come.
  static Result<Segment> open(int descriptor, Description description);

  std::byte* address() const { return region_.address(); }
  uint64_t length() const { return region_.length(); }
  bool lost() const { return region_.lost(); }

  // Pages in the order of their groups, and as registered within a group.
  std::span<const lmcd_page_t> pages_of(uint32_t group) const;
  // Bytes that one block has in all pages of the group; 0 when it has no page.
  uint64_t block_bytes_of(uint32_t group) const;
  // Block ids of the group are below this.
  uint32_t block_count_of(uint32_t group) const;

 private:
  // The pages of one group, and what follows from them.
  struct Group {
    uint32_t first_page = 0;
    uint32_t page_count = 0;
    uint32_t block_count = 0;
    uint64_t block_bytes = 0;
  };

  Segment(GuardedRegion region, Description description);
  const Group* find(uint32_t group) const;

  GuardedRegion region_;
  std::vector<lmcd_page_t> pages_;
  std::vector<Group> groups_;  // by number
};

// Whether a client's descriptor may be mapped: shared memory, of at least `length` bytes, and not
// more than this machine could ever have.
Status check_memory_behind(int descriptor, uint64_t length);

// Tells what is wrong with page `index` in a segment of `length` bytes: a fault names the field.
Status check_page(const lmcd_page_t& page, uint64_t length, uint32_t index);

}  // namespace lmcd::memory
