#include "daemon/memory/segment.h"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <numeric>

#include "daemon/memory/host.h"
#include "lib/base/bytes.h"
#include "lib/wire/limits.h"

namespace lmcd::memory {
namespace {

unsigned long long ull(uint64_t number) { return number; }

Status check_groups(const Segment::Description& description) {
  const std::size_t pages = description.pages.size();
  if (pages == 0 || pages > wire::kPages)
    return fault(LMCD_E_INVALID, "segment: %zu pages, want 1 to %u", pages, wire::kPages);
  if (!description.groups.empty() && description.groups.size() != pages)
    return fault(LMCD_E_INVALID, "segment: %zu page groups for %zu pages, want none or as many",
                 description.groups.size(), pages);
  for (std::size_t i = 0; i < description.groups.size(); ++i)
    if (description.groups[i] >= wire::kGroups)
      return fault(LMCD_E_INVALID, "segment: page %zu is of group %u, want below %u", i,
                   description.groups[i], wire::kGroups);
  return {};
}

}  // namespace

Status check_memory_behind(int descriptor, uint64_t length) {
  struct statfs system;
  struct stat facts;
  if (fstatfs(descriptor, &system) != 0 || fstat(descriptor, &facts) != 0)
    return errno_fault(LMCD_E_INVALID, errno, "segment: descriptor %d", descriptor);
  if (!S_ISREG(facts.st_mode) || (system.f_type != TMPFS_MAGIC && system.f_type != HUGETLBFS_MAGIC))
    return fault(LMCD_E_INVALID,
                 "segment: the descriptor is of no shared memory (want memfd or shm_open)");
  if (length == 0 || length > static_cast<uint64_t>(facts.st_size))
    return fault(LMCD_E_INVALID, "segment: length is %llu, the memory has %llu bytes", ull(length),
                 ull(static_cast<uint64_t>(facts.st_size)));
  // A sparse file has any size it likes, and each mapping takes from our address space.
  if (length > machine_bytes())
    return fault(LMCD_E_INVALID, "segment: length is %llu, this machine has %llu bytes of memory",
                 ull(length), ull(machine_bytes()));
  return {};
}

Status check_page(const lmcd_page_t& page, uint64_t length, uint32_t index) {
  if (page.run_bytes == 0 || page.run_count == 0 || page.block_count == 0)
    return fault(LMCD_E_INVALID,
                 "segment: page %u has run_bytes %u, run_count %u, block_count %u; want 1 or more",
                 index, page.run_bytes, page.run_count, page.block_count);
  if ((page.run_count > 1 && page.run_stride < page.run_bytes) ||
      (page.block_count > 1 && page.block_stride < page.run_bytes))
    return fault(LMCD_E_INVALID,
                 "segment: page %u has run_stride %llu, block_stride %llu; want at least its "
                 "run_bytes %u, or runs overlap",
                 index, ull(page.run_stride), ull(page.block_stride), page.run_bytes);
  // The end of the last run of the last block; strides are not negative, so all else is before.
  const auto blocks = checked_mul(page.block_count - 1, page.block_stride);
  const auto runs = checked_mul(page.run_count - 1, page.run_stride);
  std::optional<uint64_t> end;
  if (blocks && runs) end = checked_add(*blocks, *runs);
  if (end) end = checked_add(*end, page.base);
  if (end) end = checked_add(*end, page.run_bytes);
  if (end && *end <= length) return {};
  return fault(LMCD_E_INVALID,
               "segment: page %u ends past the %llu bytes of the segment (base %llu, %u blocks by "
               "%llu, %u runs of %u by %llu)",
               index, ull(length), ull(page.base), page.block_count, ull(page.block_stride),
               page.run_count, page.run_bytes, ull(page.run_stride));
}

Result<Segment> Segment::open(int descriptor, Description description) {
  LMCD_TRY(check_groups(description));
  LMCD_TRY(check_memory_behind(descriptor, description.length));
  for (uint32_t i = 0; i < description.pages.size(); ++i)
    LMCD_TRY(check_page(description.pages[i], description.length, i));
  LMCD_ASSIGN(GuardedRegion region,
              GuardedRegion::map(descriptor, description.length, Access::kReadWrite));
  return Segment(std::move(region), std::move(description));
}

Segment::Segment(GuardedRegion region, Description description)
    : region_(std::move(region)), groups_(wire::kGroups) {
  std::vector<uint32_t>& numbers = description.groups;
  if (numbers.empty()) numbers.assign(description.pages.size(), 0);
  std::vector<uint32_t> order(description.pages.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return numbers[a] < numbers[b]; });
  for (uint32_t index : order) {
    const lmcd_page_t& page = description.pages[index];
    Group& group = groups_[numbers[index]];
    if (group.page_count == 0) {
      group.first_page = static_cast<uint32_t>(pages_.size());
      group.block_count = page.block_count;
    }
    ++group.page_count;
    group.block_count = std::min(group.block_count, page.block_count);
    // No overflow: runs do not overlap, so each product is within what could be mapped (2^47
    // bytes on x86-64), and there are at most kPages (2^12) of them.
    group.block_bytes += uint64_t{page.run_bytes} * page.run_count;
    pages_.push_back(page);
  }
}

std::span<const lmcd_page_t> Segment::pages_of(uint32_t group) const {
  const Group* found = find(group);
  if (!found) return {};
  return std::span(pages_).subspan(found->first_page, found->page_count);
}

uint64_t Segment::block_bytes_of(uint32_t group) const {
  const Group* found = find(group);
  return found ? found->block_bytes : 0;
}

uint32_t Segment::block_count_of(uint32_t group) const {
  const Group* found = find(group);
  return found ? found->block_count : 0;
}

const Segment::Group* Segment::find(uint32_t group) const {
  return group < groups_.size() ? &groups_[group] : nullptr;
}

}  // namespace lmcd::memory
