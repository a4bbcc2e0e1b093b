/* lmcd: the operator's verbs. They need a session whose user may administer the daemon
 * (--admin-uids), else LMCD_E_DENIED. The conventions are those of lmcd.h; all calls wait. */
#ifndef LMCD_ADMIN_H
#define LMCD_ADMIN_H

#include "lmcd.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* cffi:begin */

/* One consistent snapshot of counters, sessions, namespaces, tenants and tiers as a JSON object
 * (docs/operating.md lists its fields). The text lives until lmcd_text_close. */
typedef struct lmcd_text lmcd_text_t;
lmcd_code_t lmcd_stats(lmcd_session_t *session, lmcd_text_t **out, lmcd_error_t *err);
/* The daemon's effective options as a JSON object, secrets masked. */
lmcd_code_t lmcd_config(lmcd_session_t *session, lmcd_text_t **out, lmcd_error_t *err);
const char *lmcd_text_bytes(const lmcd_text_t *text);
size_t lmcd_text_length(const lmcd_text_t *text);
void lmcd_text_close(lmcd_text_t *text);

/* Which objects a verb speaks of: all that match every field given. */
typedef struct lmcd_selector {
  uint32_t struct_size;
  uint32_t space_given;     /* 1: `space` counts */
  uint32_t space;           /* number of the namespace */
  uint32_t tenant_given;    /* 1: `tenant` counts ("" or NULL is the default tenant) */
  const char *tenant;
  const lmcd_key_t *keys;   /* NULL: any */
  uint32_t key_count;
  uint32_t reserved;
} lmcd_selector_t;

typedef struct lmcd_listed {
  lmcd_key_t key;
  lmcd_key_t parent;        /* zeros: a root, or gone */
  uint32_t space;
  uint32_t depth;
  uint32_t part_count;      /* committed */
  uint32_t lease_count;     /* read leases */
  uint32_t pinned;
  uint32_t hits;
  uint64_t bytes;
  uint64_t idle_ms;         /* since the last use */
  char tenant[64];          /* its first 63 bytes */
} lmcd_listed_t;

/* Fills `listed` with up to `capacity` (at most 4096) objects that match; *cursor is 0 at first and
 * is 0 again after the last. Objects that come or go meanwhile may be missed, none is listed
 * twice. */
lmcd_code_t lmcd_list(lmcd_session_t *session, const lmcd_selector_t *selector,
                      lmcd_listed_t *listed, uint32_t capacity, uint32_t *count,
                      uint64_t *cursor, lmcd_error_t *err);

typedef struct lmcd_cleared {
  uint64_t objects;
  uint64_t bytes;
  uint64_t kept;  /* matched, but leased or pinned (never with force) */
} lmcd_cleared_t;

/* Forgets what matches. Without `force` leased and pinned objects stay. With it their keys go at
 * once, pins included; the extents come back when their leases end. */
lmcd_code_t lmcd_clear(lmcd_session_t *session, const lmcd_selector_t *selector, uint32_t force,
                       lmcd_cleared_t *out, lmcd_error_t *err);

/* Pins or unpins what matches: a pinned object is not evicted. *count gets how many changed. */
lmcd_code_t lmcd_pin(lmcd_session_t *session, const lmcd_selector_t *selector, uint32_t pinned,
                     uint64_t *count, lmcd_error_t *err);

typedef struct lmcd_quota {
  char tenant[256];       /* NUL-terminated; "" is the default tenant */
  uint64_t limit_bytes;   /* when limited */
  uint64_t used_bytes;    /* of the arena */
  uint32_t limited;       /* 0: no quota is set */
  uint32_t reserved;
} lmcd_quota_t;

/* Sets (limited 1) or removes (limited 0) the quota of quota->tenant. Kept across restarts.
 * LMCD_E_NOT_FOUND: there is none to remove. */
lmcd_code_t lmcd_quota_set(lmcd_session_t *session, const lmcd_quota_t *quota,
                           lmcd_error_t *err);
/* The quotas and use of all known tenants, up to `capacity` (at most 4096); *cursor as for
 * lmcd_list. */
lmcd_code_t lmcd_quota_list(lmcd_session_t *session, lmcd_quota_t *quotas, uint32_t capacity,
                            uint32_t *count, uint64_t *cursor, lmcd_error_t *err);

/* Spills all that is hot and not in every tier, and answers when that is done. LMCD_E_IO names a
 * tier that does not work and has parts waiting for it. Past the session's timeout_ms the spilling
 * goes on. */
lmcd_code_t lmcd_drain(lmcd_session_t *session, lmcd_error_t *err);
/* Has the daemon read its options again: those that may change do (docs/options.md), its log names
 * the others that differ. LMCD_E_INVALID: they cannot be read, and nothing changes. */
lmcd_code_t lmcd_reload(lmcd_session_t *session, lmcd_error_t *err);

/* cffi:end */

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif /* LMCD_ADMIN_H */
