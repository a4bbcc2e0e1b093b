// Records as files in a directory that other daemons may share ("fs", "fs_native").
//
// Fields: base_path; relative_tmp_dir (".tmp"), within it; read_ahead_size, bytes that a get asks
// the kernel for at once; use_odirect, around the page cache straight from and into the caller's
// memory where that is aligned to 4096; max_capacity_gb (GiB; 0, the default: no bound of its own).
//
// Every operation on a file is a job of the host's pool. Files (files.h) knows the directory, the
// catalog here what this daemon knows to be in it: what it found when it opened, what it put, and
// what it met since. So capacity and usage are those of the files that this daemon knows; a get or
// exists of another name looks at the directory. A file system that is full is made room on once,
// by forgetting as much as is missing and more, before a put answers NO_SPACE.
//
// Loop thread only, but for the work of its jobs.
#pragma once

#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "daemon/tier/catalog.h"
#include "daemon/tier/desk.h"
#include "daemon/tier/fields.h"
#include "daemon/tier/fs/files.h"
#include "daemon/tier/pool_queue.h"

namespace lmcd::tier {

class FsTier {
 public:
  static constexpr uint32_t kQueueLimit = 256;

  static Result<std::unique_ptr<FsTier>> open(const lmcd_tier_host_t& host, Fields& fields);

  lmcd_code_t begin(const Request& request);
  void cancel();
  void wake() { queue_.wake(); }

  lmcd_tier_capabilities_t capabilities() const {
    return desk_.capabilities(LMCD_TIER_DURABLE | LMCD_TIER_SHARED, catalog_.capacity_bytes());
  }
  lmcd_tier_usage_t usage() const;
  lmcd_tier_health_t health() const { return desk_.health(); }
  uint64_t tenant_bytes(const char* tenant) const { return catalog_.tenant_bytes(tenant); }
  uint64_t namespace_bytes(const lmcd_key_t& fingerprint) const {
    return catalog_.namespace_bytes(fingerprint);
  }

 private:
  class Operation;
  struct NameHash {
    std::size_t operator()(const RecordName& name) const {
      std::size_t hash;
      std::memcpy(&hash, name.key.bytes, sizeof hash);
      return hash ^ name.part.rank;
    }
  };

  FsTier(const lmcd_tier_host_t& host, std::unique_ptr<Files> files, uint64_t capacity_bytes)
      : files_(std::move(files)),
        catalog_(capacity_bytes),
        desk_(host, kQueueLimit),
        queue_(host) {}

  Status recover();
  // Returns how a request ends that needs no file.
  std::optional<Ending> at_once(const Request& request);
  void end(Operation& operation);
  Ending end_put(Operation& operation);
  bool put_again(const Operation& full);
  void forget(const RecordName& name);
  void learn(const lmcd_tier_record_t& record);

  std::unique_ptr<Files> files_;
  Catalog catalog_;
  Desk desk_;
  PoolQueue queue_;
  // Forgotten to make room, with files that are not removed yet: not there, and not to be put.
  std::unordered_multiset<RecordName, NameHash> going_;
};

}  // namespace lmcd::tier
