#include "daemon/transport/dispatch.h"

#include <array>
#include <cinttypes>

#include "lib/wire/codec.h"

namespace lmcd::transport {
namespace {

// The messages of operators have these opcodes (lib/wire/messages.def).
constexpr uint16_t kAdminFirst = 48;
constexpr uint16_t kAdminLast = 63;

enum class Kind : uint8_t { kNone, kQuestion, kPost };

struct Entry {
  Kind kind = Kind::kNone;
  Status (*run)(Desk& desk, Session& session, Frame& frame, uint64_t* lease) = nullptr;
};

template <typename Message>
Status run_question(Desk& desk, Session& session, Frame& frame, uint64_t*) {
  Message message;
  LMCD_TRY(wire::decode(frame.payload, message));
  Question question{desk, session, frame.header.request, frame.descriptors};
  return answer(question, message);
}

template <typename Message>
Status run_post(Desk& desk, Session& session, Frame& frame, uint64_t* lease) {
  Message message;
  LMCD_TRY(wire::decode(frame.payload, message));
  Post post{desk, session};
  Status status = take(post, message);
  *lease = post.lease;
  return status;
}

template <typename Message>
constexpr Entry entry_of() {
  if constexpr (requires(Question& question, const Message& message) {
                  answer(question, message);
                }) {
    return {Kind::kQuestion, &run_question<Message>};
  } else if constexpr (requires(Post& post, const Message& message) { take(post, message); }) {
    return {Kind::kPost, &run_post<Message>};
  } else {
    return {};  // a message that only the daemon sends
  }
}

constexpr std::size_t kOpcodes = 256;

constexpr std::array<Entry, kOpcodes> make_table() {
  std::array<Entry, kOpcodes> table{};
#define LMCD_MESSAGE(Type, opcode, since, fields) table[opcode] = entry_of<wire::Type>();
#include "lib/wire/messages.def"
#undef LMCD_MESSAGE
  return table;
}

constexpr std::array<Entry, kOpcodes> kTable = make_table();

// What must hold before a message of this kind is looked at.
Status admit(const Session& session, const wire::Header& header, Kind kind) {
  const char* name = wire::message_name(header.opcode);
  if (kind == Kind::kNone)
    return fault(LMCD_E_PROTOCOL, "no client sends messages of opcode %u (%s)", header.opcode,
                 name);
  if (session.phase == Phase::kStranger && header.opcode != wire::Hello::kOpcode)
    return fault(LMCD_E_PROTOCOL, "%s: a session begins with Hello", name);
  if (kind == Kind::kQuestion && header.request == 0)
    return fault(LMCD_E_PROTOCOL, "%s: a question needs a request number", name);
  if (header.descriptors != 0 && header.opcode != wire::SegmentOpen::kOpcode)
    return fault(LMCD_E_PROTOCOL, "%s: comes without descriptors", name);
  if (header.opcode >= kAdminFirst && header.opcode <= kAdminLast && !session.admin) {
    return fault(LMCD_E_DENIED, "%s: user %u may not administer this daemon (--admin-uids)", name,
                 session.peer.uid);
  }
  return {};
}

// Admin verbs that change something.
constexpr bool is_audited(uint16_t opcode) {
  return opcode == wire::Clear::kOpcode || opcode == wire::Pin::kOpcode ||
         opcode == wire::QuotaSet::kOpcode || opcode == wire::Drain::kOpcode ||
         opcode == wire::Reload::kOpcode;
}

// Says who asked for what. How much it changed is the asker's to know: long verbs end later.
void audit(Desk& desk, const Session& session, uint16_t opcode, const Status& status) {
  desk.log.event(Severity::kInfo, "admin.verb")
      .field("verb", wire::message_name(opcode))
      .field("uid", uint64_t{session.peer.uid})
      .field("pid", session.peer.pid)
      .field("name", session.name)
      .field("outcome", status.ok() ? std::string_view("taken") : status.text());
}

// Faults that speak of a wrong request rather than of the state of things.
bool is_misuse(lmcd_code_t code) {
  return code == LMCD_E_INVALID || code == LMCD_E_DENIED || code == LMCD_E_UNSUPPORTED;
}

void settle_fault(Desk& desk, Session& session, const Frame& frame, Kind kind, uint64_t lease,
                  const Status& status) {
  // A stranger whose Hello is not taken has nothing to go on with.
  if (status.code() == LMCD_E_PROTOCOL || session.phase == Phase::kStranger) {
    if (status.code() == LMCD_E_PROTOCOL)
      ++desk.store.metrics().malformed_total;
    else
      ++desk.store.metrics().sessions_refused_total;
    return desk.sessions.fail(session, status, frame.header.request);
  }
  if (is_misuse(status.code())) {
    desk.log.event(Severity::kWarning, "request.refused")
        .field("session", session.id)
        .field("name", session.name)
        .field("pid", session.peer.pid)
        .field("reason", status.text());
  }
  if (kind == Kind::kPost) {
    ++desk.store.metrics().posts_refused_total;
    EventStream::refuse(session, lease, status);
  } else {
    session.send_fault(status, frame.header.request);
  }
}

}  // namespace

void dispatch(Desk& desk, Session& session, Frame& frame) {
  ++desk.store.metrics().requests_total;
  ++session.requests;
  const Entry entry = frame.header.opcode < kOpcodes ? kTable[frame.header.opcode] : Entry{};
  uint64_t lease = 0;
  const uint16_t opcode = frame.header.opcode;
  const uint64_t started_ns = desk.loop.clock().now_ns();
  Status status = admit(session, frame.header, entry.kind);
  if (status.ok()) status = entry.run(desk, session, frame, &lease);
  if (is_audited(opcode)) audit(desk, session, opcode, status);
  if (!status.ok()) settle_fault(desk, session, frame, entry.kind, lease, status);
  desk.service_times.count(opcode, desk.loop.clock().now_ns() - started_ns);
}

}  // namespace lmcd::transport
