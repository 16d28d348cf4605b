"""The table of exports: each primitive as nodes of ONNX.

An entry is called with the graph, the operation, and a Value for each input, and returns the
result:

    p.add: lambda g, op, a, b: a + b

Inputs come in the dtype in which NumPy computes: that of the result or, for a comparison, that to
which they promote. What ONNX has no operator for, or ONNX Runtime in float32 only, is composed, so
that float64 is float64; what cannot be composed is in `REFUSED`, with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..compiler.ir import Op, is_range
from ..compiler.primitives import as_python_number, copied
from ..engine import linear_algebra as la
from ..engine import primitives as p
from ..engine.axes import count_along
from ..engine.constant_functions import CONSTANTS
from ..engine.kernels import ARRAY_SLOT
from ..engine.primitives import Primitive
from .onnx_graph import BOOL, FLOATS, INT64, MOST, Graph, Value
from .recorded import Counted, Length, constant_of

Entry = Callable[..., Value]


class UnsupportedError(ValueError):
    """An operation that an export cannot carry; the message says why."""


# ── Element by element ────────────────────────────────────────────────────────────────────────────


def node(kind: str, of_booleans: str = "") -> Entry:
    """The operator of this name, and that of booleans, which ONNX keeps apart."""

    def write(g: Graph, op: Op, *inputs: Value) -> Value:
        if inputs[0].dtype == BOOL and of_booleans:
            return g.node(of_booleans, *inputs)
        return g.node(kind, *inputs)

    return write


def native(kind: str, composed: Callable[[Graph, Value], Value]) -> Entry:
    """The operator of this name in float32, and a composition in float64."""

    def write(g: Graph, op: Op, x: Value) -> Value:
        return g.node(kind, x) if x.dtype == np.float32 else composed(g, x)

    return write


def expm1(g: Graph, x: Value) -> Value:
    """exp(x) - 1: near 0, the rounding of u = exp(x) cancels in (u - 1)·x / log(u)."""
    u = g.Exp(x)
    small = g.Where(u == 1, x, (u - 1) * x / g.Log(u))
    return g.Where(g.Abs(x) < 1, small, u - 1)


def log1p(g: Graph, x: Value) -> Value:
    """log(1 + x): near 0, the rounding of u = 1 + x cancels in log(u)·x / (u - 1)."""
    u = x + 1
    found = g.Where(u == 1, x, g.Log(u) * (x / (u - 1)))
    return g.Where(g.IsInf(u, detect_negative=0), u, found)


def arctan(g: Graph, x: Value) -> Value:
    """One step of Newton's method from float32: arctan(x) = y + arctan((x - t) / (1 + x·t))."""
    x = g.Max(g.Min(x, 1e30), -1e30)
    y = g.Atan(x.astype(np.float32)).astype(x.dtype)
    sin, cos = g.Sin(y), g.Cos(y)
    return y + (x * cos - sin) / (cos + x * sin)


def arcsin(g: Graph, x: Value) -> Value:
    return arctan(g, x / g.Sqrt((1 - x) * (1 + x)))


def arccos(g: Graph, x: Value) -> Value:
    return arctan(g, g.Sqrt((1 - x) / (1 + x))) * 2


def sinh(g: Graph, x: Value) -> Value:
    size = g.Abs(x)
    t = expm1(g, size)
    return g.Sign(x) * g.Where(size < 40, (t + t / (t + 1)) / 2, g.Exp(size - math.log(2)))


def cosh(g: Graph, x: Value) -> Value:
    e = g.Exp(g.Abs(x) / 2)
    return e * (e / 2) + 0.5 / (e * e)


def arcsinh(g: Graph, x: Value) -> Value:
    size = g.Abs(x)
    square = size * size
    small = log1p(g, size + square / (1 + g.Sqrt(square + 1)))
    return g.Sign(x) * g.Where(size < 1e8, small, g.Log(size) + math.log(2))


def arccosh(g: Graph, x: Value) -> Value:
    t = x - 1
    return g.Where(x < 1e8, log1p(g, t + g.Sqrt(t) * g.Sqrt(t + 2)), g.Log(x) + math.log(2))


def arctanh(g: Graph, x: Value) -> Value:
    size = g.Abs(x)
    return g.Sign(x) * log1p(g, 2 * size / (1 - size)) / 2


def erf(g: Graph, x: Value) -> Value:
    """The series of sines of a square wave that is smoothed by a Gaussian: erf near each edge.

    With a period of 26, the next edges are too far away to be seen from where erf is not ±1.
    """
    k = np.arange(1, 56, 2)
    weights = 4 / (np.pi * k) * np.exp(-((k * np.pi / 26) ** 2))
    inside = g.Max(g.Min(x, 6.5), -6.5)
    waves = g.Sin(g.Unsqueeze(inside, g.integers([-1])) * g.constant(k * np.pi / 13))
    return g.MatMul(waves, g.constant(weights))


def _write_tan(g: Graph, x: Value) -> Value:
    return g.Sin(x) / g.Cos(x)


def _write_sign(g: Graph, op: Op, x: Value) -> Value:
    found = g.Sign(x)
    return g.Where(g.IsNaN(x), x, found) if x.dtype in FLOATS else found


def _write_cbrt(g: Graph, op: Op, x: Value) -> Value:
    y = g.Pow(g.Abs(x), 1 / 3)
    better = y - (y - g.Abs(x) / (y * y)) / 3
    return g.Sign(x) * g.Where((y == 0) | g.IsInf(y), y, better)


def _write_power(g: Graph, op: Op, a: Value, b: Value) -> Value:
    return g.Pow(a, b)


def _write_scalar_power(g: Graph, op: Op, x: Value) -> Value:
    (n,) = op.params
    if isinstance(n, Length):
        raise UnsupportedError("an exponent that depends on the size of the batch")
    if n == 2:
        return x * x
    return g.Pow(x, n)


def _write_root(g: Graph, op: Op, x: Value) -> Value:
    (n,) = op.params
    return g.Sqrt(x) if n == 2 else g.Pow(x, 1 / n)


def _write_remainder(g: Graph, op: Op, a: Value, b: Value) -> Value:
    """With the sign of b, as Python has it."""
    if a.dtype not in FLOATS:
        return g.Where(b == 0, 0, g.Mod(a, g.Where(b == 0, 1, b)))
    rest = g.Mod(a, b, fmod=1)
    return g.Where(_is_of_other_sign(g, rest, b), rest + b, rest)


def _is_of_other_sign(g: Graph, rest: Value, b: Value) -> Value:
    return g.Xor(rest < 0, b < 0) & ~(rest == 0)


def _write_floor_divide(g: Graph, op: Op, a: Value, b: Value) -> Value:
    """(a - remainder) / b, rounded, as NumPy does it."""
    if a.dtype not in FLOATS:
        divisor = g.Where(b == 0, 1, b)
        return g.Where(b == 0, 0, (a - g.Mod(a, divisor)) / divisor)
    rest = g.Mod(a, b, fmod=1)
    quotient = (a - rest) / b
    quotient = g.Where(_is_of_other_sign(g, rest, b), quotient - 1, quotient)
    floor = g.Floor(quotient)
    return g.Where(b == 0, a / b, g.Where((quotient - floor) > 0.5, floor + 1, floor))


def _write_logaddexp(g: Graph, op: Op, a: Value, b: Value) -> Value:
    return _log_of_sum(g, a, b, 1.0)


def _write_logaddexp2(g: Graph, op: Op, a: Value, b: Value) -> Value:
    return _log_of_sum(g, a, b, math.log(2))


def _log_of_sum(g: Graph, a: Value, b: Value, unit: float) -> Value:
    """The logarithm of a sum, to the base exp(unit); of two infinities, the larger one."""
    apart = g.Where(a == b, 0, a - b)
    return g.Max(a, b) + log1p(g, g.Exp(-g.Abs(apart) * unit)) / unit


def _write_hypot(g: Graph, op: Op, a: Value, b: Value) -> Value:
    large, small = g.Max(g.Abs(a), g.Abs(b)), g.Min(g.Abs(a), g.Abs(b))
    ratio = small / large
    found = g.Where(large == 0, 0, large * g.Sqrt(1 + ratio * ratio))
    return g.Where(g.IsInf(a) | g.IsInf(b), math.inf, found)


def _write_arctan2(g: Graph, op: Op, y: Value, x: Value) -> Value:
    """The angle of y over x, from the smaller by the larger so that nothing overflows."""
    size_x, size_y = g.Abs(x), g.Abs(y)
    large = g.Max(size_x, size_y)
    ratio = g.Where(size_x == size_y, 1, g.Min(size_x, size_y) / large)
    ratio = g.Where(large == 0, 0, ratio)
    angle = g.Atan(ratio) if x.dtype == np.float32 else arctan(g, ratio)
    steep = g.Where(size_y > size_x, math.pi / 2 - angle, angle)
    back = g.Where(_is_negative(g, x), math.pi - steep, steep)
    return g.Where(_is_negative(g, y), -back, back)


def _is_negative(g: Graph, x: Value) -> Value:
    """Whether the sign bit is set."""
    return g.Where(x == 0, 1 / x, x) < 0


def _write_where(g: Graph, op: Op, condition: Value, a: Value, b: Value) -> Value:
    chosen = np.dtype(np.uint8) if op.dtype == BOOL else computed_in(op.dtype)
    return g.Where(condition.astype(BOOL), a.astype(chosen), b.astype(chosen))


def _write_clip(g: Graph, op: Op, x: Value) -> Value:
    low, high = op.params
    x = x if low is None else g.Max(x, low)
    return x if high is None else g.Min(x, high)


def _write_rounding_error(g: Graph, op: Op, a: Value, b: Value) -> Value:
    difference = a - b
    back = difference - a
    error = (a - (difference - back)) - (b + back)
    return g.Where(_is_finite(g, error), error, 0)


def _is_finite(g: Graph, x: Value) -> Value:
    return ~(g.IsInf(x) | g.IsNaN(x))


def _of_float(test: Callable[[Graph, Value], Value]) -> Entry:
    """A test of numbers, of which integers are some."""
    return lambda g, op, x: test(g, x if x.dtype in FLOATS else x.astype(np.float64))


def _write_round(g: Graph, op: Op, x: Value) -> Value:
    decimals: int = op.params[0]
    if x.dtype not in FLOATS:
        if decimals >= 0:
            return x
        raise UnsupportedError("integers that are rounded to tens")
    if decimals == 0:
        return g.Round(x)
    factor = 10.0 ** abs(decimals)
    return g.Round(x * factor) / factor if decimals > 0 else g.Round(x / factor) * factor


def _toward_zero(g: Graph, op: Op, x: Value) -> Value:
    return g.Where(x < 0, g.Ceil(x), g.Floor(x)) if x.dtype in FLOATS else x


def _rounding(kind: str) -> Entry:
    return lambda g, op, x: g.node(kind, x) if x.dtype in FLOATS else x


def _write_isclose(g: Graph, op: Op, a: Value, b: Value) -> Value:
    rtol: float = op.params[0]
    atol: float = op.params[1]
    a, b = (x if x.dtype in FLOATS else x.astype(np.float64) for x in (a, b))
    near = g.Where(_is_finite(g, a) & _is_finite(g, b), g.Abs(a - b), -1)
    close = (~(near > (atol + rtol * g.Abs(b))) & ~(near < 0)) | (a == b)
    return close | (g.IsNaN(a) & g.IsNaN(b)) if op.params[2] else close


# ── Reductions ────────────────────────────────────────────────────────────────────────────────────


def _axes(op: Op) -> list[int]:
    """The axes of a reduction, from 0 on."""
    n, axis = len(op.inputs[0].shape), op.params[0]
    given = range(n) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return [int(i) % n for i in given] if n else []


def reduction(kind: str) -> Entry:
    """The reduction of this name along the axes of an operation."""

    def write(g: Graph, op: Op, x: Value) -> Value:
        axes = _axes(op)  # without any, ONNX reduces over all of them
        keepdims = bool(op.params[1])
        return g.node(kind, x, g.integers(axes), keepdims=int(keepdims)) if axes else x

    return write


def _write_mean(g: Graph, op: Op, x: Value) -> Value:
    shape = op.inputs[0].shape
    if any(isinstance(shape[i], Length) for i in _axes(op)):
        return reduction("ReduceMean")(g, op, x)
    return reduction("ReduceSum")(g, op, x) / max(count_along(shape, op.params[0]), 1)


def _write_max_constant(g: Graph, op: Op, x: Value) -> Value:
    axes, (_, initial) = _axes(op), op.params
    found = g.ReduceMax(x, g.integers(axes), keepdims=1) if axes else x
    return g.Max(found, initial)


def extreme(kind: str) -> Entry:
    """The largest or the smallest: nan if there is one, which ONNX leaves open."""

    def write(g: Graph, op: Op, x: Value) -> Value:
        found = reduction(kind)(g, op, x)
        if x.dtype not in FLOATS:
            return found
        number_of_nan = reduction("ReduceSum")(g, op, g.IsNaN(x).astype(INT64))
        return g.Where(number_of_nan > 0, math.nan, found)

    return write


def place_of_extreme(kind: str, instead_of_nan: float | None = None) -> Entry:
    """The place of the largest or the smallest, along an axis or among all elements."""

    def write(g: Graph, op: Op, x: Value) -> Value:
        axis, keepdims = op.params
        if instead_of_nan is not None and x.dtype in FLOATS:
            x = g.Where(g.IsNaN(x), instead_of_nan, x)
        x = x if x.dtype != BOOL else x.astype(INT64)
        if not op.inputs[0].shape:
            return g.constant(np.int64(0))
        if axis is None:
            found = g.node(kind, g.Reshape(x, g.integers([-1])), axis=0, keepdims=0)
            return g.reshape(found, op.shape) if op.shape else found
        return g.node(kind, x, axis=int(axis), keepdims=int(keepdims))

    return write


def _write_argsort(g: Graph, op: Op, x: Value) -> Value:
    """By TopK, which keeps ties in their order; nan is behind all numbers, as infinity is."""
    (axis,) = op.params
    if not op.inputs[0].shape:
        return g.constant(np.int64(0))
    n = g.Slice(g.Shape(x), *(g.integers([i]) for i in (axis, axis + 1 or MOST)))
    x = x.astype(INT64) if x.dtype == BOOL else x
    return g.outputs_of("TopK", 2, x, n, axis=int(axis), largest=0, sorted=1)[1]


def _write_cumsum(g: Graph, op: Op, x: Value) -> Value:
    return g.CumSum(x, g.constant(np.int64(op.params[0] % len(op.shape)))) if op.shape else x


def _write_cumprod(g: Graph, op: Op, x: Value) -> Value:
    """Products of 2, 4, 8, ... neighbors."""
    if not op.shape:
        return x
    axis = op.params[0] % len(op.shape)
    n = op.shape[axis]
    if isinstance(n, Length):
        raise UnsupportedError("a product along the batch")
    d = 1
    while d < n:
        ends = [g.integers([i]) for i in (d, n - d, axis)]
        first = g.Slice(x, g.integers([0]), ends[0], ends[2])
        rest = g.Slice(x, ends[0], g.integers([MOST]), ends[2])
        before = g.Slice(x, g.integers([0]), ends[1], ends[2])
        x = g.Concat(first, rest * before, axis=axis)
        d *= 2
    return x


def _write_einsum(g: Graph, op: Op, *operands: Value) -> Value:
    """With operands of length 1 spread out, since ONNX broadcasts no label."""
    terms = op.params[0].split("->")[0].split(",")
    lengths: dict[str, Any] = {}
    for term, x in zip(terms, op.inputs, strict=True):
        for label, n in zip(term, x.shape, strict=True):
            if lengths.get(label, 1) == 1:
                lengths[label] = n
    spread = []
    for term, x, value in zip(terms, op.inputs, operands, strict=True):
        shape = tuple(lengths[label] for label in term)
        spread.append(value if shape == tuple(x.shape) else g.expand(value, shape))
    return g.Einsum(*spread, equation=op.params[0])


def _count_nonzero(g: Graph, op: Op, x: Value) -> Value:
    return reduction("ReduceSum")(g, op, _is_nonzero(g, x).astype(INT64))


def _is_nonzero(g: Graph, x: Value) -> Value:
    return x if x.dtype == BOOL else ~(x == 0)


def _write_any(g: Graph, op: Op, x: Value) -> Value:
    return _count_nonzero(g, op, x) > 0


def _write_all(g: Graph, op: Op, x: Value) -> Value:
    return ~(reduction("ReduceSum")(g, op, (~_is_nonzero(g, x)).astype(INT64)) > 0)


def _count_below(strictly: bool) -> Callable[[Graph, Value, Value], Value]:
    """How many of the sorted bins are below each value, or not above it."""

    def count(g: Graph, bins: Value, x: Value) -> Value:
        wide = g.Unsqueeze(x, g.integers([-1]))
        below = bins < wide if strictly else ~(wide < bins)
        return g.ReduceSum(below.astype(INT64), g.integers([-1]), keepdims=0)

    return count


def _write_searchsorted(g: Graph, op: Op, bins: Value, x: Value) -> Value:
    return _count_below(op.params[0] == "left")(g, bins, x)


def _write_digitize(g: Graph, op: Op, x: Value, bins: Value) -> Value:
    """Bins in descending order count from the other end."""
    (right,) = op.params
    rising = _count_below(right)(g, bins, x)
    falling = _count_below(not right)(g, bins, x)
    zero, end = g.integers([0]), g.integers([-1])
    ends = (g.Gather(bins, i, axis=0) for i in (zero, end))
    first, last = (g.Reshape(x, g.integers([])) for x in ends)
    n = g.Reshape(g.Shape(bins), g.integers([]))
    return g.Where(first > last, n - falling, rising)


def _write_isin(g: Graph, op: Op, x: Value, among: Value) -> Value:
    _, invert = op.params
    flat = g.Reshape(among, g.integers([-1]))
    same = g.Unsqueeze(x, g.integers([-1])) == flat
    found = g.ReduceSum(same.astype(INT64), g.integers([-1]), keepdims=0) > 0
    return ~found if invert else found


# ── Indices ───────────────────────────────────────────────────────────────────────────────────────


def getitem(g: Graph, op: Op, x: Value, *arrays: Value) -> Value:
    """x[index]: slices first, then what arrays name, as NumPy orders the axes of the result."""
    return _picked(g, x, op.inputs[0].shape, op.params[0], _indices(g, op, arrays))


def _indices(g: Graph, op: Op, arrays: tuple[Value, ...]) -> Iterator[tuple[Value, int]]:
    """The arrays of an index, and how many axes each has."""
    for array, source in zip(arrays, op.inputs[1:], strict=True):
        if array.dtype == BOOL and not source.shape:
            raise UnsupportedError("an index that is one boolean")
        yield array if array.dtype == BOOL else array.astype(INT64), len(source.shape)


def _picked(
    g: Graph, x: Value, shape: tuple[Any, ...], template: tuple[Any, ...],
    arrays: Iterator[tuple[Value, int]],
) -> Value:  # fmt: skip
    parts = [next(arrays) if part is ARRAY_SLOT else (part, 0) for part in template]
    covered = [
        0 if part is None or part is Ellipsis
        else n if isinstance(part, Value) and part.dtype == BOOL else 1
        for part, n in parts
    ]  # fmt: skip
    rest: list[Any] = [(slice(None), 0)] * (len(shape) - sum(covered))
    dots = [i for i, (part, _) in enumerate(parts) if part is Ellipsis] or [len(parts)]
    parts[dots[0] : dots[0] + 1] = rest
    slices: dict[int, slice] = {}
    picked: list[tuple[int, Value, int]] = []  # an axis, the places along it, and their axes
    kept: list[int] = []  # the axes that are there before and after
    layout: list[str] = []  # the axes of the result, or ints, as they are written
    axis = 0
    for part, n in parts:
        if part is None:
            layout.append("new")
            continue
        if isinstance(part, slice):
            if part != slice(None):
                slices[axis] = part
            layout.append("kept")
            kept.append(axis)
        elif isinstance(part, Value) and part.dtype == BOOL:
            places = g.NonZero(part)
            picked += [
                (axis + i, g.Gather(places, g.constant(np.int64(i)), axis=0), 1) for i in range(n)
            ]
            layout.append("array")
            axis += n - 1
        elif isinstance(part, Value):
            picked.append((axis, part, n))
            layout.append("array")
        else:
            picked.append((axis, g.Reshape(g.integers([part]), g.integers([])), 0))
            layout.append("int")
        axis += 1
    x = _sliced(g, x, slices, shape)
    if "array" in layout:
        x, layout = _gathered(g, x, picked, kept, layout)
    else:
        for i, place, _ in reversed(picked):
            x = g.Gather(x, place, axis=i)
        layout = [part for part in layout if part != "int"]
    new = [i for i, part in enumerate(layout) if part == "new"]
    return g.Unsqueeze(x, g.integers(new)) if new else x


def _sliced(g: Graph, x: Value, slices: dict[int, slice], shape: tuple[Any, ...]) -> Value:
    if not slices:
        return x
    ends = [_ends(part, shape[axis]) for axis, part in slices.items()]
    steps = [1 if part.step is None else part.step for part in slices.values()]
    starts, stops = zip(*ends, strict=True)
    given = map(g.integers, (starts, stops, list(slices), steps))
    return g.node("Slice", x, *given)


def _ends(part: slice, n: Any) -> tuple[Any, Any]:
    """Where a slice begins and ends, with every end in range where the length is known."""
    forward = part.step is None or part.step > 0
    if isinstance(n, Length):
        start = part.start if part.start is not None else 0 if forward else MOST
        return start, part.stop if part.stop is not None else MOST if forward else -MOST
    start, stop, step = part.indices(n)
    if not range(start, stop, step):
        return 0, 0
    return start, stop if stop >= 0 else -MOST


def _gathered(
    g: Graph, x: Value, picked: list[tuple[int, Value, int]], kept: list[int], layout: list[str]
) -> tuple[Value, list[str]]:
    """What arrays name; their axes come where the arrays are, or first if these are apart."""
    n = max(ndim for _, _, ndim in picked)
    order = [axis for axis, _, _ in picked] + kept
    if order != sorted(order):
        x = g.Transpose(x, perm=order)
    x = g.GatherND(x, _stacked(g, [(places, ndim) for _, places, ndim in picked]))
    advanced = [i for i, part in enumerate(layout) if part in ("array", "int")]
    together = advanced == [*range(advanced[0], advanced[-1] + 1)]
    first = layout[: advanced[0]].count("kept") if together else 0
    if first:
        places = [*range(n, n + first), *range(n), *range(n + first, n + len(kept))]
        x = g.Transpose(x, perm=places)
    others = [part for part in layout if part in ("kept", "new")]
    at = advanced[0] if together else 0
    return x, [*others[:at], *["kept"] * n, *others[at:]]


def _stacked(g: Graph, indices: list[tuple[Value, int]]) -> Value:
    """Indices for each axis as rows of one array, broadcast against one another."""
    if len(indices) > 1:
        zeros = [places * 0 for places, _ in indices]
        total = zeros[0]
        for zero in zeros[1:]:
            total = total + zero
        indices = [(places + total, 0) for places, _ in indices]
    columns = [g.Unsqueeze(places, g.integers([-1])) for places, _ in indices]
    return g.Concat(*columns, axis=-1) if len(columns) > 1 else columns[0]


def scatter(g: Graph, op: Op, v: Value, *arrays: Value) -> Value:
    """Zeros, with v added at the places of an index.

    ONNX Runtime adds by ScatterND on several threads at once, and can lose what is added to one
    place twice; by ScatterElements, it adds one after the other.
    """
    template, shape = op.params
    given = [*_indices(g, op, arrays)]
    if _is_one_of_each_row(op):
        zeros = g.zeros(shape, v.dtype)
        return g.ScatterND(zeros, _stacked(g, given), v)
    if template == (ARRAY_SLOT,) and given[0][0].dtype == INT64:
        rows = (-1,) + (1,) * (len(shape) - 1)
        added = g.Reshape(v, g.integers([-1, *shape[1:]]))
        places = g.Expand(g.Reshape(given[0][0], g.integers(rows)), g.Shape(added))
        return g.ScatterElements(g.zeros(shape, v.dtype), places, added, axis=0, reduction="add")
    flat, size = g.integers([-1]), _product(shape)
    places = _picked(g, g.reshape(g.arange(size), shape), shape, template, iter(given))
    places, added = g.Reshape(places, flat), g.Reshape(v, flat)
    zeros = g.zeros((size,), v.dtype)
    total = g.ScatterElements(zeros, places, added, axis=0, reduction="add")
    return g.reshape(total, shape)


def _is_one_of_each_row(op: Op) -> bool:
    """Whether there is one place in each row, as that of its label, and none is named twice."""
    template, shape = op.params
    if template != (ARRAY_SLOT, ARRAY_SLOT) or len(shape) != 2:
        return False
    _, rows, columns = op.inputs
    data = constant_of(rows)
    counted = data.step == 1 if isinstance(data, Counted) else is_range(data) and data[1] == 1
    return counted and rows.shape == columns.shape == (shape[0],) and columns.dtype.kind in "iu"


def _product(shape: tuple[Any, ...]) -> Any:
    """The number of elements of a shape, in which one length at most depends on the batch."""
    lengths = [n for n in shape if isinstance(n, Length)]
    rest = math.prod(n for n in shape if not isinstance(n, Length))
    if not lengths:
        return rest
    if len(lengths) > 1:
        raise UnsupportedError("an array in which two lengths depend on the size of the batch")
    return Length(lengths[0].factor * rest, lengths[0].offset * rest)


# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────


def _write_broadcast(g: Graph, op: Op, x: Value) -> Value:
    return g.expand(x, op.params[0]) if op.params[0] else x


def _write_transpose(g: Graph, op: Op, x: Value) -> Value:
    axes = op.params[0]
    return g.Transpose(x, perm=[int(i) % len(axes) for i in axes]) if axes else x


# fmt: off
TABLE: dict[Primitive, Entry] = {
    # Arithmetic
    p.add:            node("Add", "Or"),
    p.subtract:       node("Sub"),
    p.multiply:       node("Mul", "And"),
    p.divide:         node("Div"),
    p.negative:       node("Neg"),
    p.scalar_power:   _write_scalar_power,
    p.power:          _write_power,
    p.float_power:    _write_power,
    p.remainder:      _write_remainder,
    p.floor_divide:   _write_floor_divide,
    p.matmul:         node("MatMul"),
    # Functions of one variable
    p.exp:            node("Exp"),
    p.exp2:           lambda g, op, x: g.Pow(2, x),
    p.expm1:          lambda g, op, x: expm1(g, x),
    p.log:            node("Log"),
    p.log2:           lambda g, op, x: g.Log(x) / math.log(2),
    p.log10:          lambda g, op, x: g.Log(x) / math.log(10),
    p.log1p:          lambda g, op, x: log1p(g, x),
    p.sqrt:           node("Sqrt"),
    p.cbrt:           _write_cbrt,
    p.sin:            node("Sin"),
    p.cos:            node("Cos"),
    p.tan:            native("Tan", _write_tan),
    p.arcsin:         native("Asin", arcsin),
    p.arccos:         native("Acos", arccos),
    p.arctan:         native("Atan", arctan),
    p.sinh:           native("Sinh", sinh),
    p.cosh:           native("Cosh", cosh),
    p.tanh:           node("Tanh"),
    p.arcsinh:        native("Asinh", arcsinh),
    p.arccosh:        native("Acosh", arccosh),
    p.arctanh:        native("Atanh", arctanh),
    p.sigmoid:        node("Sigmoid"),
    p.relu:           lambda g, op, x: g.Relu(x) if x.dtype in FLOATS else g.Max(x, 0),
    p.abs_:           node("Abs"),
    p.erf:            native("Erf", erf),
    p.root:           _write_root,
    p.clip:           _write_clip,
    p.sign:           _write_sign,
    # Functions of two variables, and what chooses
    p.logaddexp:      _write_logaddexp,
    p.logaddexp2:     _write_logaddexp2,
    p.hypot:          _write_hypot,
    p.arctan2:        _write_arctan2,
    p.where:          _write_where,
    p.maximum:        node("Max", "Or"),
    p.minimum:        node("Min", "And"),
    p.rounding_error: _write_rounding_error,
    # Comparisons and tests
    p.less:           node("Less"),
    p.less_equal:     node("LessOrEqual"),
    p.greater:        node("Greater"),
    p.greater_equal:  node("GreaterOrEqual"),
    p.equal:          node("Equal"),
    p.not_equal:      lambda g, op, a, b: ~(a == b),
    p.logical_and:    node("BitwiseAnd", "And"),
    p.logical_or:     node("BitwiseOr", "Or"),
    p.logical_not:    node("BitwiseNot", "Not"),
    p.isfinite:       _of_float(_is_finite),
    p.isnan:          _of_float(lambda g, x: g.IsNaN(x)),
    # Reductions
    p.sum_:           reduction("ReduceSum"),
    p.mean:           _write_mean,
    p.prod:           reduction("ReduceProd"),
    p.max_:           extreme("ReduceMax"),
    p.min_:           extreme("ReduceMin"),
    p.max_constant:   _write_max_constant,
    p.argmax:         place_of_extreme("ArgMax"),
    p.argmin:         place_of_extreme("ArgMin"),
    p.argsort:        _write_argsort,
    p.cumsum:         _write_cumsum,
    p.cumprod:        _write_cumprod,
    p.einsum:         _write_einsum,
    # Shapes, and elements at places
    p.broadcast_to:   _write_broadcast,
    p.reshape:        lambda g, op, x: g.reshape(x, op.params[0]),
    p.transpose:      _write_transpose,
    p.concatenate:    lambda g, op, *x: g.Concat(*x, axis=int(op.params[0])),
    p.getitem:        getitem,
    p.scatter:        scatter,
    # What changes no number
    p.astype:         lambda g, op, x: x.astype(op.dtype),
    p.identity:       lambda g, op, x: x,
    p.stop_gradient:  lambda g, op, x: x,
    copied:           lambda g, op, x: x,
    as_python_number: lambda g, op, x: x,
}
# fmt: on

_OF_NUMPY: dict[str, Entry] = {
    "floor": _rounding("Floor"),
    "ceil": _rounding("Ceil"),
    "rint": _rounding("Round"),
    "trunc": _toward_zero,
    "fix": _toward_zero,
    "round": _write_round,
    "isinf": _of_float(lambda g, x: g.IsInf(x)),
    "isposinf": _of_float(lambda g, x: g.IsInf(x, detect_negative=0)),
    "isneginf": _of_float(lambda g, x: g.IsInf(x, detect_positive=0)),
    "isreal": _of_float(lambda g, x: (x == x) | g.IsNaN(x)),
    "iscomplex": _of_float(lambda g, x: ~((x == x) | g.IsNaN(x))),
    "signbit": _of_float(_is_negative),
    "heaviside": lambda g, op, x, at_0: g.Where(
        g.IsNaN(x), x, g.Where(x == 0, at_0, (x > 0).astype(x.dtype))
    ),
    "logical_xor": lambda g, op, a, b: g.Xor(_is_nonzero(g, a), _is_nonzero(g, b)),
    "bitwise_xor": node("BitwiseXor", "Xor"),
    "any": _write_any,
    "all": _write_all,
    "count_nonzero": _count_nonzero,
    "nanargmax": place_of_extreme("ArgMax", -math.inf),
    "nanargmin": place_of_extreme("ArgMin", math.inf),
    "isclose": _write_isclose,
    "searchsorted": _write_searchsorted,
    "digitize": _write_digitize,
    "isin": _write_isin,
}
TABLE |= {CONSTANTS[name]: entry for name, entry in _OF_NUMPY.items()}

_NO_OPERATOR = "ONNX has no operator for it"
_OF_MATRICES = "ONNX has no operators of linear algebra beside the product"
REFUSED: dict[Primitive, str] = {
    **{x: _OF_MATRICES for x in vars(la).values() if isinstance(x, Primitive)},
    **{
        CONSTANTS[name]: _NO_OPERATOR
        for name in ("nextafter", "spacing", "bitwise_count", "gcd", "lcm")
    },
    CONSTANTS["left_shift"]: "ONNX shifts unsigned integers only",
    CONSTANTS["right_shift"]: "ONNX shifts unsigned integers only",
    CONSTANTS["argpartition"]: "the order of a partition is NumPy's own",
}

# Their inputs are of several kinds, or their result is: they come in the dtypes that they have.
AS_GIVEN = {
    p.where, p.astype, p.getitem, p.scatter, p.argmax, p.argmin, p.argsort, p.broadcast_to,
    p.reshape, p.transpose, as_python_number,
    *(CONSTANTS[name] for name in ("count_nonzero", "nanargmax", "nanargmin")),
}  # fmt: skip
PROMOTED = {CONSTANTS[name] for name in ("searchsorted", "digitize")}


def computed_in(dtype: Any) -> np.dtype[Any]:
    """The dtype in which an export computes: integers as int64, which has all operators."""
    found: np.dtype[Any] = np.dtype(dtype)
    if found in FLOATS or found == BOOL:
        return found
    if found.kind in "iu" and found != np.uint64:
        return INT64
    raise UnsupportedError(
        f"{dtype}: an export to ONNX computes float32, float64, booleans and integers up to int64"
    )


def common_dtype(op: Op) -> np.dtype[Any]:
    """To what the inputs promote, of which Python numbers count less."""
    zeros = {"b": False, "i": 0, "f": 0.0}
    found: np.dtype[Any] = np.result_type(
        *(zeros[x.dtype.kind] if x.kind == "number" else x.dtype for x in op.inputs)
    )
    return found


def write(g: Graph, op: Op, inputs: list[Value]) -> Value:
    """Write an operation, and return its result in its dtype.

    Raises
    ------
    UnsupportedError
        There is no entry for the primitive, or not for such inputs.
    """
    primitive = op.primitive
    assert primitive is not None
    entry = TABLE.get(primitive)
    if entry is None:
        why = REFUSED.get(primitive, "it is not in the table of exports")
        raise UnsupportedError(f"the primitive {primitive.name}: {why}")
    result = computed_in(op.dtype)
    if primitive not in AS_GIVEN and inputs:
        promoted = op.dtype == BOOL or primitive in PROMOTED
        dtype = computed_in(common_dtype(op)) if promoted else result
        inputs = [x.astype(dtype) for x in inputs]
    return entry(g, op, *inputs).astype(result)
