#include "daemon/core/allocator.h"

#include <bit>
#include <cassert>

namespace lmcd::core {

Result<Allocator> Allocator::make(uint64_t arena_bytes, uint32_t granule_bytes,
                                  uint32_t extents) {
  assert(arena_bytes % granule_bytes == 0 && arena_bytes / granule_bytes < kNone);
  Allocator made;
  // Between any two used runs there is at most one hole.
  LMCD_ASSIGN(made.nodes_, ReservedArray<Node>::make(uint64_t{extents} * 2 + 2));
  LMCD_ASSIGN(made.holes_, ReservedArray<Hole>::make(uint64_t{extents} + 2));
  made.granule_bytes_ = granule_bytes;
  made.granules_ = static_cast<uint32_t>(arena_bytes / granule_bytes);
  made.heads_.fill(kNone);
  uint32_t all = made.take_node();
  made.nodes_[all] = {0, kNone, kNone, kUsed};
  if (made.granules_ > 0) made.file_hole(all);
  return made;
}

std::optional<ExtentId> Allocator::place(uint64_t length) {
  assert(length > 0);
  const uint64_t wanted = footprint(length) / granule_bytes_;
  if (wanted > free_granules_) return std::nullopt;
  const uint32_t granules = static_cast<uint32_t>(wanted);
  const uint32_t node = find_hole(granules);
  if (node == kNone) return std::nullopt;
  high_water_ = std::max(high_water_, nodes_[node].start + granules);
  if (granules_of(node) > granules) return cut_low(node, granules);
  unfile_hole(node);
  return node;
}

void Allocator::free(ExtentId id) {
  assert(id < nodes_high_ && !nodes_[id].is_hole());
  uint32_t node = id;
  const uint32_t next = nodes_[node].next;
  if (next != kNone && nodes_[next].is_hole()) {
    unfile_hole(next);
    unlink(next);
  }
  const uint32_t prev = nodes_[node].prev;
  if (prev != kNone && nodes_[prev].is_hole()) {
    unfile_hole(prev);
    unlink(node);
    node = prev;
  }
  file_hole(node);
}

void Allocator::adopt(std::span<const Occupied> occupied, ExtentId* ids) {
  assert(free_granules_ == granules_ && hole_count_ <= 1);
  if (occupied.empty()) return;
  nodes_.expect(occupied.size());
  uint32_t last = 0;  // the node that holds what is left
  unfile_hole(last);
  uint32_t free_from = 0;
  for (std::size_t i = 0; i < occupied.size(); ++i) {
    const uint32_t start = static_cast<uint32_t>(occupied[i].offset / granule_bytes_);
    const uint32_t end =
        start + static_cast<uint32_t>(footprint(occupied[i].length) / granule_bytes_);
    assert(start >= free_from && end <= granules_);
    if (start > free_from) {
      const uint32_t used = insert_after(last, start);
      file_hole(last);
      last = used;
    }
    ids[i] = last;
    free_from = end;
    high_water_ = std::max(high_water_, end);
    if (end < granules_) last = insert_after(last, end);
  }
  // Either the last extent ends the arena, or `last` is the rest behind it.
  if (free_from < granules_) file_hole(last);
}

uint64_t Allocator::largest_hole_bytes() const {
  if (class_bits_ == 0) return 0;
  const uint32_t size_class = std::bit_width(class_bits_) - 1;
  const uint32_t subclass = std::bit_width(uint32_t{subclass_bits_[size_class]}) - 1;
  uint32_t largest = 0;
  uint32_t looks = 0;
  for (uint32_t hole = heads_[size_class * kSubclasses + subclass];
       hole != kNone && looks < kLastLooks; hole = holes_[hole].next, ++looks) {
    largest = std::max(largest, granules_of(holes_[hole].node));
  }
  return uint64_t{largest} * granule_bytes_;
}

// The class whose holes have at least this class's smallest size: sizes below 8 have a class of
// their own; above, eight classes to a power of two.
uint32_t Allocator::class_of(uint32_t granules) {
  if (granules < kSubclasses) return granules;
  const uint32_t power = std::bit_width(granules) - 1;
  const uint32_t sub = (granules >> (power - kSubclassBits)) & (kSubclasses - 1);
  return (power - kSubclassBits + 1) * kSubclasses + sub;
}

uint32_t Allocator::granules_of(uint32_t node) const {
  const uint32_t next = nodes_[node].next;
  return (next == kNone ? granules_ : nodes_[next].start) - nodes_[node].start;
}

// Returns a hole's node of at least `granules`, or kNone.
uint32_t Allocator::find_hole(uint32_t granules) const {
  const uint32_t own = class_of(granules);
  // A hole of the request's own class may be too small unless the request is the class's
  // smallest size; those of the classes above always fit. The own class is looked at first
  // (up to a bound), so that an extent of a size that just went is put where that one was.
  uint32_t looks = 0;
  for (uint32_t hole = heads_[own]; hole != kNone && looks < kLastLooks;
       hole = holes_[hole].next, ++looks) {
    if (granules_of(holes_[hole].node) >= granules) return holes_[hole].node;
  }
  const uint32_t above = own + 1;
  uint32_t size_class = above / kSubclasses;
  if (size_class >= kClasses) return kNone;
  uint32_t subclasses = subclass_bits_[size_class] & (0xffu << (above % kSubclasses));
  if (subclasses == 0) {
    const uint32_t classes = class_bits_ & ~((uint32_t{2} << size_class) - 1);
    if (classes == 0) return kNone;
    size_class = static_cast<uint32_t>(std::countr_zero(classes));
    subclasses = subclass_bits_[size_class];
  }
  const uint32_t subclass = static_cast<uint32_t>(std::countr_zero(subclasses));
  return holes_[heads_[size_class * kSubclasses + subclass]].node;
}

uint32_t Allocator::take_node() {
  if (spare_nodes_ != kNone) {
    const uint32_t node = spare_nodes_;
    spare_nodes_ = nodes_[node].next;
    return node;
  }
  assert(nodes_high_ < nodes_.size());
  return nodes_high_++;
}

void Allocator::retire_node(uint32_t node) {
  nodes_[node].next = spare_nodes_;
  spare_nodes_ = node;
}

void Allocator::file_hole(uint32_t node) {
  uint32_t hole = spare_holes_;
  if (hole != kNone) {
    spare_holes_ = holes_[hole].next;
  } else {
    assert(holes_high_ < holes_.size());
    hole = holes_high_++;
  }
  const uint32_t filed = class_of(granules_of(node));
  holes_[hole] = {node, kNone, heads_[filed]};
  if (heads_[filed] != kNone) holes_[heads_[filed]].prev = hole;
  heads_[filed] = hole;
  nodes_[node].use = hole;
  class_bits_ |= 1u << (filed / kSubclasses);
  subclass_bits_[filed / kSubclasses] |= static_cast<uint8_t>(1u << (filed % kSubclasses));
  free_granules_ += granules_of(node);
  ++hole_count_;
}

// Requires: the node's size is the one it was filed with.
void Allocator::unfile_hole(uint32_t node) {
  const uint32_t hole = nodes_[node].use;
  const Hole gone = holes_[hole];
  const uint32_t filed = class_of(granules_of(node));
  if (gone.prev != kNone) holes_[gone.prev].next = gone.next;
  else heads_[filed] = gone.next;
  if (gone.next != kNone) holes_[gone.next].prev = gone.prev;
  if (heads_[filed] == kNone) {
    uint8_t& subclasses = subclass_bits_[filed / kSubclasses];
    subclasses &= static_cast<uint8_t>(~(1u << (filed % kSubclasses)));
    if (subclasses == 0) class_bits_ &= ~(1u << (filed / kSubclasses));
  }
  holes_[hole].next = spare_holes_;
  spare_holes_ = hole;
  nodes_[node].use = kUsed;
  free_granules_ -= granules_of(node);
  --hole_count_;
}

// Takes the low side of a hole, which stays filed where it is unless what is left belongs
// elsewhere.
// Returns the node of the run that was cut off.
// Requires: the hole is larger.
uint32_t Allocator::cut_low(uint32_t hole, uint32_t granules) {
  const uint32_t left = granules_of(hole) - granules;
  const bool refile = class_of(left) != class_of(left + granules);
  if (refile) unfile_hole(hole);
  const uint32_t cut = take_node();
  Node& rest = nodes_[hole];
  nodes_[cut] = {rest.start, rest.prev, hole, kUsed};
  if (rest.prev != kNone) nodes_[rest.prev].next = cut;
  rest.prev = cut;
  rest.start += granules;
  if (refile) file_hole(hole);
  else free_granules_ -= granules;
  return cut;
}

uint32_t Allocator::insert_after(uint32_t node, uint32_t start) {
  const uint32_t inserted = take_node();
  const uint32_t next = nodes_[node].next;
  nodes_[inserted] = {start, node, next, kUsed};
  nodes_[node].next = inserted;
  if (next != kNone) nodes_[next].prev = inserted;
  return inserted;
}

// Takes a node out; its run joins that of its predecessor.
void Allocator::unlink(uint32_t node) {
  const Node gone = nodes_[node];
  nodes_[gone.prev].next = gone.next;
  if (gone.next != kNone) nodes_[gone.next].prev = gone.prev;
  retire_node(node);
}

}  // namespace lmcd::core
