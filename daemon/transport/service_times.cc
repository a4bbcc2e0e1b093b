#include "daemon/transport/service_times.h"

#include "lib/wire/messages.h"

namespace lmcd::transport {

std::vector<admin::VerbFacts> ServiceTimes::facts() const {
  std::vector<admin::VerbFacts> facts;
  for (uint16_t opcode = 0; opcode < kOpcodes; ++opcode) {
    const One& one = times_[opcode];
    if (one.count == 0) continue;
    facts.push_back({wire::message_name(opcode), one.count, one.nanoseconds, one.buckets});
  }
  return facts;
}

}  // namespace lmcd::transport
