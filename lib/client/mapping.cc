#include "lib/client/mapping.h"

#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "lib/base/bytes.h"

namespace lmcd::client {
namespace {

uint32_t next_serial() {
  static std::atomic<uint32_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

Result<GuardedRegion> map(const FileDescriptor& segment, uint64_t bytes, Access access,
                          const char* name) {
  struct stat status {};
  if (fstat(segment.get(), &status) != 0) return errno_fault(LMCD_E_IO, errno, "%s", name);
  if (bytes == 0 || static_cast<uint64_t>(status.st_size) < bytes) {
    return fault(LMCD_E_PROTOCOL, "%s: the daemon speaks of %llu bytes, the segment has %llu", name,
                 static_cast<unsigned long long>(bytes),
                 static_cast<unsigned long long>(status.st_size));
  }
  return GuardedRegion::map(segment.get(), bytes, access);
}

}  // namespace

Result<std::shared_ptr<Mapping>> Mapping::make(Segments segments, Incarnation incarnation) {
  LMCD_ASSIGN(GuardedRegion ledger,
              map(segments.ledger, segments.ledger_bytes, Access::kReadOnly, "ledger"));
  LMCD_ASSIGN(const ledger::Reader reader, ledger::Reader::open(ledger.address(), ledger.length()));
  const ledger::Header& header = reader.header();
  if (std::memcmp(header.incarnation, incarnation.data(), sizeof header.incarnation) != 0)
    return fault(LMCD_E_PROTOCOL, "ledger: of another incarnation than the daemon speaks of");
  if (header.arena_bytes != segments.arena_bytes) {
    return fault(LMCD_E_PROTOCOL, "ledger: of an arena of %llu bytes, the daemon speaks of %llu",
                 static_cast<unsigned long long>(header.arena_bytes),
                 static_cast<unsigned long long>(segments.arena_bytes));
  }
  LMCD_ASSIGN(GuardedRegion arena,
              map(segments.arena, segments.arena_bytes, Access::kReadWrite, "arena"));
  return std::shared_ptr<Mapping>(
      new Mapping(std::move(arena), std::move(ledger), reader, incarnation));
}

Mapping::Mapping(GuardedRegion arena, GuardedRegion ledger, ledger::Reader reader,
                 Incarnation incarnation)
    : arena_(std::move(arena)),
      ledger_(std::move(ledger)),
      reader_(reader),
      incarnation_(incarnation),
      serial_(next_serial()),
      populator_(arena_.address(), arena_.length()) {}

std::byte* Mapping::address(const lmcd_grant_t& grant) const {
  if (grant.outcome != LMCD_RESERVED && grant.outcome != LMCD_LEASED) return nullptr;
  if (grant.incarnation != incarnation_[0] || grant.extent.segment != 0) return nullptr;
  const std::optional<uint64_t> end = checked_add(grant.extent.offset, grant.extent.length);
  if (!end || *end > arena_.length()) return nullptr;
  return arena_.address() + grant.extent.offset;
}

uint32_t Mapping::validate(const lmcd_grant_t* grants, uint32_t count, uint8_t* valid) const {
  // What the caller read before this call stays before the loads below.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const bool whole = !arena_.lost() && !ledger_.lost();
  uint32_t number = 0;
  for (uint32_t i = 0; i < count; ++i) {
    const lmcd_grant_t& grant = grants[i];
    const bool holds = whole && grant.outcome == LMCD_LEASED &&
                       grant.incarnation == incarnation_[0] &&
                       reader_.holds(grant.record, grant.word);
    valid[i] = holds ? 1 : 0;
    number += holds ? 1 : 0;
  }
  return number;
}

Result<std::shared_ptr<copy::Crew>> Mapping::crew(uint32_t threads) {
  std::lock_guard lock(crew_mutex_);
  if (crew_ == nullptr || crew_size_ + 1 < threads) {
    LMCD_ASSIGN(crew_, copy::Crew::start(threads - 1));
    crew_size_ = threads - 1;
  }
  return crew_;
}

uint64_t Mapping::frontier() const {
  return std::min(reader_.header().frontier_bytes.load(std::memory_order_relaxed), arena_.length());
}

}  // namespace lmcd::client
