"""Standardization: columns of mean 0 and standard deviation 1, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import as_numbers

Real = TypeVar("Real", bound=np.floating[Any])
Array = NDArray[Any]

BLOCK = 2**20  # elements that are made float64 at a time: X may be larger than memory


class Standardizer:
    """Shift and scale columns to mean 0 and standard deviation 1, as they were learned by `fit`.

    Attributes
    ----------
    mean, std
        Arrays in the shape of a row, float64 or longer: the mean of each column, and its standard
        deviation (ddof 0), which is 0 for a column that was constant. None before `fit`.

    >>> standardizer = Standardizer().fit(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> rows = standardizer.transform(np.array([[1.0, 5.0], [4.0, 6.0]]))
    >>> rows
    array([[-1.,  0.],
           [ 2.,  0.]])
    >>> standardizer.inverse(rows)
    array([[1., 5.],
           [4., 5.]])
    """

    def __init__(self) -> None:
        self.mean: Array | None = None
        self.std: Array | None = None

    def fit(self, X: ArrayLike) -> Self:
        """Learn mean and standard deviation of the columns of X, and return the Standardizer.

        Parameters
        ----------
        X
            (n, ...) numbers, the training set. A memory-mapped one is read in blocks.

        Raises
        ------
        TypeError
            X does not hold real numbers.
        ValueError
            X has no rows, or holds nan or inf.
        """
        array = _as_floats(X)
        if len(array) == 0:
            raise ValueError(
                f"X has shape {array.shape}: expected at least one row to take the mean of"
            )
        wide = np.result_type(array.dtype, np.float64)
        n, columns = len(array), array.shape[1:]
        total = np.zeros(columns, wide)
        for block in _blocks(array):
            total += block.sum(axis=0, dtype=wide)
        mean = total / n
        if not np.isfinite(mean).all():
            _refuse_not_finite(array)
        squares = np.zeros(columns, wide)
        low = high = array[0]
        for block in _blocks(array):
            squares += np.square(block - mean).sum(axis=0)
            low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
        # A rounded mean leaves a constant column a tiny deviation, so equality is asked of values.
        self.mean, self.std = mean, np.where(low == high, 0, np.sqrt(squares / n))
        return self

    def transform(self, X: NDArray[Real]) -> NDArray[Real]:
        """Return (X − mean) / std, in the dtype of X; what was constant in `fit` becomes 0.

        Integers become float64, since standardized values are fractions.

        Parameters
        ----------
        X
            (m, ...) numbers with the columns of the array that was fit.

        Raises
        ------
        RuntimeError
            Nothing has been fit.
        TypeError, ValueError
            X does not hold real numbers, or has other columns.
        """
        array, mean, std = self._checked(X)
        scale = np.where(std == 0, 1, std)
        result: NDArray[Real] = np.where(std == 0, 0, (array - mean) / scale).astype(array.dtype)
        return result

    def inverse(self, X: NDArray[Real]) -> NDArray[Real]:
        """Return X · std + mean, in the dtype of X: what `transform` made X from.

        Parameters
        ----------
        X
            (m, ...) numbers with the columns of the array that was fit.

        Raises
        ------
        RuntimeError, TypeError, ValueError
            As `transform`.
        """
        array, mean, std = self._checked(X)
        result: NDArray[Real] = (array * std + mean).astype(array.dtype)
        return result

    def _checked(self, X: ArrayLike) -> tuple[Array, Array, Array]:
        if self.mean is None or self.std is None:
            raise RuntimeError("the Standardizer has learned nothing yet: fit(X) the training set")
        array = _as_floats(X)
        if array.shape[1:] != self.mean.shape:
            raise ValueError(
                f"X has rows of shape {array.shape[1:]}: expected {self.mean.shape}, as in the "
                "rows that were fit"
            )
        return array, self.mean, self.std

    def __repr__(self) -> str:
        columns = "" if self.mean is None else f" of rows of shape {self.mean.shape}"
        return f"<Standardizer{columns}>"


def _as_floats(X: ArrayLike) -> Array:
    array = as_numbers(X, "X", copy=None)
    if array.ndim == 0:
        raise ValueError("X is a scalar: expected an array with one entry a row")
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _blocks(array: Array) -> Iterator[Array]:
    rows = max(1, BLOCK // max(1, array[0].size))
    return (array[start : start + rows] for start in range(0, len(array), rows))


def _refuse_not_finite(array: Array) -> None:
    done = 0
    for block in _blocks(array):
        places = np.argwhere(~np.isfinite(block))
        if len(places):
            row, *column = places[0].tolist()
            raise ValueError(
                f"X holds {block[tuple(places[0])]} at row {done + row}, column "
                f"{column[0] if len(column) == 1 else tuple(column)}: expected finite numbers"
            )
        done += len(block)
    raise ValueError("the sum of a column of X overflows: scale X down, or make it float64")
