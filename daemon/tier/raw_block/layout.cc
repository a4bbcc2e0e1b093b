#include "daemon/tier/raw_block/layout.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <string>

#include "lib/base/crc32c.h"

namespace lmcd::tier {
namespace {

constexpr char kLogMagic[8] = {'L', 'M', 'C', 'D', 'L', 'O', 'G', '1'};
constexpr char kMarkMagic[8] = {'L', 'M', 'C', 'D', 'S', 'E', 'G', '1'};
constexpr uint64_t kDictionaryBytes = 64 * kKiB;  // for tenants and fingerprints

struct SuperblockLayout {
  char magic[8];
  LogIdentity identity;
  uint64_t segment_bytes;
  uint64_t segments;
  uint32_t crc32c;
};

struct StampLayout {
  LogIdentity identity;
  uint64_t filling;
  uint64_t offset;
  uint32_t kind;
  uint32_t crc32c;  // of the header and of what stands before
};
static_assert(kHeaderBytes + sizeof(StampLayout) <= kBlockBytes);

struct MarkLayout {
  char magic[8];
  LogIdentity identity;
  uint64_t filling;
  uint64_t summary_bytes;
  uint32_t sealed;
  uint32_t spaces;
  uint32_t tenants;
  uint32_t entries;
  uint32_t body_crc32c;
  uint32_t crc32c;  // of what stands before
};

struct EntryLayout {
  lmcd_key_t key;
  lmcd_part_t part;
  uint32_t crc32c;
  uint32_t length;
  uint32_t kind;
  uint64_t block;  // offset / kBlockBytes
  uint16_t space;
  uint16_t tenant;
  uint32_t zero;
};
static_assert(sizeof(EntryLayout) == 64);

constexpr std::size_t kTenantBytes = sizeof(lmcd_tier_record_t::tenant);

template <typename Layout>
uint32_t crc_before(const Layout& layout) {
  return crc32c(&layout, offsetof(Layout, crc32c));
}

template <typename Layout>
Layout layout_in(std::span<const std::byte> bytes) {
  Layout layout;
  std::memcpy(&layout, bytes.data(), sizeof layout);
  return layout;
}

template <typename Layout>
void put_layout(const Layout& layout, Block out) {
  std::memset(out.data(), 0, out.size());
  std::memcpy(out.data(), &layout, sizeof layout);
}

// Numbers what occurs, in the order of its first occurrence.
struct Dictionary {
  uint16_t number_of(std::string text) {
    const auto [found, fresh] = numbers.try_emplace(std::move(text), numbers.size());
    if (fresh) order.push_back(&found->first);
    return static_cast<uint16_t>(found->second);
  }
  std::map<std::string, std::size_t> numbers;
  std::vector<const std::string*> order;
};

}  // namespace

void write_superblock(const Superblock& superblock, Block out) {
  SuperblockLayout layout{};
  std::memcpy(layout.magic, kLogMagic, sizeof kLogMagic);
  layout.identity = superblock.identity;
  layout.segment_bytes = superblock.segment_bytes;
  layout.segments = superblock.segments;
  layout.crc32c = crc_before(layout);
  put_layout(layout, out);
}

std::optional<Superblock> read_superblock(ConstBlock block) {
  const auto layout = layout_in<SuperblockLayout>(block);
  if (std::memcmp(layout.magic, kLogMagic, sizeof kLogMagic) != 0) return std::nullopt;
  if (layout.crc32c != crc_before(layout)) return std::nullopt;
  return Superblock{layout.identity, layout.segment_bytes, layout.segments};
}

void write_stamped(const Stamped& stamped, Block out) {
  std::memset(out.data(), 0, out.size());
  Header header = stamped.header;
  if (stamped.kind == Kind::kTombstone) header.record.length = 1;  // a header has a length
  write_header(header, out.first<kHeaderBytes>());
  StampLayout layout{};
  layout.identity = stamped.stamp.identity;
  layout.filling = stamped.stamp.filling;
  layout.offset = stamped.stamp.offset;
  layout.kind = static_cast<uint32_t>(stamped.kind);
  layout.crc32c =
      crc32c_extend(crc32c(out.data(), kHeaderBytes), &layout, offsetof(StampLayout, crc32c));
  std::memcpy(out.data() + kHeaderBytes, &layout, sizeof layout);
}

std::optional<Stamped> read_stamped(ConstBlock block, const LogIdentity& identity) {
  const auto layout = layout_in<StampLayout>(block.subspan(kHeaderBytes));
  if (layout.identity != identity || (layout.kind != 1 && layout.kind != 2)) return std::nullopt;
  const uint32_t crc =
      crc32c_extend(crc32c(block.data(), kHeaderBytes), &layout, offsetof(StampLayout, crc32c));
  if (layout.crc32c != crc) return std::nullopt;
  std::optional<Header> header = read_header(block.first<kHeaderBytes>());
  if (!header) return std::nullopt;
  return Stamped{
      *header, {layout.identity, layout.filling, layout.offset}, static_cast<Kind>(layout.kind)};
}

void write_mark(const Mark& mark, Block out) {
  MarkLayout layout{};
  std::memcpy(layout.magic, kMarkMagic, sizeof kMarkMagic);
  layout.identity = mark.identity;
  layout.filling = mark.filling;
  layout.sealed = mark.sealed;
  layout.crc32c = crc_before(layout);
  put_layout(layout, out);
}

std::optional<Mark> read_mark(ConstBlock block, const LogIdentity& identity) {
  const auto layout = layout_in<MarkLayout>(block);
  if (std::memcmp(layout.magic, kMarkMagic, sizeof kMarkMagic) != 0 ||
      layout.identity != identity || layout.crc32c != crc_before(layout))
    return std::nullopt;
  return Mark{layout.identity, layout.filling, layout.sealed != 0, layout.summary_bytes};
}

uint64_t summary_room(uint64_t segment_bytes) {
  const uint64_t most_entries = segment_bytes / kBlockBytes;  // tombstones take one block
  return kBlockBytes + round_up(kDictionaryBytes + most_entries * sizeof(EntryLayout), kBlockBytes);
}

std::optional<std::vector<std::byte>> write_summary(const Mark& mark,
                                                    const std::vector<Entry>& entries,
                                                    uint64_t segment_bytes) {
  Dictionary spaces, tenants;
  std::vector<EntryLayout> laid_out;
  laid_out.reserve(entries.size());
  for (const Entry& entry : entries) {
    const lmcd_tier_record_t& record = entry.record;
    EntryLayout layout{};
    layout.key = record.key;
    layout.part = record.part;
    layout.crc32c = record.crc32c;
    layout.length = static_cast<uint32_t>(record.length);
    layout.kind = static_cast<uint32_t>(entry.kind);
    layout.block = entry.offset / kBlockBytes;
    layout.space = spaces.number_of(
        {reinterpret_cast<const char*>(record.fingerprint.bytes), sizeof record.fingerprint.bytes});
    layout.tenant = tenants.number_of(record.tenant);
    laid_out.push_back(layout);
    if (spaces.order.size() * sizeof(lmcd_key_t) + tenants.order.size() * kTenantBytes >
        kDictionaryBytes)
      return std::nullopt;
  }
  std::vector<std::byte> out(summary_room(segment_bytes));
  std::size_t at = kBlockBytes;
  auto append = [&](const void* bytes, std::size_t length, std::size_t room) {
    std::copy_n(static_cast<const std::byte*>(bytes), length, out.data() + at);
    at += room;
  };
  for (const std::string* space : spaces.order)
    append(space->data(), space->size(), sizeof(lmcd_key_t));
  for (const std::string* tenant : tenants.order)
    append(tenant->data(), tenant->size(), kTenantBytes);
  append(laid_out.data(), laid_out.size() * sizeof(EntryLayout),
         laid_out.size() * sizeof(EntryLayout));
  out.resize(round_up(at, kBlockBytes));

  MarkLayout layout{};
  std::memcpy(layout.magic, kMarkMagic, sizeof kMarkMagic);
  layout.identity = mark.identity;
  layout.filling = mark.filling;
  layout.summary_bytes = out.size() - kBlockBytes;
  layout.sealed = 1;
  layout.spaces = static_cast<uint32_t>(spaces.order.size());
  layout.tenants = static_cast<uint32_t>(tenants.order.size());
  layout.entries = static_cast<uint32_t>(laid_out.size());
  layout.body_crc32c = crc32c(out.data() + kBlockBytes, layout.summary_bytes);
  layout.crc32c = crc_before(layout);
  put_layout(layout, Block(out.data(), kBlockBytes));
  return out;
}

// The mark was read by read_mark() before: it is whole, and of this log.
std::optional<std::vector<Entry>> read_summary(ConstBlock mark,
                                               std::span<const std::byte> summary) {
  const auto layout = layout_in<MarkLayout>(mark);
  const uint64_t needed = uint64_t{layout.spaces} * sizeof(lmcd_key_t) +
                          uint64_t{layout.tenants} * kTenantBytes +
                          uint64_t{layout.entries} * sizeof(EntryLayout);
  if (summary.size() != layout.summary_bytes || needed > summary.size() ||
      crc32c(summary.data(), summary.size()) != layout.body_crc32c)
    return std::nullopt;
  const std::byte* spaces = summary.data();
  const std::byte* tenants = spaces + layout.spaces * sizeof(lmcd_key_t);
  const std::byte* bodies = tenants + layout.tenants * kTenantBytes;
  std::vector<Entry> entries(layout.entries);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    EntryLayout from;
    std::memcpy(&from, bodies + i * sizeof from, sizeof from);
    if (from.space >= layout.spaces || from.tenant >= layout.tenants || from.length == 0 ||
        (from.kind != 1 && from.kind != 2))
      return std::nullopt;
    lmcd_tier_record_t& record = entries[i].record;
    record.key = from.key;
    record.part = from.part;
    record.crc32c = from.crc32c;
    record.length = from.length;
    std::memcpy(&record.fingerprint, spaces + from.space * sizeof(lmcd_key_t), sizeof(lmcd_key_t));
    std::memcpy(record.tenant, tenants + from.tenant * kTenantBytes, kTenantBytes);
    record.tenant[kTenantBytes - 1] = '\0';
    entries[i].offset = from.block * kBlockBytes;
    entries[i].kind = static_cast<Kind>(from.kind);
  }
  return entries;
}

}  // namespace lmcd::tier
