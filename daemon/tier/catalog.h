// What a tier holds, in memory: the record of each name, who is charged for it, and the order in
// which records go when there is no room.
//
// It knows nothing of media; `place` means what the tier wants. The oldest goes first, but one
// that was used since it was put, or since it was last spared, is spared once (a second chance):
// no order is kept up on a read. Room is reserved before bytes move, so that what is being written
// counts as used, and used never exceeds the capacity.
//
// Names are spread over shards, each a hash table of its own, so that none of them rehashes for
// longer than a turn of the loop may take. Fingerprints and tenants are kept once. Some 130 bytes
// a record. Loop thread only.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/tier/request.h"

namespace lmcd::tier {

class Catalog {
  using Account = std::map<std::string, uint64_t>::value_type;

 public:
  // One record. It stays where it is until it is forgotten.
  class Kept {
   public:
    const RecordName& name() const { return name_; }
    uint64_t length() const { return length_; }
    uint32_t crc() const { return crc32c_; }
    uint64_t place = 0;
    bool used = false;  // since it was put or spared

   private:
    friend class Catalog;
    RecordName name_;
    uint32_t crc32c_ = 0;
    uint32_t slot_ = 0;
    uint64_t length_ = 0;  // 0: the slot is free
    Account* space_ = nullptr;
    Account* tenant_ = nullptr;
    Kept* before_ = nullptr;  // in the order of going
    Kept* after_ = nullptr;
  };

  // `capacity_bytes`: 0 for no bound.
  explicit Catalog(uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  Kept* find(const RecordName& name);
  // Requires: not there, and length > 0.
  Kept& keep(const lmcd_tier_record_t& record, uint64_t place);
  void forget(Kept& kept);
  lmcd_tier_record_t record_of(const Kept& kept) const;

  // Reserves room for `bytes`, forgetting records until they fit; their names go to `victims`.
  // Returns false, and forgets none, when they can never fit beside what is being written.
  bool reserve(uint64_t bytes, std::vector<RecordName>& victims);
  // Ends a reservation.
  void give_back(uint64_t bytes) { writing_bytes_ -= bytes; }
  // Whether `bytes` fit without forgetting any.
  bool fits(uint64_t bytes) const {
    return capacity_bytes_ == 0 || (bytes <= capacity_bytes_ - used_bytes());
  }
  // Forgets what goes first, as reserve() does, until `bytes` were forgotten or nothing is left.
  void shrink(uint64_t bytes, std::vector<RecordName>& victims);
  // The record that goes first, sparing nothing; null when there is none.
  Kept* oldest() { return first_; }
  void count_evicted(const Kept& kept);

  // Fills in the completion of a list and what it lists. A cursor is the number of a slot, so it
  // stays good whatever comes and goes.
  void list(const Request& request, lmcd_tier_completion_t& completion) const;

  // All but struct_size and in_flight.
  lmcd_tier_usage_t usage() const;
  uint64_t tenant_bytes(const char* tenant) const;
  uint64_t namespace_bytes(const lmcd_key_t& fingerprint) const;
  uint64_t used_bytes() const { return kept_bytes_ + writing_bytes_; }
  uint64_t records() const { return records_; }
  uint64_t capacity_bytes() const { return capacity_bytes_; }

 private:
  struct Hash {
    std::size_t operator()(const RecordName& name) const;
  };
  using Shard = std::unordered_map<RecordName, Kept*, Hash>;
  using Accounts = std::map<std::string, uint64_t>;

  Shard& shard_of(const RecordName& name) { return shards_[Hash{}(name) >> 56]; }
  Kept& take_slot();
  void link_last(Kept& kept);
  void unlink(Kept& kept);
  static Account* charge(Accounts& accounts, std::string name, uint64_t bytes);
  static void discharge(Accounts& accounts, Account* account, uint64_t bytes);

  const uint64_t capacity_bytes_;
  std::array<Shard, 256> shards_;
  std::deque<Kept> slots_;
  std::vector<uint32_t> free_slots_;
  Kept* first_ = nullptr;
  Kept* last_ = nullptr;
  Accounts spaces_;   // bytes by fingerprint
  Accounts tenants_;  // bytes by tenant
  uint64_t kept_bytes_ = 0;
  uint64_t writing_bytes_ = 0;
  uint64_t records_ = 0;
  uint64_t evicted_records_ = 0;
  uint64_t evicted_bytes_ = 0;
};

}  // namespace lmcd::tier
