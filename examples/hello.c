/* Stores one object in a running lmcd and reads it back: the whole life of a part in C.
 *
 *   cc hello.c -llmcd -o hello && ./hello [socket]
 */
#include <lmcd.h>
#include <stdio.h>
#include <string.h>

#define BYTES 4096

static lmcd_error_t error;

static int failed(const char *what) {
  fprintf(stderr, "hello: %s: %s: %s\n", what, lmcd_code_name(error.code), error.text);
  return 1;
}

/* Reserves room for one key, fills it and commits it. It is there already when hello ran before. */
static int store(lmcd_session_t *session, lmcd_mapping_t *mapping, const lmcd_namespace_t *space,
                 const lmcd_key_t *key) {
  lmcd_reserve_t request = {0};
  lmcd_grant_t grant;
  uint64_t lease;

  request.struct_size = sizeof request;
  request.count = 1;
  request.space = space;
  request.keys = key;
  request.length = BYTES;
  if (lmcd_reserve(session, &request, &grant, &lease, &error)) return failed("reserve");
  if (grant.outcome == LMCD_EXISTS) {
    printf("already stored\n");
    return 0;
  }
  if (grant.outcome != LMCD_RESERVED) {
    fprintf(stderr, "hello: reserve: outcome %u\n", grant.outcome);
    return 1;
  }
  memset(lmcd_mapping_address(mapping, &grant), 'x', BYTES);
  if (lmcd_commit(session, lease, NULL, NULL, 0, &error)) return failed("commit");
  printf("stored %d bytes\n", BYTES);
  return 0;
}

/* Leases the object, copies it out, and believes the copy only once it has been validated. */
static int retrieve(lmcd_session_t *session, lmcd_mapping_t *mapping,
                    const lmcd_namespace_t *space, const lmcd_key_t *key) {
  lmcd_acquire_t request = {0};
  lmcd_grant_t grant;
  uint64_t lease;
  char copy[BYTES];
  uint8_t valid;

  request.struct_size = sizeof request;
  request.count = 1;
  request.space = space;
  request.keys = key;
  if (lmcd_acquire(session, &request, &grant, &lease, &error)) return failed("acquire");
  if (grant.outcome != LMCD_LEASED) {
    fprintf(stderr, "hello: acquire: outcome %u\n", grant.outcome);
    return 1;
  }
  memcpy(copy, lmcd_mapping_address(mapping, &grant), BYTES);
  lmcd_validate(mapping, &grant, 1, &valid);
  if (lmcd_release(session, lease, &error)) return failed("release");
  if (!valid || copy[0] != 'x' || memcmp(copy, copy + 1, BYTES - 1) != 0) {
    fprintf(stderr, "hello: what came back is not what was stored\n");
    return 1;
  }
  printf("read back %d bytes, all of them right\n", BYTES);
  return 0;
}

/* The key of a prefix of 16 tokens. */
static int make_key(const char *description, lmcd_key_t *key) {
  uint32_t tokens[16];
  lmcd_key_t fingerprint;
  lmcd_keychain_t *chain;
  size_t written;
  size_t i;
  lmcd_code_t code;

  for (i = 0; i < 16; ++i) tokens[i] = (uint32_t)i;
  if (lmcd_fingerprint(description, &fingerprint, &error)) return failed("fingerprint");
  if (lmcd_keychain_open(&fingerprint, "", 16, NULL, &chain, &error)) return failed("keychain");
  code = lmcd_keychain_extend(chain, tokens, 16, key, 1, &written, &error);
  lmcd_keychain_close(chain);
  return code ? failed("extend") : 0;
}

int main(int argc, char **argv) {
  lmcd_session_options_t options = {0};
  lmcd_namespace_options_t meaning = {0};
  lmcd_session_t *session;
  lmcd_namespace_t *space = NULL;
  lmcd_mapping_t *mapping = NULL;
  lmcd_key_t key;
  int status = 1;

  options.struct_size = sizeof options;
  options.name = "hello";
  if (argc > 1) options.socket = argv[1];
  if (lmcd_session_open(&options, &session, &error)) return failed("open");

  meaning.struct_size = sizeof meaning;
  meaning.description = "example: hello";
  if (make_key(meaning.description, &key) != 0) {
    /* it has said why */
  } else if (lmcd_namespace_open(session, &meaning, &space, &error)) {
    failed("namespace");
  } else if (lmcd_mapping_open(session, &mapping, &error)) {
    failed("mapping");
  } else {
    status = store(session, mapping, space, &key) || retrieve(session, mapping, space, &key);
  }
  lmcd_mapping_close(mapping);
  lmcd_namespace_close(space);
  lmcd_session_close(session);
  return status;
}
