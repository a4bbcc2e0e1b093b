#include "daemon/policy/queues.h"

#include <cassert>
#include <utility>

namespace lmcd::policy {
Result<Queues> Queues::make(uint32_t objects, uint32_t count) {
  LMCD_ASSIGN(auto nodes, ReservedArray<Node>::make(objects));
  Queues queues(std::move(nodes));
  queues.open(count);
  return queues;
}

void Queues::open(QueueId queue) {
  assert(queue <= kQueuesMax);
  if (!is_open(queue)) heads_.resize(queue + 1);
}

void Queues::insert(ObjectId id, QueueId queue, End end, uint64_t bytes) {
  assert(queue_of(id) == kNoQueue && queue != kNoQueue && is_open(queue));
  Node& node = nodes_[id];
  node = {};
  node.weight = weight_of(bytes);
  node.queue = queue & kQueuesMax;
  heads_[queue].weight += node.weight;
  link(id, end);
}

void Queues::move(ObjectId id, QueueId queue, End end) {
  assert(queue_of(id) != kNoQueue && queue != kNoQueue && is_open(queue));
  Node& node = nodes_[id];
  unlink(id);
  heads_[node.queue].weight -= node.weight;
  heads_[queue].weight += node.weight;
  node.queue = queue & kQueuesMax;
  link(id, end);
}

void Queues::remove(ObjectId id) {
  assert(queue_of(id) != kNoQueue);
  unlink(id);
  heads_[nodes_[id].queue].weight -= nodes_[id].weight;
  nodes_[id] = {};
}

void Queues::resize(ObjectId id, uint64_t bytes) {
  assert(queue_of(id) != kNoQueue);
  Node& node = nodes_[id];
  uint64_t& sum = heads_[node.queue].weight;
  sum -= node.weight;
  node.weight = weight_of(bytes);
  sum += node.weight;
}

void Queues::withhold(ObjectId id) {
  assert(queue_of(id) != kNoQueue && !nodes_[id].withheld);
  nodes_[id].withheld = 1;
}

void Queues::offer(ObjectId id) {
  assert(queue_of(id) != kNoQueue && nodes_[id].withheld);
  nodes_[id].withheld = 0;
  if (nodes_[id].aside) link(id, End::kOld);
}

ObjectId Queues::oldest(QueueId queue) {
  const Head& head = heads_[queue];
  while (head.oldest != kNoObject && nodes_[head.oldest].withheld) {
    ObjectId id = head.oldest;
    unlink(id);
    nodes_[id].aside = 1;
  }
  return head.oldest;
}

void Queues::link(ObjectId id, End end) {
  Node& node = nodes_[id];
  Head& head = heads_[node.queue];
  node.aside = 0;
  node.older = end == End::kYoung ? head.youngest : kNoObject;
  node.younger = end == End::kOld ? head.oldest : kNoObject;
  (node.older == kNoObject ? head.oldest : nodes_[node.older].younger) = id;
  (node.younger == kNoObject ? head.youngest : nodes_[node.younger].older) = id;
}

void Queues::unlink(ObjectId id) {
  const Node& node = nodes_[id];
  if (node.aside) return;
  Head& head = heads_[node.queue];
  (node.older == kNoObject ? head.oldest : nodes_[node.older].younger) = node.younger;
  (node.younger == kNoObject ? head.youngest : nodes_[node.younger].older) = node.older;
}

}  // namespace lmcd::policy
