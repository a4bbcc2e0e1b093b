/* PresenceArray: the answer of a lookup, one entry per key, in the object itself; and look_up(),
 * the lookup that makes one. Sixteen keys are looked up in the time that Python takes for ten
 * lines, so all of it is one call.
 *
 *   PresenceArray(space, count)   zeros; exports its entries as a writable buffer
 *   look_up(type, session, space, keys)
 */
typedef struct {
  PyObject_VAR_HEAD
  PyObject *space; /* the Held of its namespace */
  lmcd_presence_t items[];
} lmcd_presence_array;

/* Up to so many keys, 50 us, the GIL is kept: giving it away may cost a busy thread's turn of 5 ms
 * (posted.c). */
#define LMCD_KEYS_UNDER_GIL 1024

static PyObject *lmcd_presence_array_make(PyTypeObject *type, PyObject *space, Py_ssize_t count) {
  lmcd_presence_array *self = (lmcd_presence_array *)type->tp_alloc(type, count);
  if (self == NULL) return NULL;
  Py_INCREF(space);
  self->space = space;
  return (PyObject *)self;
}

static PyObject *lmcd_presence_array_new(PyTypeObject *type, PyObject *arguments,
                                         PyObject *keywords) {
  PyObject *space;
  Py_ssize_t count;
  (void)keywords;
  if (!PyArg_ParseTuple(arguments, "On", &space, &count)) return NULL;
  if (count < 0) return PyErr_Format(PyExc_ValueError, "a count of %zd", count);
  return lmcd_presence_array_make(type, space, count);
}

static void lmcd_presence_array_dealloc(PyObject *self) {
  PyTypeObject *type = Py_TYPE(self);
  PyObject *space = ((lmcd_presence_array *)self)->space;
  type->tp_free(self);
  Py_XDECREF(space);
}

static Py_ssize_t lmcd_presence_array_length(PyObject *self) { return Py_SIZE(self); }

static int lmcd_presence_array_get_buffer(PyObject *self, Py_buffer *view, int flags) {
  lmcd_presence_array *array = (lmcd_presence_array *)self;
  return PyBuffer_FillInfo(view, self, array->items, Py_SIZE(self) * sizeof array->items[0], 0,
                           flags);
}

static PyMemberDef lmcd_presence_array_members[] = {
    {"space", T_OBJECT_EX, offsetof(lmcd_presence_array, space), READONLY,
     "what holds the namespace"},
    {NULL, 0, 0, 0, NULL},
};

static PySequenceMethods lmcd_presence_array_sequence = {.sq_length = lmcd_presence_array_length};
static PyBufferProcs lmcd_presence_array_buffer = {lmcd_presence_array_get_buffer, NULL};

static PyTypeObject lmcd_presence_array_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lmcd._ffi.PresenceArray",
    .tp_basicsize = sizeof(lmcd_presence_array),
    .tp_itemsize = sizeof(lmcd_presence_t),
    .tp_dealloc = lmcd_presence_array_dealloc,
    .tp_as_sequence = &lmcd_presence_array_sequence,
    .tp_as_buffer = &lmcd_presence_array_buffer,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "The answer of a lookup, one entry per key.",
    .tp_members = lmcd_presence_array_members,
    .tp_new = lmcd_presence_array_new,
};

/* Returns None where a text has to say why there is no answer: the caller asks again by
 * lmcd_lookup. */
static PyObject *lmcd_look_up(PyObject *module, PyObject *const *arguments, Py_ssize_t count) {
  (void)module;
  if (count != 4 || !PyType_Check(arguments[0]) ||
      !PyType_IsSubtype((PyTypeObject *)arguments[0], &lmcd_presence_array_type) ||
      !PyBytes_CheckExact(arguments[3])) {
    PyErr_SetString(PyExc_TypeError, "look_up(type, session, space, keys)");
    return NULL;
  }
  if (Py_TYPE(arguments[1]) != &lmcd_held_type || Py_TYPE(arguments[2]) != &lmcd_held_type)
    Py_RETURN_NONE;
  const Py_ssize_t keys = PyBytes_GET_SIZE(arguments[3]) / (Py_ssize_t)sizeof(lmcd_key_t);
  PyObject *made =
      lmcd_presence_array_make((PyTypeObject *)arguments[0], arguments[2], keys);
  if (made == NULL || keys == 0) return made;
  lmcd_session_t *session = ((lmcd_held *)arguments[1])->address;
  const lmcd_namespace_t *space = ((lmcd_held *)arguments[2])->address;
  const lmcd_key_t *from = (const lmcd_key_t *)PyBytes_AS_STRING(arguments[3]);
  lmcd_presence_t *to = ((lmcd_presence_array *)made)->items;
  lmcd_code_t code = LMCD_E_LIMIT;
  if (keys <= LMCD_KEYS_UNDER_GIL) {
    code = lmcd_lookup(session, space, from, (uint32_t)keys, to, NULL);
  } else if (keys <= UINT32_MAX) {
    Py_BEGIN_ALLOW_THREADS
    code = lmcd_lookup(session, space, from, (uint32_t)keys, to, NULL);
    Py_END_ALLOW_THREADS
  }
  if (code == LMCD_OK) return made;
  Py_DECREF(made);
  Py_RETURN_NONE;
}

static PyMethodDef lmcd_look_up_method = {
    "look_up", (PyCFunction)(void (*)(void))lmcd_look_up, METH_FASTCALL,
    "Look keys up; None where lmcd_lookup has to say why not."};
