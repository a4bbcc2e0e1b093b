// Offset allocator over one segment.
//
// Hands out runs of granules and takes them back. Knows offsets, never addresses: its books are
// private memory, so nothing a client writes can corrupt them. Loop thread only.
//
// Two-level segregated fit (Masmano et al., "TLSF", ECRTS 2004): holes are filed by size class,
// eight classes to a power of two, and two bitmaps find the smallest class that surely fits, so
// placing and freeing take the same few steps whatever the number of extents. Neighbours merge on
// free. A new arena is one hole at its end and is cut from its low side, so the high-water mark
// moves only when no recycled hole fits: what was populated once is used again first.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lib/base/reserved_array.h"
#include "lib/base/status.h"

namespace lmcd::core {

// Names an extent in the allocator's books until it is freed.
using ExtentId = uint32_t;
inline constexpr ExtentId kNoExtent = UINT32_MAX;

class Allocator {
 public:
  // An extent that is already in use, as a restart finds it.
  struct Occupied {
    uint64_t offset;
    uint64_t length;  // bytes, before rounding to granules
  };

  // Requires: granule_bytes is a power of two and divides arena_bytes; at most 2^32 - 2 granules.
  // Faults: LMCD_E_NO_MEMORY when the books for `extents` extents cannot be addressed.
  static Result<Allocator> make(uint64_t arena_bytes, uint32_t granule_bytes, uint32_t extents);

  // Finds room for `length` bytes.
  // Requires: length > 0.
  // Returns nothing when no hole is large enough; the caller decides what to evict.
  std::optional<ExtentId> place(uint64_t length);
  // Requires: the id came from place() or adopt() and was not freed since.
  void free(ExtentId id);

  // Books extents of an arena nothing was placed in yet; ids[i] names occupied[i].
  // Requires: sorted by offset, aligned to granules, inside of the arena, no overlap.
  void adopt(std::span<const Occupied> occupied, ExtentId* ids);

  // Notes whose an extent is, a number below 2^31, for run_around().
  void set_owner(ExtentId id, uint32_t owner) { nodes_[id].use = kUsed | owner; }
  // The owners of the extents that, freed, make with the holes between them room for `length`
  // bytes: that of `centre`, and neighbours on both sides for which `may_go(owner)` holds. None
  // when neighbours that may not go are met on both sides before that, or there are too many.
  template <typename MayGo>
  std::vector<uint32_t> run_around(ExtentId centre, uint64_t length, MayGo&& may_go) const;

  uint64_t offset_of(ExtentId id) const { return uint64_t{nodes_[id].start} * granule_bytes_; }
  // Bytes that an extent of `length` bytes takes.
  uint64_t footprint(uint64_t length) const {
    const uint64_t rest = granule_bytes_ - 1;
    return (length + rest) & ~rest;
  }

  uint64_t free_bytes() const { return free_granules_ * granule_bytes_; }
  uint64_t largest_hole_bytes() const;
  uint32_t hole_count() const { return hole_count_; }
  // The end of the highest extent ever handed out.
  uint64_t high_water_bytes() const { return uint64_t{high_water_} * granule_bytes_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kUsed = uint32_t{1} << 31;
  static constexpr uint32_t kSubclassBits = 3;
  static constexpr uint32_t kSubclasses = 1u << kSubclassBits;
  static constexpr uint32_t kClasses = 30;
  // Holes of a class that surely does not fit but may: looked at before giving up.
  static constexpr uint32_t kLastLooks = 32;
  // Extents that make a run.
  static constexpr std::size_t kRunExtents = 8192;

  // A run of granules, used or a hole. Nodes stand in address order by prev and next; a run ends
  // where the next begins.
  struct Node {
    uint32_t start;
    uint32_t prev;
    uint32_t next;
    uint32_t use;  // kUsed and its owner, or its place in holes_

    bool is_hole() const { return (use & kUsed) == 0; }
    uint32_t owner() const { return use & ~kUsed; }
  };
  struct Hole {
    uint32_t node;
    uint32_t prev;
    uint32_t next;
  };

  Allocator() = default;

  static uint32_t class_of(uint32_t granules);
  uint32_t granules_of(uint32_t node) const;
  uint32_t find_hole(uint32_t granules) const;
  uint32_t take_node();
  void retire_node(uint32_t node);
  void file_hole(uint32_t node);
  void unfile_hole(uint32_t node);
  uint32_t cut_low(uint32_t hole, uint32_t granules);
  uint32_t insert_after(uint32_t node, uint32_t start);
  void unlink(uint32_t node);

  uint32_t granule_bytes_ = 0;
  uint32_t granules_ = 0;
  uint64_t free_granules_ = 0;
  uint32_t high_water_ = 0;
  uint32_t hole_count_ = 0;

  ReservedArray<Node> nodes_;
  ReservedArray<Hole> holes_;
  uint32_t nodes_high_ = 0;
  uint32_t holes_high_ = 0;
  uint32_t spare_nodes_ = kNone;
  uint32_t spare_holes_ = kNone;

  std::array<uint32_t, kClasses * kSubclasses> heads_;
  uint32_t class_bits_ = 0;
  std::array<uint8_t, kClasses> subclass_bits_{};
};

template <typename MayGo>
std::vector<uint32_t> Allocator::run_around(ExtentId centre, uint64_t length,
                                            MayGo&& may_go) const {
  const uint64_t wanted = footprint(length) / granule_bytes_;
  std::vector<uint32_t> owners = {nodes_[centre].owner()};
  uint64_t have = granules_of(centre);
  // Moves an end of the run to its neighbour, unless that stops it.
  const auto extend = [&](uint32_t& end, uint32_t neighbour) {
    if (have >= wanted) return true;
    if (neighbour == kNone) return false;
    if (!nodes_[neighbour].is_hole()) {
      if (owners.size() == kRunExtents || !may_go(nodes_[neighbour].owner())) return false;
      owners.push_back(nodes_[neighbour].owner());
    }
    have += granules_of(neighbour);
    end = neighbour;
    return true;
  };
  uint32_t low = centre;
  uint32_t high = centre;
  bool lower = true;
  bool higher = true;
  while (have < wanted && (lower || higher)) {
    if (lower) lower = extend(low, nodes_[low].prev);
    if (higher) higher = extend(high, nodes_[high].next);
  }
  if (have < wanted) owners.clear();
  return owners;
}

}  // namespace lmcd::core
