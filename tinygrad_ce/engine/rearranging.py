"""Making and rearranging arrays: joining, cutting, repeating, padding, turning, diagonals.

Where NumPy has rules of its own about which element goes where, as for `np.insert`, NumPy is asked
about the places of the elements: its result on these is an index.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import (
    LONGEST,
    as_numbers,
    check_choice,
    check_dtype,
    check_flag,
    check_integer,
    check_sequence,
    shown,
)
from ..other_names import numpy_keywords
from .array_types import Array, DType, Function, Value
from .axes import Axis, as_integers, as_shape, from_the_end
from .constant_functions import blank
from .operations import argsort, concatenate, split, stack, take_along_axis, truth, where
from .tensor import Tensor, TensorLike, as_index, as_tensor, constant, refusal

Shape = int | Sequence[int]

MAX_DEPTH = 64  # of nested lists: arrays of NumPy have no more axes


# ── Making ────────────────────────────────────────────────────────────────────────────────────────


def array(data: TensorLike, dtype: DTypeLike | None = None, *, ndmin: int = 0) -> Tensor:
    """Make a Tensor of numbers, arrays and Tensors in nested lists; each Tensor gets its gradient.

    As `np.array` does, which NumPy's own cannot do with Tensors in a list.

    Parameters
    ----------
    data
        A number, array or Tensor, or nested lists and tuples of such, of one shape at each level.
    dtype
        Convert to this dtype.
    ndmin
        Put axes of length 1 in front, up to so many.

    Raises
    ------
    ValueError
        Parts of different shapes.

    >>> import tinygrad_ce as tg
    >>> a = tg.Tensor(2.0, requires_grad=True)
    >>> y = tg.array([[a, 1.0], [0.0, a * a]])
    >>> y.sum().backward()
    >>> a.grad
    array(5.)
    """
    ndmin = check_integer("ndmin", ndmin, 0, MAX_DEPTH)
    x = _nested(data)
    if dtype is not None:
        x = x.astype(dtype)
    return x.reshape((1,) * (ndmin - x.ndim) + x.shape) if x.ndim < ndmin else x


def _nested(data: Value) -> Tensor:
    if isinstance(data, list | tuple) and _holds_tensor(data):
        parts = [_nested(part) for part in data]
        dtype = np.result_type(*(part.dtype for part in parts))
        return stack([part if part.dtype == dtype else part.astype(dtype) for part in parts])
    if isinstance(data, list | tuple | int) and not isinstance(data, bool):
        return Tensor(data)
    return as_tensor(data)


def _holds_tensor(data: Iterable[Value], depth: int = MAX_DEPTH) -> bool:
    return any(
        isinstance(x, Tensor)
        or (isinstance(x, list | tuple) and depth > 0 and _holds_tensor(x, depth - 1))
        for x in data
    )


def _like(make: Function) -> Function:
    def like(a: TensorLike, dtype: DTypeLike | None = None, shape: Shape | None = None) -> Tensor:
        try:
            return constant(make(blank(a), dtype=_dtype(dtype), shape=_shape(shape))[()])
        except Exception as error:
            raise refusal(make.__name__, (shape, dtype), error) from None

    like.__name__ = make.__name__
    like.__doc__ = f"Return what `np.{make.__name__}` gives for an array of this shape and dtype."
    return like


def _dtype(dtype: DTypeLike | None) -> DType | None:
    return None if dtype is None else check_dtype(dtype)


def _shape(shape: Shape | None) -> tuple[int, ...] | None:
    if shape is None:
        return None
    lengths = as_shape((shape,))
    if any(n < 0 for n in lengths):
        raise ValueError(f"a shape is of lengths of at least 0, got {lengths}")
    return lengths


zeros_like, ones_like, empty_like = map(_like, (np.zeros_like, np.ones_like, np.zeros_like))


def full_like(
    a: TensorLike,
    fill_value: TensorLike,
    dtype: DTypeLike | None = None,
    shape: Shape | None = None,
) -> Tensor:
    """Return a Tensor of the shape and dtype of another, filled with a number or a Tensor.

    >>> import tinygrad_ce as tg
    >>> tg.full_like(tg.Tensor([1.0, 2.0]), 7)
    Tensor([7., 7.])
    """
    x = as_tensor(a)
    filled = as_tensor(fill_value).astype(_dtype(dtype) or x.dtype)
    lengths = _shape(shape)
    return filled.broadcast_to(x.shape if lengths is None else lengths)


def linspace(
    start: TensorLike,
    stop: TensorLike,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: DTypeLike | None = None,
    axis: int = 0,
) -> Value:
    """Return numbers at equal distances from start to stop, which both get a gradient.

    Parameters
    ----------
    start, stop
        Tensors, arrays or numbers, which broadcast.
    num, endpoint
        How many, and whether stop is the last of them.
    retstep
        Whether to return the distance too.
    dtype, axis
        Of the result, and along which of its axes they are.
    """
    num = check_integer("num", num, 0)
    endpoint, retstep = check_flag("endpoint", endpoint), check_flag("retstep", retstep)
    ends = (start, stop)  # Python numbers are weak, as everywhere
    kinds = [x if isinstance(x, int | float) else as_tensor(x).dtype for x in ends]
    inexact = np.result_type(*kinds, 0.0)
    first: Tensor
    last: Tensor
    first, last = broadcast_arrays(*(as_tensor(x).astype(inexact) for x in ends))
    intervals = num - 1 if endpoint else num
    places = as_tensor(np.arange(num, dtype=inexact).reshape(-1, *[1] * first.ndim))
    length = last - first
    step = length / intervals if intervals > 0 else last * np.nan
    if intervals > 0:  # as NumPy does it where a step is 0
        y = where((step == 0).any(), places / intervals * length, places * step) + first
    else:
        y = places * length + first
    if endpoint and num > 1:
        y = concatenate([y[:-1], last[None]])
    y = moveaxis(y if dtype is None else y.astype(dtype), 0, check_integer("axis", axis))
    return (y, step) if retstep else y


# ── Joining and cutting ───────────────────────────────────────────────────────────────────────────


def append(arr: TensorLike, values: TensorLike, axis: int | None = None) -> Tensor:
    """Join values to the end: along an axis, or with None all elements along one.

    >>> import tinygrad_ce as tg
    >>> tg.append(tg.Tensor([1.0]), [2.0, 3.0])
    Tensor([1., 2., 3.])
    """
    return concatenate([arr, values], axis)


def vstack(tup: Sequence[TensorLike], *, dtype: DTypeLike | None = None) -> Tensor:
    """Join rows, one below the other."""
    return _joined([atleast_2d(part) for part in check_sequence("arrays", tup)], 0, dtype)


def hstack(tup: Sequence[TensorLike], *, dtype: DTypeLike | None = None) -> Tensor:
    """Join side by side: along the second axis, of vectors along the first."""
    parts = [atleast_1d(part) for part in check_sequence("arrays", tup)]
    return _joined(parts, int(bool(parts) and parts[0].ndim > 1), dtype)


def dstack(tup: Sequence[TensorLike]) -> Tensor:
    """Join along the third axis."""
    return concatenate([atleast_3d(part) for part in check_sequence("arrays", tup)], 2)


def column_stack(tup: Sequence[TensorLike]) -> Tensor:
    """Join columns: vectors, and matrices side by side.

    >>> import tinygrad_ce as tg
    >>> tg.column_stack([tg.Tensor([1.0, 2.0]), [3.0, 4.0]])
    Tensor([[1., 3.],
            [2., 4.]])
    """
    parts = [as_tensor(part) for part in check_sequence("arrays", tup)]
    return concatenate([x.reshape(-1, 1) if x.ndim < 2 else x for x in parts], 1)


def _joined(parts: list[Tensor], axis: int, dtype: DTypeLike | None) -> Tensor:
    return concatenate(parts if dtype is None else [x.astype(dtype) for x in parts], axis)


def block(arrays: Value) -> Tensor:
    """Join nested lists of blocks: the innermost side by side, those around below one another."""
    depth, inner = 0, arrays
    while isinstance(inner, list):
        if not inner or depth == MAX_DEPTH:
            raise ValueError(f"block: lists of arrays, none empty, got {shown(arrays)}")
        depth, inner = depth + 1, inner[0]
    n = max(depth, *(part.ndim for part in _leaves(arrays)))
    return _block(arrays, n, depth)


def _leaves(arrays: Value, depth: int = MAX_DEPTH) -> list[Tensor]:
    if isinstance(arrays, list):
        if not depth:
            raise ValueError(f"block: a sequence nested deeper than {MAX_DEPTH} levels")
        return [leaf for part in arrays for leaf in _leaves(part, depth - 1)]
    return [as_tensor(arrays)]


def _block(arrays: Value, n: int, depth: int) -> Tensor:
    if isinstance(arrays, list):
        return concatenate([_block(part, n, depth - 1) for part in arrays], -depth)
    x = as_tensor(arrays)
    return x.reshape((1,) * (n - x.ndim) + x.shape)


def array_split(ary: TensorLike, indices_or_sections: Value, axis: int = 0) -> list[Tensor]:
    """Cut along an axis into parts whose lengths differ by at most 1, or at these indices."""
    x = as_tensor(ary)
    if not isinstance(indices_or_sections, int | np.integer):
        return split(x, indices_or_sections, axis)
    lengths = map(len, np.array_split(np.arange(x.shape[axis]), indices_or_sections))
    return split(x, list(np.cumsum(list(lengths))[:-1]), axis)


def _split_along(axis: int, name: str) -> Function:
    def cut(ary: TensorLike, indices_or_sections: Value) -> list[Tensor]:
        x = as_tensor(ary)
        least = 1 if name == "hsplit" else max(axis + 1, 2)
        if x.ndim < least:
            raise ValueError(f"{name} is of arrays with {least} axes or more, got {x.ndim}")
        return split(x, indices_or_sections, min(axis, x.ndim - 1))

    return cut


vsplit, hsplit, dsplit = (
    _split_along(k, name) for k, name in enumerate(("vsplit", "hsplit", "dsplit"))
)


def unstack(x: TensorLike, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """Cut along an axis into parts without it."""
    return tuple(moveaxis(x, axis, 0))


def atleast_1d(*arys: TensorLike) -> Value:
    """Return a number as a vector, and all else as it is; a tuple for several."""
    return _at_least(arys, lambda x: x if x.ndim else x.reshape(1))


def atleast_2d(*arys: TensorLike) -> Value:
    """Return numbers and vectors as matrices of one row; a tuple for several.

    >>> import tinygrad_ce as tg
    >>> tg.atleast_2d(tg.Tensor([1.0, 2.0])).shape
    (1, 2)
    """
    return _at_least(arys, lambda x: x if x.ndim > 1 else x.reshape(1, x.size))


def atleast_3d(*arys: TensorLike) -> Value:
    """Return with three axes at least: a vector in the middle, a matrix in front."""
    return _at_least(
        arys,
        lambda x: (
            x if x.ndim > 2 else x.reshape(*x.shape, 1) if x.ndim == 2 else x.reshape(1, x.size, 1)
        ),
    )


def _at_least(arrays: tuple[TensorLike, ...], f: Function) -> Value:
    found = tuple(f(as_tensor(x)) for x in arrays)
    return found[0] if len(found) == 1 else found


def meshgrid(
    *xi: TensorLike, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Tensor, ...]:
    """Return vectors spread out over a grid, each along an axis of its own.

    Parameters
    ----------
    xi
        Vectors or numbers.
    copy
        Has no effect: a Tensor is never changed.
    sparse
        Leave length 1 along the axes of the others.
    indexing
        "xy", where the first vector is along the second axis, or "ij".

    >>> import tinygrad_ce as tg
    >>> x, y = tg.meshgrid(tg.Tensor([1.0, 2.0]), [3.0, 4.0, 5.0])
    >>> x.shape, y.shape
    ((3, 2), (3, 2))
    """
    check_choice("indexing", indexing, ("xy", "ij"))
    check_flag("copy", copy)
    sparse = check_flag("sparse", sparse)
    vectors = [as_tensor(x).flatten() for x in xi]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(vectors) > 1:
        places[:2] = [1, 0]
    n = len(vectors)
    grids = [
        v.reshape(tuple(v.size if k == place else 1 for k in range(n)))
        for v, place in zip(vectors, places, strict=True)
    ]
    return tuple(grids) if sparse else broadcast_arrays(*grids)


def broadcast_arrays(*args: TensorLike) -> tuple[Tensor, ...]:
    """Repeat each to the shape to which they all broadcast."""
    tensors = [as_tensor(x) for x in args]
    try:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
    except (ValueError, RuntimeError) as error:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(f"arrays of shape {shapes} do not broadcast: {error}") from None
    return tuple(x.broadcast_to(shape) for x in tensors)


# ── Repeating ─────────────────────────────────────────────────────────────────────────────────────


def _take_places(x: Tensor, places: Array, axis: int) -> Tensor:
    """The elements at places of an axis, in this order."""
    before = (slice(None),) * (from_the_end(axis, x.ndim) % x.ndim)
    return x[(*before, places)]


def _by_places(function: Function, a: Tensor, *args: object, **options: object) -> Tensor:
    """What NumPy's function would give for a, found by its result on the places of elements."""
    try:
        places = np.asarray(function(np.arange(a.size).reshape(a.shape), *args, **options))
    except Exception as error:
        raise refusal(function.__name__, (a._value, *args), error) from None
    return a.flatten()[places]


def tile(A: TensorLike, reps: Shape) -> Tensor:
    """Repeat the whole, so many times along each axis.

    >>> import tinygrad_ce as tg
    >>> tg.tile(tg.Tensor([1.0, 2.0]), 2)
    Tensor([1., 2., 1., 2.])
    """
    x = as_tensor(A)
    times = tuple(as_integers("reps", reps))
    n = max(x.ndim, len(times))
    times = (1,) * (n - len(times)) + times
    shape = (1,) * (n - x.ndim) + x.shape
    spread = tuple(length for pair in zip(times, shape, strict=True) for length in pair)
    ones = tuple(length for m in shape for length in (1, m))
    return (
        x.reshape(ones)
        .broadcast_to(spread)
        .reshape(tuple(k * m for k, m in zip(times, shape, strict=True)))
    )


@numpy_keywords
def repeat(a: TensorLike, repeats: Value, axis: int | None = None) -> Tensor:
    """Repeat each element, so many times, or each its own number of times.

    Parameters
    ----------
    a
        A Tensor or array.
    repeats
        An integer, or one for each place of the axis.
    axis
        Along which; with None, all elements along one.

    >>> import tinygrad_ce as tg
    >>> tg.repeat(tg.Tensor([1.0, 2.0]), [1, 2])
    Tensor([1., 2., 2.])
    """
    x = as_tensor(a)
    if axis is None or not x.ndim:
        x, axis = x.flatten(), 0
    times = as_numbers(repeats, "repeats")
    if times.dtype.kind not in "biu":
        raise TypeError(f"repeats are integers, got {times.dtype}")
    along = from_the_end(axis, x.ndim)
    try:
        places = np.repeat(np.arange(x.shape[along]), times)
    except Exception as error:
        raise refusal("repeat", (x._value, times), error) from None
    return _take_places(x, places, along)


def resize(a: TensorLike, new_shape: Shape) -> Tensor:
    """Return the elements in another shape, repeated or left out as it needs."""
    x = as_tensor(a)
    if not x.size:
        return constant(np.resize(x.data, new_shape))
    return _by_places(np.resize, x, new_shape)


_INDEX_MODES = ("edge", "reflect", "symmetric", "wrap")


def pad(
    array: TensorLike,
    pad_width: Value,
    mode: str = "constant",
    *,
    constant_values: Value = 0,
    reflect_type: str = "even",
) -> Tensor:
    """Put elements around.

    Parameters
    ----------
    array
        A Tensor or array.
    pad_width
        How many: one number, (before, after), such a pair for each axis, or a dict by axis.
    mode
        "constant", or which elements to repeat: "edge", "reflect", "symmetric" or "wrap".
    constant_values
        The numbers, in the forms of `pad_width`.
    reflect_type
        "even"; the odd reflection is refused.

    Raises
    ------
    TypeError
        Another mode of NumPy's, or an odd reflection.

    >>> import tinygrad_ce as tg
    >>> tg.pad(tg.Tensor([1.0, 2.0]), (1, 2))
    Tensor([0., 1., 2., 0., 0.])
    """
    x = as_tensor(array)
    modes = ("constant", *_INDEX_MODES)
    if not isinstance(mode, str) or mode not in modes or shown(reflect_type) != "'even'":
        raise TypeError(
            f"pad on a Tensor takes the modes constant, {', '.join(_INDEX_MODES)}, and reflects "
            f"evenly; got {shown(mode)}, "
            f"{shown(reflect_type)}: compute what to put around, and concatenate"
        )
    if isinstance(pad_width, dict):
        pairs = {axis % x.ndim: width for axis, width in pad_width.items()}
        pad_width = [np.broadcast_to(pairs.get(k, 0), 2) for k in range(x.ndim)]
    widths = _for_each_end("pad_width", pad_width, x)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"pad_width is of integers, got {widths.dtype}")
    if (widths < 0).any():
        raise ValueError(f"pad_width is not negative, got {widths.tolist()}")
    values = _for_each_end("constant_values", constant_values, x).astype(x.dtype)
    lengths = [n + sum(ends) for n, ends in zip(x.shape, widths.tolist(), strict=True)]
    try:
        np.broadcast_to(np.zeros((), x.dtype), lengths)  # which costs nothing
    except Exception as error:
        raise refusal("pad", (x._value, pad_width), error) from None
    for axis, (before, after) in enumerate(widths.tolist()):
        if mode != "constant":
            if before or after:
                places = np.pad(np.arange(x.shape[axis]), (before, after), mode)  # type: ignore[call-overload]
                x = _take_places(x, places, axis)
            continue
        around = [
            np.full((*x.shape[:axis], n, *x.shape[axis + 1 :]), value)
            for n, value in zip((before, after), values[axis], strict=True)
        ]
        parts = [around[0]] * bool(before) + [x] + [around[1]] * bool(after)
        x = concatenate(parts, axis) if len(parts) > 1 else x
    return x


def _for_each_end(what: str, given: Value, x: Tensor) -> Array:
    """One number, a pair, or a pair for each axis as an array of shape (ndim, 2)."""
    array = as_numbers(given, what)
    try:
        return np.broadcast_to(array, (x.ndim, 2))
    except ValueError:
        raise ValueError(
            f"{what} is a number, (before, after), or such a pair for each of {x.ndim} axes, got "
            f"shape {array.shape}"
        ) from None


def insert(arr: TensorLike, obj: Value, values: TensorLike, axis: int | None = None) -> Tensor:
    """Put values in front of places of an axis, with None of all elements along one."""
    x, new = as_tensor(arr), as_tensor(values)
    axis = None if axis is None else check_integer("axis", axis)
    places = x.size + np.arange(new.size).reshape(new.shape)
    old = np.arange(x.size).reshape(x.shape)
    try:
        index = np.insert(old, _places_of(obj), places, axis)
    except Exception as error:
        raise refusal("insert", (x._value, obj, new._value, axis), error) from None
    return concatenate([x.flatten(), new.flatten().astype(x.dtype)])[index]


def delete(arr: TensorLike, obj: Value, axis: int | None = None) -> Tensor:
    """Leave out places of an axis, with None of all elements along one."""
    axis = None if axis is None else check_integer("axis", axis)
    return _by_places(np.delete, as_tensor(arr), _places_of(obj), axis)


def _places_of(obj: Value) -> Value:
    if isinstance(obj, slice):
        return obj
    places = as_numbers(obj, "places")
    if places.dtype.kind == "f" and places.size:
        raise IndexError(f"places are integers, got {places.dtype}: convert them with astype(int)")
    return places if places.size else places.astype(np.intp)


# ── Turning and moving ────────────────────────────────────────────────────────────────────────────


@numpy_keywords
def flip(m: TensorLike, axis: Axis = None) -> Tensor:
    """Reverse the order along all axes, or along the given one or ones.

    >>> import tinygrad_ce as tg
    >>> tg.flip(tg.Tensor([1.0, 2.0, 3.0]))
    Tensor([3., 2., 1.])
    """
    x = as_tensor(m)
    axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    turned = {from_the_end(k, x.ndim) + x.ndim for k in axes}
    return x[tuple(slice(None, None, -1 if k in turned else None) for k in range(x.ndim))]


def fliplr(m: TensorLike) -> Tensor:
    """Reverse the order along the second axis."""
    return flip(m, 1)


def flipud(m: TensorLike) -> Tensor:
    """Reverse the order along the first axis."""
    return flip(m, 0)


@numpy_keywords
def roll(a: TensorLike, shift: Shape, axis: Axis = None) -> Tensor:
    """Move elements along an axis; those that leave it at the end come back in front.

    >>> import tinygrad_ce as tg
    >>> tg.roll(tg.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.])
    """
    x, shifts = as_tensor(a), as_integers("shift", shift)
    if axis is None:
        return roll(x.flatten(), sum(shifts), 0).reshape(x.shape)
    axes = _axes(axis, x.ndim)
    n = max(len(shifts), len(axes)) if shifts and axes else 0
    if not {len(shifts), len(axes)} <= {1, n}:
        raise ValueError(f"roll: {len(shifts)} shifts along {len(axes)} axes")
    for by, along in zip(shifts * (n // len(shifts) if n else 0), axes * n, strict=False):
        n = x.shape[along]
        cut = -by % n if n else 0
        if cut:
            before = (slice(None),) * along
            x = concatenate([x[(*before, slice(cut, None))], x[(*before, slice(cut))]], along)
    return x


def rot90(m: TensorLike, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Tensor:
    """Turn by k times 90 degrees in the plane of two axes."""
    x = as_tensor(m)
    k = check_integer("k", k)
    plane = as_integers("axis", axes)
    if len(plane) != 2:
        raise ValueError(f"rot90 needs two axes in a sequence, got {shown(axes)}")
    a, b = plane
    if len({from_the_end(a, x.ndim), from_the_end(b, x.ndim)}) < 2:
        raise ValueError(f"rot90 needs two different axes, got {axes}")
    for _ in range(k % 4):
        x = flip(x.swapaxes(a, b), a)
    return x


def ravel(a: TensorLike, order: str = "C") -> Tensor:
    """Return the elements along one axis; with the order "F", the first axis runs fastest."""
    x = as_tensor(a)
    check_choice("order", order, ("C", "F", "A", "K"))
    return x.T.flatten() if order == "F" else x.flatten()


def moveaxis(a: TensorLike, source: Shape, destination: Shape) -> Tensor:
    """Move axes to other places; the others stay in their order."""
    x = as_tensor(a)
    moved, to = (_axes(k, x.ndim) for k in (source, destination))
    if len(moved) != len(to) or len({*moved}) < len(moved) or len({*to}) < len(to):
        raise ValueError("moveaxis needs as many places as axes, all different")
    order = [k for k in range(x.ndim) if k not in moved]
    for place, k in sorted(zip(to, moved, strict=True)):
        order.insert(place, k)
    return x.transpose(*order)


def _axes(given: Shape, ndim: int) -> list[int]:
    return [from_the_end(k, ndim) + ndim for k in as_integers("axis", given)]


def rollaxis(a: TensorLike, axis: int, start: int = 0) -> Tensor:
    """Move an axis in front of another."""
    x = as_tensor(a)
    k = from_the_end(axis, x.ndim) + x.ndim
    place = start + x.ndim * (start < 0)
    if not 0 <= place <= x.ndim:
        raise ValueError(f"start {start} is out of bounds for {x.ndim} axes")
    return moveaxis(x, k, place - (place > k))


# ── Diagonals and triangles ───────────────────────────────────────────────────────────────────────


def diagonal(a: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Tensor:
    """Return the diagonals of the matrices in two axes, along the last axis of the result.

    >>> import tinygrad_ce as tg
    >>> tg.diagonal(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([1., 4.])
    """
    offset = check_integer("offset", offset, -LONGEST)
    x = moveaxis(a, (axis1, axis2), (-2, -1))
    n = max(0, min(x.shape[-2] + min(offset, 0), x.shape[-1] - max(offset, 0)))
    places = np.arange(n)
    return x[..., places - min(offset, 0), places + max(offset, 0)]


def trace(
    a: TensorLike, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: DTypeLike | None = None
) -> Tensor:
    """Return the sums of the diagonals of the matrices in two axes.

    >>> import tinygrad_ce as tg
    >>> tg.trace(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor(5.)
    """
    diagonals = diagonal(a, offset, axis1, axis2)
    return (diagonals if dtype is None else diagonals.astype(dtype)).sum(-1)


@numpy_keywords
def diag(v: TensorLike, k: int = 0) -> Tensor:
    """Return the diagonal of a matrix, or of a vector the matrix that has it as its diagonal.

    Parameters
    ----------
    v
        A vector or a matrix.
    k
        Which diagonal: above the main one where it is positive.

    >>> import tinygrad_ce as tg
    >>> tg.diag(tg.Tensor([1.0, 2.0]))
    Tensor([[1., 0.],
            [0., 2.]])
    """
    x, k = as_tensor(v), check_integer("k", k, -LONGEST)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag is of vectors and matrices, got {x.ndim} axes")
    row = pad(x, (max(k, 0), max(-k, 0)))
    return where(np.eye(row.size, k=k, dtype=bool), row, np.zeros((), x.dtype))


def diagflat(v: TensorLike, k: int = 0) -> Tensor:
    """Return the matrix with all elements on its diagonal."""
    return diag(as_tensor(v).flatten(), k)


@numpy_keywords
def tril(m: TensorLike, k: int = 0) -> Tensor:
    """Return the lower triangle of matrices, up to the k-th diagonal, with zeros elsewhere.

    >>> import tinygrad_ce as tg
    >>> tg.tril(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 0.],
            [3., 4.]])
    """
    x = _square(m)
    return where(_lower(x, k), x, np.zeros((), x.dtype))


@numpy_keywords
def triu(m: TensorLike, k: int = 0) -> Tensor:
    """Return the upper triangle of matrices, from the k-th diagonal on, with zeros elsewhere.

    >>> import tinygrad_ce as tg
    >>> tg.triu(tg.Tensor([[1.0, 2.0], [3.0, 4.0]]))
    Tensor([[1., 2.],
            [0., 4.]])
    """
    x = _square(m)
    return where(
        _lower(x, check_integer("k", k, -math.inf, math.inf) - 1), np.zeros((), x.dtype), x
    )


def _lower(x: Tensor, k: int) -> Array:
    """Where the lower triangle is."""
    rows, columns = x.shape[-2:]
    below = min(max(check_integer("k", k, -math.inf, math.inf), -rows - 1), columns + 1)
    return np.tri(rows, columns, below, dtype=bool)


def _square(m: TensorLike) -> Tensor:
    x = as_tensor(m)
    if not x.ndim:
        raise ValueError("a triangle is of a matrix or a vector, got a number")
    return x.broadcast_to(x.size, x.size) if x.ndim == 1 else x


def vander(x: TensorLike, N: int | None = None, increasing: bool = False) -> Tensor:
    """Return the powers of a vector's elements, a row for each."""
    v = as_tensor(x)
    if v.ndim != 1:
        raise ValueError(f"vander is of a vector, got {v.ndim} axes")
    v = v.astype(np.promote_types(v.dtype, int))
    n = v.size if N is None else N
    if n < 1:
        return constant(np.zeros((v.size, 0), v.dtype))
    powers = [ones_like(v)]
    for _ in range(n - 1):
        powers.append(powers[-1] * v)
    return stack(powers if increasing else powers[::-1], 1)


# ── Choosing ──────────────────────────────────────────────────────────────────────────────────────


@numpy_keywords
def take(
    a: TensorLike, indices: TensorLike, axis: int | None = None, mode: str = "raise"
) -> Tensor:
    """Return the elements at indices of an axis; with None, of all elements along one.

    Raises
    ------
    IndexError
        An index is out of range; with the modes "wrap" and "clip" none is.
    TypeError
        Indices that are no integers.
    """
    x = as_tensor(a)
    check_choice("mode", mode, ("raise", "wrap", "clip"))
    places = as_index(list(indices) if isinstance(indices, tuple) else indices)
    if places.dtype == bool:  # to np.take these are numbers, 0 and 1, and no mask
        places = places.astype(np.intp)
    if places.dtype.kind not in "iu":
        raise TypeError(
            f"np.take needs integer indices, got {places.dtype}: convert them with astype(int)"
        )
    if axis is None or (not x.ndim and axis in (0, -1)):
        x, axis = x.flatten(), 0
    along = from_the_end(axis, x.ndim) % x.ndim
    if mode != "raise":
        n = x.shape[along]
        places = places % n if mode == "wrap" else places.clip(0, n - 1)
    return x[(*(slice(None),) * along, places)]


def compress(condition: TensorLike, a: TensorLike, axis: int | None = None) -> Tensor:
    """Return the elements of an axis where a condition holds; the rest of a is left out."""
    x, chosen = as_tensor(a), truth(as_index(condition))
    if chosen.ndim != 1:
        raise ValueError(f"compress takes a condition with one axis, got {chosen.ndim}")
    if axis is None:
        x, axis = x.flatten(), 0
    along = from_the_end(axis, x.ndim) + x.ndim
    before = (slice(None),) * along
    n = x.shape[along]
    if chosen.size < n:
        chosen = concatenate([chosen, np.zeros(n - chosen.size, bool)])
    return x[(*before, chosen)]


def extract(condition: TensorLike, arr: TensorLike) -> Tensor:
    """Return the elements of an array where a condition of its size holds."""
    return compress(as_index(condition).flatten(), arr)


def select(
    condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: TensorLike = 0
) -> Tensor:
    """Choose element by element from the first of the choices whose condition holds."""
    conditions = check_sequence("conditions", condlist)
    choices = check_sequence("choices", choicelist)
    if len(conditions) != len(choices) or not conditions:
        raise ValueError(
            f"select: {len(conditions)} conditions in a sequence for {len(choices)} choices"
        )
    y: TensorLike = default
    for condition, choice in zip(conditions[::-1], choices[::-1], strict=True):
        y = where(condition, choice, y)
    return as_tensor(y)


def partition(a: TensorLike, kth: Value, axis: int | None = -1) -> Tensor:
    """Sort, by which the kth element is where it should be and the others are on their sides."""
    whole = as_tensor(a)
    if axis is None:
        whole, axis = whole.flatten(), 0
    np.argpartition(np.empty(whole.shape[axis]), kth)  # which raises what is out of range
    return take_along_axis(whole, argsort(whole, axis), axis)


# ── Differences ───────────────────────────────────────────────────────────────────────────────────


@numpy_keywords
def diff(
    a: TensorLike,
    n: int = 1,
    axis: int = -1,
    prepend: TensorLike | None = None,
    append: TensorLike | None = None,
) -> Tensor:
    """Return the differences of neighbors along an axis, n times over.

    Parameters
    ----------
    a
        A Tensor or array.
    n, axis
        How often, and along which axis.
    prepend, append
        Put in front and behind along the axis first; a number is repeated.

    >>> import tinygrad_ce as tg
    >>> tg.diff(tg.Tensor([1.0, 4.0, 9.0]))
    Tensor([3., 5.])
    """
    x = as_tensor(a)
    n = check_integer("n", n, 0, math.inf)
    along = from_the_end(axis, x.ndim) + x.ndim
    one = (*x.shape[:along], 1, *x.shape[along + 1 :])
    ends = [e if e is None else as_tensor(e) for e in (prepend, append)]
    before, after = ([] if e is None else [e if e.ndim else e.broadcast_to(one)] for e in ends)
    if n and (before or after):
        x = concatenate([*before, x, *after], along)
    left = (*(slice(None),) * along, slice(None, -1))
    right = (*(slice(None),) * along, slice(1, None))
    for _ in range(min(n, x.shape[along] + 1)):  # nothing is left of nothing
        x = x[right] != x[left] if x.dtype == bool else x[right] - x[left]
    return x


def ediff1d(
    ary: TensorLike, to_end: TensorLike | None = None, to_begin: TensorLike | None = None
) -> Tensor:
    """Return the differences of neighbors among all elements, between what is put around."""
    y = as_tensor(ary).flatten()
    y = y[1:] - y[:-1]
    around = [
        [] if e is None else [as_tensor(e).flatten().astype(y.dtype)] for e in (to_begin, to_end)
    ]
    return concatenate([*around[0], y, *around[1]]) if around != [[], []] else y
