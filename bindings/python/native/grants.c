/* The places of the grants that have an outcome; returns how many there are. */
static uint32_t lmcd_places_of(const lmcd_grant_t *grants, uint32_t count, uint32_t outcome,
                               uint32_t *places) {
  uint32_t found = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (grants[i].outcome == outcome) places[found++] = i;
  }
  return found;
}
