#include "lib/ledger/reader.h"

#include <algorithm>
#include <type_traits>

#include "lib/base/bytes.h"
#include "lib/base/prefetch.h"
#include "lib/ledger/ahead.h"
#include "lib/ledger/racy.h"

namespace lmcd::ledger {
namespace {

// A client writes it, or a tier.
bool is_on_its_way(State state) {
  return state == State::kReserved || state == State::kPromoting;
}

// How far ahead of a key's turn its bucket is fetched into the processor's cache, and the record
// that the bucket names.
constexpr std::size_t kFar = 32;
constexpr std::size_t kNear = kFar / 2;
constexpr uint32_t kGroupsMax = std::extent_v<decltype(SpaceEntry::groups)>;
// Records of one object: ranks times groups.
constexpr uint32_t kPartsMax = 256 * kGroupsMax;

bool inside(const Shape& shape, uint64_t offset, uint64_t count, uint64_t element_bytes) {
  std::optional<uint64_t> bytes = checked_mul(count, element_bytes);
  std::optional<uint64_t> end = bytes ? checked_add(offset, *bytes) : std::nullopt;
  return end && *end <= shape.ledger_bytes && offset >= sizeof(Header) && offset % 64 == 0;
}

template <typename T>
const T* at(const Header* header, uint64_t offset) {
  return reinterpret_cast<const T*>(reinterpret_cast<const char*>(header) + offset);
}

}  // namespace

Result<Reader> Reader::open(const void* ledger, uint64_t bytes) {
  const Header* header = static_cast<const Header*>(ledger);
  const Shape shape = bytes < sizeof(Header) ? Shape{} : static_cast<const Shape&>(*header);
  if (shape.magic != kMagic)
    return fault(LMCD_E_CORRUPT, "ledger: no ledger header in %llu bytes",
                 (unsigned long long)bytes);
  if (shape.version != kLedgerVersion) {
    return fault(LMCD_E_VERSION, "ledger: layout version %u, this library reads %u", shape.version,
                 kLedgerVersion);
  }
  if (shape.ledger_bytes > bytes || shape.bucket_count == 0 || shape.space_capacity == 0 ||
      !inside(shape, shape.space_offset, shape.space_capacity, sizeof(SpaceEntry)) ||
      !inside(shape, shape.tenant_offset, shape.tenant_capacity, sizeof(TenantEntry)) ||
      !inside(shape, shape.index_offset, shape.bucket_count, sizeof(Bucket)) ||
      !inside(shape, shape.record_offset, shape.record_capacity, sizeof(Record))) {
    return fault(LMCD_E_CORRUPT, "ledger: its header places tables outside of its %llu bytes",
                 (unsigned long long)bytes);
  }
  Reader reader;
  reader.shape_ = shape;
  reader.header_ = header;
  reader.records_ = at<Record>(header, shape.record_offset);
  reader.index_ =
      Index(const_cast<Bucket*>(at<Bucket>(header, shape.index_offset)), shape.bucket_count);
  return reader;
}

const SpaceEntry* Reader::space(uint32_t place) const {
  return place < shape_.space_capacity ? at<SpaceEntry>(header_, shape_.space_offset) + place
                                       : nullptr;
}

bool Reader::has_space(uint32_t number) const {
  // After whatever was read of the entry.
  std::atomic_thread_fence(std::memory_order_acquire);
  return space(place_of(number))->used.load(std::memory_order_acquire) ==
         used_by(number, shape_.space_capacity);
}

const TenantEntry* Reader::tenant(uint32_t number) const {
  return number < shape_.tenant_capacity ? at<TenantEntry>(header_, shape_.tenant_offset) + number
                                         : nullptr;
}

uint64_t Reader::incarnation() const {
  uint64_t first;
  std::memcpy(&first, shape_.incarnation, sizeof first);
  return first;
}

uint32_t Reader::first_record(uint32_t place, const lmcd_key_t& key, uint64_t hash) const {
  return index_.find(hash, [&](uint32_t number) {
    const Record* candidate = record(number);
    return candidate != nullptr && to_label(peek(candidate->label)).space == place &&
           peek_equal(candidate->key, key);
  });
}

void Reader::lookup(uint32_t space, std::span<const lmcd_key_t> keys, lmcd_presence_t* out) const {
  const uint32_t place = place_of(space);
  const SpaceEntry* meaning = this->space(place);
  const uint32_t groups = meaning == nullptr ? 0 : std::min(peek(meaning->group_count), kGroupsMax);
  const uint32_t all_groups = (uint32_t{1} << groups) - 1;
  // Copies, which no store into `out` can change.
  const Index index = index_;
  const uint64_t seed = shape_.hash_seed;
  auto hashes = hash_ahead<kFar>(keys.size(), [&](std::size_t at) {
    const uint64_t hash = hash_key(keys[at], space, seed);
    index.prefetch(hash);
    return hash;
  });
  for (std::size_t at = 0; at < keys.size(); ++at) {
    const uint64_t hash = hashes.take(at);
    const Index::Entry entry = index.look(hash);
    out[at] = {};
    if (entry.whole()) {
      out[at] = {all_groups, 0, 0, entry.record()};
    } else if (entry.present()) {
      look_closely(place, keys[at], hash, out[at]);
    }
  }
}

void Reader::look_closely(uint32_t place, const lmcd_key_t& key, uint64_t hash,
                          lmcd_presence_t& out) const {
  const uint32_t number = first_record(place, key, hash);
  const Record* first = record(number);
  if (first == nullptr) return;
  const uint64_t word = first->word.load(std::memory_order_acquire);
  const uint32_t hot = first->hot_groups.load(std::memory_order_relaxed);
  const uint32_t pending = first->pending_groups.load(std::memory_order_relaxed);
  const bool mine = to_label(peek(first->label)).space == place && peek_equal(first->key, key);
  std::atomic_thread_fence(std::memory_order_acquire);
  const State state = state_of(word);
  // One that changed under us is a miss: an ordinary answer.
  if (mine && first->word.load(std::memory_order_relaxed) == word &&
      (state == State::kHot || is_on_its_way(state))) {
    out = {hot, 0, pending & ~hot, number};
  }
}

void Reader::locate_part(uint32_t place, uint32_t first, const lmcd_key_t& key, lmcd_part_t part,
                         lmcd_grant_t& out) const {
  const uint32_t wanted = to_word({place, part, false});
  uint32_t number = first;
  for (uint32_t step = 0; step < kPartsMax; ++step) {
    const Record* at = record(number);
    if (at == nullptr) return;
    const uint64_t word = at->word.load(std::memory_order_acquire);
    const Label label = to_label(peek(at->label));
    const bool mine =
        to_word({label.space, label.part, false}) == wanted && peek_equal(at->key, key);
    const lmcd_extent_t extent{0, 0, peek(at->offset), peek(at->length)};
    const uint32_t crc32c = peek(at->crc32c);
    const uint32_t next = at->next_part.load(std::memory_order_acquire);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (at->word.load(std::memory_order_relaxed) != word) return;
    if (mine) {
      if (state_of(word) == State::kHot) {
        out = {LMCD_LEASED, number, word, incarnation(), extent, crc32c, label.has_crc};
      } else if (is_on_its_way(state_of(word))) {
        out.outcome = LMCD_PENDING;
      }
      return;
    }
    number = next;
  }
}

void Reader::locate(uint32_t space, std::span<const lmcd_key_t> keys,
                    std::span<const lmcd_part_t> parts, lmcd_grant_t* out) const {
  const uint32_t place = place_of(space);
  const std::size_t count = keys.size();
  auto hashes = hash_ahead<kFar>(count, [&](std::size_t at) {
    const uint64_t hash = hash_key(keys[at], space, shape_.hash_seed);
    index_.prefetch(hash);
    return hash;
  });
  for (std::size_t at = 0; at < count; ++at) {
    const uint64_t hash = hashes.take(at);
    if (at + kNear < count) prefetch(record(index_.look(hashes.later(at + kNear)).record()));
    out[at] = {};
    out[at].outcome = LMCD_ABSENT;
    const lmcd_part_t part = parts.size() == 1 ? parts[0] : parts[at];
    locate_part(place, first_record(place, keys[at], hash), keys[at], part, out[at]);
  }
}

}  // namespace lmcd::ledger
