// The transfers of a raw_block tier. Private to raw_block_tier.cc: what each moves, and what the
// tier does when it has moved.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include "daemon/tier/raw_block/aligned.h"
#include "daemon/tier/raw_block/raw_block_tier.h"
#include "lib/base/crc32c.h"

namespace lmcd::tier {

// A transfer that touches one segment for as long as it is there.
class RawBlockTier::Step : public Transfer {
 public:
  // Answers what the step was begun for, when it has not begun and need not. Returns false when
  // it must go on.
  virtual bool cancel() { return false; }
  // Whether it ought to have begun by now.
  virtual bool late() const { return false; }
  void done() override {
    end();
    --tier_.segments_[segment_].touched;
    tier_.settle(segment_);
  }

 protected:
  explicit Step(RawBlockTier& tier) : tier_(tier) {}
  virtual void end() = 0;
  void touch(uint64_t offset_in_file) {
    segment_ = tier_.log_->segment_at(offset_in_file);
    ++tier_.segments_[segment_].touched;
  }
  void untouch() { --tier_.segments_[segment_].touched; }
  void fail(int error_number, const char* verb) {
    if (error_number != 0)
      ending_ = Ending::of(errno_fault(LMCD_E_IO, error_number, "%s at %llu", verb,
                                       static_cast<unsigned long long>(place_)));
  }
  void expire() { ending_ = unbegun(); }

  static Ending unbegun() {
    return Ending::of(fault(LMCD_E_TIMEOUT, "it was cancelled or late before it could begin"));
  }

  // A record in memory as it is in the log: header, aligned part, and the rest, padded. `memory`
  // is moved from or into where it lies when it is aligned, else through a copy.
  bool lay_out(std::byte* memory, uint64_t length) {
    const bool straight = is_aligned(memory);
    const uint64_t whole = straight ? round_down(length, kBlockBytes) : 0;
    aside_bytes_ = round_up(length - whole, kBlockBytes);
    aside_ = allocate_aligned(kBlockBytes + aside_bytes_);
    if (!aside_) {
      ending_ = Ending::of(fault(LMCD_E_NO_MEMORY, "no memory for a transfer"));
      return false;
    }
    offset = place_;
    pieces.push_back({aside_.get(), kBlockBytes});
    if (whole > 0) pieces.push_back({memory, whole});
    if (aside_bytes_ > 0) pieces.push_back({rest(), aside_bytes_});
    rest_at_ = whole;
    rest_bytes_ = length - whole;
    return true;
  }
  Block head() { return Block(aside_.get(), kBlockBytes); }
  std::byte* rest() { return aside_.get() + kBlockBytes; }

  RawBlockTier& tier_;
  uint64_t place_ = 0;  // of the record, in the file
  std::size_t segment_ = 0;
  Ending ending_;
  AlignedMemory aside_;
  uint64_t aside_bytes_ = 0;
  uint64_t rest_at_ = 0;
  uint64_t rest_bytes_ = 0;
};

// A step that is given its place in the open segment.
class RawBlockTier::Append : public Step {
 public:
  virtual uint64_t log_length() const = 0;
  // Whether to wait when there is no room at once.
  virtual bool waits() const { return true; }
  // Whether it still has a point.
  virtual bool wanted() { return true; }
  // Whether cancel() may end it.
  virtual bool may_end() const { return false; }
  // Instead of moving: there is no room, or the medium is gone.
  virtual void give_up(Ending ending) = 0;
  void put_at(uint64_t offset_in_file, uint64_t filling) {
    place_ = offset_in_file;
    filling_ = filling;
    touch(offset_in_file);
  }

 protected:
  using Step::Step;
  void stamp(const lmcd_tier_record_t& record, Kind kind) {
    write_stamped({{record, filling_}, {tier_.log_->identity(), filling_, place_}, kind}, head());
  }
  Segment& segment() { return tier_.segments_[segment_]; }
  uint64_t filling_ = 0;
};

class RawBlockTier::Put final : public Append {
 public:
  Put(RawBlockTier& tier, const Request& request)
      : Append(tier), request_(request), begin_by_ns_(tier.desk_.steady_deadline_ns(request)) {}

  uint64_t log_length() const override { return log_bytes(request_.record.length); }
  bool late() const override { return steady_now_ns() > begin_by_ns_; }
  bool before() override {
    if (late()) return expire(), false;
    lmcd_tier_record_t& record = request_.record;
    const uint32_t crc = crc32c(request_.source, record.length);
    if (request_.checksummed && crc != record.crc32c) {
      ending_ = Ending::of(fault(LMCD_E_CORRUPT, "the bytes to put do not match their checksum"));
      return false;
    }
    record.crc32c = crc;
    way = Way::kWrite;
    // The kernel only reads what is written.
    if (!lay_out(const_cast<std::byte*>(request_.source), record.length)) return false;
    stamp(record, Kind::kRecord);
    if (aside_bytes_ > 0) {
      std::memset(rest() + aside_bytes_ - kBlockBytes, 0, kBlockBytes);
      std::memcpy(rest(), request_.source + rest_at_, rest_bytes_);
    }
    ending_ = Ending::of(LMCD_STORED);
    return true;
  }
  void after(int error_number) override { fail(error_number, "write"); }
  void end() override {
    tier_.catalog_.give_back(request_.record.length);
    if (ending_.code == LMCD_OK) {
      if (tier_.catalog_.find(request_.name()))
        ending_ = Ending::of(LMCD_EXISTS);
      else
        segment().written.push_back(&tier_.catalog_.keep(request_.record, place_));
    }
    tier_.desk_.finish(request_, ending_);
  }
  void give_up(Ending ending) override {
    tier_.catalog_.give_back(request_.record.length);
    tier_.desk_.finish(request_, ending);
  }
  bool may_end() const override { return true; }
  bool cancel() override {
    untouch();
    give_up(unbegun());
    return true;
  }

 private:
  Request request_;
  const int64_t begin_by_ns_;
};

class RawBlockTier::Get final : public Step {
 public:
  Get(RawBlockTier& tier, const Request& request, uint64_t place)
      : Step(tier), request_(request), begin_by_ns_(tier.desk_.steady_deadline_ns(request)) {
    place_ = place;
    touch(place);
  }
  bool late() const override { return steady_now_ns() > begin_by_ns_; }
  bool before() override {
    if (late()) return expire(), false;
    way = Way::kRead;
    return lay_out(request_.target, request_.record.length);
  }
  void after(int error_number) override {
    fail(error_number, "read");
    if (error_number != 0) return;
    if (rest_bytes_ > 0) std::memcpy(request_.target + rest_at_, rest(), rest_bytes_);
    const std::optional<Stamped> there = read_stamped(head(), tier_.log_->identity());
    const bool right =
        there && there->stamp.offset == place_ && there->kind == Kind::kRecord &&
        RecordName{there->header.record.key, there->header.record.part} == request_.name() &&
        there->header.record.length == request_.record.length &&
        crc32c(request_.target, request_.record.length) == there->header.record.crc32c;
    ending_ = right ? Ending::of(LMCD_LOADED)
                    : Ending::of(fault(LMCD_E_CORRUPT, "the record at %llu is not what was put",
                                       static_cast<unsigned long long>(place_)));
  }
  void end() override {
    Catalog::Kept* kept = tier_.catalog_.find(request_.name());
    if (kept && kept->place == place_) {
      kept->used = true;
      if (ending_.code == LMCD_E_CORRUPT) tier_.catalog_.forget(*kept);
    }
    tier_.desk_.finish(request_, ending_);
  }
  bool cancel() override {
    untouch();
    tier_.desk_.finish(request_, unbegun());
    return true;
  }

 private:
  Request request_;
  const int64_t begin_by_ns_;
};

// Writes a tombstone.
class RawBlockTier::Bury final : public Append {
 public:
  Bury(RawBlockTier& tier, const Request& request)
      : Append(tier), request_(request), begin_by_ns_(tier.desk_.steady_deadline_ns(request)) {}
  bool late() const override { return steady_now_ns() > begin_by_ns_; }
  bool may_end() const override { return true; }
  uint64_t log_length() const override { return log_bytes(0); }
  bool before() override {
    way = Way::kWrite;
    if (!lay_out(nullptr, 0)) return false;
    stamp(request_.record, Kind::kTombstone);
    ending_ = Ending::of(LMCD_ABSENT);
    return true;
  }
  void after(int error_number) override { fail(error_number, "write"); }
  void end() override {
    if (ending_.code == LMCD_OK) segment().tombstones.push_back({request_.name(), place_});
    tier_.desk_.finish(request_, ending_);
  }
  void give_up(Ending ending) override { tier_.desk_.finish(request_, ending); }

 private:
  Request request_;
  const int64_t begin_by_ns_;
};

// Appends a record again that was read from a segment on its way out, which stays until the record
// is found in its new place.
class RawBlockTier::Renew final : public Append {
 public:
  Renew(RawBlockTier& tier, const lmcd_tier_record_t& record, uint64_t old_place,
        AlignedMemory bytes)
      : Append(tier), record_(record), old_place_(old_place), bytes_(std::move(bytes)) {
    ++tier_.segment_of(old_place_).touched;
  }
  uint64_t log_length() const override { return log_bytes(record_.length); }
  bool waits() const override { return false; }
  bool wanted() override {
    if (find()) return true;
    release_old();
    return false;
  }
  bool before() override {
    way = Way::kWrite;
    if (!lay_out(bytes_.get(), round_up(record_.length, kBlockBytes))) return false;
    stamp(record_, Kind::kRecord);
    return true;
  }
  void after(int error_number) override { fail(error_number, "write"); }
  void end() override {
    if (Catalog::Kept* kept = find()) {
      if (ending_.code == LMCD_OK) {
        kept->place = place_;
        segment().written.push_back(kept);
      } else {
        tier_.catalog_.forget(*kept);
      }
    }
    release_old();
  }
  void give_up(Ending) override {
    if (Catalog::Kept* kept = find()) {
      tier_.catalog_.count_evicted(*kept);
      tier_.catalog_.forget(*kept);
    }
    release_old();
  }

 private:
  Catalog::Kept* find() {
    Catalog::Kept* kept = tier_.catalog_.find({record_.key, record_.part});
    return kept && kept->place == old_place_ ? kept : nullptr;
  }
  void release_old() {
    --tier_.segment_of(old_place_).touched;
    tier_.settle(tier_.log_->segment_at(old_place_));
  }

  const lmcd_tier_record_t record_;
  const uint64_t old_place_;
  AlignedMemory bytes_;
};

// Reads what is to be appended again.
class RawBlockTier::Fetch final : public Step {
 public:
  Fetch(RawBlockTier& tier, const lmcd_tier_record_t& record, uint64_t place)
      : Step(tier), record_(record) {
    place_ = place;
    touch(place);
  }
  bool before() override {
    way = Way::kRead;
    bytes_ = allocate_aligned(record_.length);
    if (!bytes_) {
      ending_ = Ending::of(fault(LMCD_E_NO_MEMORY, "no memory for a record"));
      return false;
    }
    return lay_out(bytes_.get(), round_up(record_.length, kBlockBytes));
  }
  void after(int error_number) override {
    fail(error_number, "read");
    if (error_number == 0 && crc32c(bytes_.get(), record_.length) != record_.crc32c)
      ending_ = Ending::of(fault(LMCD_E_CORRUPT, "the record is not what was put"));
  }
  void end() override {
    auto renew = std::make_unique<Renew>(tier_, record_, place_, std::move(bytes_));
    ending_.code == LMCD_OK ? tier_.append(std::move(renew)) : renew->give_up(ending_);
  }

 private:
  const lmcd_tier_record_t record_;
  AlignedMemory bytes_;
};

// Says on the medium that a segment begins anew, before anything is written into it.
class RawBlockTier::WriteMark final : public Step {
 public:
  WriteMark(RawBlockTier& tier, uint64_t index) : Step(tier) {
    place_ = tier.log_->offset_of(index) + tier.log_->data_bytes();
    filling_ = tier.segments_[index].filling;
    touch(place_);
  }
  bool before() override {
    way = Way::kWrite;
    if (!lay_out(nullptr, 0)) return false;
    write_mark({tier_.log_->identity(), filling_, false, 0}, head());
    return true;
  }
  void after(int error_number) override { fail(error_number, "write"); }
  void end() override {
    Segment& segment = tier_.segments_[segment_];
    segment.state = ending_.code == LMCD_OK ? State::kOpen : State::kFree;
    if (ending_.code == LMCD_OK) return;
    tier_.open_ = nullptr;
    tier_.fail_waiting(ending_.reason.c_str());
  }

 private:
  uint64_t filling_;
};

class RawBlockTier::WriteSummary final : public Step {
 public:
  // `summary`: mark and summary.
  WriteSummary(RawBlockTier& tier, uint64_t index, const std::vector<std::byte>& summary)
      : Step(tier), bytes_(summary.size()), memory_(allocate_aligned(summary.size())) {
    place_ = tier.log_->offset_of(index) + tier.log_->data_bytes();
    if (memory_) std::memcpy(memory_.get(), summary.data(), summary.size());
    touch(place_);
  }
  bool before() override {
    if (!memory_) return false;  // the segment is read record by record, should it come to that
    way = Way::kWrite;
    offset = place_;
    pieces.push_back({memory_.get(), bytes_});
    return true;
  }
  void after(int) override {}
  void end() override {}

 private:
  const uint64_t bytes_;
  AlignedMemory memory_;
};

}  // namespace lmcd::tier
