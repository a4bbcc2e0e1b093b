#include "daemon/policy/ghosts.h"

#include <bit>

#include "daemon/policy/weight.h"

namespace lmcd::policy {

Result<Ghosts> Ghosts::make(uint32_t keys_max) {
  LMCD_ASSIGN(auto entries, ReservedArray<Entry>::make(uint64_t{keys_max} + 1));
  LMCD_ASSIGN(auto buckets, ReservedArray<uint32_t>::make(uint64_t{keys_max} + 1));
  return Ghosts(std::move(entries), std::move(buckets));
}

void Ghosts::remember(uint64_t key_hash, uint64_t bytes) {
  uint32_t index = take_entry();
  if (index == 0) return;
  Entry& sentinel = entries_[0];
  Entry& ghost = entries_[index];
  ghost.fingerprint = static_cast<uint32_t>(key_hash);
  ghost.weight = weight_of(bytes);
  ghost.older = sentinel.older;
  ghost.younger = 0;
  entries_[ghost.older].younger = index;
  sentinel.older = index;

  uint32_t& bucket = bucket_of(ghost.fingerprint);
  ghost.next = bucket;
  bucket = index;
  bytes_ += bytes_of_weight(ghost.weight);
  if (++count_ > bucket_count_) split_bucket();
}

std::optional<uint64_t> Ghosts::recall(uint64_t key_hash) {
  if (count_ == 0) return std::nullopt;
  auto fingerprint = static_cast<uint32_t>(key_hash);
  for (uint32_t index = bucket_of(fingerprint); index != 0; index = entries_[index].next) {
    if (entries_[index].fingerprint != fingerprint) continue;
    uint64_t bytes = bytes_of_weight(entries_[index].weight);
    forget(index);
    return bytes;
  }
  return std::nullopt;
}

void Ghosts::trim(uint64_t bytes) {
  while (bytes_ > bytes) forget(entries_[0].younger);
}

uint32_t& Ghosts::bucket_of(uint32_t fingerprint) {
  // Buckets below bucket_count_ - floor have been split and tell one bit more apart.
  uint32_t floor = std::bit_floor(bucket_count_);
  uint32_t bucket = fingerprint & (2 * floor - 1);
  return buckets_[bucket < bucket_count_ ? bucket : bucket & (floor - 1)];
}

void Ghosts::split_bucket() {
  uint32_t floor = std::bit_floor(bucket_count_);
  uint32_t* lower = &buckets_[bucket_count_ - floor];
  uint32_t* upper = &buckets_[bucket_count_];
  ++bucket_count_;
  uint32_t index = *lower;
  *lower = *upper = 0;
  while (index != 0) {
    Entry& ghost = entries_[index];
    uint32_t next = ghost.next;
    uint32_t*& end = ghost.fingerprint & floor ? upper : lower;
    *end = index;
    ghost.next = 0;
    end = &ghost.next;
    index = next;
  }
}

uint32_t Ghosts::take_entry() {
  if (used_ + 1 == entries_.size() && free_ == 0 && count_ > 0) forget(entries_[0].younger);
  if (free_ != 0) {
    uint32_t index = free_;
    free_ = entries_[index].next;
    return index;
  }
  return used_ + 1 < entries_.size() ? ++used_ : 0;
}

void Ghosts::forget(uint32_t index) {
  Entry& ghost = entries_[index];
  uint32_t* place = &bucket_of(ghost.fingerprint);
  while (*place != index) place = &entries_[*place].next;
  *place = ghost.next;
  entries_[ghost.older].younger = ghost.younger;
  entries_[ghost.younger].older = ghost.older;
  bytes_ -= bytes_of_weight(ghost.weight);
  --count_;
  ghost.next = free_;
  free_ = index;
}

}  // namespace lmcd::policy
