// The quotas of tenants, kept in a file of the state directory so that they outlive the daemon.
//
// A line a quota: "<bytes> <salt in hexadecimal, or - for the empty one>", after a line that names
// the format. Replaced as a whole (written beside, synced, renamed), so a crash leaves the old or
// the new one. Writing happens on a worker; whoever changed a quota is told once it is on disk.
// Loop thread only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "daemon/core/accounts.h"
#include "lib/base/status.h"
#include "lib/base/worker_pool.h"

namespace lmcd::admin {

class QuotaFile {
 public:
  static constexpr std::size_t kWaiting = 256;  // changes that wait to be on disk

  using Done = std::function<void(Status)>;

  // `workers` and `accounts` outlive this; this outlives the jobs of `workers`.
  QuotaFile(std::string path, core::Accounts& accounts, WorkerPool& workers)
      : path_(std::move(path)), accounts_(accounts), workers_(workers) {}

  // Sets the quotas that the file has; none where there is no file.
  // Faults: LMCD_E_CORRUPT with the line, LMCD_E_IO.
  Status load();
  // Writes the quotas as they are now, then calls `done`.
  // Faults: LMCD_E_LIMIT, and `done` is not called.
  Status save(Done done);

 private:
  void start();
  std::string print() const;

  const std::string path_;
  core::Accounts& accounts_;
  WorkerPool& workers_;
  std::vector<Done> writing_;  // told when the write under way ends
  std::vector<Done> waiting_;  // came after its text was made
};

}  // namespace lmcd::admin
