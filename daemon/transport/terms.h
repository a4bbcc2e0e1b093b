// What every client is told when it is welcomed: facts of the daemon and of this incarnation.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "include/lmcd.h"

namespace lmcd::transport {

struct Terms {
  uint8_t incarnation[16] = {};
  uint64_t arena_bytes = 0;
  uint64_t ledger_bytes = 0;
  uint32_t align_bytes = 0;
  uint32_t chunk_tokens = 0;
  uint64_t read_ttl_ms = 0;
  uint64_t write_ttl_ms = 0;
  uint32_t verify = 0;
  uint32_t transfer_modes = 0;
  std::string hash_algorithm;
  std::string daemon_version;
  std::string instance_id;
  std::vector<uint32_t> admin_uids;
  // Passed with each Welcome; they outlive every session.
  int ledger_descriptor = -1;  // opened read-only
  int arena_descriptor = -1;
};

}  // namespace lmcd::transport
