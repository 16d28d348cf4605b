"""Axes and shapes: counting, normalizing, putting back."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from types import EllipsisType

import numpy as np

from ..arguments import check_integer, shown

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
        if not (isinstance(lengths, Sequence) or getattr(lengths, "ndim", 0) == 1):
            raise TypeError(f"a shape is integers or a tuple of them, got {shown(lengths)}")
    return tuple([n if type(n) is int else check_integer("a part of a shape", n) for n in lengths])


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
