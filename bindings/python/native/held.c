/* Held: a reference that the cycle collector does not see, and memory that is good while it lives.
 *
 * When the collector meets a cycle it finalizes all of its objects in any order before it takes
 * one apart. cffi closes a handle when it is finalized, so an object of the same cycle whose
 * __del__ comes later would use a closed handle, or a view of unmapped memory. What only a Held
 * refers to is no part of any cycle: it goes when the last reference to the Held does, which is
 * after every finalizer. So what is held must not lead back to who holds it.
 *
 *   Held(object)                    object
 *   Held(object, address)           and, for the C code of the bindings, the handle that it is
 *   Held(object, address, length)   and exports these bytes as a writable buffer
 */
#include <stddef.h>
#include <structmember.h>

typedef struct {
  PyObject_HEAD
  PyObject *object;
  void *address;
  Py_ssize_t length;
} lmcd_held;

static PyObject *lmcd_held_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
  PyObject *object;
  Py_ssize_t address = 0;
  Py_ssize_t length = 0;
  (void)keywords;
  if (!PyArg_ParseTuple(arguments, "O|nn", &object, &address, &length)) return NULL;
  lmcd_held *self = (lmcd_held *)type->tp_alloc(type, 0);
  if (self == NULL) return NULL;
  Py_INCREF(object);
  self->object = object;
  self->address = (void *)address;
  self->length = length;
  return (PyObject *)self;
}

static void lmcd_held_dealloc(PyObject *self) {
  PyObject *object = ((lmcd_held *)self)->object;
  Py_TYPE(self)->tp_free(self);
  Py_DECREF(object);
}

static int lmcd_held_get_buffer(PyObject *self, Py_buffer *view, int flags) {
  lmcd_held *held = (lmcd_held *)self;
  if (held->length == 0) {
    PyErr_SetString(PyExc_BufferError, "holds no memory");
    return -1;
  }
  return PyBuffer_FillInfo(view, self, held->address, held->length, 0, flags);
}

static PyMemberDef lmcd_held_members[] = {
    {"object", T_OBJECT_EX, offsetof(lmcd_held, object), READONLY, "what is held"},
    {NULL, 0, 0, 0, NULL},
};

static PyBufferProcs lmcd_held_buffer = {lmcd_held_get_buffer, NULL};

static PyTypeObject lmcd_held_type = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "lmcd._ffi.Held",
    .tp_basicsize = sizeof(lmcd_held),
    .tp_dealloc = lmcd_held_dealloc,
    .tp_as_buffer = &lmcd_held_buffer,
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_doc = "A reference that the cycle collector does not see.",
    .tp_members = lmcd_held_members,
    .tp_new = lmcd_held_new,
};
