/* Asked: a base class, put before another one that exports a buffer, whose subclass is asked before
 * each export. The buffer protocol knows no methods of Python before 3.12, so memoryview(array),
 * bytes(array) or file.write(array) would pass by every check that the subclass makes.
 *
 *   class Checked(Asked, numpy.ndarray):
 *       def _before_export(self): raise ...      # or return, and the buffer is exported
 */
static int lmcd_asked_get_buffer(PyObject *self, Py_buffer *view, int flags);

static PyBufferProcs lmcd_asked_buffer = {lmcd_asked_get_buffer, NULL};

static PyTypeObject lmcd_asked_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lmcd._ffi.Asked",
    .tp_basicsize = sizeof(PyObject),
    .tp_as_buffer = &lmcd_asked_buffer,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Has its subclass asked before its buffer is exported.",
};

static int lmcd_asked_get_buffer(PyObject *self, Py_buffer *view, int flags) {
  PyObject *answer = PyObject_CallMethod(self, "_before_export", NULL);
  if (answer == NULL) return -1;
  Py_DECREF(answer);
  PyObject *order = Py_TYPE(self)->tp_mro;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(order); ++i) {
    PyBufferProcs *buffer = ((PyTypeObject *)PyTuple_GET_ITEM(order, i))->tp_as_buffer;
    if (buffer == NULL || buffer->bf_getbuffer == NULL) continue;
    if (buffer->bf_getbuffer != lmcd_asked_get_buffer) {
      return buffer->bf_getbuffer(self, view, flags);
    }
  }
  PyErr_SetString(PyExc_BufferError, "no base class exports a buffer");
  return -1;
}
