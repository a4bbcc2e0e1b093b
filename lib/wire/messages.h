// The messages as structs, generated from messages.def.
//
// A decoded message views the frame it came from: its texts and arrays live as long as that
// frame's bytes. Encoding and decoding are in codec.h.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "include/lmcd.h"
#include "include/lmcd_admin.h"

namespace lmcd::wire {

// lmcd_grant_t as it travels: the receiver knows segment and incarnation.
struct Grant {
  uint32_t outcome;
  uint32_t record;
  uint64_t word;
  uint64_t offset;
  uint32_t length;
  uint32_t crc32c;
  uint32_t has_crc;
  uint32_t reserved;
};

// A record of the ledger and the word it had when the sender looked.
struct Sighting {
  uint32_t record;
  uint32_t reserved;
  uint64_t word;
};

#define LMCD_NUMBER(name) uint64_t name = 0;
#define LMCD_TEXT(name) std::string_view name;
#define LMCD_ARRAY(type, name) std::span<const type> name;
#define LMCD_MESSAGE(Type, opcode, since, fields) \
  struct Type {                                   \
    static constexpr uint16_t kOpcode = opcode;   \
    static constexpr uint32_t kSince = since;     \
    static constexpr const char* kName = #Type;   \
    fields                                        \
  };
#include "lib/wire/messages.def"
#undef LMCD_MESSAGE
#undef LMCD_NUMBER
#undef LMCD_TEXT
#undef LMCD_ARRAY

// Calls visitor(field) for each field in order.
#define LMCD_NUMBER(name) visitor(message.name);
#define LMCD_TEXT(name) visitor(message.name);
#define LMCD_ARRAY(type, name) visitor(message.name);
#define LMCD_MESSAGE(Type, opcode, since, fields)                   \
  template <typename Visitor>                                       \
  void visit(Visitor& visitor, Type& message) {                     \
    fields                                                          \
  }                                                                 \
  template <typename Visitor>                                       \
  void visit(Visitor& visitor, const Type& message) {               \
    fields                                                          \
  }
#include "lib/wire/messages.def"
#undef LMCD_MESSAGE
#undef LMCD_NUMBER
#undef LMCD_TEXT
#undef LMCD_ARRAY

// "Reserve" for 16; "?" for an opcode that no message has.
const char* message_name(uint16_t opcode);

}  // namespace lmcd::wire
