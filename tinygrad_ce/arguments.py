"""Arguments: the one decision on what is an array of numbers, a number, a size, a flag, a choice.

Each function returns what was given, as an object of NumPy or Python, or raises an error that says
what was expected and what was given: TypeError for another kind of thing, ValueError for one out
of range. This module is below all others, and knows no Tensor.

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

import math
import operator
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

Array: TypeAlias = NDArray[Any]
DType: TypeAlias = np.dtype[Any]
Given = TypeVar("Given")

LARGEST = sys.float_info.max
LONGEST = sys.maxsize


def shown(value: object) -> str:
    """Return what a message says of a value that was given: its repr in one line, or its type."""
    try:
        text = repr(value)
    except Exception:
        return f"an object of {type(value).__name__}"
    text = text if len(text) <= 80 else f"{text[:50]}…{text[-29:]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


# ── Arrays of numbers ─────────────────────────────────────────────────────────────────────────────

# What NumPy converts, and comes to an end with: a class of its own with a length may have none.
_CONVERTIBLE = (np.ndarray, np.generic, int, float, complex, list, tuple, Sequence)
_PROTOCOLS = ("__array__", "__array_interface__")


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
    array = as_array(data, what, copy)
    if array.dtype.kind not in "biuf":
        names = array.size and isinstance(array.flat[0], str)
        raise TypeError(
            f"{what}: real numbers, got {array.dtype} in {shown(data)}"
            + "; np.unique(labels, return_inverse=True)[1] makes numbers of names" * bool(names)
        )
    if dtype is None or array.dtype == dtype:
        return array
    return _convert(array, np.dtype(dtype), what)


def as_array(data: Any, what: str, copy: bool | None = True) -> Array:
    """Return an array of anything; refuse a masked array, and lists of unequal lengths."""
    parts = data if isinstance(data, list | tuple) else (data,)
    if any(isinstance(part, np.ma.MaskedArray) for part in parts):
        raise TypeError(
            f"{what}: real numbers without a mask; fill a masked array's gaps with filled(value), "
            "or keep its mask and choose with np.where"
        )
    if not isinstance(data, _CONVERTIBLE) and not any(hasattr(type(data), p) for p in _PROTOCOLS):
        raise TypeError(f"{what}: real numbers, got {shown(data)}, a {type(data).__name__}")
    try:
        array = np.array(data, copy=copy)
    except MemoryError:
        raise
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        reason = str(error) or type(error).__name__
        if "inhomogeneous" in reason:
            reason = (
                "since its parts differ in length; make them equally long, for instance by padding "
                f"the short ones: {shown(data)}"
            )
        raise kind(f"{what}: no array of real numbers, {reason}") from None
    return array


def _convert(array: Array, dtype: DType, what: str) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        converted = array.astype(dtype)
    if dtype.kind == "f":
        misfits = np.isinf(converted) & np.isfinite(array)
    else:
        misfits = (converted != array) | ((converted < 0) != (array < 0))
    if misfits.any():
        place = tuple(int(i) for i in np.argwhere(misfits)[0])
        at = f" at {place}" if place else ""
        raise OverflowError(f"{what}: {array[place]}{at} does not fit {dtype}")
    return converted


# ── Others ────────────────────────────────────────────────────────────────────────────────────────


def check_kind(what: str, value: Any, kind: type, expected: str = "") -> Any:
    """Return an instance of a class."""
    if not isinstance(value, kind):
        raise TypeError(f"{what} is {expected or f'a {kind.__name__}'}, got {shown(value)}")
    return value


def check_callable(what: str, value: Given) -> Given:
    """Return a function."""
    if not callable(value):
        raise TypeError(f"{what} is a function, got {shown(value)}")
    return value


def check_choice(what: str, value: Given, choices: Iterable[str]) -> Given:
    """Return one of some texts."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{what} is one of {', '.join(choices)}, got {shown(value)}")
    return value


def check_sequence(what: str, value: Any) -> list[Any]:
    """Return the parts of a list, a tuple or another sequence, or the rows of an array."""
    try:
        rows = hasattr(type(value), "__array__") and value.ndim
        if isinstance(value, str | bytes) or not (isinstance(value, Sequence) or rows):
            raise TypeError
        return list(value)
    except Exception:
        raise TypeError(f"{what} are in a sequence such as a list, got {shown(value)}") from None


def check_iterable(what: str, value: Any) -> Iterator[Any]:
    """Return an iterator over what can be a list or a generator, but no text and no array."""
    try:
        if isinstance(value, str | bytes | memoryview) or hasattr(type(value), "__array__"):
            raise TypeError
        return iter(value)
    except Exception:
        raise TypeError(f"{what} are in a list, for instance, got {shown(value)}") from None


def check_flag(what: str, value: object) -> bool:
    """Return True or False."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{what} is True or False, got {shown(value)}")
    return bool(value)


def check_integer(
    what: str, value: Any, least: float = -math.inf, most: float = sys.maxsize
) -> int:
    """Return an integer within bounds: Python's or NumPy's, also 0-d, but no boolean."""
    try:
        if isinstance(value, bool | np.ma.MaskedArray) or np.dtype(bool) == getattr(
            value, "dtype", None
        ):
            raise TypeError
        number = operator.index(value)
    except Exception:
        raise TypeError(
            f"{what} is {shown(value)}: expected an integer; "
            "round a computed number with int(...) or //"
        ) from None
    if not least <= number <= most:
        bound = f"at least {least}" if number < least else f"at most {most}"
        raise ValueError(f"{what} is {shown(number)}: expected {bound}")
    return number


def check_real(what: str, value: Any, least: float = -LARGEST, most: float = LARGEST) -> float:
    """Return a finite number within bounds: Python's or NumPy's, also 0-d, but no boolean."""
    number = value
    if isinstance(value, np.generic | np.ndarray) and not isinstance(value, np.ma.MaskedArray):
        number = value.item() if not value.ndim and value.dtype.kind in "iuf" else None
        number = float(number) if isinstance(number, np.floating) else number  # a longdouble
    bounds = f", at least {least}" if most == LARGEST else f" between {least} and {most}"
    expected = "expected a number" + bounds * (least > -LARGEST)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise TypeError(f"{what} is {shown(value)}: {expected}")
    if not least <= number <= most:
        raise ValueError(f"{what} is {shown(value)}: {expected}")
    return number


def check_dtype(dtype: Any) -> DType:
    """Return a dtype of real numbers."""
    try:
        found: DType = np.dtype(dtype)
        if found.kind not in "biuf" or (hasattr(dtype, "dtype") and not isinstance(dtype, type)):
            raise TypeError
    except Exception:
        shape = "; the lengths of a shape are in one tuple, as in zeros((3, 4))"
        raise TypeError(
            f"a Tensor holds real numbers, got {shown(dtype)} as its dtype"
            + shape * isinstance(dtype, int)
        ) from None
    return found


def check_generator(rng: Any) -> np.random.Generator:
    """Return the generator, or the one of a seed; of None, another one each time."""
    if isinstance(rng, np.random.Generator):
        return rng
    if not isinstance(rng, np.random.BitGenerator | np.random.SeedSequence | None):
        rng = check_integer("rng, a seed if no np.random.Generator,", rng, 0, math.inf)
    return np.random.default_rng(rng)
