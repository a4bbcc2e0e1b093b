// lmcd.h: daemon_driven copies.
#include <fcntl.h>

#include <cerrno>

#include "lib/base/bytes.h"
#include "lib/client/arguments.h"
#include "lib/client/barrier.h"
#include "lib/client/handles.h"
#include "lib/wire/limits.h"

using namespace lmcd;
using namespace lmcd::client;

// -- Segment --------------------------------------------------------------------------------

namespace {

Result<FileDescriptor> duplicate(int32_t number) {
  FileDescriptor copy(number < 0 ? -1 : fcntl(number, F_DUPFD_CLOEXEC, 0));
  if (copy.valid()) return copy;
  return errno_fault(LMCD_E_INVALID, number < 0 ? EBADF : errno, "options.descriptor is %d",
                     number);
}

}  // namespace

lmcd_code_t lmcd_segment_open(lmcd_session_t* session, const lmcd_segment_options_t* options,
                              lmcd_segment_t** out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_TRY(check(session));
    LMCD_ASSIGN(const lmcd_segment_options_t given, take_struct(options, "options"));
    LMCD_TRY(check_count(given.page_count, wire::kPages, "options.page_count"));
    LMCD_TRY(check_not_null(given.pages, "options.pages"));
    LMCD_TRY(check_count(given.length, UINT64_MAX, "options.length"));
    LMCD_TRY(check_text(given.name, wire::kNameBytes, "options.name"));
    if (given.rank >= wire::kRanks) {
      return fault(LMCD_E_INVALID, "options.rank is %u; 0 to %u is valid", given.rank,
                   wire::kRanks - 1);
    }
    LMCD_ASSIGN(FileDescriptor memory, duplicate(given.descriptor));
    wire::SegmentOpen question;
    question.length = given.length;
    question.rank = given.rank;
    question.pages = {given.pages, given.page_count};
    question.page_groups = {given.page_groups,
                            given.page_groups ? given.page_count : std::size_t{0}};
    question.name = view_of(given.name);
    LMCD_ASSIGN(std::unique_ptr<Segment> segment,
                Segment::open(*session->session, question, std::move(memory)));
    return hand_out(out, session->session, std::move(segment));
  });
}

void lmcd_segment_close(lmcd_segment_t* segment) {
  if (segment == nullptr || segment->session->forked()) return;
  guard(nullptr, [&]() -> Status {
    segment->segment->close(*segment->session);
    delete segment;
    return {};
  });
}

// -- Transfers ------------------------------------------------------------------------------

namespace {

// A transfer, checked. `keys` are the caller's arrays.
struct Batch {
  const lmcd_namespace_t* space;
  lmcd_reserve_t keys;
  std::span<const uint32_t> block_ids;
  uint32_t blocks_per_item;
};

Result<Batch> take_batch(const lmcd_segment_t* segment, const lmcd_transfer_t* transfer,
                         const uint32_t* outcomes) {
  LMCD_TRY(check(segment));
  LMCD_ASSIGN(const lmcd_transfer_t given, take_struct(transfer, "transfer"));
  LMCD_ASSIGN(const lmcd_reserve_t keys, take_struct(&transfer->keys, "transfer.keys"));
  LMCD_TRY(check_not_null(keys.space, "transfer.keys.space"));
  if (keys.space->session != segment->session)
    return fault(LMCD_E_INVALID, "transfer.keys.space was opened from another session");
  LMCD_TRY(check_count(keys.count, wire::kBatchItems, "transfer.keys.count"));
  LMCD_TRY(check_not_null(keys.keys, "transfer.keys.keys"));
  LMCD_TRY(check_not_null(given.block_ids, "transfer.block_ids"));
  LMCD_TRY(check_not_null(outcomes, "outcomes"));
  LMCD_TRY(
      check_count(given.blocks_per_item, wire::kBlockIds / keys.count, "transfer.blocks_per_item"));
  LMCD_TRY(check_parts(*keys.space->space, keys.parts, keys.part, keys.count));
  return Batch{keys.space,
               keys,
               {given.block_ids, std::size_t{keys.count} * given.blocks_per_item},
               given.blocks_per_item};
}

// Fills in what Store and Load have in common, starts the operation.
template <typename Message>
Status begin(lmcd_segment_t* segment, const Batch& batch, Message& message, uint32_t* outcomes,
             lmcd_op_t** out) {
  Session& session = *segment->session;
  LMCD_ASSIGN(message.segment, segment->segment->number(session));
  message.part = wire_part(batch.keys.part);
  message.blocks_per_item = batch.blocks_per_item;
  message.keys = {batch.keys.keys, batch.keys.count};
  message.parts = parts_of(batch.keys.parts, batch.keys.count);
  message.block_ids = batch.block_ids;
  auto op = std::make_shared<TransferOp>(outcomes, batch.keys.count);
  LMCD_TRY(session.start(op, batch.space->space.get(), session.deadline(),
                         [&](const Session::Terms& terms) -> const Message& {
                           message.space = terms.space;
                           return message;
                         }));
  segment->segment->add(op);
  return hand_out_op(out, segment->session, std::move(op));
}

}  // namespace

lmcd_code_t lmcd_store_begin(lmcd_segment_t* segment, const lmcd_transfer_t* transfer,
                             uint32_t* outcomes, lmcd_op_t** out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_ASSIGN(const Batch batch, take_batch(segment, transfer, outcomes));
    LMCD_TRY(check_text(batch.keys.tenant, wire::kTenantBytes, "transfer.keys.tenant"));
    wire::Store message;
    message.depth = batch.keys.depth;
    message.parent = parent_of(batch.keys.parent);
    message.tenant = view_of(batch.keys.tenant);
    return begin(segment, batch, message, outcomes, out);
  });
}

lmcd_code_t lmcd_load_begin(lmcd_segment_t* segment, const lmcd_transfer_t* transfer,
                            uint32_t* outcomes, lmcd_op_t** out, lmcd_error_t* err) {
  return guard(err, [&]() -> Status {
    LMCD_TRY(check_not_null(out, "out"));
    *out = nullptr;
    LMCD_ASSIGN(const Batch batch, take_batch(segment, transfer, outcomes));
    wire::Load message;
    return begin(segment, batch, message, outcomes, out);
  });
}
