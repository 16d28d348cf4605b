"""Tensors from shapes: what NumPy's functions of these names make, with `requires_grad`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..arguments import as_numbers, check_dtype, check_integer, check_real
from .tensor import Tensor

Shape = int | tuple[int, ...]


def zeros(
    shape: Shape, dtype: DTypeLike = float, *, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Return a leaf of zeros.

    Parameters
    ----------
    shape
        Its lengths.
    dtype
        Of real numbers.
    requires_grad, name
        As of `Tensor`.

    Raises
    ------
    TypeError, ValueError
        Lengths that are not integers of at least 0, another dtype, `requires_grad` on integers.

    >>> zeros((2, 3)).shape
    (2, 3)
    """
    return full(shape, 0, dtype, requires_grad=requires_grad, name=name)


def ones(
    shape: Shape, dtype: DTypeLike = float, *, requires_grad: bool = False, name: str | None = None
) -> Tensor:
    """Return a leaf of ones. Parameters and errors are those of `zeros`.

    >>> ones(3)
    Tensor([1., 1., 1.])
    """
    return full(shape, 1, dtype, requires_grad=requires_grad, name=name)


def full(
    shape: Shape,
    fill_value: ArrayLike,
    dtype: DTypeLike | None = None,
    *,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return a leaf of one value everywhere.

    Parameters
    ----------
    shape, requires_grad, name
        As in `zeros`.
    fill_value
        A number, or an array that broadcasts to the shape.
    dtype
        Of real numbers; by default that of the value, and float64 for Python's integers.

    Raises
    ------
    TypeError, ValueError
        As `zeros`, and for a value that is no number.

    >>> full((2, 2), 0.5)
    Tensor([[0.5, 0.5],
            [0.5, 0.5]])
    """
    lengths = shape if isinstance(shape, tuple | list) else (shape,)
    checked = [check_integer("a length of the shape", n, 0) for n in lengths]
    value = as_numbers(fill_value, "fill_value")
    if dtype is None and isinstance(fill_value, int) and not isinstance(fill_value, bool):
        dtype = float
    kind = value.dtype if dtype is None else check_dtype(dtype)
    try:
        array = np.full(checked, value, kind)
    except ValueError:
        raise ValueError(
            f"fill_value of shape {value.shape} does not broadcast to the shape {tuple(checked)}"
        ) from None
    return Tensor(array, requires_grad, name=name, copy=False)


def eye(
    n: int,
    m: int | None = None,
    k: int = 0,
    dtype: DTypeLike = float,
    *,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Return a matrix with ones on a diagonal, and zeros elsewhere.

    Parameters
    ----------
    n, m
        The number of rows, and of columns, by default as many.
    k
        Which diagonal: 0 for the main one, above it if positive.
    dtype, requires_grad, name
        As in `zeros`.

    Raises
    ------
    TypeError, ValueError
        As `zeros`.

    >>> eye(2)
    Tensor([[1., 0.],
            [0., 1.]])
    """
    columns = None if m is None else check_integer("m", m, 0)
    rows, diagonal = check_integer("n", n, 0), check_integer("k", k)
    array = np.eye(rows, columns, diagonal, check_dtype(dtype))
    return Tensor(array, requires_grad, name=name, copy=False)


def arange(
    start: float, stop: float | None = None, step: float = 1, dtype: DTypeLike | None = None
) -> Tensor:
    """Return equally spaced numbers from start up to, and without, stop.

    Parameters
    ----------
    start, stop, step
        Numbers; with one, it is stop, and start is 0.
    dtype
        By default integers for integers, as in NumPy: to be used as indices and labels.

    Raises
    ------
    TypeError, ValueError
        Something that is no finite number, or a step of 0.

    >>> arange(3), arange(0.0, 1.0, 0.25)
    (Tensor([0, 1, 2]), Tensor([0.  , 0.25, 0.5 , 0.75]))
    """
    if stop is None:
        start, stop = 0, start
    ends = [check_real("start", start), check_real("stop", stop), check_real("step", step)]
    if not ends[2]:
        raise ValueError("step is 0: the numbers would never come to an end")
    kind = None if dtype is None else check_dtype(dtype)
    try:
        return Tensor(np.arange(*ends, dtype=kind), copy=False)
    except (ValueError, OverflowError):
        raise ValueError(f"arange from {start} to {stop} by {step} has too many numbers") from None
