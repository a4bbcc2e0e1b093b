// Which hot object goes when room is needed: the interface between the store and a policy.
//
// The store owns the objects and decides *that* one must go; a policy remembers how they were
// used and says *which*. It reads no clock, makes no system call and never calls back, so the
// same history gives the same victims. Loop thread only.
//
// Objects are known by dense ids (the index of an object's head record), reused after removal.
// A policy keeps at most 16 bytes for each live object, and ghosts (what it remembers of keys
// that are gone) in a number bounded by `EvictionLimits`.
//
// What may not go. The store withholds an object with its first lease or pin and offers it
// again with its last. Three designs were weighed. A filter asked for each candidate makes a
// call as long as the run of leased objects at the old end, again on each call. Unlinking at
// once charges each acquire two cache misses and loses the object's place, so that a spill,
// which leases what is about to be evicted, would make it young. So a withheld object keeps its
// place, and only when a search for a victim meets it there is it set aside, to come back as
// the next to go. Each withholding is met at most once: amortised O(1), and "no victim" means
// that there is none.
//
// Prefixes. The store reports the hits and insertions of one request leaf first, so that the
// root, without which the rest is no hit, is the youngest.
#pragma once

#include <cstdint>

namespace lmcd::core {

using ObjectId = uint32_t;
inline constexpr ObjectId kNoObject = UINT32_MAX;

// What a policy is told of an object. All of it is the store's to keep; a policy copies what
// it needs.
struct ObjectTrait {
  ObjectId id = kNoObject;
  // Well spread even over keys chosen by an enemy (the store's keyed hash), since it places
  // ghosts in a table.
  uint64_t key_hash = 0;
  uint64_t bytes = 0;
  // Dense, as accounts are numbered.
  uint32_t tenant = 0;
  // The object of the prefix one run shorter, if it is hot, and this one's distance to the root.
  ObjectId parent = kNoObject;
  uint32_t depth = 0;
};

struct EvictionLimits {
  uint32_t objects = 0;  // ids are below this
  uint64_t bytes = 0;    // of the arena
};

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  // An object became hot.
  // Requires: its id is not known to the policy.
  virtual void insert(const ObjectTrait& object) = 0;

  // The functions below require that `id` is known: inserted, and neither evicted nor forgotten.

  // It was asked for and found.
  virtual void hit(ObjectId id) = 0;
  // Something that builds on it was stored: it becomes as young as a new object, but nobody asked
  // for it.
  virtual void refresh(ObjectId id) = 0;
  // It has `bytes` now: another part was committed or dropped.
  virtual void resize(ObjectId id, uint64_t bytes) = 0;
  // It is worth nothing (its parent is gone, or a part never came) and goes before all others,
  // unless a hit proves otherwise.
  virtual void demote(ObjectId id) = 0;

  // It may not be proposed until offered again. Says nothing about its age.
  // Requires: not withheld.
  virtual void withhold(ObjectId id) = 0;
  // Requires: withheld.
  virtual void offer(ObjectId id) = 0;

  // It was evicted for room; its key is worth remembering.
  virtual void evicted(ObjectId id, uint64_t key_hash) = 0;
  // It is gone for any other reason (clear, purge, lost part): its key is not.
  virtual void forgotten(ObjectId id) = 0;

  // Proposes what to evict next, or kNoObject when all are withheld. Ends nothing: the answer
  // stays the same until the store evicts it, withholds it or reports other use.
  virtual ObjectId victim() = 0;
  // Proposes an object of `tenant`, for a tenant that needs room within its own quota.
  // Policies that do not keep tenants apart know none.
  virtual ObjectId victim_of(uint32_t /*tenant*/) { return kNoObject; }
  // Tells the quota of `tenant` in bytes; one never told of has 0.
  virtual void set_quota(uint32_t /*tenant*/, uint64_t /*bytes*/) {}
};

}  // namespace lmcd::core
