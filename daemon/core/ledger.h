// The writer's side of the ledger (lib/ledger/layout.h says what lies in it).
//
// Keeps the ordering rules: identity is written while the word says FREE, the word is published
// by a release store, and an extent's generation is raised by the word that frees it. Knows no
// shared memory: it is given some. The memory may be truncated under it by a hostile client; who
// maps it guards it (lib/base/guarded.h). Loop thread only.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "include/lmcd.h"
#include "lib/base/prefetch.h"
#include "lib/base/status.h"
#include "lib/ledger/index.h"
#include "lib/ledger/layout.h"

namespace lmcd::core {

class Ledger {
 public:
  // What a ledger is made for. Two with the same plan can follow each other on one arena.
  struct Plan {
    uint64_t arena_bytes = 0;
    uint32_t align_bytes = 4096;
    uint32_t records = 0;
    uint8_t incarnation[16] = {};
    uint8_t boot_id[16] = {};
    uint64_t hash_seed = 0;
    std::string_view state_id;  // of the directory with the liveness files; at most 40 bytes
  };
  static constexpr uint32_t kSpaces = 4096;
  static constexpr uint32_t kTenants = 16384;
  // What `used` of a SpaceEntry may come to: numbers have 32 bits.
  static constexpr uint32_t kSpaceUsedMax = UINT32_MAX / kSpaces * 2 - 1;

  // What is written of a part while its word says FREE.
  struct Identity {
    lmcd_key_t key;
    lmcd_key_t parent;
    uint64_t offset;
    uint32_t length;
    uint32_t space;
    uint32_t tenant;
    uint32_t depth;
    lmcd_part_t part;
    uint32_t owner_slot;
    uint64_t owner_session;
    uint64_t owner_lease;
  };

  static uint64_t bytes_for(const Plan& plan);

  // Formats zeroed memory of bytes_for(plan) bytes. Does not own it.
  static Ledger format(void* memory, const Plan& plan);
  // Views a ledger that an earlier daemon left, its tables as untrusted as before.
  // Faults: LMCD_E_VERSION, LMCD_E_CORRUPT, LMCD_E_INVALID (made for another plan, or by a daemon
  // with another state directory: the incarnation, boot and seed of `plan` are not compared).
  static Result<Ledger> attach(void* memory, uint64_t bytes, const Plan& plan);

  // What may change. What may not is shape(): a copy, since the memory may be gone any time.
  ledger::Header& header() { return *header_; }
  const ledger::Header& header() const { return *header_; }
  const ledger::Shape& shape() const { return shape_; }
  ledger::Record& record(uint32_t number) { return records_[number]; }
  const ledger::Record& record(uint32_t number) const { return records_[number]; }
  ledger::SpaceEntry& space(uint32_t place) { return spaces_[place]; }
  ledger::TenantEntry& tenant(uint32_t number) { return tenants_[number]; }
  // The index that clients read; the store's own writes to it.
  ledger::Bucket* buckets() { return buckets_; }

  // Has what publish() will write at hand.
  void prefetch_to_write(uint32_t number) const {
    const char* record = reinterpret_cast<const char*>(&records_[number]);
    for (std::size_t at = 0; at < sizeof(ledger::Record); at += 64)
      lmcd::prefetch_to_write(record + at);
  }
  // Writes who the record is, an object of its own with its one part being written, then publishes
  // `word`.
  void publish(uint32_t number, const Identity& identity, uint64_t word);
  // Publishes a change of state or generation.
  void set_word(uint32_t number, uint64_t word) {
    records_[number].word.store(word, std::memory_order_release);
  }
  // Tells which groups of an object are complete, and which are being written.
  void set_groups(uint32_t number, uint32_t hot, uint32_t pending);
  // Adds the payload's checksum.
  // Requires: the word says RESERVED.
  void set_checksum(uint32_t number, uint32_t crc32c);

  // Writes a namespace into the entry at `place`, in place of what stood there. Returns its number.
  // Requires: may_write_space(place).
  uint32_t write_space(uint32_t place, std::string_view description, const lmcd_key_t& fingerprint,
                       uint32_t rank_count, std::span<const lmcd_group_t> groups);
  // Whether the place has numbers left.
  bool may_write_space(uint32_t place) const {
    return spaces_[place].used.load(std::memory_order_relaxed) < kSpaceUsedMax;
  }
  void write_tenant(uint32_t number, std::string_view salt);
  // Empties the index, as a restart does before it fills it again.
  void clear_index();
  // Says that nothing here validates any more and nobody writes here.
  void void_incarnation() { header_->voided.store(1, std::memory_order_release); }

 private:
  Ledger(void* memory, const ledger::Shape& shape);

  ledger::Shape shape_;
  ledger::Header* header_;
  ledger::SpaceEntry* spaces_;
  ledger::TenantEntry* tenants_;
  ledger::Bucket* buckets_;
  ledger::Record* records_;
};

}  // namespace lmcd::core
