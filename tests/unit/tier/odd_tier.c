#include "tests/unit/tier/odd_tier.h"

#include <stdio.h>
#include <string.h>

static odd_tier_t *opened;

static odd_tier_t *odd(lmcd_tier_t *tier) { return (odd_tier_t *)(void *)tier; }

static lmcd_code_t begin(lmcd_tier_t *tier, uint64_t token) {
  odd(tier)->token = token;
  return odd(tier)->answer;
}

static lmcd_code_t open_tier(const lmcd_tier_host_t *host, const lmcd_tier_field_t *fields,
                             size_t field_count, lmcd_tier_t **out, lmcd_error_t *err) {
  (void)fields;
  if (field_count > 0) {
    snprintf(err->text, sizeof err->text, "field \"x\" is unknown");
    return LMCD_E_INVALID;
  }
  opened->host = host;
  *out = (lmcd_tier_t *)(void *)opened;
  return LMCD_OK;
}
static void close_tier(lmcd_tier_t *tier) { odd(tier)->host = NULL; }
static void cancel(lmcd_tier_t *tier) { (void)tier; }
static void wake(lmcd_tier_t *tier) { ++odd(tier)->wakes; }

static lmcd_code_t put(lmcd_tier_t *tier, const lmcd_tier_record_t *record, uint32_t checksummed,
                       const void *bytes, uint64_t deadline_ms, uint64_t token) {
  (void)record, (void)checksummed, (void)bytes, (void)deadline_ms;
  return begin(tier, token);
}
static lmcd_code_t get(lmcd_tier_t *tier, const lmcd_key_t *key, lmcd_part_t part, void *bytes,
                       uint64_t length, uint64_t deadline_ms, uint64_t token) {
  (void)key, (void)part, (void)bytes, (void)length, (void)deadline_ms;
  return begin(tier, token);
}
static lmcd_code_t named(lmcd_tier_t *tier, const lmcd_key_t *key, lmcd_part_t part,
                         uint64_t deadline_ms, uint64_t token) {
  (void)key, (void)part, (void)deadline_ms;
  return begin(tier, token);
}
static lmcd_code_t list(lmcd_tier_t *tier, uint64_t cursor, lmcd_tier_record_t *listed,
                        uint32_t capacity, uint64_t deadline_ms, uint64_t token) {
  (void)cursor, (void)listed, (void)capacity, (void)deadline_ms;
  return begin(tier, token);
}

static void capabilities(lmcd_tier_t *tier, lmcd_tier_capabilities_t *out) {
  *out = odd(tier)->capabilities;
}
static void usage(lmcd_tier_t *tier, lmcd_tier_usage_t *out) { (void)tier, (void)out; }
static void health(lmcd_tier_t *tier, lmcd_tier_health_t *out) { (void)tier, (void)out; }
static uint64_t tenant_bytes(lmcd_tier_t *tier, const char *tenant) {
  (void)tier, (void)tenant;
  return 0;
}

static uint64_t namespace_bytes(lmcd_tier_t *tier, const lmcd_key_t *fingerprint) {
  (void)tier, (void)fingerprint;
  return 0;
}

void odd_tier_init(odd_tier_t *tier) {
  const lmcd_tier_module_t module = {
      sizeof module, LMCD_TIER_ABI, "odd", open_tier, close_tier, cancel, wake,        put,
      get,           named,         named, list,      capabilities, usage, health, tenant_bytes,
      namespace_bytes};
  memset(tier, 0, sizeof *tier);
  tier->module = module;
  tier->capabilities.queue_limit = 2;
  tier->capabilities.align_bytes = 1;
  opened = tier;
}

void odd_tier_complete(const odd_tier_t *tier, uint64_t token, uint32_t outcome) {
  lmcd_tier_completion_t completion = {0};
  completion.struct_size = sizeof completion;
  completion.outcome = outcome;
  completion.token = token;
  tier->host->complete(tier->host->context, &completion);
}
