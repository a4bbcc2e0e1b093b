/* lmcd_lookup of keys that stand in a bytes object, which cffi passes as it is: a fifth of what
 * making a C array of it takes. The caller asks again, by lmcd_lookup, for the text of a fault. */
static int32_t lmcd_lookup_packed(lmcd_session_t *session, const lmcd_namespace_t *space,
                                  const void *keys, uint32_t count, lmcd_presence_t *out) {
  return lmcd_lookup(session, space, (const lmcd_key_t *)keys, count, out, NULL);
}
