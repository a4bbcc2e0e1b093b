// What each tenant uses of the arena, and may use.
//
// A tenant is the cache_salt of a request. It gets a number with its first bytes or its quota,
// mirrored in the ledger so that a restart knows whose bytes are whose, and may lose the number
// when it has neither. Bytes are payload bytes of parts in any state but free.
//
// Numbers are few. When they run short (crowded()), the tenants that were not used for the longest
// time are given up: those of the process that brought the most first, and none with a quota or
// with bytes that may not go. The store forgets their objects (store_retire.cc), and their numbers
// are free. The last free ones are not for a process that brought many: one process does not keep
// the tenants of others out. Loop thread only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "daemon/core/event.h"
#include "daemon/core/eviction.h"
#include "daemon/core/ledger.h"

namespace lmcd::core {

using TenantId = uint16_t;

class Accounts {
 public:
  struct Account {
    std::string salt;
    uint64_t used_bytes = 0;
    uint64_t limit_bytes = 0;
    uint64_t evictable_bytes = 0;  // of the bytes used, those that an eviction may give back
    bool limited = false;
    bool open = false;
    bool retiring = false;    // its objects are being forgotten
    ProcessId opener = 0;     // who brought the first of its bytes; 0: an earlier daemon's process
    uint64_t last_use = 0;    // the later, the greater

    // Whether there is anything to tell of it.
    bool known() const { return open && (used_bytes != 0 || limited); }
  };

  // `ledger` and `policy` are used, not owned.
  Accounts(Ledger& ledger, EvictionPolicy& policy);

  // The number of the tenant, made if it is new. Nothing when all numbers are in use by tenants
  // with bytes or quotas.
  std::optional<TenantId> intern(std::string_view salt);
  // The same for bytes that `process` brings.
  // Faults: LMCD_E_LIMIT when no number is free, or too few for who has brought many tenants.
  Result<TenantId> intern_for(ProcessId process, std::string_view salt);
  // Nothing when the tenant has neither bytes nor quota.
  std::optional<TenantId> find(std::string_view salt) const;
  const Account& at(TenantId tenant) const { return accounts_[tenant]; }
  uint32_t count() const { return static_cast<uint32_t>(accounts_.size()); }

  void charge(TenantId tenant, uint64_t bytes, ProcessId process = 0);
  void discharge(TenantId tenant, uint64_t bytes);
  // Something of the tenant was asked for.
  void note_use(TenantId tenant) {
    accounts_[tenant].last_use = ++uses_;
    accounts_[tenant].retiring = false;
  }
  void count_evictable(TenantId tenant, uint64_t bytes) {
    accounts_[tenant].evictable_bytes += bytes;
  }
  void discount_evictable(TenantId tenant, uint64_t bytes) {
    accounts_[tenant].evictable_bytes -= bytes;
  }
  // Whether `bytes` more would break the tenant's quota.
  bool exceeds(TenantId tenant, uint64_t bytes) const;
  // Without a quota a tenant may use what there is, or, with `quota_required`, nothing.
  void require_quota(bool quota_required) { quota_required_ = quota_required; }
  bool quota_required() const { return quota_required_; }

  // Faults: LMCD_E_LIMIT when no number is free.
  Status set_quota(std::string_view salt, uint64_t limit_bytes);
  // Returns false when there was none.
  bool remove_quota(std::string_view salt);

  // Whether numbers run short.
  bool crowded() const { return in_use_ > Ledger::kTenants - kSpares; }
  uint32_t in_use() const { return in_use_; }
  // Marks those to be given up next. Returns how many.
  uint32_t retire_some();

  // Takes a number over from an earlier daemon's ledger.
  void adopt(TenantId tenant, std::string_view salt);

 private:
  static constexpr uint32_t kSpares = Ledger::kTenants / 8;
  // Free numbers that are kept from a process that brought as many tenants already.
  static constexpr uint32_t kForFew = kSpares / 2;
  static constexpr uint32_t kRetiredAtOnce = kSpares / 2;

  std::optional<TenantId> take_number();
  uint32_t opened_by(ProcessId process) const;

  Ledger& ledger_;
  EvictionPolicy& policy_;
  bool quota_required_ = false;
  std::vector<Account> accounts_;
  std::unordered_map<std::string, TenantId> numbers_;
  std::unordered_map<ProcessId, uint32_t> opened_;  // tenants with bytes, by their opener
  uint32_t in_use_ = 0;                             // numbers of tenants with bytes or a quota
  uint64_t uses_ = 0;
  TenantId next_look_ = 0;                          // where the search for an unused number goes on
};

}  // namespace lmcd::core
