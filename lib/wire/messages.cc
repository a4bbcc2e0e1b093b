#include "lib/wire/messages.h"

namespace lmcd::wire {

const char* message_name(uint16_t opcode) {
  switch (opcode) {
#define LMCD_MESSAGE(Type, opcode, since, fields) \
  case opcode:                                    \
    return #Type;
#include "lib/wire/messages.def"
#undef LMCD_MESSAGE
    default:
      return "?";
  }
}

}  // namespace lmcd::wire
