/* The headers by themselves are C99, in either order and twice. */
#include <lmcd_admin.h>
#include <lmcd.h>
#include <lmcd_admin.h>
#include <lmcd_tier.h>

/* A translation unit is not empty in C99. */
const char *lmcd_abi_version(void);
const char *lmcd_abi_version(void) { return lmcd_version(); }
