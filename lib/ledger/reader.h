// Reads a mapped ledger, in any process, while its writer goes on.
//
// Nothing read here is believed until the record's word has been read again unchanged. A bound
// record number is checked before it is used, and a chain of parts is followed for a bounded
// number of steps, so a ledger of random bytes yields misses, not harm. A lookup believes the index
// (lib/ledger/index.h): it is a hint, which an acquire puts to the test. Any thread; no locks, no
// system calls.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "include/lmcd.h"
#include "lib/base/status.h"
#include "lib/ledger/index.h"
#include "lib/ledger/layout.h"

namespace lmcd::ledger {

class Reader {
 public:
  // Checks the header against the mapping's size. Does not own the memory.
  // Faults: LMCD_E_VERSION (another layout), LMCD_E_CORRUPT (offsets out of bounds).
  static Result<Reader> open(const void* ledger, uint64_t bytes);

  const Header& header() const { return *header_; }
  // What does not change, as it was when the ledger was opened: the memory may be gone any time.
  const Shape& shape() const { return shape_; }
  const Record* record(uint32_t number) const {
    return number < shape_.record_capacity ? &records_[number] : nullptr;
  }
  const SpaceEntry* space(uint32_t place) const;
  // Whether a namespace has this number. True only if it had it all the time since it was read.
  bool has_space(uint32_t number) const;
  const TenantEntry* tenant(uint32_t number) const;
  uint64_t incarnation() const;  // its first 8 bytes

  // One presence per key: which groups are there.
  void lookup(uint32_t space, std::span<const lmcd_key_t> keys, lmcd_presence_t* out) const;

  // One grant per key, LMCD_LEASED with the word that the bytes must still have after they were
  // read, or LMCD_PENDING or LMCD_ABSENT. `parts` has one element per key, or one for all.
  void locate(uint32_t space, std::span<const lmcd_key_t> keys, std::span<const lmcd_part_t> parts,
              lmcd_grant_t* out) const;

  // Whether the record still has this word. The caller fences before.
  bool holds(uint32_t number, uint64_t word) const {
    const Record* at = record(number);
    return at != nullptr && at->word.load(std::memory_order_acquire) == word &&
           header_->voided.load(std::memory_order_relaxed) == 0;
  }

 private:
  uint32_t place_of(uint32_t space) const { return space % shape_.space_capacity; }
  // The functions below know a namespace by the place of its entry.
  //
  // The answer for an object that is not whole, which only its record can give.
  void look_closely(uint32_t place, const lmcd_key_t& key, uint64_t hash,
                    lmcd_presence_t& out) const;
  uint32_t first_record(uint32_t place, const lmcd_key_t& key, uint64_t hash) const;
  void locate_part(uint32_t place, uint32_t first, const lmcd_key_t& key, lmcd_part_t part,
                   lmcd_grant_t& out) const;

  Shape shape_ = {};
  const Header* header_ = nullptr;
  const Record* records_ = nullptr;
  Index index_;
};

}  // namespace lmcd::ledger
