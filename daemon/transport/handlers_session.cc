// Who a client is, and what it may name: Hello, Alive, Ping, NamespaceOpen, Stopped.

#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "daemon/transport/handlers.h"
#include "daemon/transport/shape.h"
#include "lib/wire/limits.h"

namespace lmcd::transport {
namespace {

Status check_protocol(const wire::Hello& hello, const std::string& version) {
  if (hello.protocol_min <= wire::kProtocolMax && hello.protocol_max >= wire::kProtocolMin)
    return {};
  const char* who = hello.protocol_min > wire::kProtocolMax ? "newer" : "older";
  return fault(LMCD_E_VERSION,
               "the client is too much %s: it speaks protocol %" PRIu64 " to %" PRIu64
               ", this daemon (%s) %u to %u",
               who, hello.protocol_min, hello.protocol_max, version.c_str(), wire::kProtocolMin,
               wire::kProtocolMax);
}

bool may_administer(const Terms& terms, uid_t uid) {
  return std::find(terms.admin_uids.begin(), terms.admin_uids.end(), uid) != terms.admin_uids.end();
}

void welcome(Question& question, const wire::Hello& hello, bool pass_liveness) {
  const Terms& terms = question.desk.terms;
  const Session& session = question.session;
  wire::Welcome reply;
  reply.protocol = std::min<uint64_t>(hello.protocol_max, wire::kProtocolMax);
  reply.session = session.id;
  std::memcpy(&reply.incarnation_low, terms.incarnation, 8);
  std::memcpy(&reply.incarnation_high, terms.incarnation + 8, 8);
  reply.arena_bytes = terms.arena_bytes;
  reply.ledger_bytes = terms.ledger_bytes;
  reply.align_bytes = terms.align_bytes;
  reply.chunk_tokens = terms.chunk_tokens;
  reply.read_ttl_ms = terms.read_ttl_ms;
  reply.write_ttl_ms = terms.write_ttl_ms;
  reply.verify = terms.verify;
  reply.transfer_modes = terms.transfer_modes;
  reply.daemon_pid = static_cast<uint64_t>(::getpid());
  reply.admin = session.admin;
  reply.liveness_slot = session.slot;
  reply.hash_algorithm = terms.hash_algorithm;
  reply.daemon_version = terms.daemon_version;
  reply.instance_id = terms.instance_id;
  const int descriptors[] = {terms.ledger_descriptor, terms.arena_descriptor,
                             question.desk.processes.liveness_descriptor(session.slot)};
  question.session.send(reply, question.request, std::span(descriptors, pass_liveness ? 3 : 2));
}

}  // namespace

Status answer(Question& question, const wire::Hello& hello) {
  Session& session = question.session;
  Desk& desk = question.desk;
  if (session.phase != Phase::kStranger)
    return fault(LMCD_E_PROTOCOL, "Hello: this session has said it before");
  LMCD_TRY(check_protocol(hello, desk.terms.daemon_version));
  LMCD_TRY(check_name("Hello", "name", hello.name, wire::kNameBytes));
  if (desk.sessions.full())
    return fault(LMCD_E_LIMIT, "all %zu sessions are in use (--max-sessions)",
                 desk.sessions.count());
  LMCD_ASSIGN(ProcessWatch::Entry entry, desk.processes.enter(session.peer, hello));
  session.slot = entry.slot;
  session.name = hello.name;
  session.admin = may_administer(desk.terms, session.peer.uid);
  desk.sessions.greet(session);
  desk.store.open_session(session.id, session.slot,
                          core::process_of(session.peer.pid, session.slot));
  welcome(question, hello, !entry.holds_file);
  return {};
}

Status take(Post& post, const wire::Alive& alive) {
  Session& session = post.session;
  if (alive.liveness_slot != session.slot) {
    return fault(LMCD_E_PROTOCOL, "Alive: slot %" PRIu64 ", this process was given %u",
                 alive.liveness_slot, session.slot);
  }
  if (!post.desk.processes.confirm(session.slot, session.peer)) {
    return fault(LMCD_E_PROTOCOL,
                 "Alive: this process holds no lock on byte %u of its liveness file", session.slot);
  }
  session.phase = Phase::kAlive;
  return {};
}

Status answer(Question& question, const wire::Ping&) { return question.answer(wire::Done{}); }

Status answer(Question& question, const wire::NamespaceOpen& message) {
  LMCD_TRY(check_range("NamespaceOpen", "rank_count", message.rank_count, 1, wire::kRanks));
  LMCD_TRY(check_groups("NamespaceOpen", message.groups));
  LMCD_TRY(check_range("NamespaceOpen", "rank_count times groups",
                       message.rank_count * message.groups.size(), 1, wire::kPartsPerObject));
  LMCD_ASSIGN(uint32_t space,
              question.desk.store.open_space(question.session.id, message.description,
                                             static_cast<uint32_t>(message.rank_count),
                                             message.groups));
  return question.answer(wire::NamespaceOpened{space});
}

Status take(Post& post, const wire::Stopped& message) {
  LMCD_TRY(check_range("Stopped", "leases", message.leases.size(), 0, wire::kBatchItems));
  // Only this process's own writes: the slot is the one that it holds the lock of.
  post.desk.store.writer_stopped(message.session, post.session.slot, message.leases);
  return {};
}

}  // namespace lmcd::transport
