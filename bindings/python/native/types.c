/* Puts what is written in C into the dictionary of a module, given by its address as
 * lmcd_tokens_of_list is given a list. Returns 0, or -1 when there is no memory. */
static int32_t lmcd_add_types(void *module_dictionary) {
  PyGILState_STATE gil = PyGILState_Ensure();
  PyObject *names = (PyObject *)module_dictionary;
  PyObject *look_up = PyCFunction_New(&lmcd_look_up_method, NULL);
  PyObject *acquire_posted = PyCFunction_New(&lmcd_acquire_posted_method, NULL);
  int failed =
      look_up == NULL || acquire_posted == NULL || PyType_Ready(&lmcd_held_type) != 0 ||
      PyType_Ready(&lmcd_presence_array_type) != 0 || PyType_Ready(&lmcd_asked_type) != 0 ||
      PyDict_SetItemString(names, "Asked", (PyObject *)&lmcd_asked_type) != 0 ||
      PyDict_SetItemString(names, "Held", (PyObject *)&lmcd_held_type) != 0 ||
      PyDict_SetItemString(names, "PresenceArray", (PyObject *)&lmcd_presence_array_type) != 0 ||
      PyDict_SetItemString(names, "look_up", look_up) != 0 ||
      PyDict_SetItemString(names, "acquire_posted", acquire_posted) != 0;
  Py_XDECREF(look_up);
  Py_XDECREF(acquire_posted);
  if (failed) PyErr_Clear();
  PyGILState_Release(gil);
  return failed ? -1 : 0;
}
