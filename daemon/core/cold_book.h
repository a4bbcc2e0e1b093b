// The cold book: which parts the tiers have.
//
// A cold part has no extent, no record in the ledger and no place in its index, so nobody takes it
// for hot: it stands here alone, in the daemon's private memory. The tiers' own indexes are the
// truth; the book follows what they answer and is filled from their lists when the daemon starts.
// A tier may forget at any time, so an entry is a hint that the next get puts to the test.
//
// A name (key and part) stands here once, with the fingerprint of its namespace: the same name
// under another fingerprint is not cold, and is not spilled either.
//
// An entry that was cleared is *leaving*: nobody finds it any more, and its name is free again when
// the last tier has forgotten it. Loop thread only.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "include/lmcd.h"

namespace lmcd::core {

class ColdBook {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kTiers = 8;

  // What is known of a part apart from where it is.
  struct Identity {
    lmcd_key_t key;
    lmcd_part_t part;
    lmcd_key_t fingerprint;
    std::string_view tenant;
    uint32_t length;
    uint32_t crc32c;
    bool has_crc;
    uint32_t depth;     // 0 where the tier's list is all that is known
    lmcd_key_t parent;  // zeros likewise
  };

  struct Entry {
    lmcd_key_t key;
    lmcd_key_t parent;
    lmcd_part_t part;
    uint32_t length;
    uint32_t crc32c;
    uint32_t depth;
    uint32_t meaning;  // a number of fingerprint_of()
    uint32_t tenant;   // a number of tenant_of()
    uint8_t tiers;     // a bit for each that has it; 0 and not leaving: the entry is free
    uint8_t leaving;   // a bit for each that has still to forget it
    uint8_t has_crc;
  };

  // What a tenant or a namespace has in the tiers, each part counted once.
  struct Use {
    uint64_t parts = 0;
    uint64_t bytes = 0;
  };

  // `seed` keeps crafted sets of keys from being reused; `limit` bounds the entries.
  ColdBook(uint64_t seed, uint32_t limit);

  // Nothing is cold.
  bool empty() const { return use_.parts == 0; }
  const Use& use() const { return use_; }

  // The entry of a part that some tier has; kNone if none has, or it is leaving.
  uint32_t find(const lmcd_key_t& key, lmcd_part_t part, const lmcd_key_t& fingerprint) const;
  // Entries have numbers below this; those that are free have no tiers.
  uint32_t high() const { return static_cast<uint32_t>(entries_.size()); }
  const Entry& at(uint32_t number) const { return entries_[number]; }
  const lmcd_key_t& fingerprint_of(uint32_t number) const {
    return *meanings_.at(entries_[number].meaning).name;
  }
  const std::string& tenant_of(uint32_t number) const {
    return *tenants_.at(entries_[number].tenant).name;
  }
  // In bytes; nothing for who has none.
  Use use_of_tenant(std::string_view tenant) const { return tenants_.use_of(std::string(tenant)); }
  Use use_of_meaning(const lmcd_key_t& fingerprint) const { return meanings_.use_of(fingerprint); }

  // Whether a part of this name may be put into a tier: no other namespace's has the name, and it
  // is not leaving.
  bool may_add(const lmcd_key_t& key, lmcd_part_t part, const lmcd_key_t& fingerprint) const;
  // The tier has this part. Returns the entry; kNone where the book is full or may_add() says no.
  uint32_t add(const Identity& identity, uint32_t tier);
  // The tier has it no more. Frees the entry with its last tier.
  void remove(uint32_t number, uint32_t tier);
  // The part was cleared: it is to be forgotten by all tiers.
  void leave(uint32_t number);
  // The tier has forgotten what is leaving.
  void left(uint32_t number, uint32_t tier);
  // Takes up to `most` entries that are leaving and were not taken yet.
  std::vector<uint32_t> take_leaving(std::size_t most);
  std::size_t leaving() const { return leaving_count_; }

 private:
  struct KeyOrder {
    bool operator()(const lmcd_key_t& a, const lmcd_key_t& b) const;
  };
  // Names that many entries share, each kept once, with what they use.
  template <typename Name, typename Order>
  class Shared {
   public:
    struct Row {
      const Name* name = nullptr;
      Use use;
      uint32_t entries = 0;  // leaving ones included
    };
    uint32_t enter(const Name& name);
    void leave(uint32_t number);
    const Row& at(uint32_t number) const { return rows_[number]; }
    Use& use(uint32_t number) { return rows_[number].use; }
    Use use_of(const Name& name) const {
      const auto found = numbers_.find(name);
      return found == numbers_.end() ? Use{} : rows_[found->second].use;
    }

   private:
    std::map<Name, uint32_t, Order> numbers_;
    std::vector<Row> rows_;
    std::vector<uint32_t> spare_;
  };
  struct Name {
    const lmcd_key_t& key;
    lmcd_part_t part;
  };
  struct Hash {
    using is_transparent = void;
    const ColdBook* book;
    std::size_t operator()(const Name& name) const;
    std::size_t operator()(uint32_t number) const;
  };
  struct Same {
    using is_transparent = void;
    const ColdBook* book;
    bool operator()(uint32_t a, uint32_t b) const { return a == b; }
    bool operator()(const Name& a, uint32_t b) const;
    bool operator()(uint32_t a, const Name& b) const { return (*this)(b, a); }
  };

  uint32_t find_name(const lmcd_key_t& key, lmcd_part_t part) const;
  bool is_of(uint32_t number, const lmcd_key_t& fingerprint) const;
  uint32_t take_number();
  void count(const Entry& entry);
  void discount(const Entry& entry);
  void free(uint32_t number);

  const uint64_t seed_;
  const uint32_t limit_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> spare_;
  std::unordered_set<uint32_t, Hash, Same> numbers_;
  Shared<lmcd_key_t, KeyOrder> meanings_;
  Shared<std::string, std::less<>> tenants_;
  Use use_;
  std::vector<uint32_t> leaving_;  // not taken yet
  std::size_t leaving_count_ = 0;
};

}  // namespace lmcd::core
