// The C table of the mock tier: from its functions to MockTier's.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <new>

#include "daemon/tier/mock/mock_tier.h"

namespace lmcd::tier {
namespace {

using Verb = MockTier::Verb;
using Request = MockTier::Request;

MockTier& mock(lmcd_tier_t* tier) { return *reinterpret_cast<MockTier*>(tier); }

Request named(Verb verb, const lmcd_key_t& key, lmcd_part_t part, uint64_t deadline_ms,
              uint64_t token) {
  Request request{verb, deadline_ms, token};
  request.record.key = key;
  request.record.part = part;
  return request;
}

// Fills the caller's struct, which may be an older and shorter one.
template <typename Struct>
void give(Struct from, Struct* out) {
  from.struct_size = out->struct_size;
  std::memcpy(out, &from, std::min<std::size_t>(out->struct_size, sizeof from));
}

lmcd_code_t open(const lmcd_tier_host_t* host, const lmcd_tier_field_t* fields, size_t field_count,
                 lmcd_tier_t** out, lmcd_error_t* err) {
  *out = nullptr;
  Result<MockTier::Options> options = MockTier::read_fields(fields, field_count);
  if (options.ok()) {
    auto* tier = new (std::nothrow) MockTier(*host, options.value());
    *out = reinterpret_cast<lmcd_tier_t*>(tier);
    return tier ? LMCD_OK : LMCD_E_NO_MEMORY;
  }
  Status status = options.status();
  if (err) {
    err->code = status.code();
    std::snprintf(err->text, sizeof err->text, "%s", std::string(status.text()).c_str());
  }
  return status.code();
}

void close(lmcd_tier_t* tier) { delete reinterpret_cast<MockTier*>(tier); }
void cancel(lmcd_tier_t* tier) { mock(tier).cancel(); }
void wake(lmcd_tier_t* tier) { mock(tier).wake(); }

lmcd_code_t put(lmcd_tier_t* tier, const lmcd_tier_record_t* record, uint32_t checksummed,
                const void* bytes, uint64_t deadline_ms, uint64_t token) {
  Request request{Verb::kPut, deadline_ms, token, *record};
  request.checksummed = checksummed != 0;
  request.source = static_cast<const std::byte*>(bytes);
  return mock(tier).begin(request);
}

lmcd_code_t get(lmcd_tier_t* tier, const lmcd_key_t* key, lmcd_part_t part, void* bytes,
                uint64_t length, uint64_t deadline_ms, uint64_t token) {
  Request request = named(Verb::kGet, *key, part, deadline_ms, token);
  request.record.length = length;
  request.target = static_cast<std::byte*>(bytes);
  return mock(tier).begin(request);
}

lmcd_code_t exists(lmcd_tier_t* tier, const lmcd_key_t* key, lmcd_part_t part, uint64_t deadline_ms,
                   uint64_t token) {
  return mock(tier).begin(named(Verb::kExists, *key, part, deadline_ms, token));
}

lmcd_code_t remove(lmcd_tier_t* tier, const lmcd_key_t* key, lmcd_part_t part, uint64_t deadline_ms,
                   uint64_t token) {
  return mock(tier).begin(named(Verb::kRemove, *key, part, deadline_ms, token));
}

lmcd_code_t list(lmcd_tier_t* tier, uint64_t cursor, lmcd_tier_record_t* listed, uint32_t capacity,
                 uint64_t deadline_ms, uint64_t token) {
  Request request{Verb::kList, deadline_ms, token};
  request.cursor = cursor;
  request.listed = listed;
  request.list_capacity = capacity;
  return mock(tier).begin(request);
}

void capabilities(lmcd_tier_t* tier, lmcd_tier_capabilities_t* out) {
  give(mock(tier).capabilities(), out);
}
void usage(lmcd_tier_t* tier, lmcd_tier_usage_t* out) { give(mock(tier).usage(), out); }
void health(lmcd_tier_t* tier, lmcd_tier_health_t* out) { give(mock(tier).health(), out); }
uint64_t tenant_bytes(lmcd_tier_t* tier, const char* tenant) {
  return mock(tier).tenant_bytes(tenant);
}

constexpr lmcd_tier_module_t kModule = {
    sizeof kModule, LMCD_TIER_ABI, "mock", open,         close, cancel, wake,        put, get,
    exists,         remove,        list,   capabilities, usage, health, tenant_bytes};

}  // namespace

const lmcd_tier_module_t* mock_module() { return &kModule; }

}  // namespace lmcd::tier
