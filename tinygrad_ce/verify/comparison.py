"""How far two arrays are apart: `compare` measures it, for one pair or for a table of many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import as_array, as_numbers, check_iterable, check_kind, check_real
from ..engine.array_types import Array
from ..engine.names import printable
from ..engine.tensor import Tensor

# Of the largest entry, in units of the dtype's epsilon: room for a few dozen roundings.
TOLERANCE_EPS = 64.0

Scale: TypeAlias = ArrayLike | None

COLUMNS = ("name", "shape", "exact", "close", "max |Δ|", "max rel", "max ulp")


@dataclass(frozen=True)
class Worst:
    """The index of the element with the largest difference, and its two values."""

    index: tuple[int, ...]
    actual: Any
    expected: Any


@dataclass(frozen=True, repr=False)
class Comparison:
    """How far two arrays are apart, shown as a table of one row.

    Attributes
    ----------
    exact, close
        Whether all values are equal, with nan at the same places; and whether no element differs by
        more than the tolerance. False for arrays of different shapes or dtypes.
    max_abs, max_rel, max_ulp
        The largest difference: absolute, relative to the expected element, and in how many
        floating point numbers lie between the two. nan where the arrays cannot be compared.
    note, worst
        Why they cannot be compared, or ""; and the element with the largest difference, or None.
    by_value
        What is said of integers that were compared with floating point numbers, or "".

    >>> c = compare([1.0, 2.0], [1.0, 2.5])
    >>> c.exact, c.close, c.max_abs, c.max_rel
    (False, False, 0.5, 0.2)
    >>> c.worst
    Worst(index=(1,), actual=np.float64(2.0), expected=np.float64(2.5))
    """

    name: str
    shape: tuple[int, ...]
    exact: bool
    close: bool
    max_abs: float = np.nan
    max_rel: float = np.nan
    max_ulp: float = np.nan
    note: str = ""
    worst: Worst | None = None
    by_value: str = ""

    def __str__(self) -> str:
        return table([self])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _html([self])


class Comparisons(tuple[Comparison, ...]):
    """A tuple of comparisons, shown as a table with a row for each.

    It has the worst elements: in text of the rows that are not close, in HTML of those not exact.
    """

    __slots__ = ()

    @property
    def all_close(self) -> bool:
        """Whether all of them are close."""
        return all(c.close for c in self)

    def __str__(self) -> str:
        return table(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return _html(self)


@overload
def compare(
    actual: Mapping[str, tuple[Any, Any]], *, tolerance: float | None = None, scale: Scale = None
) -> Comparisons: ...


@overload
def compare(
    actual: Any, expected: Any, name: str = "", *,
    tolerance: float | None = None, scale: Scale = None,
) -> Comparison: ...  # fmt: skip


def compare(
    actual: Any, expected: Any = None, name: str = "", *,
    tolerance: float | None = None, scale: Scale = None,
) -> Comparison | Comparisons:  # fmt: skip
    """Compare gradients with what they should be, element by element, without broadcasting.

    Parameters
    ----------
    actual, expected
        Arrays or Tensors of one shape and one dtype. Others compare as neither exact nor close;
        but integers, as a person writes them, are compared with floating point numbers by value.
        For a table of many, a single mapping: ``{name: (actual, expected), ...}``.
    name
        What to call the row in a table.
    tolerance
        For `close`: |Δ| / scale of each element. By default 64 epsilons of the dtype.
    scale
        By default max |expected|. Where large terms cancel in the result, the largest term:
        rounding is relative to that. A number, or an array with one for each element.

    Returns
    -------
    Comparison
        Or `Comparisons`, of a mapping.

    Raises
    ------
    TypeError
        A single array with nothing to compare it with; None, such as a gradient that is not there;
        a mapping together with further arguments,
        or with a value that is no pair.
    ValueError
        A `scale` that does not broadcast to the shape of the arrays.

    >>> print(compare([1.0, 2.0], [1.0, 2.0 + 2**-50], "x"))
    name  shape  exact  close   max |Δ|   max rel  max ulp
    x     (2,)   no     yes    8.88e-16  4.44e-16        2

    >>> dW, db = np.array([[1.0], [2.0]]), np.array([3.0])
    >>> both = compare({"dW": (dW, dW), "db": (db, db + 0.25)})
    >>> print(both)
    name  shape   exact  close  max |Δ|  max rel   max ulp
    dW    (2, 1)  yes    yes          0        0         0
    db    (1,)    no     no        0.25   0.0769  5.63e+14
    <BLANKLINE>
    db: worst at [0], 3.0 against 3.25
    >>> both.all_close
    False
    """
    mapping = "a mapping {name: (actual, expected), ...}"
    check_kind("name", name, str)
    if tolerance is not None:
        tolerance = check_real("tolerance", tolerance, 0)
    if scale is not None:
        scale = as_numbers(scale, "scale")
    if isinstance(actual, Mapping):
        if expected is not None or name:
            raise TypeError(f"compare takes {mapping} by itself")
        return Comparisons(
            _compare(*_pair(key, pair), key, tolerance, scale) for key, pair in actual.items()
        )
    if expected is None:
        given = type(actual).__name__
        raise TypeError(
            f"compare takes two arrays, or {mapping}; got a single {given}, or None as expected"
        )
    return _compare(actual, expected, name, tolerance, scale)


def table(comparisons: Iterable[Comparison]) -> str:
    """Return comparisons as aligned text, a row each, then the worst elements of those not close.

    >>> print(table([compare([1.0], [[1.0]], "x")]))
    name  shape  exact  close  max |Δ|               max rel  max ulp
    x     (1,)   no     no     shape (1,) against (1, 1)
    """
    given = check_iterable("comparisons", comparisons)
    comparisons = [check_kind("a row", c, Comparison) for c in given]
    rows = [COLUMNS] + [(printable(c.name, 80), *_cells(c)) for c in comparisons]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row, note in zip(rows, ["", *(c.note for c in comparisons)], strict=True):
        figures = [note] if note else map(str.rjust, row[4:], widths[4:])
        lines.append("  ".join([*map(str.ljust, row[:4], widths), *figures]).rstrip())
    by_value = [
        f"{printable(c.name, 80)}: {c.by_value}".removeprefix(": ")
        for c in comparisons
        if c.by_value
    ]
    worst = [
        f"{printable(c.name, 80) or 'worst'}: worst at {list(c.worst.index)}, "
        f"{c.worst.actual} against {c.worst.expected}"
        for c in comparisons
        if c.worst is not None and not c.close
    ]
    below = [*by_value, *worst]
    return "\n".join([*lines, "", *below] if below else lines)


def _pair(name: str, pair: Any) -> tuple[Any, Any]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"compare: {name!r} needs (actual, expected), got {type(pair).__name__}")
    return pair[0], pair[1]


def _compare(
    actual: Any, expected: Any, name: str, tolerance: float | None, scale: Scale
) -> Comparison:
    a, b = _array(actual, "actual"), _array(expected, "expected")
    a, b, by_value = _by_value(a, b)
    if note := _why_not(a, b):
        return Comparison(name, a.shape, False, False, note=note)
    if np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
        return Comparison(name, a.shape, True, True, 0.0, 0.0, 0.0, by_value=by_value)
    x, y = (a, b) if a.dtype.kind == "f" else (a.astype(np.float64), b.astype(np.float64))
    with np.errstate(all="ignore"):
        same = (a == b) | (np.isnan(x) & np.isnan(y))
        difference = np.where(same, 0, np.abs(x - y))
        relative = np.where(same, 0, difference / np.abs(y))
        if scale is None:
            scale = float(np.max(np.abs(y), initial=0, where=np.isfinite(y)))
        unit = TOLERANCE_EPS * np.finfo(x.dtype).eps if tolerance is None else tolerance
        try:
            limit = np.broadcast_to(unit * np.asarray(scale), x.shape)
        except ValueError:
            raise ValueError(
                f"a scale of shape {np.shape(scale)} does not broadcast to {x.shape}"
            ) from None
        # nan, where a nan is held against a number, is the largest; so argmax has it.
        excess = np.where(same, -1, difference / np.where(limit > 0, limit, np.finfo(float).tiny))
    index = np.unravel_index(int(np.argmax(excess)), x.shape)
    close = bool(np.all(difference <= limit))
    largest = float(np.max(difference)), float(np.max(relative)), _max_ulp(x, y)
    worst = Worst(tuple(map(int, index)), a[index], b[index])
    return Comparison(name, a.shape, False, close, *largest, worst=worst, by_value=by_value)


def _by_value(a: Array, b: Array) -> tuple[Array, Array, str]:
    """Both as floating point numbers, and what is to be said of it, where one holds integers."""
    for x, y, which in ((a, b, "actual"), (b, a, "expected")):
        if x.dtype.kind in "iu" and y.dtype.kind == "f":
            with np.errstate(all="ignore"):
                numbers = x.astype(y.dtype)
                exact = numbers.astype(x.dtype) == x
            if exact.all():
                said = f"{which} is {x.dtype}, compared with {y.dtype} by value"
                return (numbers, b, said) if x is a else (a, numbers, said)
    return a, b, ""


def _array(x: ArrayLike | Tensor | None, which: str) -> Array:
    if x is None:
        raise TypeError(
            f"compare: {which} is None. If it is a grad: was backward() called, with requires_grad "
            "or retain_grad() of this Tensor, and not cleared since?"
        )
    return x.data if isinstance(x, Tensor) else as_array(x, "compare", copy=None)


def _why_not(a: Array, b: Array) -> str:
    if a.shape != b.shape:
        return f"shape {a.shape} against {b.shape}"
    if a.dtype != b.dtype:
        return f"dtype {a.dtype} against {b.dtype}"
    if a.dtype.kind not in "fiub" or a.dtype.itemsize > 8:
        return f"dtype {a.dtype}, which is not compared"
    return ""


def _max_ulp(a: Array, b: Array) -> float:
    if np.any(np.isnan(a) != np.isnan(b)):
        return float("inf")
    numbers = ~np.isnan(a)
    i, j = _ordinal(a[numbers]), _ordinal(b[numbers])
    # The distance from -max to max fits into 64 bits only without a sign.
    steps = np.maximum(i, j).astype(np.uint64) - np.minimum(i, j).astype(np.uint64)
    return float(np.max(steps, initial=0))


def _ordinal(x: Array) -> Array:
    """Integers in the order of the floating point numbers, 0 for both zeros."""
    bits = x.astype(x.dtype.newbyteorder("=")).view(f"i{x.dtype.itemsize}")
    ordinal: Array = np.where(bits < 0, np.iinfo(bits.dtype).min - bits, bits)
    return ordinal


def _cells(c: Comparison) -> tuple[str, ...]:
    verdicts = ("yes" if verdict else "no" for verdict in (c.exact, c.close))
    figures = ("" if c.note else f"{x:.3g}" for x in (c.max_abs, c.max_rel, c.max_ulp))
    return (str(c.shape), *verdicts, *figures)


def _html(comparisons: Iterable[Comparison]) -> str:
    comparisons = [*comparisons]
    more = ("worst at", "actual", "expected") if any(c.worst for c in comparisons) else ()
    head = "".join(f'<th scope="col">{title}</th>' for title in (*COLUMNS, *more))
    body = (_html_row(c, len(more)) for c in comparisons)
    rows = "\n".join(["<tbody>", *body, "</tbody>"])
    return f'<table class="comparisons">\n<thead><tr>{head}</tr></thead>\n{rows}\n</table>'


def _html_row(c: Comparison, more: int) -> str:
    shape, exact, close, *figures = _cells(c)
    if c.note:
        rest = f'<td colspan="{3 + more}">{escape(c.note)}</td>'
    else:
        rest = "".join(f"<td>{figure}</td>" for figure in (*figures, *_html_worst(c.worst)[:more]))
    verdict = close if c.close else f"<mark>{close}</mark>"
    by_value = f"<br><small>{escape(c.by_value)}</small>" * bool(c.by_value)
    return (
        f'<tr><th scope="row">{escape(printable(c.name, 80))}{by_value}</th>'
        f"<td>{escape(shape)}</td><td>{exact}</td><td>{verdict}</td>{rest}</tr>"
    )


def _html_worst(worst: Worst | None) -> tuple[str, str, str]:
    """Index and values of the worst element, the values marked from the first other digit on."""
    if worst is None:
        return "", "", ""
    values = str(worst.actual), str(worst.expected)
    pairs = enumerate(zip(*values, strict=False))
    same = next((i for i, (x, y) in pairs if x != y), min(map(len, values)))
    one, other = (f"{v[:same]}<mark>{v[same:]}</mark>" for v in values)
    return str(list(worst.index)), one, other
