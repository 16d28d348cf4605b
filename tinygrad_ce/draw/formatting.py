"""What is written in a drawing: numbers, names and parameters, made short and harmless.

Text that a user chose (a name, a scope) passes through `printable`, which leaves no character that
XML forbids or that disturbs the text around it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.names import printable

Array = NDArray[Any]

PARAMS_LENGTH = 28

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscript(number: int) -> str:
    """Write a number as an index."""
    return str(number).translate(_SUBSCRIPTS)


def number_duplicates(names: Sequence[str]) -> list[str]:
    """Number the names that occur more than once, in the order in which they come.

    >>> number_duplicates(["x", "weight", "", "weight", ""])
    ['x', 'weight₁', '', 'weight₂', '']
    """
    several = {name for name, n in Counter(names).items() if name and n > 1}
    numbers = {name: count(1) for name in several}
    return [name + subscript(next(numbers[name])) if name in several else name for name in names]


def number(value: Any, digits: int = 4) -> str:
    """Write a number with this many significant digits; an integer below a million as it is.

    >>> [number(v) for v in (2.0, -0.33224, 1e-7, float("nan"), -0.0, 12, True)]
    ['2', '-0.3322', '1e-07', 'nan', '0', '12', 'True']
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer) and abs(int(value)) < 1_000_000:
        return str(int(value))
    return f"{value + 0.0:.{digits}g}"  # -0.0 + 0.0 is 0.0


def quantity(number: int, noun: str) -> str:
    """Write how many there are: 1 tensor, 1,200 tensors."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def minus(number: str) -> str:
    """Put a minus sign in the place of each hyphen."""
    return number.replace("-", "−")


# An array of at most this many elements, in rows of so many, is written out in its box.
MAX_SHOWN = 9
MAX_COLUMNS = 5


def shown_in_numbers(shape: tuple[int, ...]) -> bool:
    """Return whether an array of this shape is small enough to be written out in its box."""
    return 0 < math.prod(shape) <= MAX_SHOWN and (len(shape) < 2 or shape[-1] <= MAX_COLUMNS)


def span(array: Array) -> str:
    """Summarize a large array: smallest and largest element, and how many are not finite.

    >>> span(np.array([0.25, -1.5, 3.0])), span(np.array([1.0, np.nan, np.inf, 2.0]))
    ('-1.5 … 3', '1 … 2, 1 nan, 1 inf')
    """
    finite = array[np.isfinite(array)]
    parts = [f"{number(finite.min(), 3)} … {number(finite.max(), 3)}"] if finite.size else []
    counts = {"nan": np.isnan(array).sum(), "inf": np.isinf(array).sum()}
    return ", ".join([*parts, *(f"{n:,} {word}" for word, n in counts.items() if n)])


def facts(array: Array, named: bool) -> str:
    """Return shape and dtype, where they say more than what is usual."""
    shape = "" if named and not array.ndim else str(array.shape)
    return " ".join(filter(None, (shape, "" if array.dtype == "float64" else str(array.dtype))))


def params(names: tuple[str, ...], values: tuple[Any, ...]) -> str:
    """Write the parameters that say more than the symbol and the shapes already do.

    >>> params(("axis", "keepdims"), (-1, False)), params(("axis", "keepdims"), (None, True))
    ('axis=-1', 'keepdims')
    >>> params(("index_template",), ((slice(1, None), None, 0),))
    '1:, None, 0'
    """
    return printable(", ".join(filter(None, map(_param, names, values))), PARAMS_LENGTH)


def _param(name: str, value: Any) -> str:
    if value is None or name == "shape":  # the box of the result shows it
        return ""
    if name == "keepdims":
        return name if value else ""
    if name == "dtype":
        return str(value)
    if name == "index_template":
        return ", ".join(map(index_part, value))
    shown = number(value) if isinstance(value, float) else str(value).replace(" ", "")
    return f"{name}={shown}"


def index_part(part: Any) -> str:
    """Write a part of an index as in source code: 1: or … or 0."""
    if isinstance(part, slice):
        ends = (part.start, part.stop, part.step)[: 2 if part.step is None else 3]
        return ":".join("" if end is None else str(end) for end in ends)
    return "…" if part is Ellipsis else str(part)
