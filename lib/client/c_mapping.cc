// lmcd.h: mappings.
#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/handles.h"

using namespace lmcd;
using namespace lmcd::client;

lmcd_code_t lmcd_mapping_open(lmcd_session_t* session, lmcd_mapping_t** out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_TRY(check(session));
    return hand_out(out, session->session->mapping(), process_mark());
  });
}

void lmcd_mapping_close(lmcd_mapping_t* mapping) {
  if (mapping == nullptr || mapping->forked()) return;
  guard(nullptr, [&]() -> Status {
    delete mapping;
    return {};
  });
}

void* lmcd_mapping_address(const lmcd_mapping_t* mapping, const lmcd_grant_t* grant) {
  if (grant == nullptr) return nullptr;
  return guard_value<void*>(nullptr, [&]() -> void* {
    return check(mapping).ok() ? mapping->mapping->address(*grant) : nullptr;
  });
}

uint32_t lmcd_validate(const lmcd_mapping_t* mapping, const lmcd_grant_t* grants, uint32_t count,
                       uint8_t* valid) {
  if (grants == nullptr || valid == nullptr) return 0;
  if (mapping == nullptr || mapping->forked()) {
    std::fill_n(valid, count, uint8_t{0});
    return 0;
  }
  return mapping->mapping->validate(grants, count, valid);
}

lmcd_code_t lmcd_populate(lmcd_mapping_t* mapping, const lmcd_grant_t* grants, uint32_t count,
                          lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(mapping));
    Mapping& mapped = *mapping->mapping;
    const uint64_t frontier = mapped.frontier();
    if (count == 0) {
      // What the daemon has populated: beyond, the arena has no pages yet.
      const Populator::Range all{0, frontier};
      return mapped.populator().queue({&all, frontier > 0 ? std::size_t{1} : 0}, frontier);
    }
    LMCD_TRY(check_not_null(grants, "grants"));
    std::vector<Populator::Range> ranges;
    ranges.reserve(count);
    for (uint32_t i = 0; i < count; ++i) {
      if (grants[i].outcome != LMCD_RESERVED && grants[i].outcome != LMCD_LEASED) continue;
      if (mapped.address(grants[i]) == nullptr)
        return fault(LMCD_E_INVALID, "grants[%u] is not of this mapping's arena", i);
      ranges.push_back({grants[i].extent.offset, grants[i].extent.length});
    }
    return mapped.populator().queue(ranges, frontier);
  });
}

lmcd_code_t lmcd_populate_wait(lmcd_mapping_t* mapping, uint32_t timeout_ms, uint64_t* cpu_ns,
                               lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check(mapping));
    Populator& populator = mapping->mapping->populator();
    const bool done = populator.wait(Deadline::after_ms(timeout_ms));
    if (cpu_ns != nullptr) *cpu_ns = populator.cpu_ns();
    return done ? Status() : fault(LMCD_E_TIMEOUT, "populating takes more than %u ms", timeout_ms);
  });
}
