#include "daemon/tier/raw_block/log_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>

#include "daemon/tier/raw_block/aligned.h"
#include "lib/base/crc32c.h"

namespace lmcd::tier {
namespace {

constexpr uint64_t kSmallestSegment = kMiB;
constexpr uint64_t kLargestSegment = 64 * kMiB;
constexpr uint64_t kSegmentsWanted = 32;

uint64_t segment_bytes_for(uint64_t capacity_bytes) {
  return std::clamp(std::bit_ceil(capacity_bytes / kSegmentsWanted + 1), kSmallestSegment,
                    kLargestSegment);
}

ConstBlock block_at(const std::byte* memory) { return ConstBlock(memory, kBlockBytes); }

// The ring of a daemon that was killed ends a little after it, and holds its lock until then.
constexpr int kLockTries = 80;
constexpr timespec kLockPause{.tv_sec = 0, .tv_nsec = 25'000'000};

Status lock(int file, const std::string& path) {
  for (int tries = 0; flock(file, LOCK_EX | LOCK_NB) != 0; ++tries) {
    if (errno != EWOULDBLOCK || tries == kLockTries)
      return errno_fault(LMCD_E_IO, errno, "%.300s is in use by another process", path.c_str());
    nanosleep(&kLockPause, nullptr);
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<LogFile>> LogFile::open(const std::string& path, uint64_t capacity_bytes) {
  std::unique_ptr<LogFile> log(new LogFile);
  LMCD_TRY(log->open_file(path, capacity_bytes));
  return log;
}

Status LogFile::open_file(const std::string& path, uint64_t capacity_bytes) {
  file_.reset(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_DIRECT, 0600));
  if (!file_.valid())
    return errno_fault(LMCD_E_IO, errno, "open %.300s with O_DIRECT", path.c_str());
  LMCD_TRY(lock(file_.get(), path));
  struct stat about {};
  if (fstat(file_.get(), &about) != 0)
    return errno_fault(LMCD_E_IO, errno, "stat %.300s", path.c_str());
  auto device_bytes = static_cast<uint64_t>(about.st_size);
  const bool device = S_ISBLK(about.st_mode);
  if (device && ioctl(file_.get(), BLKGETSIZE64, &device_bytes) != 0)
    return errno_fault(LMCD_E_IO, errno, "size of %.300s", path.c_str());
  if (!device && capacity_bytes == 0)
    return fault(LMCD_E_INVALID, "field \"capacity_gb\" is needed unless path is a block device");
  const bool fresh = !device && device_bytes == 0;
  LMCD_TRY(lay_out(path, capacity_bytes, device ? device_bytes : 0));
  return take_superblock(path, device_bytes, fresh);
}

// The shape that the fields ask for. `device_bytes`: 0 for a file, which gets the size it needs.
Status LogFile::lay_out(const std::string& path, uint64_t capacity_bytes, uint64_t device_bytes) {
  superblock_.segment_bytes = segment_bytes_for(capacity_bytes ? capacity_bytes : device_bytes);
  if (capacity_bytes != 0)
    superblock_.segments = (capacity_bytes + data_bytes() - 1) / data_bytes() + kSpareSegments;
  else
    superblock_.segments =
        (std::max(device_bytes, kLogOffset) - kLogOffset) / superblock_.segment_bytes;
  const uint64_t needed = offset_of(superblock_.segments);
  if (device_bytes != 0 && (needed > device_bytes || superblock_.segments <= kSpareSegments))
    return fault(LMCD_E_INVALID,
                 "field \"capacity_gb\": %.300s has %llu bytes; that much takes %llu", path.c_str(),
                 static_cast<unsigned long long>(device_bytes),
                 static_cast<unsigned long long>(std::max(
                     needed, kLogOffset + (kSpareSegments + 1) * superblock_.segment_bytes)));
  capacity_bytes_ =
      capacity_bytes ? capacity_bytes : (superblock_.segments - kSpareSegments) * data_bytes();
  return {};
}

Status LogFile::take_superblock(const std::string& path, uint64_t device_bytes, bool fresh) {
  AlignedMemory memory = allocate_aligned(kBlockBytes);
  if (!memory) return fault(LMCD_E_NO_MEMORY, "no memory for a block");
  bool empty = fresh;
  if (!fresh && device_bytes >= kBlockBytes) {
    LMCD_TRY(read(memory.get(), kBlockBytes, 0));
    if (std::optional<Superblock> there = read_superblock(block_at(memory.get()))) {
      if (there->segment_bytes == superblock_.segment_bytes &&
          there->segments == superblock_.segments && offset_of(there->segments) <= device_bytes) {
        superblock_ = *there;
        return {};
      }
      return fault(LMCD_E_INVALID,
                   "field \"capacity_gb\": %.300s holds a log of another capacity (%llu segments "
                   "of %llu bytes); give the capacity that it was made with, or remove it",
                   path.c_str(), static_cast<unsigned long long>(there->segments),
                   static_cast<unsigned long long>(there->segment_bytes));
    }
    empty = std::all_of(memory.get(), memory.get() + kBlockBytes,
                        [](std::byte byte) { return byte == std::byte{0}; });
  }
  if (!empty)
    return fault(LMCD_E_INVALID,
                 "field \"path\": %.300s holds something that is no log of lmcd; clear its first "
                 "4096 bytes to give it away",
                 path.c_str());
  if (fresh || device_bytes < offset_of(superblock_.segments)) {
    const auto whole = static_cast<off_t>(offset_of(superblock_.segments));
    const int failed = posix_fallocate(file_.get(), 0, whole);
    if (failed != 0)
      return errno_fault(LMCD_E_IO, failed, "give %.300s its %lld bytes", path.c_str(),
                         static_cast<long long>(whole));
  }
  if (getrandom(superblock_.identity.data(), superblock_.identity.size(), 0) < 0)
    return errno_fault(LMCD_E_IO, errno, "getrandom");
  write_superblock(superblock_, Block(memory.get(), kBlockBytes));
  return write(memory.get(), kBlockBytes, 0);
}

Status LogFile::read(std::byte* memory, uint64_t length, uint64_t offset) const {
  while (length > 0) {
    const ssize_t moved = pread(file_.get(), memory, std::min<uint64_t>(length, 8 * kMiB),
                                static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0)
      return errno_fault(LMCD_E_IO, moved < 0 ? errno : EIO, "read at %llu",
                         static_cast<unsigned long long>(offset));
    memory += moved;
    offset += static_cast<uint64_t>(moved);
    length -= static_cast<uint64_t>(moved);
  }
  return {};
}

Status LogFile::write(const std::byte* memory, uint64_t length, uint64_t offset) const {
  while (length > 0) {
    const ssize_t moved = pwrite(file_.get(), memory, length, static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0)
      return errno_fault(LMCD_E_IO, moved < 0 ? errno : EIO, "write at %llu",
                         static_cast<unsigned long long>(offset));
    memory += moved;
    offset += static_cast<uint64_t>(moved);
    length -= static_cast<uint64_t>(moved);
  }
  return {};
}

Result<std::vector<FoundSegment>> LogFile::find_segments() {
  AlignedMemory memory = allocate_aligned(kBlockBytes);
  if (!memory) return fault(LMCD_E_NO_MEMORY, "no memory for a block");
  std::vector<FoundSegment> found;
  for (uint64_t index = 0; index < segments(); ++index) {
    LMCD_TRY(read(memory.get(), kBlockBytes, offset_of(index) + data_bytes()));
    if (std::optional<Mark> mark = read_mark(block_at(memory.get()), identity())) {
      found.push_back({index, mark->filling, mark->sealed});
      continue;
    }
    // A mark that was never written, or is damaged.
    LMCD_ASSIGN(const uint64_t filling, newest_filling(index));
    if (filling != 0) found.push_back({index, filling, false});
  }
  std::sort(found.begin(), found.end(),
            [](const auto& a, const auto& b) { return a.filling < b.filling; });
  return found;
}

// The filling that the first stamp of a segment tells of; 0 when there is none. A look at one block
// keeps the opening of a large and nearly empty log short; a segment whose mark and first record
// are both damaged is given up for it.
Result<uint64_t> LogFile::newest_filling(uint64_t segment) {
  AlignedMemory memory = allocate_aligned(kBlockBytes);
  if (!memory) return fault(LMCD_E_NO_MEMORY, "no memory for a block");
  LMCD_TRY(read(memory.get(), kBlockBytes, offset_of(segment)));
  const std::optional<Stamped> first = read_stamped(block_at(memory.get()), identity());
  return first ? first->stamp.filling : 0;
}

Result<std::vector<Entry>> LogFile::read_segment(const FoundSegment& found) {
  if (found.sealed) {
    const uint64_t offset = offset_of(found.index) + data_bytes();
    const uint64_t room = summary_room(segment_bytes());
    AlignedMemory memory = allocate_aligned(room);
    if (!memory) return fault(LMCD_E_NO_MEMORY, "no memory for a summary");
    LMCD_TRY(read(memory.get(), kBlockBytes, offset));
    const std::optional<Mark> mark = read_mark(block_at(memory.get()), identity());
    if (mark && mark->summary_bytes <= room - kBlockBytes) {
      LMCD_TRY(read(memory.get() + kBlockBytes, mark->summary_bytes, offset + kBlockBytes));
      std::optional<std::vector<Entry>> entries =
          read_summary(block_at(memory.get()), {memory.get() + kBlockBytes, mark->summary_bytes});
      auto outside = [&](const Entry& entry) {
        return entry.offset < offset_of(found.index) ||
               entry.offset + log_bytes(entry.kind == Kind::kRecord ? entry.record.length : 0) >
                   offset;
      };
      if (entries && std::none_of(entries->begin(), entries->end(), outside))
        return std::move(*entries);
    }
  }
  return scan(found);
}

Result<std::vector<Entry>> LogFile::scan(const FoundSegment& found) {
  AlignedMemory memory = allocate_aligned(data_bytes());
  if (!memory) return fault(LMCD_E_NO_MEMORY, "no memory for a segment");
  const uint64_t begin = offset_of(found.index);
  LMCD_TRY(read(memory.get(), data_bytes(), begin));
  std::vector<Entry> entries;
  for (uint64_t at = 0; at < data_bytes();) {
    const std::byte* block = memory.get() + at;
    at += kBlockBytes;
    const std::optional<Stamped> stamped = read_stamped(block_at(block), identity());
    if (!stamped || stamped->stamp.filling != found.filling ||
        stamped->stamp.offset != begin + at - kBlockBytes)
      continue;
    const lmcd_tier_record_t& record = stamped->header.record;
    if (stamped->kind == Kind::kRecord) {
      if (record.length > data_bytes() - at) continue;
      if (crc32c(block + kBlockBytes, record.length) != record.crc32c) continue;
      at += round_up(record.length, kBlockBytes);
    }
    entries.push_back({record, stamped->stamp.offset, stamped->kind});
  }
  return entries;
}

Status LogFile::seal(uint64_t segment, uint64_t filling, const std::vector<Entry>& entries) {
  const std::optional<std::vector<std::byte>> summary =
      write_summary({identity(), filling, true, 0}, entries, segment_bytes());
  if (!summary) return {};
  AlignedMemory memory = allocate_aligned(summary->size());
  if (!memory) return fault(LMCD_E_NO_MEMORY, "no memory for a summary");
  std::copy(summary->begin(), summary->end(), memory.get());
  return write(memory.get(), summary->size(), offset_of(segment) + data_bytes());
}

}  // namespace lmcd::tier
