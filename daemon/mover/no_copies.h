// Copies for a daemon that makes none (--supported-transfer-mode engine_driven): each request is
// answered LMCD_E_UNSUPPORTED.
#pragma once

#include "daemon/mover/copies.h"

namespace lmcd::mover {

class NoCopies final : public Copies {
 public:
  Result<uint32_t> open_segment(core::SessionId, FileDescriptor, const SegmentLayout&) override {
    return refusal();
  }
  Status close_segment(core::SessionId, uint32_t segment, Done) override {
    return fault(LMCD_E_NOT_FOUND, "segment %u: this session has none", segment);
  }
  void store(core::SessionId, const Transfer&, Answer answer) override { answer(refusal()); }
  void load(core::SessionId, const Transfer&, Answer answer) override { answer(refusal()); }
  Status cancel(core::SessionId, uint64_t, Done done) override {
    done();
    return {};
  }
  void close_session(core::SessionId, Done done) override { done(); }
  std::vector<SegmentFacts> segments(std::size_t) const override { return {}; }

 private:
  static Status refusal() {
    return fault(LMCD_E_UNSUPPORTED,
                 "daemon_driven: this daemon copies nothing (--supported-transfer-mode)");
  }
};

}  // namespace lmcd::mover
