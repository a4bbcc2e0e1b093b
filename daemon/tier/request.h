// One operation, as the functions of include/lmcd_tier.h hand it to a tier. Values; what the
// pointers lead to belongs to the operation until it completes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "include/lmcd_tier.h"

namespace lmcd::tier {

enum class Verb : uint8_t { kPut, kGet, kExists, kRemove, kList };

// What names a record: nothing else is compared.
struct RecordName {
  lmcd_key_t key;
  lmcd_part_t part;

  bool operator==(const RecordName& other) const {
    return std::memcmp(&key, &other.key, sizeof key) == 0 && part.rank == other.part.rank &&
           part.group == other.part.group;
  }
};

// Of each verb only its own arguments count.
struct Request {
  Verb verb;
  uint64_t deadline_ms;
  uint64_t token;
  lmcd_tier_record_t record{};           // put; else its key, part and length (get) alone
  bool checksummed = false;              // put
  const std::byte* source = nullptr;     // put
  std::byte* target = nullptr;           // get
  uint64_t cursor = 0;                   // list
  lmcd_tier_record_t* listed = nullptr;  // list
  uint32_t list_capacity = 0;            // list

  RecordName name() const { return {record.key, record.part}; }
};

}  // namespace lmcd::tier
