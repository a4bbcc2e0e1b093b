#include "daemon/tier/fs/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"

namespace lmcd::tier {
namespace {

constexpr std::size_t kAlignment = 4096;       // of memory, offset and length around the page cache
constexpr std::size_t kChunkBytes = 16 << 20;  // a call moves no more, so that none takes for ever

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};
using Directory = std::unique_ptr<DIR, CloseDirectory>;

std::string hex_of(const uint8_t* bytes, std::size_t count) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

Status io_fault(int number, const char* verb, const std::string& path) {
  return errno_fault(LMCD_E_IO, number, "%s %.300s", verb, path.c_str());
}

Status make_directory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return io_fault(errno, "mkdir", path);
}

bool aligned(const void* memory) { return reinterpret_cast<uintptr_t>(memory) % kAlignment == 0; }

// The rest of a file that is no multiple of the alignment goes through the page cache.
void leave_direct(int file) {
  const int flags = fcntl(file, F_GETFL);
  if (flags >= 0 && (flags & O_DIRECT)) fcntl(file, F_SETFL, flags & ~O_DIRECT);
}

// Moves `length` bytes between memory and a file with `call` (pread or pwrite).
// Returns 0, an errno, or -1 when the file ends before.
template <typename Memory, typename Call>
int move_bytes(int file, Memory* memory, uint64_t length, uint64_t offset, Call call) {
  while (length > 0) {
    if (length < kAlignment || !aligned(memory)) leave_direct(file);
    std::size_t chunk = std::min<uint64_t>(length, kChunkBytes);
    if (chunk > kAlignment) chunk = round_down(chunk, kAlignment);
    const ssize_t moved = call(file, memory, chunk, static_cast<off_t>(offset));
    if (moved < 0 && errno == EINTR) continue;
    if (moved < 0) return errno;
    if (moved == 0) return -1;
    memory += moved;
    offset += static_cast<uint64_t>(moved);
    length -= static_cast<uint64_t>(moved);
  }
  return 0;
}

bool no_room(int number) { return number == ENOSPC || number == EDQUOT; }

}  // namespace

Result<std::unique_ptr<Files>> Files::open(Options options) {
  std::unique_ptr<Files> files(new Files(std::move(options)));
  LMCD_TRY(make_directory(files->options_.base));
  LMCD_TRY(make_directory(files->options_.base + "/" + files->options_.temporary));
  LMCD_TRY(files->take_temporary());
  files->sweep();
  return files;
}

Files::~Files() {
  if (alive_.valid()) remove_temporary(mine_);
}

// Another daemon's sweep() may take the lock in the instant before we do: then once more.
Status Files::take_temporary() {
  Status status;
  for (int attempt = 0; attempt < 3; ++attempt) {
    uint8_t random[16];
    if (getrandom(random, sizeof random, 0) != sizeof random)
      return errno_fault(LMCD_E_IO, errno, "getrandom");
    mine_ = options_.base + "/" + options_.temporary + "/" + hex_of(random, sizeof random);
    LMCD_TRY(make_directory(mine_));
    const std::string path = mine_ + "/alive";
    alive_.reset(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    if (!alive_.valid()) return io_fault(errno, "open", path);
    if (flock(alive_.get(), LOCK_EX | LOCK_NB) == 0) return probe_direct();
    status = io_fault(errno, "flock", path);
  }
  return status;
}

Status Files::probe_direct() const {
  if (!options_.direct) return {};
  const std::string probe = mine_ + "/direct";
  FileDescriptor file(::open(probe.c_str(), O_CREAT | O_RDWR | O_CLOEXEC | O_DIRECT, 0600));
  if (file.valid()) return {};
  return errno_fault(LMCD_E_INVALID, errno,
                     "field \"use_odirect\": the file system of %.200s does not take O_DIRECT; "
                     "leave the field out",
                     options_.base.c_str());
}

// A daemon holds the lock of its directory for as long as it lives; who can take it is alone.
void Files::sweep() {
  const std::string all = options_.base + "/" + options_.temporary;
  Directory directory(opendir(all.c_str()));
  if (!directory) return;
  while (const dirent* entry = readdir(directory.get())) {
    const std::string path = all + "/" + entry->d_name;
    if (entry->d_name[0] == '.' || path == mine_) continue;
    FileDescriptor alive(::open((path + "/alive").c_str(), O_RDWR | O_CLOEXEC));
    if (alive.valid() && flock(alive.get(), LOCK_EX | LOCK_NB) == 0) remove_temporary(path);
  }
}

void Files::remove_temporary(const std::string& name) {
  Directory directory(opendir(name.c_str()));
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr)
    if (entry->d_name[0] != '.') unlink((name + "/" + entry->d_name).c_str());
  rmdir(name.c_str());
}

std::string Files::path_of(const RecordName& name) const {
  char part[32];
  std::snprintf(part, sizeof part, "-%u.%u.kv", name.part.rank, name.part.group);
  return options_.base + "/" + hex_of(name.key.bytes, 1) + "/" +
         hex_of(name.key.bytes, sizeof name.key.bytes) + part;
}

// Faults: LMCD_E_IO. A file that is not there is not open.
Result<Files::Opened> Files::open_record(const std::string& path, const RecordName* name) const {
  Opened opened;
  opened.file.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (options_.direct ? O_DIRECT : 0)));
  if (!opened.file.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) return opened;
    return io_fault(errno, "open", path);
  }
  struct stat about {};
  if (fstat(opened.file.get(), &about) != 0) return io_fault(errno, "stat", path);
  opened.written_ns = int64_t{about.st_mtim.tv_sec} * 1'000'000'000 + about.st_mtim.tv_nsec;
  alignas(kAlignment) std::byte bytes[kDataOffset];
  const int failed = move_bytes(opened.file.get(), bytes, sizeof bytes, 0, pread);
  if (failed > 0) return io_fault(failed, "read", path);
  if (failed < 0) return opened;
  std::optional<Header> header =
      read_header(std::span<const std::byte, kHeaderBytes>(bytes, kHeaderBytes));
  if (!header) return opened;
  opened.header = *header;
  const RecordName found{header->record.key, header->record.part};
  const bool right_name = name ? found == *name : path_of(found) == path;
  opened.whole =
      right_name && static_cast<uint64_t>(about.st_size) == kDataOffset + header->record.length;
  return opened;
}

Status Files::scan(const std::function<void(const Header&, int64_t)>& each) {
  for (int folder = 0; folder < 256; ++folder) {
    const auto byte = static_cast<uint8_t>(folder);
    scan_folder(options_.base + "/" + hex_of(&byte, 1), each);
  }
  return {};
}

void Files::scan_folder(const std::string& path,
                        const std::function<void(const Header&, int64_t)>& each) {
  Directory directory(opendir(path.c_str()));
  while (const dirent* entry = directory ? readdir(directory.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (!name.ends_with(".kv")) continue;
    Result<Opened> opened = open_record(path + "/" + name, nullptr);
    if (!opened.ok() || !opened.value().file.valid()) continue;
    if (opened.value().whole)
      each(opened.value().header, opened.value().written_ns);
    else
      unlink((path + "/" + name).c_str());
  }
}

Ending Files::write(lmcd_tier_record_t& record, const std::byte* source, bool checksummed) {
  const uint32_t crc = crc32c(source, record.length);
  if (checksummed && crc != record.crc32c)
    return Ending::of(fault(LMCD_E_CORRUPT, "the bytes to put do not match their checksum"));
  record.crc32c = crc;
  const std::string temporary = mine_ + "/" + std::to_string(next_.fetch_add(1));
  Ending ending = write_temporary(temporary, record, source);
  if (ending.code == LMCD_OK && ending.outcome != LMCD_NO_SPACE)
    ending = publish(temporary, {record.key, record.part});
  if (ending.code != LMCD_OK || ending.outcome != LMCD_STORED) unlink(temporary.c_str());
  return ending;
}

Ending Files::write_temporary(const std::string& path, const lmcd_tier_record_t& record,
                              const std::byte* source) {
  const int direct = options_.direct && aligned(source) ? O_DIRECT : 0;
  FileDescriptor file(::open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | direct, 0600));
  if (!file.valid()) {
    if (no_room(errno)) return Ending::of(LMCD_NO_SPACE);
    return Ending::of(io_fault(errno, "open", path));
  }
  alignas(kAlignment) std::byte head[kDataOffset] = {};
  write_header({record, 0}, std::span<std::byte, kHeaderBytes>(head, kHeaderBytes));
  int failed = move_bytes(file.get(), static_cast<const std::byte*>(head), sizeof head, 0, pwrite);
  if (failed == 0) failed = move_bytes(file.get(), source, record.length, kDataOffset, pwrite);
  if (no_room(failed)) return Ending::of(LMCD_NO_SPACE);
  if (failed != 0) return Ending::of(io_fault(failed > 0 ? failed : EIO, "write", path));
  return Ending::of(LMCD_STORED);
}

// Gives a file its final name, unless a whole one has it.
Ending Files::publish(const std::string& temporary, const RecordName& name) {
  const std::string path = path_of(name);
  for (int attempt = 0; attempt < 3; ++attempt) {
    int failed = renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE)
                     ? errno
                     : 0;
    if (failed == EINVAL || failed == ENOSYS) {  // NFS: a second name, then without the first
      failed = link(temporary.c_str(), path.c_str()) ? errno : 0;
      if (failed == 0) unlink(temporary.c_str());
    }
    if (failed == 0) return Ending::of(LMCD_STORED);
    if (no_room(failed)) return Ending::of(LMCD_NO_SPACE);
    if (failed == ENOENT) {
      const Status made = make_directory(path.substr(0, path.rfind('/')));
      if (!made.ok()) return {made.code(), LMCD_NONE, std::string(made.text())};
    } else if (failed == EEXIST) {
      Result<Opened> there = open_record(path, &name);
      if (!there.ok()) return Ending::of(there.status());
      if (there.value().whole) return Ending::of(LMCD_EXISTS);
      unlink(path.c_str());
    } else {
      return Ending::of(io_fault(failed, "rename to", path));
    }
  }
  return Ending::of(fault(LMCD_E_IO, "rename to %.300s: others keep changing it", path.c_str()));
}

Status Files::load(const FileDescriptor& file, const std::string& path, std::byte* target,
                   uint64_t length) const {
  if (options_.read_ahead_bytes > 0 && !options_.direct)
    posix_fadvise(file.get(), kDataOffset, static_cast<off_t>(options_.read_ahead_bytes),
                  POSIX_FADV_WILLNEED);
  const int failed = move_bytes(file.get(), target, length, kDataOffset, pread);
  if (failed > 0) return io_fault(failed, "read", path);
  if (failed < 0) return fault(LMCD_E_CORRUPT, "%.300s ends too early", path.c_str());
  return {};
}

Ending Files::read(lmcd_tier_record_t& record, std::byte* target) {
  const RecordName name{record.key, record.part};
  const std::string path = path_of(name);
  Result<Opened> result = open_record(path, &name);
  if (!result.ok()) return Ending::of(result.status());
  Opened opened = std::move(result.value());
  if (!opened.file.valid()) return Ending::of(LMCD_ABSENT);
  Status status;
  if (!opened.whole)
    status = fault(LMCD_E_CORRUPT, "%.300s is not a whole record", path.c_str());
  else if (opened.header.record.length != record.length)
    status = fault(LMCD_E_CORRUPT, "%.300s has a record of another length", path.c_str());
  else
    status = load(opened.file, path, target, record.length);
  if (status.ok() && crc32c(target, record.length) != opened.header.record.crc32c)
    status = fault(LMCD_E_CORRUPT, "%.300s does not match its checksum", path.c_str());
  if (status.code() == LMCD_E_CORRUPT) unlink(path.c_str());
  if (!status.ok()) return Ending::of(std::move(status));
  record = opened.header.record;
  return Ending::of(LMCD_LOADED);
}

Ending Files::look(lmcd_tier_record_t& record) {
  const RecordName name{record.key, record.part};
  Result<Opened> opened = open_record(path_of(name), &name);
  if (!opened.ok()) return Ending::of(opened.status());
  if (!opened.value().whole) return Ending::of(LMCD_ABSENT);
  record = opened.value().header.record;
  return Ending::of(LMCD_COLD);
}

Ending Files::remove(const RecordName& name) {
  const std::string path = path_of(name);
  if (unlink(path.c_str()) == 0 || errno == ENOENT || errno == ENOTDIR)
    return Ending::of(LMCD_ABSENT);
  return Ending::of(io_fault(errno, "unlink", path));
}

}  // namespace lmcd::tier
