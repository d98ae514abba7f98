// What Python sees of the library. The limited API of 3.11, so that one file serves all later versions.
#ifndef EMATIX_FLOW_MODULE_H
#define EMATIX_FLOW_MODULE_H

#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__native(void);

#endif
