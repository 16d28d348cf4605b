"""The C functions that a step calls: as text, of which a source holds those that it needs.

`REAL` is float or double, `TYPE` NumPy's number for it, `NAME` what its scalars are called there.
"""

from __future__ import annotations

import re

import numpy as np

HEADER = r"""
/* @NAME@, an extension module of Python with one function, as tinygrad_ce has written it. It needs
   NumPy alone. To compile it:

@COMMAND@
*/
#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>
#include <numpy/ufuncobject.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
""".strip()

# ── Objects of Python ─────────────────────────────────────────────────────────────────────────────

DATA = r"""
/* The elements of an array, which must be of a type and a size. */
static const void *data(PyObject *x, int type, npy_intp size)
{
    PyArrayObject *array = (PyArrayObject *)x;
    if (PyArray_Check(x) && PyArray_EquivTypenums(PyArray_TYPE(array), type)
        && PyArray_SIZE(array) == size && PyArray_ISCARRAY_RO(array))
        return PyArray_DATA(array);
    PyObject *dtype = (PyObject *)PyArray_DescrFromType(type);
    PyErr_Format(PyExc_TypeError, "expected an array in C order of %zd elements, %R, got %R",
                 (Py_ssize_t)size, dtype, (PyObject *)Py_TYPE(x));
    Py_XDECREF(dtype);
    return NULL;
}
"""

NEW = r"""
/* The elements of a new array, which is put into a place. */
static void *new_array(PyObject **place, int type, int n_axes, npy_intp *shape)
{
    *place = PyArray_SimpleNew(n_axes, shape, type);
    return *place ? PyArray_DATA((PyArrayObject *)*place) : NULL;
}
"""

CALL = r"""
/* What a function of Python returns. */
static PyObject *call(PyObject *function, PyObject **arguments, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!arguments[i])
            return NULL;
    return PyObject_Vectorcall(function, arguments, n, NULL);
}
"""

PACK = r"""
/* A tuple of the first n objects; NULL if one of them could not be made. */
static PyObject *pack(PyObject **objects, Py_ssize_t n)
{
    for (Py_ssize_t i = 0; i < n; i++)
        if (!objects[i])
            return NULL;
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple && i < n; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(objects[i]));
    return tuple;
}
"""

SCALAR = r"""
/* The number in a scalar of NumPy or in an array without axes. */
static REAL scalar_REAL(PyObject *x)
{
    REAL value = 0;
    if (PyArray_IsScalar(x, NAME)) {
        PyArray_ScalarAsCtype(x, &value);
        return value;
    }
    PyObject *array = PyArray_FromAny(x, NULL, 0, 0, 0, NULL);
    const REAL *element = array ? data(array, TYPE, 1) : NULL;
    if (element)
        value = *element;
    Py_XDECREF(array);
    return value;
}
"""

SCALAR_OBJECT = r"""
/* A number as a scalar of NumPy. */
static PyObject *scalar_object_REAL(REAL value)
{
    PyArray_Descr *dtype = PyArray_DescrFromType(TYPE);
    PyObject *x = PyArray_Scalar(&value, dtype, NULL);
    Py_DECREF(dtype);
    return x;
}
"""

ARRAY_OBJECT = r"""
/* A number as an array without axes. */
static PyObject *array_object_REAL(REAL value)
{
    PyObject *x = PyArray_SimpleNew(0, NULL, TYPE);
    if (x)
        *(REAL *)PyArray_DATA((PyArrayObject *)x) = value;
    return x;
}
"""

COPY = r"""
/* An array of its own with the same elements; a scalar is one already. */
static PyObject *copied(PyObject *x)
{
    return PyArray_Check(x) ? PyArray_NewCopy((PyArrayObject *)x, NPY_CORDER) : Py_XNewRef(x);
}
"""

RECYCLED = r"""
/* The elements of a large array that an earlier call has returned, if nobody holds that any more,
   or of a new one. Two are kept, as one may be held until the other takes its place. */
typedef struct { PyObject *arrays[2]; } Kept;
static void *recycled(PyObject **place, Kept *kept, int type, int n_axes, npy_intp *shape)
{
    for (int i = 0; i < 2; i++)
        if (kept->arrays[i] && Py_REFCNT(kept->arrays[i]) == 1) {
            PyArrayObject *array = (PyArrayObject *)(*place = Py_NewRef(kept->arrays[i]));
            PyArray_ENABLEFLAGS(array, NPY_ARRAY_WRITEABLE);
            return PyArray_DATA(array);
        }
    void *elements = new_array(place, type, n_axes, shape);
    if (elements) {
        Py_XDECREF(kept->arrays[1]);
        kept->arrays[1] = kept->arrays[0];
        kept->arrays[0] = Py_NewRef(*place);
    }
    return elements;
}
"""

WORKSPACE = r"""
/* Memory for one call: that of the call before, unless another call is using it. */
static char *free_memory;
static char *begin_memory(void)
{
    char *memory = free_memory;
    free_memory = NULL;
    if (!memory && !(memory = aligned_alloc(64, MEMORY)))
        PyErr_NoMemory();
    return memory;
}
static void end_memory(char *memory)
{
    if (free_memory)
        free(memory);
    else
        free_memory = memory;
}
"""

THREADS = r"""
#include <pthread.h>
/* In a forked child, the threads that share loops do not exist. */
static int threads = COUNT;
static void use_one_thread(void)
{
    threads = 1;
}
"""

# ── NumPy's inner loops ───────────────────────────────────────────────────────────────────────────

FIND = r"""
/* The loop of a ufunc of NumPy's for operands of one type. */
typedef struct { PyUFuncGenericFunction run; void *data; } Loop;
static int find_loop(Loop *loop, const char *name, char type)
{
    PyObject *numpy = PyImport_ImportModule("numpy");
    PyObject *found = numpy ? PyObject_GetAttrString(numpy, name) : NULL;
    Py_XDECREF(numpy);
    if (!found)
        return -1;
    PyUFuncObject *ufunc = (PyUFuncObject *)found; /* which NumPy itself keeps alive */
    for (int i = 0; i < ufunc->ntypes && !loop->run; i++) {
        int fits = 1;
        for (int j = 0; j < ufunc->nargs; j++)
            fits = fits && ufunc->types[i * ufunc->nargs + j] == type;
        if (fits) {
            loop->run = ufunc->functions[i];
            loop->data = ufunc->data ? (void *)ufunc->data[i] : NULL;
        }
    }
    Py_DECREF(found);
    if (!loop->run)
        PyErr_Format(PyExc_ImportError, "numpy.%s has no loop for type number %d", name, type);
    return loop->run ? 0 : -1;
}
"""

UNARY = r"""
/* NumPy's FUNCTION of each element. */
static Loop loop_FUNCTION_REAL;
static void FUNCTION_REAL(REAL *out, const REAL *x, npy_intp n)
{
    char *arrays[] = {(char *)x, (char *)out};
    npy_intp steps[] = {sizeof(REAL), sizeof(REAL)};
    loop_FUNCTION_REAL.run(arrays, &n, steps, loop_FUNCTION_REAL.data);
}
"""

ONE = r"""
static REAL FUNCTION_one_REAL(REAL x)
{
    FUNCTION_REAL(&x, &x, 1);
    return x;
}
"""

BINARY = r"""
/* NumPy's FUNCTION of two operands; of one with the step 0 there is only one number. */
static Loop loop_FUNCTION_REAL;
static void FUNCTION_REAL(
    REAL *out, const REAL *a, int a_step, const REAL *b, int b_step, npy_intp n)
{
    char *arrays[] = {(char *)a, (char *)b, (char *)out};
    npy_intp steps[] = {a_step * sizeof(REAL), b_step * sizeof(REAL), sizeof(REAL)};
    loop_FUNCTION_REAL.run(arrays, &n, steps, loop_FUNCTION_REAL.data);
}
"""

ONE_OF_TWO = r"""
static REAL FUNCTION_one_REAL(REAL a, REAL b)
{
    FUNCTION_REAL(&a, &a, 1, &b, 1, 1);
    return a;
}
"""

EXTREME = r"""
/* NumPy's FUNCTION.reduce of a row. */
static REAL FUNCTION_of_REAL(const REAL *x, npy_intp n)
{
    REAL result = x[0];
    char *arrays[] = {(char *)&result, (char *)(x + 1), (char *)&result};
    npy_intp steps[] = {0, sizeof(REAL), 0};
    n -= 1;
    if (n)
        loop_FUNCTION_REAL.run(arrays, &n, steps, loop_FUNCTION_REAL.data);
    return result;
}
"""

MATMUL = r"""
/* The product of a matrix of n × k and one of k × m, by the loop of NumPy's matmul. As for BLAS, an
   operand is 'T' if it is the transpose of what lies in memory, else 'N'. */
static Loop loop_matmul_REAL;
static void matmul_REAL(
    REAL *out, const REAL *a, char a_is, const REAL *b, char b_is,
    npy_intp n, npy_intp k, npy_intp m)
{
    const npy_intp one = sizeof(REAL);
    char *arrays[] = {(char *)a, (char *)b, (char *)out};
    npy_intp sizes[] = {1, n, k, m};
    npy_intp steps[] = { /* in bytes: from product to product, and along both axes of each */
        0, 0, 0,
        a_is == 'T' ? one : k * one, a_is == 'T' ? n * one : one,
        b_is == 'T' ? one : m * one, b_is == 'T' ? k * one : one,
        m * one, one,
    };
    loop_matmul_REAL.run(arrays, sizes, steps, loop_matmul_REAL.data);
}
"""

# ── Sums ──────────────────────────────────────────────────────────────────────────────────────────

# What NumPy begins to add at, which shows where all that it adds is -0.
START = "-0.0" if np.signbit(np.add.reduce(np.array([-0.0]))) else "0.0"

SUM = r"""
/* The sum of a row in the order in which NumPy adds: in pairs of halves, and by eights. */
static REAL pairwise_REAL(const REAL *x, npy_intp n)
{
    if (n > 128) {
        const npy_intp half = n / 2 - n / 2 % 8;
        return pairwise_REAL(x, half) + pairwise_REAL(x + half, n - half);
    }
    npy_intp i = 0;
    REAL total = -0.0;
    if (n >= 8) {
        REAL r[8];
        memcpy(r, x, sizeof r);
        for (i = 8; i + 8 <= n; i += 8)
            for (int j = 0; j < 8; j++)
                r[j] += x[i + j];
        total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for (; i < n; i++)
        total += x[i];
    return total;
}
static REAL sum_REAL(const REAL *x, npy_intp n)
{
    return START + pairwise_REAL(x, n);
}
"""

FAST_SUM = r"""
/* The sum of a row, 32 of its elements at a time. */
static inline REAL sum_REAL(const REAL *x, npy_intp n)
{
    const npy_intp rest = n % 32;
    REAL total = 0;
    for (npy_intp i = 0; i < rest; i++)
        total += x[i];
    if (rest == n)
        return total;
    REAL r[32] = {0};
    for (npy_intp i = rest; i < n; i += 32)
        for (int j = 0; j < 32; j++)
            r[j] += x[i + j];
    for (int width = 16; width; width /= 2)
        for (int j = 0; j < width; j++)
            r[j] += r[j + width];
    return total + r[0];
}
"""

SUM_ROWS = r"""
/* The sum of n rows, one after the other; from one to the next are `stride` elements. */
static void sum_rows_REAL(
    REAL *out, const REAL *x, npy_intp n, npy_intp width, npy_intp stride)
{
    for (npy_intp j = 0; j < width; j++)
        out[j] = START + x[j];
    for (npy_intp i = 1; i < n; i++) {
        const REAL *row = x + i * stride;
        #pragma omp simd
        for (npy_intp j = 0; j < width; j++)
            out[j] += row[j];
    }
}
"""

LARGEST = r"""
/* The largest of a row and of `lowest`; nan if there is one. */
static inline REAL largest_REAL(const REAL *x, npy_intp n, REAL lowest)
{
    const npy_intp rest = n % 32;
    int unordered = 0;
    for (npy_intp i = 0; i < rest; i++) {
        lowest = x[i] > lowest ? x[i] : lowest;
        unordered |= x[i] != x[i];
    }
    if (rest < n) {
        REAL best[32];
        int any[32] = {0};
        for (int j = 0; j < 32; j++)
            best[j] = lowest;
        for (npy_intp i = rest; i < n; i += 32)
            for (int j = 0; j < 32; j++) {
                best[j] = x[i + j] > best[j] ? x[i + j] : best[j];
                any[j] |= x[i + j] != x[i + j];
            }
        for (int j = 0; j < 32; j++) {
            lowest = best[j] > lowest ? best[j] : lowest;
            unordered |= any[j];
        }
    }
    return unordered ? (REAL)NAN : lowest;
}
"""

IN_RANGE = r"""
/* Whether all labels are from 0 to n - 1; read as unsigned, a negative one is huge. */
static int in_range(const npy_int64 *labels, npy_intp size, npy_uint64 n)
{
    int fits = 1;
    for (npy_intp i = 0; i < size; i++)
        fits &= (npy_uint64)labels[i] < n;
    return fits;
}
"""

ADD_ROWS = r"""
/* Zeros, with each row added to that which an index names. */
static void add_rows_REAL(
    REAL *out, npy_intp size, const npy_int64 *index, const REAL *rows,
    npy_intp n, npy_intp width)
{
    memset(out, 0, size * sizeof(REAL));
    for (npy_intp i = 0; i < n; i++) {
        REAL *row = out + index[i] * width;
        #pragma omp simd
        for (npy_intp j = 0; j < width; j++)
            row[j] += rows[i * width + j];
    }
}
"""

# ── The module ────────────────────────────────────────────────────────────────────────────────────

NUMPY_SOURCE = """/* What is left to NumPy. */
static const char numpy_source[] ="""

RUN_NUMPY_SOURCE = """\
PyObject *names = PyModule_GetDict(self);
PyObject *done = PyRun_String(numpy_source, Py_file_input, names, names);
Py_XDECREF(done);"""

BEGIN = """\
    char *memory = begin_memory();
    if (!memory)
        return NULL;"""

RELEASE = r"""
/* Give back what is kept from call to call. */
static PyObject *release_memory(PyObject *self, PyObject *none)
{
@RELEASED@
    Py_RETURN_NONE;
}
"""

STEP = r"""
/*
@DESCRIPTION@
*/
static PyObject *@NAME@(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    if (n_args != @N_GIVEN@)
        return PyErr_Format(
            PyExc_TypeError, "@NAME@ takes @N_GIVEN@ arguments, got %zd", n_args);
    PyObject *result = NULL, *owned[@N_OWNED@] = {NULL};
@BEGIN@
@BODY@

end:
    for (int i = 0; i < @N_OWNED@; i++)
        Py_XDECREF(owned[i]);
@END@
    return result;
}
"""

MODULE = r"""
static PyMethodDef methods[] = {
    {"@NAME@", (PyCFunction)(void (*)(void))@NAME@, METH_FASTCALL, NULL},
@RELEASE@
    {NULL}
};

static int load(PyObject *self)
{
    if (PyArray_ImportNumPyAPI() < 0 || PyUFunc_ImportUFuncAPI() < 0)
        return -1;
@LOAD@
    return 0;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, (void *)load},
#ifdef Py_mod_multiple_interpreters
    {Py_mod_multiple_interpreters, Py_MOD_MULTIPLE_INTERPRETERS_NOT_SUPPORTED},
#endif
    {0, NULL}
};
static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, .m_name = "@NAME@", .m_methods = methods, .m_slots = slots
};

PyMODINIT_FUNC PyInit_@NAME@(void)
{
    return PyModuleDef_Init(&module);
}
"""

NPY = {
    "float": ("NPY_FLOAT", "Float", "f"),
    "double": ("NPY_DOUBLE", "Double", ""),
    "npy_int64": ("NPY_INT64", "Int64", ""),
    "npy_bool": ("NPY_BOOL", "Bool", ""),
}


def helper(text: str, ctype: str = "", function: str = "") -> str:
    """The text of a helper for a type, and for a function of NumPy's."""
    if ctype:
        number, name, suffix = NPY[ctype]
        text = text.replace("START", START + suffix)
        text = re.sub(r"REAL", ctype, text)
        text = re.sub(r"\bTYPE\b", number, text)
        text = re.sub(r"\bNAME\b", name, text)
    return text.replace("FUNCTION", function).strip("\n")
