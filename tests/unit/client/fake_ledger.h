// Arena and ledger of a daemon that is not there: real segments, filled by the test.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

#include "lib/base/fd.h"
#include "lib/ledger/index.h"
#include "lib/ledger/layout.h"

namespace lmcd::test {

class FakeLedger {
 public:
  static constexpr uint64_t kArenaBytes = 1 << 20;
  static constexpr uint32_t kRecords = 64;

  explicit FakeLedger(uint64_t incarnation)
      : arena_(memfd_create("arena", MFD_CLOEXEC)), ledger_(memfd_create("ledger", MFD_CLOEXEC)) {
    ledger::Shape shape{};
    shape.magic = ledger::kMagic;
    shape.version = ledger::kLedgerVersion;
    shape.align_bytes = 4096;
    std::memcpy(shape.incarnation, &incarnation, sizeof incarnation);
    shape.arena_bytes = kArenaBytes;
    shape.hash_seed = 7;
    shape.space_capacity = 4;
    shape.tenant_capacity = 4;
    shape.bucket_count = ledger::bucket_count_for(kRecords);
    shape.record_capacity = kRecords;
    ledger::lay_out(shape);
    bytes_ = shape.ledger_bytes;
    EXPECT_EQ(ftruncate(arena_.get(), kArenaBytes), 0);
    EXPECT_EQ(ftruncate(ledger_.get(), static_cast<off_t>(bytes_)), 0);
    ledger_base_ = map(ledger_, bytes_);
    arena_base_ = map(arena_, kArenaBytes);
    header_ = reinterpret_cast<ledger::Header*>(ledger_base_);
    static_cast<ledger::Shape&>(*header_) = shape;
    header_->frontier_bytes = kArenaBytes;
    index_ = ledger::Index(at<ledger::Bucket>(shape.index_offset), shape.bucket_count);
  }
  ~FakeLedger() {
    munmap(ledger_base_, bytes_);
    munmap(arena_base_, kArenaBytes);
  }
  FakeLedger(const FakeLedger&) = delete;
  FakeLedger& operator=(const FakeLedger&) = delete;

  void add_space(uint32_t number, std::string_view description) {
    auto& entry = at<ledger::SpaceEntry>(header_->space_offset)[number];
    entry.rank_count = 1;
    entry.group_count = 1;
    entry.description_bytes = static_cast<uint32_t>(description.size());
    std::memcpy(entry.description, description.data(), description.size());
    entry.used.store(1, std::memory_order_release);
  }

  // Makes a committed object of one part. Returns the word of its record.
  uint64_t add_hot(uint32_t number, uint32_t space, const lmcd_key_t& key, uint64_t offset,
                   uint32_t length) {
    ledger::Record& hot = record(number);
    hot.key = key;
    hot.label = ledger::to_word({space, {}, false});
    hot.offset = offset;
    hot.length = length;
    hot.next_part = ledger::kNone;
    hot.hot_groups = 1;
    const uint64_t word = ledger::make_word(number + 1, ledger::State::kHot);
    hot.word.store(word, std::memory_order_release);
    index_.insert(ledger::hash_key(key, space, header_->hash_seed), number);
    return word;
  }

  ledger::Record& record(uint32_t number) {
    return at<ledger::Record>(header_->record_offset)[number];
  }
  ledger::Header& header() { return *header_; }
  std::byte* arena() { return arena_base_; }
  int arena_descriptor() const { return arena_.get(); }
  int ledger_descriptor() const { return ledger_.get(); }
  uint64_t ledger_bytes() const { return bytes_; }

 private:
  static std::byte* map(const FileDescriptor& segment, uint64_t bytes) {
    return static_cast<std::byte*>(
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, segment.get(), 0));
  }
  template <typename T>
  T* at(uint64_t offset) {
    return reinterpret_cast<T*>(ledger_base_ + offset);
  }

  FileDescriptor arena_;
  FileDescriptor ledger_;
  uint64_t bytes_ = 0;
  std::byte* ledger_base_ = nullptr;
  std::byte* arena_base_ = nullptr;
  ledger::Header* header_ = nullptr;
  ledger::Index index_;
};

}  // namespace lmcd::test
