/* lmcd: the C ABI of a tier module. A tier is a cold place for KV: files, a block log, a
 * service. The daemon is its host: it puts into it the parts that do not fit into memory and
 * gets them back. C99, C11 and C++20.
 *
 * A module fills one lmcd_tier_module_t and hands it out through its only exported symbol,
 * lmcd_tier_module_table(). A tier linked into the daemon uses the same table.
 *
 * The shape of use:
 *
 *   open(host, fields) -> capabilities
 *   put, get, exists, remove, list      accepted at once, completed later, each exactly once
 *   usage, health                       answered at once, from memory
 *   cancel -> the last completion -> close
 *
 * Conventions, said once for all functions
 *
 * Threads.   The host calls all functions of the table on one thread, its loop. `work` of a job
 *            runs on a thread of the host's pool, at the same time as anything else. The host's
 *            `complete` may be called on any thread, also from within the call that began the
 *            operation, and `wake_soon` on any thread; the rest of the host on the loop thread
 *            only.
 * Blocking.  No function of the table blocks: no system call that waits, no lock held over one,
 *            no copy of a record. What takes time goes to the host's pool or to threads of the
 *            module's own. `open` alone may take long (it recovers an index) and `close` may
 *            wait for the module's own threads.
 * Accepting. A function that begins an operation returns LMCD_OK: it is accepted, and one
 *            completion with its token follows. Any other code: it is not, nothing follows and
 *            nothing was touched. A tier has at most queue_limit operations in flight and
 *            answers LMCD_E_LIMIT past that; it never waits for room.
 * Ownership. `bytes` of a put stay readable and unchanged, `bytes` of a get are writable, and
 *            `listed` of a list is writable until the operation completes. After the completion
 *            the tier touches none of them. All other pointers are valid during the call only.
 * Order.     An operation sees what every operation completed before it was begun has done.
 *            Between operations in flight at one time there is no order. A put is not seen in
 *            part: a record is there whole, or not at all.
 * Deadlines. `deadline_ms`, on the host's clock: an operation on which the tier has not begun to
 *            move bytes by then completes with LMCD_E_TIMEOUT. 0: none.
 * Lies.      A get that completes LMCD_LOADED has delivered the bytes of the put. The tier keeps a
 *            crc32c with each record and checks it on each get. A record that is not what was
 *            put completes LMCD_E_CORRUPT and is forgotten. A tier may forget any record at any
 *            time, to make room above all.
 * Structs    that may grow begin with `struct_size`, the sizeof of who filled it. The reader takes
 *            fields past it for zero, and who fills one for the other writes no further than
 *            the size found there. lmcd_tier_record_t never grows.
 * Exceptions of C++ never cross.
 */
#ifndef LMCD_TIER_H
#define LMCD_TIER_H

#include "lmcd.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* cffi:begin */

enum { LMCD_TIER_ABI = 1 };

/* One part, as a tier keeps it. `key` and `part` name it: nothing else is compared. */
typedef struct lmcd_tier_record {
  lmcd_key_t key;
  lmcd_part_t part;
  uint32_t crc32c;          /* of its bytes */
  uint64_t length;          /* bytes, 1 or more */
  lmcd_key_t fingerprint;   /* of its namespace */
  char tenant[256];         /* NUL-terminated; "": the default tenant */
} lmcd_tier_record_t;

/* ---- What a host offers ---------------------------------------------------------------- */

/* How an operation ended. */
typedef struct lmcd_tier_completion {
  uint32_t struct_size;
  int32_t code;     /* LMCD_OK: `outcome` counts. LMCD_E_TIMEOUT, LMCD_E_CORRUPT, LMCD_E_IO,
                       LMCD_E_NO_MEMORY */
  uint32_t outcome; /* lmcd_outcome_t. put: STORED, EXISTS, NO_SPACE. get: LOADED, ABSENT.
                       exists: COLD, ABSENT. remove: ABSENT. list: NONE */
  uint32_t count;   /* list: records written */
  uint64_t cursor;  /* list: where the next one begins; 0: there is no more */
  uint64_t token;   /* of the operation */
} lmcd_tier_completion_t;

/* Work for the host's pool: `work` on one of its threads, then `done` on the loop thread. */
typedef struct lmcd_tier_job {
  void (*work)(void *context);
  void (*done)(void *context);
  void *context;
} lmcd_tier_job_t;

/* Outlives every tier opened with it. Each function gets `context` first. */
typedef struct lmcd_tier_host {
  uint32_t struct_size;
  uint32_t abi; /* LMCD_TIER_ABI of the host */
  void *context;
  /* Milliseconds of CLOCK_MONOTONIC, by the host's clock. */
  uint64_t (*now_ms)(void *context);
  /* Has the module's `wake` called once at `due_ms` or later; a new time replaces the old. */
  void (*wake_at)(void *context, uint64_t due_ms);
  /* Takes a job (copied). LMCD_E_LIMIT: the pool is full, try again from `wake` or `done`. */
  lmcd_code_t (*submit)(void *context, const lmcd_tier_job_t *job);
  /* Ends an operation. The completion is copied, and the module is not called back from here. A
   * token that is not in flight is ignored. */
  void (*complete)(void *context, const lmcd_tier_completion_t *completion);
  /* Has the module's `wake` called in a later turn of the loop, once for all calls before it. Any
   * thread: how a module's own threads come back to the loop. */
  void (*wake_soon)(void *context);
} lmcd_tier_host_t;

/* ---- What a tier says of itself --------------------------------------------------------- */

typedef enum lmcd_tier_trait {
  LMCD_TIER_DURABLE = 1, /* records outlive the daemon: index and usage are right after open */
  LMCD_TIER_SHARED = 2   /* other hosts see them, so an index kept here may be behind */
} lmcd_tier_trait_t;

typedef struct lmcd_tier_capabilities {
  uint32_t struct_size;
  uint32_t traits;           /* lmcd_tier_trait_t, or-ed */
  uint32_t queue_limit;      /* operations in flight, 1 to 65536 */
  uint32_t align_bytes;      /* `bytes` of put and get must be aligned to it; a power of two */
  uint64_t record_max_bytes; /* a longer record completes NO_SPACE */
} lmcd_tier_capabilities_t;

typedef struct lmcd_tier_usage {
  uint32_t struct_size;
  uint32_t in_flight;       /* operations not completed */
  uint64_t capacity_bytes;  /* 0: no bound of its own */
  uint64_t used_bytes;      /* never above capacity_bytes */
  uint64_t records;
  uint64_t evicted_records; /* forgotten to make room, since open */
  uint64_t evicted_bytes;
} lmcd_tier_usage_t;

typedef enum lmcd_tier_state {
  LMCD_TIER_UP = 0,
  LMCD_TIER_DEGRADED = 1, /* works, with faults of late; `text` has the last */
  LMCD_TIER_DOWN = 2      /* operations end in faults until `retry_ms` has passed */
} lmcd_tier_state_t;

typedef struct lmcd_tier_health {
  uint32_t struct_size;
  uint32_t state;    /* lmcd_tier_state_t */
  uint64_t faults;   /* operations that ended in one, since open; timeouts included */
  uint64_t retry_ms; /* LMCD_TIER_DOWN: until the next try */
  char text[256];    /* one line; "" when up */
} lmcd_tier_health_t;

/* ---- The table of a module -------------------------------------------------------------- */

typedef struct lmcd_tier lmcd_tier_t;

/* One field of the adapter that named the module. */
typedef struct lmcd_tier_field {
  const char *name;
  const char *text; /* NULL: the value is `number` */
  double number;
} lmcd_tier_field_t;

typedef struct lmcd_tier_module {
  uint32_t struct_size;
  uint32_t abi; /* LMCD_TIER_ABI of the module */
  const char *type;

  /* Opens a tier; `host` outlives it. May take long. LMCD_E_INVALID names the field that is
   * unknown, missing or out of range; LMCD_E_VERSION, LMCD_E_IO, LMCD_E_NO_MEMORY. */
  lmcd_code_t (*open)(const lmcd_tier_host_t *host, const lmcd_tier_field_t *fields,
                      size_t field_count, lmcd_tier_t **out, lmcd_error_t *err);
  /* Requires that nothing is in flight, jobs in the host's pool included. Accepts NULL. */
  void (*close)(lmcd_tier_t *tier);
  /* Completes all in flight as soon as nothing touches its bytes: LMCD_E_TIMEOUT, or as it would
   * have ended. */
  void (*cancel)(lmcd_tier_t *tier);
  /* Called by the host at the time given to wake_at, and after wake_soon. */
  void (*wake)(lmcd_tier_t *tier);

  /* Keeps `bytes`, which are record->length long. A record of this name that is there stays as
   * it is (EXISTS). With `checksummed`, record->crc32c is known to the caller and bytes that do
   * not match it complete LMCD_E_CORRUPT; without, the tier computes it. LMCD_E_LIMIT,
   * LMCD_E_INVALID (length 0, bytes not aligned, a tenant without its NUL). */
  lmcd_code_t (*put)(lmcd_tier_t *tier, const lmcd_tier_record_t *record, uint32_t checksummed,
                     const void *bytes, uint64_t deadline_ms, uint64_t token);
  /* Delivers a record's bytes. `length` must be its length, else it completes LMCD_E_CORRUPT and
   * nothing is written. Unless LOADED, the bytes do not count. LMCD_E_LIMIT, LMCD_E_INVALID. */
  lmcd_code_t (*get)(lmcd_tier_t *tier, const lmcd_key_t *key, lmcd_part_t part, void *bytes,
                     uint64_t length, uint64_t deadline_ms, uint64_t token);
  /* Says whether a record is there. LMCD_E_LIMIT. */
  lmcd_code_t (*exists)(lmcd_tier_t *tier, const lmcd_key_t *key, lmcd_part_t part,
                        uint64_t deadline_ms, uint64_t token);
  /* Forgets a record; one that is not there is no fault. LMCD_E_LIMIT. */
  lmcd_code_t (*remove)(lmcd_tier_t *tier, const lmcd_key_t *key, lmcd_part_t part,
                        uint64_t deadline_ms, uint64_t token);
  /* Fills `listed` with up to `capacity` (1 to 4096) records; `cursor` is 0 at first, then that of
   * the last completion. What comes or goes meanwhile may be missed; none is listed twice
   * unless it was put again. LMCD_E_LIMIT, LMCD_E_INVALID. */
  lmcd_code_t (*list)(lmcd_tier_t *tier, uint64_t cursor, lmcd_tier_record_t *listed,
                      uint32_t capacity, uint64_t deadline_ms, uint64_t token);

  /* These fill a struct whose struct_size is set by the host. */
  void (*capabilities)(lmcd_tier_t *tier, lmcd_tier_capabilities_t *out);
  void (*usage)(lmcd_tier_t *tier, lmcd_tier_usage_t *out);
  void (*health)(lmcd_tier_t *tier, lmcd_tier_health_t *out);
  /* Bytes that it keeps for `tenant`. */
  uint64_t (*tenant_bytes)(lmcd_tier_t *tier, const char *tenant);
  /* Bytes that it keeps for the namespace of this fingerprint. */
  uint64_t (*namespace_bytes)(lmcd_tier_t *tier, const lmcd_key_t *fingerprint);
} lmcd_tier_module_t;

/* What a module exports. Static storage. */
const lmcd_tier_module_t *lmcd_tier_module_table(void);

/* cffi:end */

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif /* LMCD_TIER_H */
