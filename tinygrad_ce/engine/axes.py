"""Axes and shapes: counting, normalizing, putting back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from types import EllipsisType

import numpy as np

from ..arguments import check_integer, shown
from .array_types import Function, Value

# As in NumPy: all axes, one, or several.
Axis = int | tuple[int, ...] | None


def from_the_end(axis: int, ndim: int) -> int:
    """Return the axis counted from the end: -1 is the last."""
    axis = check_integer("axis", axis) if type(axis) is not int else axis
    if not -ndim <= axis < ndim:
        raise ValueError(
            f"axis {axis} is out of bounds for {ndim} axes: from {-ndim} to {ndim - 1}"
        )
    return axis - ndim if axis >= 0 else axis


def as_shape(shape: tuple[int | Iterable[int], ...]) -> tuple[int, ...]:
    """Return a shape given as f(2, 3) or as f((2, 3))."""
    lengths: Iterable[object] = shape
    if len(shape) == 1 and isinstance(shape[0], Iterable):
        lengths = shape[0]
        several = isinstance(lengths, Sequence) and not isinstance(lengths, str | bytes)
        if not (several or getattr(lengths, "ndim", 0) == 1):
            raise TypeError(f"a shape is integers or a tuple of them, got {shown(lengths)}")
    return tuple([n if type(n) is int else check_integer("a part of a shape", n) for n in lengths])


def as_integers(what: str, given: int | Sequence[int]) -> list[int]:
    """Return integers given as one, or as several in a sequence."""
    several = isinstance(given, tuple | list | range) or getattr(given, "ndim", 0) == 1
    parts: Iterable[object] = given if several else (given,)  # type: ignore[assignment]
    return [check_integer(what, k) for k in parts]


def count_along(shape: tuple[int, ...], axis: Axis) -> int:
    """Return how many elements a reduction over these axes takes together.

    Raises
    ------
    AxisError
        There is no such axis: also a mean of a number along axis 0, as in NumPy.
    """
    if axis is None:
        return math.prod(shape)
    if isinstance(axis, tuple):
        return math.prod([count_along(shape, a) for a in axis])
    axis = check_integer("axis", axis) if type(axis) is not int else axis
    try:
        return shape[axis]
    except IndexError:
        raise np.exceptions.AxisError(axis, len(shape)) from None


def with_axes_kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Return the shape of a reduction over these axes with keepdims=True."""
    if axis is None:
        return (1,) * len(shape)
    kept = list(shape)
    for a in axis if isinstance(axis, tuple) else (axis,):
        kept[a] = 1
    return tuple(kept)


def index_along(part: slice, axis: int) -> tuple[slice | EllipsisType, ...]:
    """Return the index that takes a part along one axis, counted from the end (-1 is the last)."""
    return (Ellipsis, part, *(slice(None),) * (-1 - axis))


# ── Of arrays and Tensors alike ───────────────────────────────────────────────────────────────────


def rows_along(x: Value, axis: Axis) -> tuple[Value, Function]:
    """Return x with these axes joined to one, the last, and the function that takes it back."""
    n = len(x.shape)
    given = range(n) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = [from_the_end(a, n) % n for a in given] if n else []
    order = (*(a for a in range(n) if a not in axes), *axes)
    shape = tuple(x.shape[a] for a in order)
    rest = n - len(axes)
    rows = x.transpose(order).reshape((*shape[:rest], math.prod(shape[rest:])))
    back = tuple(map(order.index, range(n)))
    return rows, lambda joined: joined.reshape(shape).transpose(back)


def move_forward(x: Value, d: int, axis: int) -> Value:
    """Return x from the place d of an axis on, and zeros behind, so many that its shape stays."""
    zeros = np.zeros_like(x[index_along(slice(0, d), axis)])
    return np.concatenate([x[index_along(slice(d, None), axis)], zeros], axis)


def products_before(x: Value, axis: int) -> Value:
    """Return for each element the product of those before it along an axis, 1 for the first."""
    ones = np.ones_like(x[index_along(slice(0, 1), axis)])
    products = np.cumprod(x[index_along(slice(0, -1), axis)], axis)
    return np.concatenate([ones, products], axis)


def doublings(n: int) -> Iterator[int]:
    """Yield 1, 2, 4, ... as far as they are below n."""
    d = 1
    while d < n:
        yield d
        d *= 2
