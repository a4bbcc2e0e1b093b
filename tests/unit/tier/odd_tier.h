// A tier written in C that is told by a test how to behave. It keeps nothing; it remembers the last
// operation that was begun, so that the test completes it, when and how it likes.
#pragma once

#include "include/lmcd_tier.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct odd_tier {
  lmcd_tier_module_t module;
  const lmcd_tier_host_t *host; /* set while it is open */
  lmcd_tier_capabilities_t capabilities;
  lmcd_code_t answer; /* of every function that begins an operation */
  uint64_t token;     /* of the last one */
  uint32_t wakes;
} odd_tier_t;

/* A table whose `open` gives `tier`, filled with sound values. One at a time. */
void odd_tier_init(odd_tier_t *tier);
void odd_tier_complete(const odd_tier_t *tier, uint64_t token, uint32_t outcome);

#ifdef __cplusplus
}
#endif
