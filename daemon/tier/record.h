// How a record stands on a medium: one header of 512 bytes, the same for every tier, and the
// bytes after it (where and how aligned is the tier's business).
//
//   0    magic "LMCDREC1"       48  fingerprint of the namespace (32)
//   8    version (4)            80  rank, group (2 + 2)
//   12   crc32c of the header   84  crc32c of the bytes (4)
//   16   key (32)               88  length of the bytes (8)
//                               96  sequence: the tier's own count of its puts (8)
//                               104 tenant, NUL-terminated (256); zeros to 512
//
// Little-endian. The header's crc32c is taken with its own four bytes as zeros, so a header that
// reads right is whole; the bytes are checked against theirs on each get. Input from a medium is
// believed in nothing else. Any thread; no state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "daemon/tier/request.h"

namespace lmcd::tier {

inline constexpr std::size_t kHeaderBytes = 512;
inline constexpr uint64_t kRecordMaxBytes = UINT32_MAX;  // as include/lmcd.h has it for a part

struct Header {
  lmcd_tier_record_t record;
  uint64_t sequence;
};

void write_header(const Header& header, std::span<std::byte, kHeaderBytes> out);
// Returns nothing for what is not a whole header of this version.
std::optional<Header> read_header(std::span<const std::byte, kHeaderBytes> bytes);

}  // namespace lmcd::tier
