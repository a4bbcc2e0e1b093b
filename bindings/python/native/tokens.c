/* The tokens of a Python list as 32-bit numbers: a tenth of what array.array('I', list) takes.
 *
 * cffi passes no Python objects, so the list comes as its address (CPython's id()), which the
 * caller keeps alive. cffi releases the GIL around every call; it is taken again here. No Python
 * code runs meanwhile: items are read only when they are ints (or of a subclass), and reading
 * one calls nothing of its class. So the list stays as it is for the whole loop. */

#ifdef Py_LIMITED_API
#error "reads lists and ints in place: compile with -D_CFFI_NO_LIMITED_API"
#endif
#if PY_VERSION_HEX < 0x030b0000
#include <longintrepr.h>
#endif

/* Reads an int that lies in one digit, as every token in practice does, without a call: half of
 * the whole time. Returns -1 for any other. */
static long lmcd_one_digit(PyObject *item) {
#if PY_VERSION_HEX >= 0x030c0000
  PyLongObject *number = (PyLongObject *)item;
  return PyUnstable_Long_IsCompact(number) ? (long)PyUnstable_Long_CompactValue(number) : -1;
#else
  return Py_SIZE(item) == 1 ? (long)((PyLongObject *)item)->ob_digit[0] : -1;
#endif
}

/* Writes the first `count` items. Returns how many were written: fewer than `count` when the item
 * at that index is no int in 0 to 2^32 - 1, or the list ends there. */
static uint64_t lmcd_tokens_of_list(void *list, uint32_t *tokens, uint64_t count) {
  PyGILState_STATE gil = PyGILState_Ensure();
  PyObject *items = (PyObject *)list;
  uint64_t done = 0;
#ifdef Py_GIL_DISABLED
  Py_BEGIN_CRITICAL_SECTION(items);
#endif
  uint64_t length = (uint64_t)PyList_GET_SIZE(items);
  if (length < count) count = length;
  for (; done < count; ++done) {
    PyObject *item = PyList_GET_ITEM(items, (Py_ssize_t)done);
    if (!PyLong_Check(item)) break;
    int overflow = 0;
    long token = lmcd_one_digit(item);
    if (token < 0) token = PyLong_AsLongAndOverflow(item, &overflow);
    if (overflow != 0 || token < 0 || token > UINT32_MAX) break;
    tokens[done] = (uint32_t)token;
  }
#ifdef Py_GIL_DISABLED
  Py_END_CRITICAL_SECTION();
#endif
  PyGILState_Release(gil);
  return done;
}
