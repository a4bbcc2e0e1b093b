#include "lib/ledger/layout.h"

#include <bit>

#include "lib/base/bytes.h"
#include "lib/ledger/index.h"

namespace lmcd::ledger {

void lay_out(Header& header) {
  constexpr uint64_t kAlignment = 4096;
  uint64_t at = kAlignment;
  auto place = [&at](uint64_t bytes) {
    uint64_t start = at;
    at = round_up(at + bytes, kAlignment);
    return start;
  };
  header.space_offset = place(uint64_t{header.space_capacity} * sizeof(SpaceEntry));
  header.tenant_offset = place(uint64_t{header.tenant_capacity} * sizeof(TenantEntry));
  header.index_offset = place(uint64_t{header.bucket_count} * sizeof(Bucket));
  header.record_offset = place(uint64_t{header.record_capacity} * sizeof(Record));
  header.ledger_bytes = at;
}

uint32_t bucket_count_for(uint32_t records) {
  // Seven slots a bucket, filled to at most six sevenths: overflow stays rare.
  return std::bit_ceil(records / 6 + 1);
}

}  // namespace lmcd::ledger
