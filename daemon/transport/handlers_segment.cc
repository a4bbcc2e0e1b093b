// Copies by the daemon: SegmentOpen, SegmentClose, Store, Load, Cancel.

#include "daemon/transport/handlers.h"
#include "daemon/transport/shape.h"
#include "lib/wire/limits.h"

namespace lmcd::transport {
namespace {

// The fields that Store and Load share, checked; `single` keeps the part where there is one for
// all keys.
template <typename Message>
Result<mover::Transfer> transfer_of(const Question& question, const Message& message,
                                    lmcd_part_t& single) {
  const char* name = Message::kName;
  const std::size_t count = message.keys.size();
  LMCD_TRY(check_range(name, "keys", count, 1, wire::kBatchItems));
  LMCD_TRY(check_range(name, "segment", message.segment, 1, UINT32_MAX));
  LMCD_TRY(check_range(name, "space", message.space, 0, UINT32_MAX));
  LMCD_TRY(check_range(name, "blocks_per_item", message.blocks_per_item, 1, wire::kBlockIds));
  if (message.block_ids.size() > wire::kBlockIds ||
      message.block_ids.size() != count * message.blocks_per_item) {
    return fault(LMCD_E_INVALID,
                 "%s: %zu block ids for %zu keys of %llu blocks; at most %u are valid", name,
                 message.block_ids.size(), count, (unsigned long long)message.blocks_per_item,
                 wire::kBlockIds);
  }
  mover::Transfer transfer;
  LMCD_ASSIGN(transfer.parts, parts_of(name, message.parts, message.part, count, single));
  transfer.request = question.request;
  transfer.segment = static_cast<uint32_t>(message.segment);
  transfer.space = static_cast<uint32_t>(message.space);
  transfer.blocks_per_item = static_cast<uint32_t>(message.blocks_per_item);
  transfer.keys = message.keys;
  transfer.block_ids = message.block_ids;
  return transfer;
}

// What to do with the outcomes of a transfer, whenever they come.
mover::Copies::Answer answer_to(Question& question) {
  Sessions& sessions = question.desk.sessions;
  return [&sessions, id = question.session.id,
          request = question.request](Result<std::vector<uint32_t>> outcomes) {
    Session* session = sessions.find(id);
    if (session == nullptr) return;
    if (outcomes.ok())
      session->send(wire::Transferred{outcomes.value()}, request);
    else
      session->send_fault(outcomes.status(), request);
  };
}

mover::Copies::Done done_to(Question& question) {
  Sessions& sessions = question.desk.sessions;
  return [&sessions, id = question.session.id, request = question.request] {
    if (Session* session = sessions.find(id)) session->send(wire::Done{}, request);
  };
}

}  // namespace

Status answer(Question& question, const wire::SegmentOpen& message) {
  LMCD_TRY(check_range("SegmentOpen", "descriptors", question.descriptors.size(), 1, 1));
  LMCD_TRY(check_range("SegmentOpen", "pages", message.pages.size(), 1, wire::kPages));
  LMCD_TRY(check_range("SegmentOpen", "rank", message.rank, 0, wire::kRanks - 1));
  LMCD_TRY(check_range("SegmentOpen", "length", message.length, 1, UINT64_MAX / 2));
  LMCD_TRY(check_name("SegmentOpen", "name", message.name, wire::kNameBytes));
  if (!message.page_groups.empty() && message.page_groups.size() != message.pages.size()) {
    return fault(LMCD_E_INVALID, "SegmentOpen: page_groups has %zu elements, valid is 0 or %zu",
                 message.page_groups.size(), message.pages.size());
  }
  for (uint32_t group : message.page_groups)
    LMCD_TRY(check_range("SegmentOpen", "page_groups", group, 0, wire::kGroups - 1));
  mover::SegmentLayout layout{message.length, static_cast<uint32_t>(message.rank), message.pages,
                              message.page_groups, message.name};
  LMCD_ASSIGN(uint32_t segment,
              question.desk.copies.open_segment(question.session.id,
                                                std::move(question.descriptors[0]), layout));
  return question.answer(wire::SegmentOpened{segment});
}

Status answer(Question& question, const wire::SegmentClose& message) {
  LMCD_TRY(check_range("SegmentClose", "segment", message.segment, 1, UINT32_MAX));
  return question.desk.copies.close_segment(
      question.session.id, static_cast<uint32_t>(message.segment), done_to(question));
}

Status answer(Question& question, const wire::Store& message) {
  LMCD_TRY(check_range("Store", "parent", message.parent.size(), 0, 1));
  LMCD_TRY(check_tenant("Store", message.tenant));
  LMCD_TRY(check_range("Store", "depth", message.depth, 0, UINT32_MAX - wire::kBatchItems));
  lmcd_part_t single;
  LMCD_ASSIGN(mover::Transfer transfer, transfer_of(question, message, single));
  transfer.parent = message.parent.empty() ? nullptr : message.parent.data();
  transfer.depth = static_cast<uint32_t>(message.depth);
  transfer.tenant = message.tenant;
  question.desk.copies.store(question.session.id, transfer, answer_to(question));
  return {};
}

Status answer(Question& question, const wire::Load& message) {
  lmcd_part_t single;
  LMCD_ASSIGN(mover::Transfer transfer, transfer_of(question, message, single));
  question.desk.copies.load(question.session.id, transfer, answer_to(question));
  return {};
}

Status answer(Question& question, const wire::Cancel& message) {
  return question.desk.copies.cancel(question.session.id, message.request, done_to(question));
}

}  // namespace lmcd::transport
