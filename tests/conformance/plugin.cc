// The mock tier as a shared object, with the one symbol that a module exports.
#include "daemon/tier/registry.h"

const lmcd_tier_module_t* lmcd_tier_module_table(void) { return lmcd::tier::mock_module(); }
