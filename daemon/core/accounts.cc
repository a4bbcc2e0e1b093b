#include "daemon/core/accounts.h"

#include <algorithm>

namespace lmcd::core {

Accounts::Accounts(Ledger& ledger, EvictionPolicy& policy) : ledger_(ledger), policy_(policy) {}

std::optional<TenantId> Accounts::intern(std::string_view salt) {
  if (auto known = find(salt)) return known;
  std::optional<TenantId> number = take_number();
  if (!number) return std::nullopt;
  accounts_[*number] = {.salt = std::string(salt), .open = true};
  numbers_[std::string(salt)] = *number;
  ledger_.write_tenant(*number, salt);
  return number;
}

Result<TenantId> Accounts::intern_for(ProcessId process, std::string_view salt) {
  const std::optional<TenantId> known = find(salt);
  if (known && accounts_[*known].known()) return *known;
  const uint32_t brought = opened_by(process);
  const uint32_t kept = brought >= kForFew ? kForFew : 0;
  if (in_use_ + kept < Ledger::kTenants) {
    if (std::optional<TenantId> made = intern(salt)) return *made;
  }
  return fault(LMCD_E_LIMIT,
               "reserve: no number for a new tenant: %u of %u are in use, %u by tenants that this "
               "process brought. Those not used for long, without a quota, a pin or a lease, are "
               "being given up: try again; or use fewer tenants",
               in_use_, Ledger::kTenants, brought);
}

uint32_t Accounts::opened_by(ProcessId process) const {
  const auto found = opened_.find(process);
  return found == opened_.end() ? 0 : found->second;
}

void Accounts::charge(TenantId tenant, uint64_t bytes, ProcessId process) {
  Account& account = accounts_[tenant];
  if (account.used_bytes == 0) {
    account.opener = process;
    ++opened_[process];
    if (!account.limited) ++in_use_;
  }
  account.used_bytes += bytes;
  note_use(tenant);
}

void Accounts::discharge(TenantId tenant, uint64_t bytes) {
  Account& account = accounts_[tenant];
  account.used_bytes -= bytes;
  if (account.used_bytes != 0) return;
  auto opened = opened_.find(account.opener);
  if (--opened->second == 0) opened_.erase(opened);
  if (!account.limited) --in_use_;
}

// Those of who brought the most, and of them the ones not used for the longest time.
uint32_t Accounts::retire_some() {
  struct Candidate {
    uint32_t brought;
    uint64_t last_use;
    TenantId tenant;
  };
  std::vector<Candidate> candidates;
  for (uint32_t number = 0; number < count(); ++number) {
    const Account& account = accounts_[number];
    // The default tenant keeps its number. What may not go keeps its tenant's.
    if (account.salt.empty() || account.limited || account.used_bytes == 0 ||
        account.evictable_bytes != account.used_bytes) {
      continue;
    }
    candidates.push_back(
        {opened_by(account.opener), account.last_use, static_cast<TenantId>(number)});
  }
  const std::size_t retired = std::min<std::size_t>(candidates.size(), kRetiredAtOnce);
  std::nth_element(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(retired),
                   candidates.end(), [](const Candidate& a, const Candidate& b) {
                     return a.brought != b.brought ? a.brought > b.brought
                                                   : a.last_use < b.last_use;
                   });
  for (std::size_t i = 0; i < retired; ++i) accounts_[candidates[i].tenant].retiring = true;
  return static_cast<uint32_t>(retired);
}

std::optional<TenantId> Accounts::find(std::string_view salt) const {
  auto found = numbers_.find(std::string(salt));
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

bool Accounts::exceeds(TenantId tenant, uint64_t bytes) const {
  const Account& account = accounts_[tenant];
  if (!account.limited) return quota_required_;
  return account.used_bytes > account.limit_bytes ||
         bytes > account.limit_bytes - account.used_bytes;
}

Status Accounts::set_quota(std::string_view salt, uint64_t limit_bytes) {
  std::optional<TenantId> tenant = intern(salt);
  if (!tenant)
    return fault(LMCD_E_LIMIT, "quota: all %u tenant numbers are in use", Ledger::kTenants);
  Account& account = accounts_[*tenant];
  if (!account.known()) ++in_use_;
  account.limited = true;
  account.retiring = false;
  account.limit_bytes = limit_bytes;
  policy_.set_quota(*tenant, limit_bytes);
  return {};
}

bool Accounts::remove_quota(std::string_view salt) {
  std::optional<TenantId> tenant = find(salt);
  if (!tenant || !accounts_[*tenant].limited) return false;
  Account& account = accounts_[*tenant];
  account.limited = false;
  account.limit_bytes = 0;
  if (!account.known()) --in_use_;
  policy_.set_quota(*tenant, 0);
  return true;
}

void Accounts::adopt(TenantId tenant, std::string_view salt) {
  if (accounts_.size() <= tenant) accounts_.resize(std::size_t{tenant} + 1);
  accounts_[tenant] = {.salt = std::string(salt), .open = true};
  numbers_[std::string(salt)] = tenant;
}

// Numbers are given out in turn; once all are, those of tenants with nothing are given again.
std::optional<TenantId> Accounts::take_number() {
  if (accounts_.size() < Ledger::kTenants) {
    accounts_.emplace_back();
    return static_cast<TenantId>(accounts_.size() - 1);
  }
  for (uint32_t look = 0; look < Ledger::kTenants; ++look) {
    const TenantId candidate = next_look_;
    next_look_ = static_cast<TenantId>((next_look_ + 1u) % Ledger::kTenants);
    const Account& account = accounts_[candidate];
    // The default tenant keeps its number: nobody's tenants may shut it out.
    if (account.open && account.salt.empty()) continue;
    if (account.used_bytes != 0 || account.limited) continue;
    if (account.open) numbers_.erase(account.salt);
    return candidate;
  }
  return std::nullopt;
}

}  // namespace lmcd::core
