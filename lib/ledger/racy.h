// Loads and stores of plain fields that another process may change or read at the same moment.
//
// Each word is moved whole (relaxed), so a race gives an old or a new value, never undefined
// behaviour; whether the values belong together is decided by the record's word, read before and
// after. On x86 and ARM these are plain moves.
#pragma once

#include <cstdint>
#include <cstring>

#include "include/lmcd.h"

namespace lmcd::ledger {

template <typename T>
T peek(const T& field) {
  T value;
  __atomic_load(&field, &value, __ATOMIC_RELAXED);
  return value;
}

template <typename T>
void poke(T& field, T value) {
  __atomic_store(&field, &value, __ATOMIC_RELAXED);
}

// Requires: `field` is aligned to 4, as parts in a record are, though their type asks for 2.
inline lmcd_part_t peek(const lmcd_part_t& field) {
  const uint32_t word =
      __atomic_load_n(reinterpret_cast<const uint32_t*>(&field), __ATOMIC_RELAXED);
  lmcd_part_t value;
  std::memcpy(&value, &word, sizeof value);
  return value;
}

inline void poke(lmcd_part_t& field, const lmcd_part_t& value) {
  uint32_t word;
  std::memcpy(&word, &value, sizeof word);
  __atomic_store_n(reinterpret_cast<uint32_t*>(&field), word, __ATOMIC_RELAXED);
}

// Requires: `field` is aligned to 8, as keys in a record are.
inline lmcd_key_t peek(const lmcd_key_t& field) {
  uint64_t words[4];
  const uint64_t* from = reinterpret_cast<const uint64_t*>(&field);
  for (int i = 0; i < 4; ++i) words[i] = __atomic_load_n(from + i, __ATOMIC_RELAXED);
  lmcd_key_t value;
  std::memcpy(&value, words, sizeof value);
  return value;
}

inline void poke(lmcd_key_t& field, const lmcd_key_t& value) {
  uint64_t words[4];
  std::memcpy(words, &value, sizeof value);
  uint64_t* to = reinterpret_cast<uint64_t*>(&field);
  for (int i = 0; i < 4; ++i) __atomic_store_n(to + i, words[i], __ATOMIC_RELAXED);
}

// Whether a key in shared memory equals a private one.
inline bool peek_equal(const lmcd_key_t& field, const lmcd_key_t& key) {
  uint64_t words[4];
  std::memcpy(words, &key, sizeof key);
  const uint64_t* from = reinterpret_cast<const uint64_t*>(&field);
  uint64_t difference = 0;
  for (int i = 0; i < 4; ++i) difference |= __atomic_load_n(from + i, __ATOMIC_RELAXED) ^ words[i];
  return difference == 0;
}

}  // namespace lmcd::ledger
