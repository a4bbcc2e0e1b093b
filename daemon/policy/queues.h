// Numbered queues of objects, the ground that every policy stands on.
//
// An object is in at most one queue, somewhere between its old end, where victims are taken,
// and its young end. Nodes are 16 bytes in one flat array indexed by object id, so a step
// touches one cache line a node, and ids that never lived cost nothing. Loop thread only.
//
// A withheld object is passed over by `oldest`, which sets it aside: it stays a member of its
// queue (and of its bytes) but is no longer linked. Offered again, it returns to the old end,
// since it had been next. daemon/core/eviction.h says why.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "daemon/core/eviction.h"
#include "daemon/policy/weight.h"
#include "lib/base/reserved_array.h"
#include "lib/base/status.h"

namespace lmcd::policy {

using core::kNoObject;
using core::ObjectId;

// The number of a queue; 0 is none.
using QueueId = uint32_t;
inline constexpr QueueId kNoQueue = 0;

enum class End { kOld, kYoung };

class Queues {
 public:
  // The greatest value of a mark.
  static constexpr uint8_t kMarkMax = 3;
  // Most queues that may be open.
  static constexpr uint32_t kQueuesMax = (1u << 24) - 1;

  // Makes queues 1 to `count` over ids below `objects`.
  static Result<Queues> make(uint32_t objects, uint32_t count);

  // Opens queues up to number `queue`. Requires: queue <= kQueuesMax.
  void open(QueueId queue);
  bool is_open(QueueId queue) const { return queue < heads_.size(); }

  // Requires: `id` is in no queue.
  void insert(ObjectId id, QueueId queue, End end, uint64_t bytes);
  // The functions below require: `id` is in a queue.
  void move(ObjectId id, QueueId queue, End end);
  void remove(ObjectId id);
  void resize(ObjectId id, uint64_t bytes);
  void withhold(ObjectId id);
  void offer(ObjectId id);

  QueueId queue_of(ObjectId id) const { return nodes_[id].queue; }
  uint64_t bytes_of(ObjectId id) const { return bytes_of_weight(nodes_[id].weight); }

  // A small number that the policy may keep on an object; 0 after insert.
  uint8_t mark(ObjectId id) const { return static_cast<uint8_t>(nodes_[id].mark); }
  void set_mark(ObjectId id, uint8_t mark) { nodes_[id].mark = mark & kMarkMax; }

  // Returns the oldest object of `queue` that is not withheld, or kNoObject. Amortised O(1).
  ObjectId oldest(QueueId queue);

  // Bytes of all members, those withheld included.
  uint64_t bytes(QueueId queue) const { return bytes_of_weight(heads_[queue].weight); }

 private:
  struct Node {
    ObjectId older;
    ObjectId younger;
    uint32_t weight;
    uint32_t queue : 24;
    uint32_t mark : 2;
    uint32_t withheld : 1;
    uint32_t aside : 1;
  };
  static_assert(sizeof(Node) == 16);

  struct Head {
    ObjectId oldest = kNoObject;
    ObjectId youngest = kNoObject;
    uint64_t weight = 0;
  };

  explicit Queues(ReservedArray<Node> nodes) : nodes_(std::move(nodes)) {}
  void link(ObjectId id, End end);
  void unlink(ObjectId id);

  ReservedArray<Node> nodes_;
  std::vector<Head> heads_;
};

}  // namespace lmcd::policy
