/* lmcd: the KV caches of LLM inference engines, held in shared memory by one daemon a host.
 *
 * This is the whole C ABI of an engine (lmcd_admin.h has the operator's verbs). C99, C11 and
 * C++20; what stands between the two cffi markers has no preprocessor lines and is read by
 * the Python bindings as it is.
 *
 * The shape of use:
 *
 *   open a session, open a namespace
 *   store:     reserve -> write into the extents -> commit           (or abort)
 *   retrieve:  acquire -> read the extents -> validate -> release
 *   paged KV:  lmcd_gather and lmcd_scatter copy between an engine's blocks and extents
 *
 * Conventions, said once for all functions
 *
 * Errors.    Functions that can fail return lmcd_code_t: LMCD_OK or a negative fault. What a
 *            caller must handle per item (absent, exists, no space) is an outcome, not a
 *            fault. `err` may be NULL; else it gets the fault's code and text.
 * Handles.   `lmcd_x_open(..., out, err)` pairs with `lmcd_x_close(x)`; close accepts NULL.
 *            On a fault *out is NULL.
 * Structs    that may grow begin with `struct_size`: zero the struct, set struct_size to its
 *            sizeof, then the fields. Zero is the default of every field. Bytes past what the
 *            library knows must be zero, else LMCD_E_UNSUPPORTED.
 * Ownership. Pointers passed in are read or written during the call only, but for the arrays
 *            of a *_begin call, which the caller keeps until lmcd_op_close.
 * Threads.   A session and all that was opened from it may be used by several threads.
 *            lmcd_x_close must not race with another use of the same x.
 * Blocking.  A call marked "waits" waits for the daemon, at most the session's timeout_ms
 *            (LMCD_E_TIMEOUT then). One marked "posted" hands a message to the socket and does
 *            not wait for an answer; what went wrong with it is a `refused` event and a
 *            counter. All other calls neither wait nor make a system call on the way.
 * Loss.      When the daemon went away a call answers LMCD_E_SESSION_LOST (the leases of before
 *            are void) or LMCD_E_NO_DAEMON (nobody is there yet), and the next call tries to
 *            connect again, at most every 100 ms. Mappings stay readable and writable for ever;
 *            what is read from them no longer validates.
 * Fork.      In a forked child every call answers LMCD_E_FORKED; close is harmless there. Where a
 *            mapping was, the child has zeros of its own.
 */
#ifndef LMCD_H
#define LMCD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* cffi:begin */

/* ---- Faults, outcomes, states ------------------------------------------------------- */

typedef enum lmcd_code {
  LMCD_OK = 0,
  LMCD_E_INVALID = -1,      /* an argument is wrong; the text names it */
  LMCD_E_UNSUPPORTED = -2,  /* known, but not by this build or this daemon */
  LMCD_E_NO_DAEMON = -3,    /* nobody answers at the socket */
  LMCD_E_SESSION_LOST = -4, /* the session ended; leases of before are void */
  LMCD_E_FORKED = -5,       /* the handle belongs to the parent process */
  LMCD_E_TIMEOUT = -6,      /* the wait reached its bound */
  LMCD_E_VERSION = -7,      /* peer too old or too new; the text says which */
  LMCD_E_DENIED = -8,       /* this user may not */
  LMCD_E_LIMIT = -9,        /* a named limit is reached */
  LMCD_E_PROTOCOL = -10,    /* a malformed message */
  LMCD_E_IO = -11,          /* the operating system said no; the text has its reason */
  LMCD_E_NO_MEMORY = -12,   /* memory cannot be had */
  LMCD_E_LEASE_LOST = -13,  /* the lease ended before the copy did: the bytes do not count */
  LMCD_E_CORRUPT = -14,     /* a checksum does not match */
  LMCD_E_NOT_FOUND = -15    /* what was named does not exist */
} lmcd_code_t;

/* What became of one item of a batch. */
typedef enum lmcd_outcome {
  LMCD_NONE = 0,     /* not decided: the call as a whole failed */
  LMCD_RESERVED = 1, /* reserve: yours to write */
  LMCD_EXISTS = 2,   /* reserve: committed before */
  LMCD_PENDING = 3,  /* reserve, acquire: another writes it now, or it comes from a tier */
  LMCD_NO_SPACE = 4, /* reserve: no room, and nothing that may be evicted */
  LMCD_REFUSED = 5,  /* reserve: over the quota of the tenant or the session's limit */
  LMCD_LEASED = 6,   /* acquire: the extent is yours to read */
  LMCD_ABSENT = 7,   /* acquire: a miss */
  LMCD_COLD = 8,     /* acquire: on a tier only, and no prefetch was asked for */
  LMCD_STORED = 9,   /* store: copied and visible */
  LMCD_LOADED = 10   /* load: copied and whole */
} lmcd_outcome_t;

typedef enum lmcd_group_kind {
  LMCD_GROUP_FULL = 0,   /* full attention: every chunk of the prefix is needed */
  LMCD_GROUP_WINDOW = 1, /* sliding window: the last chunks before the hit */
  LMCD_GROUP_STATE = 2   /* recurrent state: the one at the end of the hit */
} lmcd_group_kind_t;

typedef struct lmcd_error {
  int32_t code;
  char text[508]; /* UTF-8, NUL-terminated, one line */
} lmcd_error_t;

/* The library's version, "major.minor.patch". Static storage. */
const char *lmcd_version(void);

/* "LMCD_E_TIMEOUT" for LMCD_E_TIMEOUT; "LMCD_?" for an unknown code. Static storage. */
const char *lmcd_code_name(int32_t code);

/* ---- Keys --------------------------------------------------------------------------- */

/* Digest of (fingerprint, salt, token prefix). Never grows. */
typedef struct lmcd_key {
  uint8_t bytes[32];
} lmcd_key_t;

/* Digest of the canonical text that says what a namespace's bytes mean (printable UTF-8, at
 * most 3072 bytes). The daemon computes the same. */
lmcd_code_t lmcd_fingerprint(const char *description, lmcd_key_t *out, lmcd_error_t *err);

/* Derives keys chunk by chunk: key = H(parent key, tokens of the chunk), the first parent being
 * H(fingerprint, salt). Remembers the tokens of an unfinished chunk, so that a growing
 * conversation hashes only what is new. One thread at a time; needs no session. */
typedef struct lmcd_keychain lmcd_keychain_t;

/* `algorithm`: "blake3" (NULL means it) or "sha256_cbor". `salt`: the tenant's cache_salt, ""
 * for none, at most 256 bytes. chunk_tokens: 1 to 65536. */
lmcd_code_t lmcd_keychain_open(const lmcd_key_t *fingerprint, const char *salt,
                               uint32_t chunk_tokens, const char *algorithm,
                               lmcd_keychain_t **out, lmcd_error_t *err);
/* Takes `count` more tokens; writes the keys of the chunks they complete, at most `capacity`
 * (LMCD_E_LIMIT and no effect if more), and their number to *written. */
lmcd_code_t lmcd_keychain_extend(lmcd_keychain_t *chain, const uint32_t *tokens, size_t count,
                                 lmcd_key_t *keys, size_t capacity, size_t *written,
                                 lmcd_error_t *err);
/* An independent chain that continues from the same point. */
lmcd_code_t lmcd_keychain_fork(const lmcd_keychain_t *chain, lmcd_keychain_t **out,
                               lmcd_error_t *err);
void lmcd_keychain_close(lmcd_keychain_t *chain);

/* ---- Session ------------------------------------------------------------------------ */

typedef struct lmcd_session lmcd_session_t;

typedef struct lmcd_session_options {
  uint32_t struct_size;
  uint32_t timeout_ms; /* bound of each call that waits; 0: 5000; at most 600000 */
  const char *socket;  /* NULL: $LMCD_SOCKET, else $XDG_RUNTIME_DIR/lmcd/lmcd.sock, else
                          /run/lmcd/lmcd.sock */
  const char *name;    /* shown to operators, at most 63 bytes; NULL: the program's name */
} lmcd_session_options_t;

typedef struct lmcd_session_facts {
  uint32_t struct_size;
  uint32_t protocol;        /* version agreed with the daemon */
  uint64_t id;              /* random, unique across restarts */
  uint8_t incarnation[16];  /* of the arena and its ledger */
  uint64_t arena_bytes;
  uint32_t align_bytes;     /* of extents */
  uint32_t chunk_tokens;
  uint32_t read_ttl_ms;
  uint32_t write_ttl_ms;
  uint32_t verify;          /* 0 off, 1 cold, 2 always */
  uint32_t transfer_modes;  /* bit 0 engine_driven, bit 1 daemon_driven */
  uint32_t daemon_pid;
  uint32_t admin;           /* 1 when this session may use lmcd_admin.h */
  char hash_algorithm[16];
  char daemon_version[16];
  char instance_id[64];
} lmcd_session_info_t;

/* Connects, agrees on a protocol, maps arena and ledger. `options` may be NULL. Waits.
 * LMCD_E_NO_DAEMON, LMCD_E_DENIED, LMCD_E_VERSION, LMCD_E_LIMIT, LMCD_E_TIMEOUT, LMCD_E_IO. */
lmcd_code_t lmcd_session_open(const lmcd_session_options_t *options, lmcd_session_t **out,
                              lmcd_error_t *err);
/* Ends the session and its leases. Mappings opened from it live on. */
void lmcd_session_close(lmcd_session_t *session);
/* Facts of the present connection, connecting first if there is none. Waits only then. */
lmcd_code_t lmcd_session_info(lmcd_session_t *session, lmcd_session_info_t *out,
                              lmcd_error_t *err);
/* One empty question and answer. Waits. */
lmcd_code_t lmcd_ping(lmcd_session_t *session, lmcd_error_t *err);

/* ---- Namespace ---------------------------------------------------------------------- */

typedef struct lmcd_namespace lmcd_namespace_t;

typedef struct lmcd_group {
  uint32_t kind;          /* lmcd_group_kind_t */
  uint32_t window_chunks; /* LMCD_GROUP_WINDOW: chunks of the window, 1 or more; else 0 */
} lmcd_group_t;

typedef struct lmcd_namespace_options {
  uint32_t struct_size;
  uint32_t rank_count;       /* 1 to 256; 0: 1. Times group_count: at most 1024 */
  uint32_t group_count;      /* 1 to 16; 0: one full group */
  uint32_t reserved;
  const lmcd_group_t *groups;
  const char *description;   /* what the bytes mean: the text of lmcd_fingerprint */
} lmcd_namespace_options_t;

/* Makes the namespace known, or joins it. Two with one fingerprint and different groups or ranks
 * are refused (LMCD_E_INVALID). Survives reconnects. Waits. */
lmcd_code_t lmcd_namespace_open(lmcd_session_t *session, const lmcd_namespace_options_t *options,
                                lmcd_namespace_t **out, lmcd_error_t *err);
void lmcd_namespace_close(lmcd_namespace_t *space);

/* ---- Extents, grants, mappings ------------------------------------------------------- */

/* Which share of a key's bytes. Zero for an engine of one rank and one group. */
typedef struct lmcd_part {
  uint16_t rank;
  uint16_t group;
} lmcd_part_t;

/* Where bytes sit. Never a pointer, never grows. */
typedef struct lmcd_extent {
  uint32_t segment; /* 0: the arena */
  uint32_t reserved;
  uint64_t offset;  /* bytes */
  uint64_t length;  /* bytes */
} lmcd_extent_t;

/* What a lease gives for one item: plain data, good in any process that maps this incarnation
 * of the arena. Never grows. */
typedef struct lmcd_grant {
  uint32_t outcome;     /* lmcd_outcome_t; the rest counts for RESERVED and LEASED only */
  uint32_t record;      /* of the ledger: what validation compares */
  uint64_t word;        /* state and generation the record had */
  uint64_t incarnation; /* the first 8 bytes */
  lmcd_extent_t extent;
  uint32_t crc32c;      /* of the payload, when has_crc */
  uint32_t has_crc;
} lmcd_grant_t;

/* The arena and ledger of one incarnation in this process's memory. Lives until closed,
 * whatever becomes of the session and the daemon. */
typedef struct lmcd_mapping lmcd_mapping_t;

/* A reference to the session's present mapping. */
lmcd_code_t lmcd_mapping_open(lmcd_session_t *session, lmcd_mapping_t **out, lmcd_error_t *err);
void lmcd_mapping_close(lmcd_mapping_t *mapping);
/* The address of a grant's bytes: good while the mapping is open. NULL when the grant is of
 * another incarnation or outside of the arena. */
void *lmcd_mapping_address(const lmcd_mapping_t *mapping, const lmcd_grant_t *grant);
/* Tells for each grant whether its record still has the grant's word: 1 means that bytes read
 * before this call are those that were committed. Fences. Returns the number that are. */
uint32_t lmcd_validate(const lmcd_mapping_t *mapping, const lmcd_grant_t *grants, uint32_t count,
                       uint8_t *valid);
/* Asks for the pages of these grants (all of the arena when count is 0) to be mapped in the
 * background, so that a first copy meets no page faults. Returns at once. */
lmcd_code_t lmcd_populate(lmcd_mapping_t *mapping, const lmcd_grant_t *grants, uint32_t count,
                          lmcd_error_t *err);
/* Waits until what was asked for is mapped, at most timeout_ms; *cpu_ns (may be NULL) gets the
 * CPU time it took so far. */
lmcd_code_t lmcd_populate_wait(lmcd_mapping_t *mapping, uint32_t timeout_ms, uint64_t *cpu_ns,
                               lmcd_error_t *err);

/* ---- Operations in flight ------------------------------------------------------------ */

/* A question that has been sent. Every call that waits on a batch has a *_begin form, so that
 * several can be on their way; the plain form is begin, wait and close. */
typedef struct lmcd_op lmcd_op_t;

/* Waits for the answer, at most timeout_ms (0: polls). LMCD_E_TIMEOUT leaves the operation in
 * flight; any other code is its result. */
lmcd_code_t lmcd_op_wait(lmcd_op_t *op, uint32_t timeout_ms, lmcd_error_t *err);
/* Closing an unanswered operation gives back what it may still get. */
void lmcd_op_close(lmcd_op_t *op);
/* Readable when an answer may be there: for event loops. -1 while not connected. The descriptor
 * belongs to the session. */
int lmcd_session_descriptor(lmcd_session_t *session);

/* ---- Store --------------------------------------------------------------------------- */

/* The keys of a run of chunks: keys[i - 1] is the parent of keys[i], unless equal to it (several
 * parts of one key stand side by side). */
typedef struct lmcd_reserve_request {
  uint32_t struct_size;
  uint32_t count;               /* 1 to 16384 */
  const lmcd_namespace_t *space;
  const lmcd_key_t *keys;
  const lmcd_part_t *parts;     /* one per key; NULL: `part` for all */
  const uint64_t *lengths;      /* one per key; NULL: `length` for all */
  uint64_t length;              /* bytes, 1 to 2^32 - 1 */
  lmcd_part_t part;
  uint32_t depth;               /* of keys[0]: chunks before it */
  const lmcd_key_t *parent;     /* of keys[0]; NULL: a root */
  const char *tenant;           /* cache_salt, UTF-8 without control characters; NULL or "": the
                                   default tenant */
} lmcd_reserve_t;

/* Asks for extents to write. Per item RESERVED, EXISTS, PENDING, NO_SPACE or REFUSED. The lease
 * covers the reserved items; *lease is 0 when there is none. Waits. */
lmcd_code_t lmcd_reserve(lmcd_session_t *session, const lmcd_reserve_t *request,
                         lmcd_grant_t *grants, uint64_t *lease, lmcd_error_t *err);
lmcd_code_t lmcd_reserve_begin(lmcd_session_t *session, const lmcd_reserve_t *request,
                               lmcd_grant_t *grants, uint64_t *lease, lmcd_op_t **out,
                               lmcd_error_t *err);
/* Makes items of a write lease visible: `items` are indices into the batch that was reserved,
 * NULL for all. `crcs`: crc32c of each item's bytes in the same order, or NULL. The caller's
 * stores to the extents come before (the call fences them). Posted. */
lmcd_code_t lmcd_commit(lmcd_session_t *session, uint64_t lease, const uint32_t *items,
                        const uint32_t *crcs, uint32_t count, lmcd_error_t *err);
/* Gives back what of a write lease is not committed; the caller no longer writes there. Must be
 * called (or commit, for all) for every write lease, also after the session was lost: it is how
 * the daemon learns that the extents are at rest. Posted. */
lmcd_code_t lmcd_abort(lmcd_session_t *session, uint64_t lease, lmcd_error_t *err);

/* ---- Retrieve ------------------------------------------------------------------------ */

/* Where the parts of a key are, a bit per group: set when every rank's part is there. */
typedef struct lmcd_presence {
  uint32_t hot;
  uint32_t cold;
  uint32_t pending;
  uint32_t record; /* of the ledger, when hot or pending is not 0 */
} lmcd_presence_t;

/* Looks keys up in the ledger's index, with no message, whether or not the daemon is busy or
 * there at all. No side effect. */
lmcd_code_t lmcd_lookup(lmcd_session_t *session, const lmcd_namespace_t *space,
                        const lmcd_key_t *keys, uint32_t count, lmcd_presence_t *out,
                        lmcd_error_t *err);
/* The same asked of the daemon itself. Waits. */
lmcd_code_t lmcd_lookup_daemon(lmcd_session_t *session, const lmcd_namespace_t *space,
                               const lmcd_key_t *keys, uint32_t count, lmcd_presence_t *out,
                               lmcd_error_t *err);
/* How many of these chunks a prefix hit can use: by the kinds of the namespace's groups, the
 * largest n for which every group has what it needs at n. Pure. */
uint32_t lmcd_usable_prefix(const lmcd_namespace_t *space, const lmcd_presence_t *presence,
                            uint32_t count);

typedef struct lmcd_acquire_request {
  uint32_t struct_size;
  uint32_t count;               /* 1 to 16384 */
  const lmcd_namespace_t *space;
  const lmcd_key_t *keys;
  const lmcd_part_t *parts;     /* one per key; NULL: `part` for all */
  lmcd_part_t part;
  uint32_t timeout_ms;          /* waiting form: how long to wait for PENDING and cold; 0: not */
} lmcd_acquire_t;

/* Takes a read lease; extents come back with the answer. Per item LEASED, ABSENT, PENDING or
 * COLD. *lease is 0 when nothing was leased. Waits. */
lmcd_code_t lmcd_acquire(lmcd_session_t *session, const lmcd_acquire_t *request,
                         lmcd_grant_t *grants, uint64_t *lease, lmcd_error_t *err);
lmcd_code_t lmcd_acquire_begin(lmcd_session_t *session, const lmcd_acquire_t *request,
                               lmcd_grant_t *grants, uint64_t *lease, lmcd_op_t **out,
                               lmcd_error_t *err);
/* The same without waiting: extents and words come from the ledger, the lease is posted. A lease
 * that the daemon could not give shows as a failed validation. */
lmcd_code_t lmcd_acquire_posted(lmcd_session_t *session, const lmcd_acquire_t *request,
                                lmcd_grant_t *grants, uint64_t *lease, lmcd_error_t *err);
/* Ends a read lease. Posted. */
lmcd_code_t lmcd_release(lmcd_session_t *session, uint64_t lease, lmcd_error_t *err);
/* Reports a use of these keys, root first; the daemon makes the root the youngest. Posted. */
lmcd_code_t lmcd_touch(lmcd_session_t *session, const lmcd_namespace_t *space,
                       const lmcd_key_t *keys, uint32_t count, lmcd_error_t *err);

/* ---- Paged KV ------------------------------------------------------------------------ */

/* One tensor of an engine's paged KV (a layer, or its K or V). Block b's run r is at
 * base + b * block_stride + r * run_stride and has run_bytes bytes. */
typedef struct lmcd_page {
  uint64_t base;         /* an address here; an offset in the segment for lmcd_segment_open */
  uint64_t block_stride; /* bytes */
  uint64_t run_stride;   /* bytes */
  uint32_t run_bytes;
  uint32_t run_count;    /* 1 or more */
  uint32_t block_count;  /* block ids are below this */
  uint32_t reserved;
} lmcd_page_t;

/* A part's bytes stand page by page, within a page block by block, within a block run by run:
 * its length is blocks_per_item * sum(run_bytes * run_count). */
typedef struct lmcd_paged_copy {
  uint32_t struct_size;
  uint32_t page_count;
  const lmcd_page_t *pages;
  const lmcd_grant_t *grants;   /* `count` of them */
  const uint32_t *block_ids;    /* [count][blocks_per_item] */
  uint32_t count;
  uint32_t blocks_per_item;
  uint32_t threads;             /* 1 to 64; 0: 1 */
  uint32_t checksum;            /* gather: 1 computes crc32c in the same pass. scatter: 1 checks
                                   those grants that have one, 0 leaves it to the daemon's verify */
} lmcd_paged_copy_t;

/* Copies blocks into the extents of RESERVED grants and fences. `crcs` (NULL unless checksum) gets
 * one per item. Does not wait for anybody; takes as long as the copy. */
lmcd_code_t lmcd_gather(lmcd_mapping_t *mapping, const lmcd_paged_copy_t *copy, uint32_t *crcs,
                        lmcd_error_t *err);
/* Copies the extents of LEASED grants into blocks, fences and validates: valid[i] is 1 when item
 * i's bytes are whole. Blocks of an item that is not valid hold garbage. A block id of UINT32_MAX
 * leaves the bytes of that block where they are; the checksum of such an item is not checked. */
lmcd_code_t lmcd_scatter(lmcd_mapping_t *mapping, const lmcd_paged_copy_t *copy, uint8_t *valid,
                         lmcd_error_t *err);
/* crc32c (Castagnoli) of `length` bytes, continuing from `crc` (0 to begin). */
uint32_t lmcd_crc32c(uint32_t crc, const void *bytes, size_t length);

/* ---- daemon_driven: the engine's KV as a registered segment ---------------------------- */

typedef struct lmcd_segment lmcd_segment_t;

typedef struct lmcd_segment_options {
  uint32_t struct_size;
  uint32_t page_count;          /* of all groups together, at most 4096 */
  const lmcd_page_t *pages;     /* `base` is an offset in the segment */
  const uint32_t *page_groups;  /* the group of each page; NULL: 0 */
  int32_t descriptor;           /* of the shared memory; the caller keeps it */
  uint32_t rank;
  uint64_t length;              /* bytes */
  const char *name;             /* shown to operators, at most 63 bytes */
} lmcd_segment_options_t;

/* Registers memory of this process for copies by the daemon. Must be opened again after the
 * session was lost. Waits. */
lmcd_code_t lmcd_segment_open(lmcd_session_t *session, const lmcd_segment_options_t *options,
                              lmcd_segment_t **out, lmcd_error_t *err);
/* Waits until the daemon copies there no more. */
void lmcd_segment_close(lmcd_segment_t *segment);

typedef struct lmcd_transfer {
  uint32_t struct_size;
  uint32_t blocks_per_item;
  lmcd_reserve_t keys;          /* as for reserve; lengths follow from the pages. A load reads
                                   space, keys, parts, part and count only */
  const uint32_t *block_ids;    /* [count][blocks_per_item] */
} lmcd_transfer_t;

/* The daemon reserves, gathers and commits (per item STORED, EXISTS, PENDING, NO_SPACE, REFUSED),
 * or leases, scatters, validates and releases (LOADED, ABSENT, COLD, PENDING). The blocks must
 * stay as they are until the operation is answered: a timeout of lmcd_op_wait does not end it,
 * and lmcd_op_close waits until the daemon has acknowledged the cancel or is proved dead. */
lmcd_code_t lmcd_store_begin(lmcd_segment_t *segment, const lmcd_transfer_t *transfer,
                             uint32_t *outcomes, lmcd_op_t **out, lmcd_error_t *err);
lmcd_code_t lmcd_load_begin(lmcd_segment_t *segment, const lmcd_transfer_t *transfer,
                            uint32_t *outcomes, lmcd_op_t **out, lmcd_error_t *err);

/* ---- Events -------------------------------------------------------------------------- */

typedef enum lmcd_event_kind {
  LMCD_EVENT_COMMITTED = 1, /* a part became readable */
  LMCD_EVENT_EVICTED = 2,   /* an object was forgotten to make room */
  LMCD_EVENT_CLEARED = 3,   /* an object was forgotten on an operator's word */
  LMCD_EVENT_REFUSED = 4,   /* a posted message had no effect; `code` says why */
  LMCD_EVENT_MISSED = 5,    /* the stream fell behind: `count` events were dropped */
  LMCD_EVENT_ABORTED = 6    /* a write ended without commit */
} lmcd_event_kind_t;

typedef struct lmcd_event {
  uint64_t sequence;  /* of the daemon's stream */
  uint64_t time_ms;   /* Unix time */
  uint32_t kind;      /* lmcd_event_kind_t */
  int32_t code;       /* LMCD_EVENT_REFUSED */
  uint32_t space;     /* number of the namespace in the ledger */
  uint32_t depth;
  uint64_t bytes;
  uint64_t count;     /* LMCD_EVENT_MISSED */
  uint64_t lease;     /* LMCD_EVENT_REFUSED: the lease the message spoke of */
  lmcd_part_t part;
  uint32_t reserved;
  lmcd_key_t key;
  lmcd_key_t parent;  /* zeros: a root */
} lmcd_event_t;

/* Subscribes this session to the daemon's events, from now on. Waits. */
lmcd_code_t lmcd_events_subscribe(lmcd_session_t *session, lmcd_error_t *err);
/* Takes up to `capacity` events, waiting at most timeout_ms for the first; *count may be 0.
 * REFUSED events about this session's own posts come without a subscription. */
lmcd_code_t lmcd_events_next(lmcd_session_t *session, lmcd_event_t *events, uint32_t capacity,
                             uint32_t timeout_ms, uint32_t *count, lmcd_error_t *err);

/* cffi:end */

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif /* LMCD_H */
