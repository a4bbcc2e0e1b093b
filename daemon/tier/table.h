// The C table of a tier written in C++: from the functions of include/lmcd_tier.h to the methods
// of one class, so that no tier writes the bridge again.
//
// A tier T has
//
//   static Result<std::unique_ptr<T>> open(const lmcd_tier_host_t&, Fields&)
//   lmcd_code_t begin(const Request&)
//   void cancel(), wake()
//   lmcd_tier_capabilities_t capabilities() const, lmcd_tier_usage_t usage() const,
//   lmcd_tier_health_t health() const
//   uint64_t tenant_bytes(const char*) const, namespace_bytes(const lmcd_key_t&) const
//
// and its table is Table<T>::of("type"). Threads: as lmcd_tier.h says.
#pragma once

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include "daemon/tier/fields.h"
#include "daemon/tier/request.h"

namespace lmcd::tier {

template <typename T>
class Table {
 public:
  static constexpr lmcd_tier_module_t of(const char* type) {
    return {sizeof(lmcd_tier_module_t),
            LMCD_TIER_ABI,
            type,
            open,
            close,
            cancel,
            wake,
            put,
            get,
            exists,
            remove,
            list,
            capabilities,
            usage,
            health,
            tenant_bytes,
            namespace_bytes};
  }

 private:
  static T& self(lmcd_tier_t* tier) { return *reinterpret_cast<T*>(tier); }

  static Request named(Verb verb, const lmcd_key_t& key, lmcd_part_t part, uint64_t deadline_ms,
                       uint64_t token) {
    Request request{verb, deadline_ms, token};
    request.record.key = key;
    request.record.part = part;
    return request;
  }

  // Fills the caller's struct, which may be an older and shorter one.
  template <typename Struct>
  static void give(Struct from, Struct* out) {
    from.struct_size = out->struct_size;
    std::memcpy(out, &from, std::min<std::size_t>(out->struct_size, sizeof from));
  }

  static lmcd_code_t open(const lmcd_tier_host_t* host, const lmcd_tier_field_t* fields,
                          size_t field_count, lmcd_tier_t** out, lmcd_error_t* err) {
    *out = nullptr;
    Fields reader(fields, field_count);
    Result<std::unique_ptr<T>> made = T::open(*host, reader);
    if (made.ok()) {
      *out = reinterpret_cast<lmcd_tier_t*>(made.value().release());
      return LMCD_OK;
    }
    Status status = made.status();
    if (err) {
      err->code = status.code();
      std::snprintf(err->text, sizeof err->text, "%s", std::string(status.text()).c_str());
    }
    return status.code();
  }

  static void close(lmcd_tier_t* tier) { delete reinterpret_cast<T*>(tier); }
  static void cancel(lmcd_tier_t* tier) { self(tier).cancel(); }
  static void wake(lmcd_tier_t* tier) { self(tier).wake(); }

  static lmcd_code_t put(lmcd_tier_t* tier, const lmcd_tier_record_t* record, uint32_t checksummed,
                         const void* bytes, uint64_t deadline_ms, uint64_t token) {
    Request request{Verb::kPut, deadline_ms, token, *record};
    request.checksummed = checksummed != 0;
    request.source = static_cast<const std::byte*>(bytes);
    return self(tier).begin(request);
  }

  static lmcd_code_t get(lmcd_tier_t* tier, const lmcd_key_t* key, lmcd_part_t part, void* bytes,
                         uint64_t length, uint64_t deadline_ms, uint64_t token) {
    Request request = named(Verb::kGet, *key, part, deadline_ms, token);
    request.record.length = length;
    request.target = static_cast<std::byte*>(bytes);
    return self(tier).begin(request);
  }

  static lmcd_code_t exists(lmcd_tier_t* tier, const lmcd_key_t* key, lmcd_part_t part,
                            uint64_t deadline_ms, uint64_t token) {
    return self(tier).begin(named(Verb::kExists, *key, part, deadline_ms, token));
  }

  static lmcd_code_t remove(lmcd_tier_t* tier, const lmcd_key_t* key, lmcd_part_t part,
                            uint64_t deadline_ms, uint64_t token) {
    return self(tier).begin(named(Verb::kRemove, *key, part, deadline_ms, token));
  }

  static lmcd_code_t list(lmcd_tier_t* tier, uint64_t cursor, lmcd_tier_record_t* listed,
                          uint32_t capacity, uint64_t deadline_ms, uint64_t token) {
    Request request{Verb::kList, deadline_ms, token};
    request.cursor = cursor;
    request.listed = listed;
    request.list_capacity = capacity;
    return self(tier).begin(request);
  }

  static void capabilities(lmcd_tier_t* tier, lmcd_tier_capabilities_t* out) {
    give(self(tier).capabilities(), out);
  }
  static void usage(lmcd_tier_t* tier, lmcd_tier_usage_t* out) { give(self(tier).usage(), out); }
  static void health(lmcd_tier_t* tier, lmcd_tier_health_t* out) { give(self(tier).health(), out); }
  static uint64_t tenant_bytes(lmcd_tier_t* tier, const char* tenant) {
    return self(tier).tenant_bytes(tenant);
  }
  static uint64_t namespace_bytes(lmcd_tier_t* tier, const lmcd_key_t* fingerprint) {
    return self(tier).namespace_bytes(*fingerprint);
  }
};

}  // namespace lmcd::tier
