"""The values of primitives that do not fit on a line: NumPy code, without derivatives.

A 0-d result is a NumPy scalar, not a 0-d array: ``[()]`` turns the one into the other. Where a
value takes the real part, that is all of a real number; complex numbers come from the complex step
of gradcheck, whose imaginary part carries the derivative.
"""

from __future__ import annotations

import math
import operator
from functools import lru_cache

import numpy as np

from .array_types import Arguments, DType, Value
from .axes import Axis, count_along

# 1/0 is inf and log(-1) is nan without a warning: the result says it already.
ieee = np.errstate(divide="ignore", invalid="ignore")

# A ufunc's own reduce, since np.sum and its like put layers of Python around it.
_sum: Value = np.add.reduce
_prod: Value = np.multiply.reduce
_max: Value = np.maximum.reduce
_min: Value = np.minimum.reduce

# ── Element by element ────────────────────────────────────────────────────────────────────────────


def divide(a: Value, b: Value) -> Value:
    """a / b; by a number other than 0, as in a mean, there is nothing to keep quiet."""
    return a / b if type(b) is int and b else _quiet_divide(a, b)


_quiet_divide = ieee(operator.truediv)


def sigmoid(x: Value) -> Value:
    """1 / (1 + exp(-x)), with exp of negative numbers only, so that nothing overflows."""
    negative = np.real(x) < 0
    e = np.exp(where(negative, x, -x))
    return where(negative, e, 1) / (1 + e)


def relu(x: Value) -> Value:
    """max(x, 0)."""
    return np.maximum(x, 0)


def absolute(x: Value) -> Value:
    """|x|, and of a complex number x or -x."""
    return np.abs(x) if x.dtype.kind != "c" else where(x.real < 0, -x, x)


def sign(x: Value) -> Value:
    """-1, 0 or 1."""
    return np.sign(np.real(x))


def rounding_error(a: Value, b: Value) -> Value:
    """a - b less the number that it is rounded to, itself a number: 0 where it is not finite."""
    a, b = np.real(a), np.real(b)
    with np.errstate(invalid="ignore"):
        difference = a - b
        back = difference - a
        error = (a - (difference - back)) - (b + back)
    return where(np.isfinite(error), error, 0)


TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)
LN_2, LN_10 = math.log(2), math.log(10)


def erf(x: Value) -> Value:
    """The error function, which NumPy lacks."""
    dtype = x.dtype if x.dtype.kind == "f" else np.float64
    return np.array([math.erf(v) for v in np.ravel(x).tolist()], dtype).reshape(x.shape)[()]


def nth_root(x: Value, n: float) -> Value:
    """x to the power of 1/n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(x) if isinstance(n, int | float) and n == 2 else x ** (1 / n)


def where(c: Value, a: Value, b: Value) -> Value:
    """a where c holds, b elsewhere."""
    chosen: Value = np.where(c, a, b)
    return chosen[()]


def inside(x: Value, lo: Value, hi: Value) -> Value:
    """[lo ≤ x ≤ hi], where None is no bound."""
    above = x == x if lo is None else x >= lo
    return above if hi is None else above & (x <= hi)


def astype(x: Value, dtype: DType) -> Value:
    """x converted to a dtype."""
    if x.dtype.kind == "c":
        raise TypeError("a cast takes real numbers only")
    return x.astype(dtype)


# ── Reductions ────────────────────────────────────────────────────────────────────────────────────


def sum_(x: Value, axis: Axis, keepdims: bool) -> Value:
    """Σ x."""
    return _sum(x, axis, None, None, keepdims)


def prod(x: Value, axis: Axis, keepdims: bool) -> Value:
    """Π x."""
    return _prod(x, axis, None, None, keepdims)


def mean(x: Value, axis: Axis, keepdims: bool) -> Value:
    """Σ x / n."""
    half = x.dtype.char == "e"  # float16, whose sum can overflow where its mean does not
    total = _sum(x, axis, np.float32 if half else None, None, keepdims)
    quotient = divide(total, count_along(x.shape, axis))
    return quotient.astype(np.float16) if half else quotient


def max_(x: Value, axis: Axis, keepdims: bool) -> Value:
    """The largest."""
    return _max(x, axis, None, None, keepdims)


def min_(x: Value, axis: Axis, keepdims: bool) -> Value:
    """The smallest."""
    return _min(x, axis, None, None, keepdims)


def max_constant(x: Value, axis: Axis, initial: float) -> Value:
    """The largest along an axis, which is kept; never below `initial`, and so finite."""
    x = x.real
    if x.ndim == 2 and axis == -1 and x.size and x.flags.carray:
        # The place of the largest in each row is found faster than its value (tests/benchmarks,
        # cross-entropy); but argmax copies an array that is read-only.
        places = x.argmax(-1) + row_starts(*x.shape)
        return np.maximum(x.take(places), initial).reshape(-1, 1)
    return _max(x, axis, None, None, True, initial)


@lru_cache(maxsize=32)
def row_starts(n: int, length: int) -> Value:
    """Where each of n rows begins, if elements are counted through all of them."""
    starts = np.arange(0, n * length, length)
    starts.setflags(write=False)
    return starts


def argmax(x: Value, axis: int | None, keepdims: bool) -> Value:
    """The index of the first largest."""
    return np.argmax(x, axis, keepdims=keepdims)


def argmin(x: Value, axis: int | None, keepdims: bool) -> Value:
    """The index of the first smallest."""
    return np.argmin(x, axis, keepdims=keepdims)


def argsort(x: Value, axis: int) -> Value:
    """The indices that sort; ties stay in their order."""
    return np.argsort(x, axis, kind="stable")


def unbroadcast(g: Value, shape: tuple[int, ...], batch: int = 0) -> Value:
    """Sum g over the axes along which an array of this shape was broadcast to g's shape.

    The first `batch` axes of g are left as they are.
    """
    new = g.ndim - len(shape)
    axes = list(range(batch, new))
    if 1 in shape:
        axes += [i for i, n in enumerate(shape, new) if n == 1 and g.shape[i] != 1]
    full = (*g.shape[:batch], *shape) if batch else shape
    g = _sum(g, tuple(axes))
    return g if g.shape == full else g.reshape(full)


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────

# np.broadcast_to's view saves memory, but takes long to set up, and who reads it begins again at
# each row: up to so many elements, it is faster to fill an array.
LARGEST_FILLED = 2**14


def broadcast_to(x: Value, shape: tuple[int, ...]) -> Value:
    """x repeated to a shape."""
    size = 1
    for n in shape:
        size *= n
    if size > LARGEST_FILLED:
        return np.broadcast_to(x, shape)
    out = np.empty(shape, getattr(x, "dtype", type(x)))  # a Python number has no dtype
    out[...] = x
    return out if shape else out[()]


def reshape(x: Value, shape: tuple[int, ...]) -> Value:
    """The same elements in another shape."""
    y = x.reshape(shape)
    return y if y.shape else y[()]


def transpose(x: Value, axes: tuple[int, ...]) -> Value:
    """The axes in another order."""
    return x.transpose(axes)


def concatenate(*arguments: Value) -> Value:
    """Arrays joined along an axis, the last argument."""
    return np.concatenate(arguments[:-1], arguments[-1])


# ── Products ──────────────────────────────────────────────────────────────────────────────────────


def matmul(a: Value, b: Value) -> Value:
    """a @ b; of two matrices, dot is the same product with less around it."""
    return a.dot(b) if type(a) is np.ndarray and a.ndim == b.ndim == 2 else a @ b


def einsum(*arguments: Value) -> Value:
    """np.einsum, with the subscripts as the last argument."""
    *operands, subscripts = arguments
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)[()]


# ── Indexing ──────────────────────────────────────────────────────────────────────────────────────
# The arrays of an index are inputs of the node; its template is the index with ARRAY_SLOT in the
# place of each.


class ArraySlot:
    """The place of an array in the template of an index."""

    def __repr__(self) -> str:
        return "·"


ARRAY_SLOT = ArraySlot()


def fill_template(arrays: tuple[Value, ...], template: Arguments) -> Arguments:
    if not arrays:
        return template
    if len(arrays) == len(template):
        return arrays
    remaining = iter(arrays)
    return tuple(next(remaining) if part is ARRAY_SLOT else part for part in template)


def getitem(x: Value, *rest: Value) -> Value:
    """x[index], of the index's arrays and its template."""
    y = x[fill_template(rest[:-1], rest[-1])]
    return y if y.shape else y[()]


def scatter(g: Value, *rest: Value) -> Value:
    """Zeros of a shape, with g added at an index: the last arguments are template and shape."""
    arrays, template, shape = rest[:-2], rest[-2], rest[-1]
    index = fill_template(arrays, template)
    out = np.zeros(shape, g.dtype)
    for array in arrays:
        if array.dtype.kind != "b":  # integer arrays can name a place more than once
            if template == (ARRAY_SLOT,) and array.ndim and out.ndim > 1:
                add_rows(out, array, g)
            else:
                np.add.at(out, index, g)
            return out
    out[index] = g
    return out


def add_rows(out: Value, rows: Value, g: Value) -> None:
    """Scatter-add rows; a row that is named twice is added to twice. np.add.at is fast on 1-D."""
    width = math.prod(out.shape[1:])
    places = rows.astype(np.intp)[..., None] * width + np.arange(width)
    np.add.at(out.reshape(-1), places.reshape(-1), g.reshape(-1))
