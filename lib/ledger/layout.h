// What lies in the ledger segment: written by the daemon alone, mapped read-only by clients.
//
//   Header | SpaceEntry[] | TenantEntry[] | Bucket[] (the index) | Record[]
//
// A record's `word` holds state and generation. What identifies the record is written while
// the word says kFree or kReserved; it is published by the store (release) that changes the
// word. Fields marked atomic may change at any time and bind nobody. The generation is raised
// before the record's extent is named again, so a reader that finds the word it had before its
// copy knows that the bytes it copied are those that were committed.
//
// All numbers are little-endian. Sizes are in bytes. kLedgerVersion changes with any of this.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "include/lmcd.h"

namespace lmcd::ledger {

inline constexpr uint64_t kMagic = 0x3130474c44434d4c;  // "LMCDLG01" read as a little-endian number
inline constexpr uint32_t kLedgerVersion = 2;
inline constexpr uint32_t kNone = ~uint32_t{0};  // no record

enum class State : uint8_t {
  kFree = 0,
  kReserved = 1,     // a client writes
  kHot = 2,          // committed: readable
  kQuarantined = 3,  // no key; its writer may still write
  kPromoting = 4,    // a tier writes
};

// The word of a record: generation << 8 | state.
constexpr uint64_t make_word(uint64_t generation, State state) {
  return generation << 8 | static_cast<uint64_t>(state);
}
constexpr State state_of(uint64_t word) { return static_cast<State>(word & 0xff); }
constexpr uint64_t generation_of(uint64_t word) { return word >> 8; }

// What is written once, when the ledger is made.
struct Shape {
  uint64_t magic;
  uint32_t version;
  uint32_t align_bytes;  // of extents
  uint8_t incarnation[16];
  uint8_t boot_id[16];
  uint64_t arena_bytes;
  uint64_t ledger_bytes;
  uint64_t hash_seed;
  uint64_t space_offset;
  uint64_t tenant_offset;
  uint64_t index_offset;
  uint64_t record_offset;
  uint32_t space_capacity;
  uint32_t tenant_capacity;
  uint32_t bucket_count;
  uint32_t record_capacity;
};

// The magic, the version and `voided` keep their places in every version: who finds a ledger that
// it cannot read tells what it is, and voids it for those who can.
struct Header : Shape {
  std::atomic<uint32_t> voided;  // 1: nobody writes here any more, nothing validates
  std::atomic<uint32_t> clean;   // 1: the last stop was orderly
  std::atomic<uint64_t> frontier_bytes;
  std::atomic<uint32_t> daemon_pid;
  std::atomic<uint32_t> record_high;  // records at and above this were never used
  // The state directory whose liveness files speak for the slots in the records: its UUID as text,
  // padded with zeros.
  char state_id[40];
};

static_assert(offsetof(Shape, magic) == 0 && offsetof(Shape, version) == 8);
static_assert(sizeof(Shape) == 120);  // so that is where `voided` is

struct SpaceEntry {
  static constexpr uint32_t kDescriptionBytes = 3072;
  std::atomic<uint32_t> used;  // see below
  uint32_t rank_count;
  uint32_t group_count;
  uint32_t description_bytes;
  uint8_t fingerprint[32];
  lmcd_group_t groups[16];
  char description[kDescriptionBytes];
  uint8_t unused[848];
};
static_assert(sizeof(SpaceEntry) == 4096);

// `used` of a SpaceEntry counts up: 0 at first, odd while the rest is set and stays, even while it
// is written for another namespace. The number of a namespace is made of the place of its entry and
// of that count, so no number comes again, and who has an old one finds nothing under it.
constexpr bool is_set(uint32_t used) { return used % 2 == 1; }
constexpr uint32_t space_number(uint32_t used, uint32_t place, uint32_t capacity) {
  return used / 2 * capacity + place;
}
constexpr uint32_t used_by(uint32_t number, uint32_t capacity) { return number / capacity * 2 + 1; }

struct TenantEntry {
  std::atomic<uint32_t> used;
  uint32_t salt_bytes;
  char salt[256];
  uint8_t unused[56];
};
static_assert(sizeof(TenantEntry) == 320);

// What a record is a part of, in one word: namespace, rank and group, and whether its checksum is
// known.
struct Label {
  uint32_t space = 0;  // the place of its SpaceEntry
  lmcd_part_t part = {};
  bool has_crc = false;
};

constexpr uint32_t to_word(const Label& label) {
  return (label.has_crc ? uint32_t{1} << 31 : 0) | label.space << 16 |
         uint32_t{label.part.group} << 8 | label.part.rank;
}
constexpr Label to_label(uint32_t word) {
  return {word >> 16 & 0x7fff,
          {static_cast<uint16_t>(word & 0xff), static_cast<uint16_t>(word >> 8 & 0xff)},
          word >> 31 != 0};
}

// The first cache line is all that an acquire reads. A lookup reads none, unless the index says
// that the object is not whole.
struct alignas(64) Record {
  std::atomic<uint64_t> word;
  lmcd_key_t key;
  uint64_t offset;  // in the arena
  uint32_t length;
  uint32_t crc32c;
  uint32_t label;                   // to_word(Label)
  std::atomic<uint32_t> next_part;  // the object's next record; the index names the first

  std::atomic<uint32_t> hot_groups;      // of the first record: a bit per complete group
  std::atomic<uint32_t> pending_groups;  // of the first record: a bit per group being written
  uint32_t tenant;                       // index of a TenantEntry
  uint32_t depth;
  lmcd_key_t parent;       // zeros: a root
  uint64_t owner_session;  // the writer's session
  uint64_t owner_lease;    // and its lease
  uint32_t owner_slot;     // liveness byte of the writing process
  std::atomic<uint32_t> pinned;
  std::atomic<uint32_t> hits;
  std::atomic<uint32_t> forgotten;  // 1 when it has no key any more and only leases keep it
  std::atomic<uint64_t> used_ms;    // CLOCK_MONOTONIC of the last use
};
static_assert(sizeof(Record) == 192 && offsetof(Record, hot_groups) == 64);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// Where the parts of a ledger begin. `shape` has its capacities set; fills in the offsets and
// ledger_bytes.
void lay_out(Shape& shape);

// Buckets that an index for `records` objects needs.
uint32_t bucket_count_for(uint32_t records);

}  // namespace lmcd::ledger
