// Writing: Reserve, Commit, Abort.

#include <algorithm>

#include "daemon/transport/handlers.h"
#include "daemon/transport/shape.h"
#include "lib/base/sync_point.h"
#include "lib/wire/limits.h"

namespace lmcd::transport {

Status answer(Question& question, const wire::Reserve& message) {
  if (question.session.phase != Phase::kAlive) {
    return fault(LMCD_E_PROTOCOL,
                 "Reserve: before this process has shown, by Alive, that its death can be noticed");
  }
  const std::size_t count = message.keys.size();
  LMCD_TRY(check_range("Reserve", "keys", count, 1, wire::kBatchItems));
  LMCD_TRY(check_range("Reserve", "parent", message.parent.size(), 0, 1));
  LMCD_TRY(check_tenant("Reserve", message.tenant));
  LMCD_TRY(check_range("Reserve", "depth", message.depth, 0, UINT32_MAX - count));
  LMCD_TRY(check_range("Reserve", "space", message.space, 0, UINT32_MAX));
  LMCD_TRY(check_beside("Reserve", "lengths", message.lengths.size(), count));
  std::span<const uint64_t> lengths = message.lengths;
  if (lengths.empty()) lengths = std::span(&message.length, 1);
  for (uint64_t length : lengths) LMCD_TRY(check_range("Reserve", "length", length, 1, UINT32_MAX));
  lmcd_part_t single;
  LMCD_ASSIGN(std::span<const lmcd_part_t> parts,
              parts_of("Reserve", message.parts, message.part, count, single));

  core::ReserveRequest request;
  request.space = static_cast<uint32_t>(message.space);
  request.tenant = message.tenant;
  request.parent = message.parent.empty() ? nullptr : message.parent.data();
  request.depth = static_cast<uint32_t>(message.depth);
  request.keys = message.keys;
  request.parts = parts;
  request.lengths = lengths;
  LMCD_SYNC_POINT("reserve.before");
  std::vector<wire::Grant>& grants = question.desk.grants;
  grants.assign(count, {});
  LMCD_TRY(question.desk.store.reserve(question.session.id, message.lease, request, grants.data()));
  LMCD_SYNC_POINT("reserve.before_answer");
  return question.answer(wire::Granted{grants});
}

Status take(Post& post, const wire::Commit& message) {
  post.lease = message.lease;
  LMCD_TRY(check_range("Commit", "items", message.items.size(), 0, wire::kBatchItems));
  LMCD_TRY(check_range("Commit", "crcs", message.crcs.size(), 0, wire::kBatchItems));
  LMCD_SYNC_POINT("commit.before");
  Status status =
      post.desk.store.commit(post.session.id, message.lease, message.items, message.crcs);
  LMCD_SYNC_POINT("commit.after");
  return status;
}

Status take(Post& post, const wire::Abort& message) {
  post.lease = message.lease;
  LMCD_SYNC_POINT("abort.before");
  Status status = post.desk.store.abort(post.session.id, message.lease);
  LMCD_SYNC_POINT("abort.after");
  return status;
}

}  // namespace lmcd::transport
