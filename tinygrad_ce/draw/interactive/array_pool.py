"""Arrays as the page gets them: in JSON, each one once, with statistics and a thumbnail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import heatmap
from ..formatting import minus, shown_in_numbers, span

Array = NDArray[Any]

# Of an array of more elements, the page has only the statistics and the thumbnail.
MAX_ELEMENTS = 10_000
# Nor of one of more than MAX_LISTED, once there are so many in all.
MAX_IN_ALL = 1_000_000
# In words, more elements are summarized.
MAX_LISTED = 6


class Pool:
    """Arrays by number; equal ones have the same."""

    def __init__(self) -> None:
        self.entries: list[dict[str, Any]] = []
        self._known: dict[tuple[str, tuple[int, ...], bytes], int] = {}
        self._elements = 0

    def add(self, value: Any) -> int | None:
        """Return the number of an array, and None of None; a number is an array without axes."""
        if value is None:
            return None
        array = np.asarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = len(self.entries)
            self.entries.append(self._entry(array))
        return self._known[key]

    def _entry(self, array: Array) -> dict[str, Any]:
        entry = {"shape": array.shape, "dtype": str(array.dtype), **_statistics(array)}
        fits = array.size <= MAX_LISTED or self._elements + array.size <= MAX_IN_ALL
        if array.size <= MAX_ELEMENTS and fits:
            self._elements += array.size
            entry["data"] = [_number(value) for value in array.ravel().tolist()]
        if array.size and not shown_in_numbers(array.shape):
            entry["picture"] = heatmap.thumbnail(array)
        if array.size > MAX_LISTED:
            entry["span"] = minus(span(array))
        return entry


def _number(value: Any) -> Any:
    """A number, or the name of one that JSON does not know."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value


@np.errstate(all="ignore")
def _statistics(array: Array) -> dict[str, Any]:
    if array.size < 2:
        return {}
    numbers = array.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    found = {"nan": int(np.isnan(numbers).sum()), "inf": int(np.isinf(numbers).sum())}
    if finite.size:
        names = ("min", "max", "mean", "std")
        found |= {name: _number(float(getattr(finite, name)())) for name in names}
        found["zeros"] = int((finite == 0).sum())
    return found
