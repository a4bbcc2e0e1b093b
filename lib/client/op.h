// A question on its way, and what becomes of its answer.
//
// The session's request table holds it until it is answered or the session is lost, the caller
// until it no longer asks: hence shared ownership, between those two. All of it is used under
// the session's lock. An operation whose caller has gone lives on in the table, so that a late
// answer finds it and what it grants is given back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "lib/base/status.h"
#include "lib/client/daemon_process.h"
#include "lib/wire/codec.h"

namespace lmcd::client {

class Session;

class Op {
 public:
  virtual ~Op() = default;

  bool answered() const { return answered_; }
  // The session was lost, and the daemon may still be at work on the caller's memory.
  bool orphaned() const { return daemon_ != nullptr && !answered_; }

 protected:
  // Reads an answer for the caller, or (`wanted` false) gives back what it grants.
  // Faults: LMCD_E_PROTOCOL; the session ends.
  virtual Status read(Session& session, uint16_t opcode, std::span<const std::byte> payload,
                      bool wanted) = 0;
  // The session `number` was lost before the answer came. The daemon may have granted nonetheless.
  virtual void lose(Session&, uint64_t /*number*/) {}
  // The caller has got to know the answer.
  virtual void collect() {}
  // The caller has gone without getting to know the answer that was there.
  virtual void give_back(Session&) {}
  // Whether the daemon reads or writes the caller's memory until it has answered.
  virtual bool lends_memory() const { return false; }

 private:
  friend class Session;

  Status result() const { return code_ == LMCD_OK ? Status() : Status(code_, text_); }

  uint64_t request_ = 0;
  bool answered_ = false;
  bool wanted_ = true;      // its caller is still there
  bool watched_ = false;    // its caller may wait by the session's descriptor
  bool collected_ = false;  // its caller has the result
  lmcd_code_t code_ = LMCD_OK;
  std::string text_;
  std::shared_ptr<const DaemonProcess> daemon_;  // of an orphan: the one that was asked
};

// Decodes an answer that must be of this type.
template <typename Answer>
Status decode_answer(uint16_t opcode, std::span<const std::byte> payload, Answer& answer) {
  if (opcode != Answer::kOpcode) {
    return fault(LMCD_E_PROTOCOL, "the daemon answered %s (%u), expected was %s",
                 wire::message_name(opcode), opcode, Answer::kName);
  }
  return wire::decode(payload, answer);
}

// Hands the decoded answer to a function of the caller, whose faults, too, mean that the daemon
// broke the protocol.
template <typename Answer>
class AnswerOp final : public Op {
 public:
  using Take = std::function<Status(const Answer&)>;
  explicit AnswerOp(Take take) : take_(std::move(take)) {}

 private:
  Status read(Session&, uint16_t opcode, std::span<const std::byte> payload, bool wanted) override {
    Answer answer;
    LMCD_TRY(decode_answer(opcode, payload, answer));
    return wanted ? take_(answer) : Status();
  }

  Take take_;
};

}  // namespace lmcd::client
