// What each tenant uses of the arena, and may use.
//
// A tenant is the cache_salt of a request. It gets a number with its first bytes or its quota,
// mirrored in the ledger so that a restart knows whose bytes are whose, and may lose the number
// when it has neither. Bytes are payload bytes of parts in any state but free.
//
// Numbers are few, so the tenants whose first bytes one session brought are counted, and past half
// of all numbers it brings no more: one session does not keep the tenants of others out. Loop
// thread only.
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
    SessionId opener = 0;  // who brought the first of its bytes; 0: an earlier daemon's session

    // Whether there is anything to tell of it.
    bool known() const { return open && (used_bytes != 0 || limited); }
  };

  // `ledger` and `policy` are used, not owned.
  Accounts(Ledger& ledger, EvictionPolicy& policy);

  // The number of the tenant, made if it is new. Nothing when all numbers are in use by tenants
  // with bytes or quotas.
  std::optional<TenantId> intern(std::string_view salt);
  // The same for bytes that `session` brings. Nothing when it has brought too many tenants, too.
  std::optional<TenantId> intern_for(SessionId session, std::string_view salt);
  // Nothing when the tenant has neither bytes nor quota.
  std::optional<TenantId> find(std::string_view salt) const;
  const Account& at(TenantId tenant) const { return accounts_[tenant]; }
  uint32_t count() const { return static_cast<uint32_t>(accounts_.size()); }

  void charge(TenantId tenant, uint64_t bytes, SessionId session = 0);
  void discharge(TenantId tenant, uint64_t bytes);
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

  // Faults: LMCD_E_LIMIT when no number is free.
  Status set_quota(std::string_view salt, uint64_t limit_bytes);
  // Returns false when there was none.
  bool remove_quota(std::string_view salt);

  // Takes a number over from an earlier daemon's ledger.
  void adopt(TenantId tenant, std::string_view salt);

 private:
  static constexpr uint32_t kTenantsPerSession = Ledger::kTenants / 2;

  std::optional<TenantId> take_number();

  Ledger& ledger_;
  EvictionPolicy& policy_;
  bool quota_required_ = false;
  std::vector<Account> accounts_;
  std::unordered_map<std::string, TenantId> numbers_;
  std::unordered_map<SessionId, uint32_t> opened_;  // tenants with bytes, by their opener
  TenantId next_look_ = 0;                          // where the search for an unused number goes on
};

}  // namespace lmcd::core
