// The files of the fs tier: one for each record, found by its name alone.
//
//   <base>/<2 hex digits>/<key in hex>-<rank>.<group>.kv     4096 bytes of header, then the bytes
//   <base>/<temporary>/<random>/<number>                     being written
//   <base>/<temporary>/<random>/alive                        locked while its daemon lives
//
// A file is written under a name of its own and then given its final one in a step that replaces
// nothing, so several daemons, of one machine or of many, share a directory: whoever comes second
// finds the record there. Nothing is synced: after a power cut a file may be torn, which its
// header, its size or its checksum shows. What a killed daemon was writing is removed by the next
// one that opens the directory and can take its lock.
//
// Any thread; several at once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "daemon/tier/desk.h"
#include "daemon/tier/record.h"
#include "lib/base/fd.h"

namespace lmcd::tier {

class Files {
 public:
  static constexpr std::size_t kDataOffset = 4096;

  struct Options {
    std::string base;
    std::string temporary;          // within base
    uint64_t read_ahead_bytes = 0;  // 0: as the kernel likes
    bool direct = false;            // around the page cache, where memory is aligned
  };

  // Makes the directories, takes a temporary one and removes those of daemons that are gone.
  static Result<std::unique_ptr<Files>> open(Options options);
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;
  ~Files();

  // Calls `each` for every file that holds a record, with its header, the oldest not first.
  // Removes what is no whole file.
  Status scan(const std::function<void(const Header&, int64_t written_ns)>& each);

  // STORED, EXISTS; NO_SPACE when the file system has none. Sets record.crc32c. `checksummed`:
  // bytes that do not match it are LMCD_E_CORRUPT.
  Ending write(lmcd_tier_record_t& record, const std::byte* source, bool checksummed);
  // LOADED, ABSENT. A file that is not what was put is removed: LMCD_E_CORRUPT. Fills `record`.
  Ending read(lmcd_tier_record_t& record, std::byte* target);
  // COLD, ABSENT. Fills `record`.
  Ending look(lmcd_tier_record_t& record);
  // ABSENT.
  Ending remove(const RecordName& name);

 private:
  struct Opened {
    FileDescriptor file;
    Header header{};
    int64_t written_ns = 0;
    bool whole = false;  // header and size are right, and the name is this one
  };

  explicit Files(Options options) : options_(std::move(options)) {}

  Status take_temporary();
  Status probe_direct() const;
  void sweep();
  void remove_temporary(const std::string& name);
  std::string path_of(const RecordName& name) const;
  Result<Opened> open_record(const std::string& path, const RecordName* name) const;
  Ending write_temporary(const std::string& path, const lmcd_tier_record_t& record,
                         const std::byte* source);
  Ending publish(const std::string& temporary, const RecordName& name);
  Status load(const FileDescriptor& file, const std::string& path, std::byte* target,
              uint64_t length) const;
  void scan_folder(const std::string& path,
                   const std::function<void(const Header&, int64_t)>& each);

  const Options options_;
  std::string mine_;      // the temporary directory of this daemon
  FileDescriptor alive_;  // its lock
  std::atomic<uint64_t> next_{1};
};

}  // namespace lmcd::tier
