#include "lib/client/segment.h"

#include <algorithm>

namespace lmcd::client {
namespace {

// Whether an item can end so.
bool is_outcome_of_transfer(uint32_t outcome) {
  return outcome > LMCD_NONE && outcome <= LMCD_LOADED;
}

// The answer to SegmentClose: until it comes the memory is lent.
class CloseOp final : public Op {
 private:
  Status read(Session&, uint16_t opcode, std::span<const std::byte> payload, bool) override {
    wire::Done done;
    return decode_answer(opcode, payload, done);
  }
  bool lends_memory() const override { return true; }
};

// The answer to SegmentOpen. One that comes too late is of a segment that nobody will close.
class OpenOp final : public Op {
 public:
  explicit OpenOp(uint64_t* number) : number_(number) {}

 private:
  Status read(Session& session, uint16_t opcode, std::span<const std::byte> payload,
              bool wanted) override {
    wire::SegmentOpened opened;
    LMCD_TRY(decode_answer(opcode, payload, opened));
    if (wanted) {
      *number_ = opened.segment;
      return {};
    }
    wire::SegmentClose question;
    question.segment = opened.segment;
    // A session that is lost meanwhile takes its segments with it.
    static_cast<void>(session.ask_and_forget<wire::Done>(question));
    return {};
  }

  uint64_t* const number_;
};

}  // namespace

TransferOp::TransferOp(uint32_t* outcomes, uint32_t count) : outcomes_(outcomes), count_(count) {
  std::fill_n(outcomes, count, static_cast<uint32_t>(LMCD_NONE));
}

Status TransferOp::read(Session&, uint16_t opcode, std::span<const std::byte> payload,
                        bool wanted) {
  wire::Transferred answer;
  LMCD_TRY(decode_answer(opcode, payload, answer));
  if (answer.outcomes.size() != count_) {
    return fault(LMCD_E_PROTOCOL, "Transferred: %zu items, %u were asked for",
                 answer.outcomes.size(), count_);
  }
  if (!std::all_of(answer.outcomes.begin(), answer.outcomes.end(), is_outcome_of_transfer))
    return fault(LMCD_E_PROTOCOL, "Transferred: an item has no outcome");
  if (wanted) std::copy(answer.outcomes.begin(), answer.outcomes.end(), outcomes_);
  return {};
}

Result<std::unique_ptr<Segment>> Segment::open(Session& session, const wire::SegmentOpen& question,
                                               FileDescriptor memory) {
  std::unique_ptr<Segment> segment(new Segment(static_cast<uint32_t>(question.rank)));
  auto op = std::make_shared<OpenOp>(&segment->number_);
  const Deadline until = session.deadline();
  LMCD_TRY(session.start(
      op, nullptr, until,
      [&](const Session::Terms& terms) -> const wire::SegmentOpen& {
        segment->epoch_ = terms.epoch;
        return question;
      },
      std::move(memory)));
  LMCD_TRY(session.wait_and_drop(op, until));
  return segment;
}

Result<uint64_t> Segment::number(Session& session) const {
  if (session.epoch() == epoch_) return number_;
  return fault(LMCD_E_SESSION_LOST,
               "the segment was opened in a session that is lost; open it again");
}

void Segment::add(const std::shared_ptr<TransferOp>& transfer) {
  std::lock_guard lock(mutex_);
  std::erase_if(transfers_, [](const std::weak_ptr<TransferOp>& known) { return known.expired(); });
  transfers_.push_back(transfer);
}

void Segment::close(Session& session) {
  if (session.epoch() == epoch_) {
    auto op = std::make_shared<CloseOp>();
    wire::SegmentClose question;
    question.segment = number_;
    const Status asked = session.start(op, nullptr, session.deadline(),
                                       [&](const Session::Terms&) { return question; });
    if (asked.ok()) session.finish(op);
  }
  // Of a session that was lost, or whose daemon could not be asked.
  std::lock_guard lock(mutex_);
  for (const std::weak_ptr<TransferOp>& known : transfers_) {
    if (const std::shared_ptr<TransferOp> transfer = known.lock()) session.finish(transfer);
  }
}

}  // namespace lmcd::client
