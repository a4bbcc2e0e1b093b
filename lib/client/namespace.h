// A namespace as a session knows it: what it is, and under which number the daemon has it.
//
// The number belongs to the incarnation and may differ after a reconnect. For questions to the
// daemon it is asked for anew in each connection; for look-ups without a message it is found in
// the ledger itself.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "include/lmcd.h"
#include "lib/client/mapping.h"

namespace lmcd::client {

class Namespace {
 public:
  Namespace(std::string description, uint32_t rank_count, std::vector<lmcd_group_t> groups)
      : description_(std::move(description)), rank_count_(rank_count), groups_(std::move(groups)) {}

  const std::string& description() const { return description_; }
  uint32_t rank_count() const { return rank_count_; }
  const std::vector<lmcd_group_t>& groups() const { return groups_; }

  // Its number in the mapped ledger; nothing when nobody has opened it there. Any thread.
  std::optional<uint32_t> number_in(const Mapping& mapping) const;

  // The daemon's number for it in connection `epoch`; nothing when not yet asked. Under the
  // session's lock.
  std::optional<uint32_t> number_at(uint64_t epoch) const {
    return epoch == epoch_ ? std::optional(number_) : std::nullopt;
  }
  void set_number(uint64_t epoch, uint32_t number) {
    epoch_ = epoch;
    number_ = number;
  }

 private:
  const std::string description_;
  const uint32_t rank_count_;
  const std::vector<lmcd_group_t> groups_;

  uint64_t epoch_ = 0;
  uint32_t number_ = 0;
  mutable std::atomic<uint64_t> found_{0};  // serial of the mapping << 32 | number in its ledger
};

// The largest number of chunks for which every group has what it needs. What is hot and what is
// cold counts alike: both can be had. Pure.
uint32_t usable_prefix(const std::vector<lmcd_group_t>& groups, const lmcd_presence_t* presence,
                       uint32_t count);

}  // namespace lmcd::client
