/* The headers are C11, and every struct has the layout it was released with. */
#include <stddef.h>

#include <lmcd.h>
#include <lmcd_admin.h>
#include <lmcd_tier.h>

#define LMCD_STRUCT(type, bytes) _Static_assert(sizeof(type) == (bytes), #type);
#define LMCD_FIELD(type, field, offset) \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field);
#include "tests/abi/layout.def"
