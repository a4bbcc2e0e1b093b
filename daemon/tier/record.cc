#include "daemon/tier/record.h"

#include <bit>
#include <cstring>

#include "lib/base/crc32c.h"

namespace lmcd::tier {
namespace {

static_assert(std::endian::native == std::endian::little, "the layout is copied as it stands");

constexpr char kMagic[8] = {'L', 'M', 'C', 'D', 'R', 'E', 'C', '1'};
constexpr uint32_t kVersion = 1;

struct Layout {
  char magic[8];
  uint32_t version;
  uint32_t header_crc32c;
  lmcd_key_t key;
  lmcd_key_t fingerprint;
  lmcd_part_t part;
  uint32_t crc32c;
  uint64_t length;
  uint64_t sequence;
  char tenant[256];
  std::byte zeros[152];
};
static_assert(sizeof(Layout) == kHeaderBytes && offsetof(Layout, tenant) == 104);
static_assert(sizeof(Layout::tenant) == sizeof(lmcd_tier_record_t::tenant));

uint32_t crc_of(Layout layout) {
  layout.header_crc32c = 0;
  return crc32c(&layout, sizeof layout);
}

}  // namespace

void write_header(const Header& header, std::span<std::byte, kHeaderBytes> out) {
  const lmcd_tier_record_t& record = header.record;
  Layout layout{};
  std::memcpy(layout.magic, kMagic, sizeof kMagic);
  layout.version = kVersion;
  layout.key = record.key;
  layout.fingerprint = record.fingerprint;
  layout.part = record.part;
  layout.crc32c = record.crc32c;
  layout.length = record.length;
  layout.sequence = header.sequence;
  std::memcpy(layout.tenant, record.tenant, strnlen(record.tenant, sizeof record.tenant - 1));
  layout.header_crc32c = crc_of(layout);
  std::memcpy(out.data(), &layout, sizeof layout);
}

std::optional<Header> read_header(std::span<const std::byte, kHeaderBytes> bytes) {
  Layout layout;
  std::memcpy(&layout, bytes.data(), sizeof layout);
  if (std::memcmp(layout.magic, kMagic, sizeof kMagic) != 0 || layout.version != kVersion)
    return std::nullopt;
  if (crc_of(layout) != layout.header_crc32c) return std::nullopt;
  if (layout.length == 0 || layout.length > kRecordMaxBytes) return std::nullopt;
  if (!std::memchr(layout.tenant, 0, sizeof layout.tenant)) return std::nullopt;
  Header header{};
  header.record.key = layout.key;
  header.record.part = layout.part;
  header.record.crc32c = layout.crc32c;
  header.record.length = layout.length;
  header.record.fingerprint = layout.fingerprint;
  std::memcpy(header.record.tenant, layout.tenant, sizeof layout.tenant);
  header.sequence = layout.sequence;
  return header;
}

}  // namespace lmcd::tier
