// The headers are C++20, and every struct has the layout it was released with and may be copied
// byte by byte.
#include <lmcd.h>
#include <lmcd_admin.h>
#include <lmcd_tier.h>

#include <cstddef>
#include <type_traits>

#define LMCD_STRUCT(type, bytes)          \
  static_assert(sizeof(type) == (bytes)); \
  static_assert(std::is_trivially_copyable_v<type> && std::is_standard_layout_v<type>);
#define LMCD_FIELD(type, field, offset) static_assert(offsetof(type, field) == (offset));
#include "tests/abi/layout.def"
