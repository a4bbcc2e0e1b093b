/* The C ABI of lmcd. Being written; the codes below are fixed. */
#ifndef LMCD_H
#define LMCD_H
#include <stdint.h>
typedef enum lmcd_code {
  LMCD_OK = 0,
  LMCD_E_INVALID = -1,
  LMCD_E_UNSUPPORTED = -2,
  LMCD_E_NO_DAEMON = -3,
  LMCD_E_SESSION_LOST = -4,
  LMCD_E_FORKED = -5,
  LMCD_E_TIMEOUT = -6,
  LMCD_E_VERSION = -7,
  LMCD_E_DENIED = -8,
  LMCD_E_LIMIT = -9,
  LMCD_E_PROTOCOL = -10,
  LMCD_E_IO = -11,
  LMCD_E_NO_MEMORY = -12,
  LMCD_E_LEASE_LOST = -13,
  LMCD_E_CORRUPT = -14,
  LMCD_E_NOT_FOUND = -15
} lmcd_code_t;
#endif
