"""What is an array of numbers: the one gate for all arrays that a user gives.

Data, labels, soft targets, indices, masks, weights, bounds, gradients, cotangents and states pass
it. A boolean, an integer or a real number is a number. A date, a text, a complex number, None and
an object are none; a masked array is none either, since its mask would be dropped.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from .array_types import Array, DType, Value
from .graph import Node


def as_array(
    data: Value, dtype: DTypeLike | None = None, copy: bool = True, what: str = "a Tensor"
) -> Array:
    """Return an array of real numbers with the values of `data`, or raise what does not fit.

    Parameters
    ----------
    data
        An array, a number, nested lists of numbers, or a Tensor, whose value is taken.
    dtype
        Convert to this dtype. By default, an array keeps its own, and NumPy chooses for the rest.
    copy
        With False, return the array itself where nothing has to be converted.
    what
        What it is to be, for the message.

    Raises
    ------
    TypeError
        What is no array of real numbers.
    ValueError
        Lists of unequal lengths, or a number that is outside of the range of the dtype.
    """
    if isinstance(data, Node):
        data = data._value
    elif isinstance(data, list | tuple) and any(isinstance(part, Node) for part in data):
        raise TypeError(
            "a list of Tensors as data would drop their gradients; join them with tg.stack "
            "or tg.concatenate"
        )
    elif isinstance(data, np.ma.MaskedArray):
        raise TypeError(
            f"{what} has no mask: fill a masked array's gaps with filled(value), or keep its mask "
            "and choose with np.where"
        )
    array = np.array(data, copy=copy or None)
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{what} holds real numbers, got {array.dtype} from {type(data).__name__}: {data!r:.80}"
        )
    return array if dtype is None else convert(array, np.dtype(dtype), what)


def convert(array: Array, dtype: DType, what: str = "a Tensor") -> Array:
    """Return the array in another dtype; a number that becomes infinite or another is an error."""
    if dtype == array.dtype:
        return array
    if dtype.kind not in "biuf":
        raise TypeError(f"{what} holds real numbers: it cannot become {dtype}")
    with np.errstate(all="ignore"):
        converted = array.astype(dtype)
        if dtype.kind == "f":
            misfits = np.isinf(converted) & np.isfinite(array)
        elif dtype.kind == "b" or np.can_cast(array.dtype, dtype):
            return converted
        else:
            range_ = np.iinfo(dtype)
            misfits = ~((array >= range_.min) & (array <= range_.max))
    if misfits.any():
        place = tuple(map(int, np.argwhere(misfits)[0]))
        at = f" at {place}" if place else ""
        raise ValueError(f"{array[place]}{at} is outside of the range of {dtype} for {what}")
    return converted
