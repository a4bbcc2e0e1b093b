// Which items of a batch: a bit for each. Batches of up to 64 items take no memory of their own.
#pragma once

#include <cstdint>
#include <vector>

namespace lmcd::client {

class ItemSet {
 public:
  // An empty set over a batch of `size` items.
  explicit ItemSet(uint32_t size) : size_(size), more_(size > 64 ? (size - 1) / 64 : 0) {}

  uint32_t size() const { return size_; }    // of the batch
  uint32_t count() const { return count_; }  // items in the set
  bool contains(uint32_t item) const { return word(item) >> item % 64 & 1; }
  // Requires: it is not in the set.
  void insert(uint32_t item) {
    word(item) |= uint64_t{1} << item % 64;
    ++count_;
  }
  // Requires: it is in the set.
  void erase(uint32_t item) {
    word(item) &= ~(uint64_t{1} << item % 64);
    --count_;
  }

 private:
  uint64_t& word(uint32_t item) { return item < 64 ? first_ : more_[item / 64 - 1]; }
  uint64_t word(uint32_t item) const { return item < 64 ? first_ : more_[item / 64 - 1]; }

  uint32_t size_;
  uint32_t count_ = 0;
  uint64_t first_ = 0;
  std::vector<uint64_t> more_;
};

}  // namespace lmcd::client
