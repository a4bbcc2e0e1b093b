#include "daemon/core/accounts.h"

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

std::optional<TenantId> Accounts::intern_for(SessionId session, std::string_view salt) {
  const std::optional<TenantId> known = find(salt);
  if (known && accounts_[*known].known()) return known;
  const auto opened = opened_.find(session);
  if (opened != opened_.end() && opened->second >= kTenantsPerSession) return std::nullopt;
  return intern(salt);
}

void Accounts::charge(TenantId tenant, uint64_t bytes, SessionId session) {
  Account& account = accounts_[tenant];
  if (account.used_bytes == 0 && session != 0) {
    account.opener = session;
    ++opened_[session];
  }
  account.used_bytes += bytes;
}

void Accounts::discharge(TenantId tenant, uint64_t bytes) {
  Account& account = accounts_[tenant];
  account.used_bytes -= bytes;
  if (account.used_bytes != 0 || account.opener == 0) return;
  auto opened = opened_.find(account.opener);
  if (--opened->second == 0) opened_.erase(opened);
  account.opener = 0;
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
  accounts_[*tenant].limited = true;
  accounts_[*tenant].limit_bytes = limit_bytes;
  policy_.set_quota(*tenant, limit_bytes);
  return {};
}

bool Accounts::remove_quota(std::string_view salt) {
  std::optional<TenantId> tenant = find(salt);
  if (!tenant || !accounts_[*tenant].limited) return false;
  accounts_[*tenant].limited = false;
  accounts_[*tenant].limit_bytes = 0;
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
