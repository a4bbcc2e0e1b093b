// The file or block device that a raw_block log lies on: opened, checked, laid out, and read once
// when the tier opens. What moves afterwards goes through the ring.
//
// A file is made and given its whole size at once, so that it never meets a full file system. What
// is there and is no log is left alone: the tier refuses it. One process at a time, by flock. Used
// by the thread that opens and closes the tier, which may wait for the medium.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/tier/raw_block/layout.h"
#include "lib/base/fd.h"

namespace lmcd::tier {

// What was found in one segment; without a filling there is nothing.
struct FoundSegment {
  uint64_t index = 0;
  uint64_t filling = 0;
  bool sealed = false;
};

class LogFile {
 public:
  static constexpr uint64_t kSpareSegments = 3;

  // `capacity_bytes`: of records; 0: all that a device has.
  // Faults: LMCD_E_INVALID naming the field, LMCD_E_IO.
  static Result<std::unique_ptr<LogFile>> open(const std::string& path, uint64_t capacity_bytes);

  int file() const { return file_.get(); }
  const LogIdentity& identity() const { return superblock_.identity; }
  uint64_t segment_bytes() const { return superblock_.segment_bytes; }
  uint64_t segments() const { return superblock_.segments; }
  // Of each segment, for records.
  uint64_t data_bytes() const { return segment_bytes() - summary_room(segment_bytes()); }
  uint64_t capacity_bytes() const { return capacity_bytes_; }
  uint64_t offset_of(uint64_t segment) const { return kLogOffset + segment * segment_bytes(); }
  uint64_t segment_at(uint64_t offset) const { return (offset - kLogOffset) / segment_bytes(); }

  // The segments that hold something, in the order in which they were begun.
  Result<std::vector<FoundSegment>> find_segments();
  // What is in one, in order: by its summary, or block by block, each record's bytes against
  // their checksum.
  Result<std::vector<Entry>> read_segment(const FoundSegment& found);
  // Writes mark and summary. Nothing happens, and the segment is to be read block by block, when
  // the summary is too large.
  Status seal(uint64_t segment, uint64_t filling, const std::vector<Entry>& entries);

 private:
  LogFile() = default;

  Status open_file(const std::string& path, uint64_t capacity_bytes);
  Status lay_out(const std::string& path, uint64_t capacity_bytes, uint64_t device_bytes);
  Status take_superblock(const std::string& path, uint64_t device_bytes, bool fresh);
  Status read(std::byte* memory, uint64_t length, uint64_t offset) const;
  Status write(const std::byte* memory, uint64_t length, uint64_t offset) const;
  Result<uint64_t> newest_filling(uint64_t segment);
  Result<std::vector<Entry>> scan(const FoundSegment& found);

  FileDescriptor file_;
  Superblock superblock_{};
  uint64_t capacity_bytes_ = 0;
};

}  // namespace lmcd::tier
