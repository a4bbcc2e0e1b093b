/* acquire_posted(session, request, grants, lease): lmcd_acquire_posted with the GIL kept.
 *
 * It neither waits nor takes longer than a few microseconds a hundred keys, and whoever gives the
 * GIL away beside a busy thread may get it back after that thread's whole turn of 5 ms only
 * (sys.setswitchinterval): a hundred times what the call takes.
 *
 * All but the session are addresses. Returns the code; the caller asks again by the function
 * itself for the text of a fault. */
static PyObject *lmcd_acquire_posted_kept(PyObject *module, PyObject *const *arguments,
                                          Py_ssize_t count) {
  (void)module;
  if (count != 4) {
    PyErr_SetString(PyExc_TypeError, "acquire_posted(session, request, grants, lease)");
    return NULL;
  }
  if (Py_TYPE(arguments[0]) != &lmcd_held_type) return PyLong_FromLong(LMCD_E_INVALID);
  void *addresses[3];
  for (int at = 0; at < 3; ++at) {
    addresses[at] = PyLong_AsVoidPtr(arguments[at + 1]);
    if (addresses[at] == NULL && PyErr_Occurred()) return NULL;
  }
  lmcd_session_t *session = ((lmcd_held *)arguments[0])->address;
  return PyLong_FromLong(
      lmcd_acquire_posted(session, addresses[0], addresses[1], addresses[2], NULL));
}

static PyMethodDef lmcd_acquire_posted_method = {
    "acquire_posted", (PyCFunction)(void (*)(void))lmcd_acquire_posted_kept, METH_FASTCALL,
    "Acquire by a post, with the GIL kept; returns the code."};
