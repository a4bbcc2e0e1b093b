#include "lib/ledger/layout.h"

#include "lib/base/bytes.h"
#include "lib/ledger/index.h"

namespace lmcd::ledger {

void lay_out(Shape& shape) {
  constexpr uint64_t kAlignment = 4096;
  uint64_t at = kAlignment;
  auto place = [&at](uint64_t bytes) {
    uint64_t start = at;
    at = round_up(at + bytes, kAlignment);
    return start;
  };
  shape.space_offset = place(uint64_t{shape.space_capacity} * sizeof(SpaceEntry));
  shape.tenant_offset = place(uint64_t{shape.tenant_capacity} * sizeof(TenantEntry));
  shape.index_offset = place(uint64_t{shape.bucket_count} * sizeof(Bucket));
  shape.record_offset = place(uint64_t{shape.record_capacity} * sizeof(Record));
  shape.ledger_bytes = at;
}

uint32_t bucket_count_for(uint32_t records) {
  // Five slots a bucket, filled to at most seven tenths.
  return records / 7 * 2 + 2;
}

}  // namespace lmcd::ledger
