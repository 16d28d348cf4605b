"""Array input: the one decision on what is an array of numbers, for everything that takes one.

Real numbers are: booleans, integers and floating point numbers, of any size and byte order. Never
numbers are masked arrays, dates, time differences, strings, complex numbers, records, None and
other objects. A number that does not fit the dtype wanted is refused, with its place.

==============  =================  ===============================================================
Mode            `dtype`            Used for
==============  =================  ===============================================================
keeps dtype     None               data, labels, indices, masks, bounds, arguments of compiled steps
takes a dtype   that of a Tensor   gradients, cotangents, states, assigned data
==============  =================  ===============================================================

A float64 is rounded to float32; a floating point number becomes an integer only if it is one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .array_types import Array, DType


def as_numbers(
    data: Any, what: str, dtype: DTypeLike | None = None, copy: bool | None = True
) -> Array:
    """Return real numbers as an array, a copy unless `copy` is None.

    Parameters
    ----------
    data
        What a user has given.
    what
        What to call it in a message.
    dtype
        The dtype wanted, or None for the data's own.
    copy
        None to copy only where it is necessary.

    Raises
    ------
    TypeError
        Something that is not a real number.
    OverflowError, ValueError
        A number that does not fit `dtype`, or lists of unequal lengths.

    >>> as_numbers([1, 2], "labels")
    array([1, 2])
    >>> as_numbers([1.0, 1e300], "a gradient", np.float32)
    Traceback (most recent call last):
    OverflowError: a gradient: 1e+300 at (1,) does not fit float32
    """
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError(
            f"{what}: a Tensor has no mask: fill a masked array's gaps with filled(value), or keep "
            "its mask and choose with np.where"
        )
    try:
        array = np.array(data, copy=copy)
    except ValueError as error:
        raise ValueError(f"{what}: no array of numbers, {error}") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{what}: real numbers, got {array.dtype} from {type(data).__name__}")
    if dtype is None or array.dtype == dtype:
        return array
    return _convert(array, np.dtype(dtype), what)


def _convert(array: Array, dtype: DType, what: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    if dtype.kind == "f":
        misfits = np.isinf(converted) & np.isfinite(array)
    elif dtype.kind in "iu":
        misfits = (converted != array) | ((converted < 0) != (array < 0))
    else:
        return converted
    if misfits.any():
        place = tuple(int(i) for i in np.argwhere(misfits)[0])
        at = f" at {place}" if place else ""
        raise OverflowError(f"{what}: {array[place]}{at} does not fit {dtype}")
    return converted
