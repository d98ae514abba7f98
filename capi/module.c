//go:build capi

// The module ematix_flow._native: texts and capsules in, texts and capsules out.
#include "module.h"

#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"
#include "arrow.h"

static const char handle_name[] = "ematix_flow.call";
static const char stream_name[] = "arrow_array_stream"; // https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html

// refuse_fork raises ForkUnsafeError in a forked child of the process that loaded the library.
static int refuse_fork(void) {
	if (!flow_forked()) return 0;
	PyObject *errors = PyImport_ImportModule("ematix_flow.errors");
	PyObject *class = errors == NULL ? NULL : PyObject_GetAttrString(errors, "ForkUnsafeError");
	if (class != NULL) {
		PyErr_SetString(class,
			"This process was forked after ematix_flow had been used in its parent, and the engine does not survive a fork.\n"
			"Use the spawn or forkserver start method of multiprocessing, or make the first call of ematix_flow in the child.");
	}
	Py_XDECREF(class);
	Py_XDECREF(errors);
	return 1;
}

// A handle is a capsule: a call that nobody can wait for any more is cancelled and forgotten.
static void drop_handle(PyObject *capsule) {
	if (!flow_forked()) flowDrop((long long)(intptr_t)PyCapsule_GetPointer(capsule, handle_name));
}

static int call_of(PyObject *capsule, long long *call) {
	if (refuse_fork()) return 0;
	void *pointer = PyCapsule_GetPointer(capsule, handle_name);
	*call = (long long)(intptr_t)pointer;
	return pointer != NULL;
}

// A stream that is still in its capsule when that goes is released; one that has been moved out has no release callback any more.
static void drop_stream(PyObject *capsule) {
	struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, stream_name);
	if (stream == NULL) {
		PyErr_Clear();
		return;
	}
	if (stream->release != NULL) stream->release(stream);
	free(stream);
}

static PyObject *native_submit(PyObject *Py_UNUSED(module), PyObject *args) {
	const char *op, *message;
	Py_ssize_t op_length, message_length;
	PyObject *capsule;
	if (refuse_fork() || !PyArg_ParseTuple(args, "s#s#O:submit", &op, &op_length, &message, &message_length, &capsule)) return NULL;
	if (message_length > INT32_MAX || op_length > 1000) {
		PyErr_SetString(PyExc_ValueError, "The message is too large: it has more than 2 GiB.");
		return NULL;
	}
	struct ArrowArrayStream *input = NULL;
	if (capsule != Py_None) {
		struct ArrowArrayStream *stream = PyCapsule_GetPointer(capsule, stream_name);
		if (stream == NULL) return NULL;
		if (stream->release == NULL) {
			PyErr_SetString(PyExc_ValueError, "The Arrow stream has been read already.");
			return NULL;
		}
		if ((input = malloc(sizeof(*input))) == NULL) return PyErr_NoMemory();
		*input = *stream;
		stream->release = NULL;
	}
	long long call = flowSubmit((char *)op, op_length, (char *)message, message_length, input);
	if (call == 0) {
		PyErr_SetString(PyExc_RuntimeError, "The engine could not take the call. Please report this defect of ematix-flow.");
		return NULL;
	}
	PyObject *handle = PyCapsule_New((void *)(intptr_t)call, handle_name, drop_handle);
	if (handle == NULL) flowDrop(call);
	return handle;
}

static PyObject *no_such_call(void) {
	PyErr_SetString(PyExc_ValueError, "There is no such call: its answer has been taken, or it has not ended.");
	return NULL;
}

static PyObject *native_wait(PyObject *Py_UNUSED(module), PyObject *args) {
	PyObject *handle;
	long long call, milliseconds;
	if (!PyArg_ParseTuple(args, "OL:wait", &handle, &milliseconds) || !call_of(handle, &call)) return NULL;
	char *news = NULL;
	int state;
	Py_BEGIN_ALLOW_THREADS
	state = flowWait(call, milliseconds, &news);
	Py_END_ALLOW_THREADS
	if (state < 0) return no_such_call();
	PyObject *result = Py_BuildValue("(Nz)", PyBool_FromLong(state), news);
	free(news);
	return result;
}

static PyObject *native_cancel(PyObject *Py_UNUSED(module), PyObject *handle) {
	long long call;
	if (!call_of(handle, &call)) return NULL;
	flowCancel(call);
	Py_RETURN_NONE;
}

static PyObject *native_take(PyObject *Py_UNUSED(module), PyObject *handle) {
	long long call;
	if (!call_of(handle, &call)) return NULL;
	struct ArrowArrayStream *stream = calloc(1, sizeof(*stream));
	if (stream == NULL) return PyErr_NoMemory();
	char *reply = NULL;
	size_t length = 0;
	int state = flowTake(call, &reply, &length, stream);
	PyObject *capsule = NULL;
	if (state == 1 && stream->release != NULL) {
		capsule = PyCapsule_New(stream, stream_name, drop_stream);
		if (capsule == NULL) stream->release(stream);
	}
	if (capsule == NULL) free(stream);
	if (state < 0) return no_such_call();
	PyObject *text = PyUnicode_DecodeUTF8(reply, length, "replace");
	free(reply);
	if (text == NULL || (state == 1 && capsule == NULL)) {
		Py_XDECREF(text);
		Py_XDECREF(capsule);
		return PyErr_Occurred() != NULL ? NULL : PyErr_NoMemory();
	}
	return capsule != NULL ? Py_BuildValue("(NN)", text, capsule) : Py_BuildValue("(NO)", text, Py_None);
}

// stream_of is the struct of a capsule, which the caller keeps alive.
static struct ArrowArrayStream *stream_of(PyObject *capsule) {
	return refuse_fork() ? NULL : PyCapsule_GetPointer(capsule, stream_name);
}

static PyObject *native_ready(PyObject *Py_UNUSED(module), PyObject *args) {
	PyObject *capsule;
	long long milliseconds;
	if (!PyArg_ParseTuple(args, "OL:ready", &capsule, &milliseconds)) return NULL;
	struct ArrowArrayStream *stream = stream_of(capsule);
	if (stream == NULL) return NULL;
	int64_t id = flow_stream_id(stream);
	int ready;
	Py_BEGIN_ALLOW_THREADS
	ready = flowStreamReady(id, milliseconds);
	Py_END_ALLOW_THREADS
	return PyBool_FromLong(ready);
}

static PyObject *native_fault(PyObject *Py_UNUSED(module), PyObject *capsule) {
	struct ArrowArrayStream *stream = stream_of(capsule);
	return stream == NULL ? NULL : Py_BuildValue("z", flow_stream_fault(stream));
}

static PyObject *native_shutdown(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(none)) {
	if (!flow_forked()) {
		Py_BEGIN_ALLOW_THREADS
		flowShutdown();
		Py_END_ALLOW_THREADS
	}
	Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
	{"submit", native_submit, METH_VARARGS, "submit(op, message, stream, /)\n--\n\nStart an operation; the Arrow stream of the capsule, or None, goes with it."},
	{"wait", native_wait, METH_VARARGS, "wait(handle, milliseconds, /)\n--\n\nWhether the call has ended, and its progress since the last wait."},
	{"cancel", native_cancel, METH_O, "cancel(handle, /)\n--\n\nAsk the call to end soon."},
	{"take", native_take, METH_O, "take(handle, /)\n--\n\nThe answer of a call that has ended, and the capsule of its Arrow stream or None."},
	{"ready", native_ready, METH_VARARGS, "ready(stream, milliseconds, /)\n--\n\nWhether the stream of the capsule has its next rows, or its end."},
	{"fault", native_fault, METH_O, "fault(stream, /)\n--\n\nThe last error of the stream of the capsule as JSON, or None."},
	{"_shutdown", native_shutdown, METH_NOARGS, "_shutdown()\n--\n\nCancel what goes on; registered with atexit."},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	.m_base = PyModuleDef_HEAD_INIT,
	.m_name = "ematix_flow._native",
	.m_doc = "The engine of ematix_flow. Only ematix_flow._bridge imports this module.",
	.m_size = -1, // one engine for the whole process: no second one in a subinterpreter
	.m_methods = methods,
};

static int register_shutdown(PyObject *module) {
	PyObject *atexit = PyImport_ImportModule("atexit");
	PyObject *shutdown = PyObject_GetAttrString(module, "_shutdown");
	PyObject *done = atexit == NULL || shutdown == NULL ? NULL : PyObject_CallMethod(atexit, "register", "O", shutdown);
	int registered = done != NULL;
	Py_XDECREF(done);
	Py_XDECREF(shutdown);
	Py_XDECREF(atexit);
	return registered;
}

PyMODINIT_FUNC PyInit__native(void) {
	PyObject *module = PyModule_Create(&definition);
	if (module == NULL) return NULL;
	flow_remember_process();
	if (!register_shutdown(module)) {
		Py_DECREF(module);
		return NULL;
	}
	return module;
}
