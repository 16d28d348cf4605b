"""Two small data sets, and how to split, standardize and batch data, in plain NumPy arrays.

The files are in the package's folder `datasets`; its SOURCES.md says where they come from.

>>> X, y, names = iris()
>>> X_train, X_test, y_train, y_test = train_test_split(X, y)
>>> X_train, X_test = standardize(X_train, X_test)
>>> for X_batch, y_batch in minibatches(X_train, y_train, batch_size=32, rng=0):
...     print(X_batch.shape, y_batch.shape)
(32, 4) (32,)
(32, 4) (32,)
(32, 4) (32,)
(18, 4) (18,)
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .arguments import (
    as_array,
    check_choice,
    check_flag,
    check_generator,
    check_integer,
    check_real,
)

__all__ = ["DATASETS", "digits", "feature_names", "iris"]
__all__ += ["minibatches", "standardize", "train_test_split"]


def __dir__() -> list[str]:
    return __all__


Dataset: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]
DX = TypeVar("DX", bound=np.generic)
DY = TypeVar("DY", bound=np.generic)
Real = TypeVar("Real", bound=np.floating[Any])


def iris() -> Dataset:
    """Load Fisher's measurements of 150 iris flowers, 50 of each of three species.

    Returns
    -------
    X, y, names
        New arrays: (150, 4) float32, the lengths in centimeters that `feature_names("iris")` lists,
        and (150,) int64, the species as an index into `names`.

    Source: R. A. Fisher (1936), "The use of multiple measurements in taxonomic problems",
    Annals of Eugenics 7(2), 179-188.

    >>> X, y, names = iris()
    >>> X.shape, names
    ((150, 4), ('setosa', 'versicolor', 'virginica'))
    >>> X[0].tolist(), names[y[0]]
    ([5.09..., 3.5, 1.39..., 0.20...], 'setosa')
    """
    return _copy_of("iris")


def digits() -> Dataset:
    """Load 1,797 handwritten digits, as images of 8×8 pixels.

    Returns
    -------
    X, y, names
        New arrays: (1797, 64) float32, of which `X.reshape(-1, 8, 8)` are the images, and (1797,)
        int64, the digit and its index in `names`. A value of X counts the inked dots, 0 to 16,
        under that pixel.

    Source: E. Alpaydin and C. Kaynak (1998), "Optical Recognition of Handwritten Digits", the
    test set.

    >>> X, y, names = digits()
    >>> X.shape, "".join(names)
    ((1797, 64), '0123456789')
    >>> for row in X[0].reshape(8, 8):
    ...     print("".join(".:+#@"[int(ink) // 4] for ink in row))
    ..:#+...
    ..##+#:.
    ..#..++.
    .:#..++.
    .:+..++.
    .:+..#:.
    ..#:+#..
    ..:#+...
    >>> y[0].item()
    0
    """
    return _copy_of("digits")


DATASETS: dict[str, Callable[[], Dataset]] = {"iris": iris, "digits": digits}
"""The data sets by name."""

_FILES = {"iris": "iris.csv", "digits": "digits.csv.gz"}


def feature_names(name: str) -> tuple[str, ...]:
    """Return what the columns of a data set's X hold, in their order.

    Parameters
    ----------
    name
        One of `DATASETS`.

    Raises
    ------
    ValueError
        There is no such data set.

    >>> feature_names("iris")
    ('sepal length (cm)', 'sepal width (cm)', 'petal length (cm)', 'petal width (cm)')
    >>> feature_names("digits")[63]
    'pixel 7 7'
    """
    return _parse(_FILES[check_choice("name", name, _FILES)]).features


def train_test_split(
    X: NDArray[DX], y: NDArray[DY], test_size: float = 0.25, rng: np.random.Generator | int = 0
) -> tuple[NDArray[DX], NDArray[DX], NDArray[DY], NDArray[DY]]:
    """Split the rows into a training set and a test set, stratified by class.

    Of a class of n rows, the integer nearest to `n * test_size` goes to the test set, but at least
    one row, and at least one goes to the training set. Both are shuffled; the same seed gives the
    same split.

    Parameters
    ----------
    X, y
        (n, ...) the examples and (n,) their classes, of any dtype.
    test_size
        The share of the test set, between 0 and 1, both exclusive.
    rng
        A Generator or a seed for the shuffle.

    Returns
    -------
    tuple
        (X_train, X_test, y_train, y_test), new arrays of the given dtypes, in scikit-learn's order.

    Raises
    ------
    ValueError
        X and y differ in length, y is not one label a row, there are no rows, test_size is out of
        range, or a class has one row only.

    >>> X, y, _ = iris()
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3)
    >>> np.bincount(y_train).tolist(), np.bincount(y_test).tolist()
    ([35, 35, 35], [15, 15, 15])
    """
    X, y = _paired(X, y)
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}: expected one label a row, shape ({len(y)},); "
            "turn one-hot rows into labels with y.argmax(axis=1)"
        )
    if check_real("test_size", test_size, 0, 1) in (0, 1):
        raise ValueError(
            f"test_size is {test_size!r}: expected a number between 0 and 1, both "
            "exclusive; to test on all rows or on none, use X and y as they are"
        )
    if len(y) == 0:
        raise ValueError("X and y have no rows: expected at least two of each class")
    try:
        classes, members = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"y holds what cannot be sorted into classes: {error}") from None
    counts = np.bincount(members)
    if counts.min() < 2:
        lone = int(counts.argmin())
        row = int(np.flatnonzero(members == lone)[0])
        raise ValueError(
            f"class {classes.tolist()[lone]!r} has a single row, row {row}: expected at least two "
            "of each class, one for each set; drop the row or add another"
        )

    rng = check_generator(rng)
    test_counts = np.clip(np.rint(counts * test_size).astype(int), 1, counts - 1)
    in_test = np.zeros(len(y), dtype=bool)
    for k, test_count in enumerate(test_counts):
        in_test[rng.permutation(np.flatnonzero(members == k))[:test_count]] = True
    order = rng.permutation(len(y))
    train, test = order[~in_test[order]], order[in_test[order]]
    return X[train], X[test], y[train], y[test]


def minibatches(
    X: NDArray[DX],
    y: NDArray[DY],
    batch_size: int,
    rng: np.random.Generator | int | None = None,
    drop_last: bool = False,
) -> Iterator[tuple[NDArray[DX], NDArray[DY]]]:
    """Iterate over the rows once, batch by batch.

    Parameters
    ----------
    X, y
        (n, ...) the examples and (n, ...) their targets.
    batch_size
        The rows of a batch; the last one has what is left.
    rng
        Shuffles the rows: a Generator gives another order at each call, a seed the same one. With
        None they keep their order.
    drop_last
        Leave out a last batch that is short, and so every batch when batch_size > n.

    Returns
    -------
    tuple
        An iterator over (X_batch, y_batch), new arrays of the given dtypes.

    Raises
    ------
    ValueError, TypeError
        X and y differ in length, or batch_size is not an integer of at least 1. The call itself
        raises, not the first iteration.

    >>> X, y = np.arange(5) * 10, np.arange(5)
    >>> [y_batch.tolist() for X_batch, y_batch in minibatches(X, y, batch_size=2)]
    [[0, 1], [2, 3], [4]]
    """
    X, y = _paired(X, y)
    batch_size = check_integer("batch_size", batch_size, 1)
    n = len(X)
    order = np.arange(n) if rng is None else check_generator(rng).permutation(n)
    stop = n - n % batch_size if check_flag("drop_last", drop_last) else n
    batches = (order[start : start + batch_size] for start in range(0, stop, batch_size))
    return ((X[rows], y[rows]) for rows in batches)


def standardize(X_train: NDArray[Real], *others: NDArray[Real]) -> tuple[NDArray[Real], ...]:
    """Shift and scale each column to mean 0 and standard deviation 1 over the training set.

    The other arrays are shifted and scaled by the same numbers, (x − mean) / std, so that nothing
    of the test set is learned. A column that is constant in X_train becomes 0 everywhere.

    Parameters
    ----------
    X_train
        (n, ...) a floating array; its mean and its std (ddof 0) over the rows are used.
    others
        (m, ...) more arrays with the same columns, such as the test set.

    Returns
    -------
    tuple
        (X_train, *others), standardized, new arrays of the given shapes and dtypes.

    Raises
    ------
    TypeError
        An array does not hold floats, whose dtype the result could not keep.
    ValueError
        X_train has no rows, or another array has other columns.

    >>> train, test = standardize(np.array([[1.0, 5.0], [3.0, 5.0]]), np.array([[4.0, 6.0]]))
    >>> train.tolist(), test.tolist()
    ([[-1.0, 0.0], [1.0, 0.0]], [[2.0, 0.0]])
    """
    arrays = [as_array(array, "standardize", copy=None) for array in (X_train, *others)]
    for position, array in enumerate(arrays):
        _check_part(position, array, columns=arrays[0].shape[1:])
    train = arrays[0]
    if len(train) == 0:
        raise ValueError(
            f"X_train has shape {train.shape}: expected at least one row to take the mean of"
        )

    wide = np.result_type(train.dtype, np.float64)
    mean, std = train.mean(axis=0, dtype=wide), train.std(axis=0, dtype=wide)
    # A rounded mean leaves a constant column with a tiny std, so equality is asked of the values.
    constant = (train.min(axis=0) == train.max(axis=0)) | (std == 0)
    scale = np.where(constant, 1, std)
    return tuple(
        np.where(constant, 0, (array - mean) / scale).astype(array.dtype) for array in arrays
    )


class _Parsed(NamedTuple):
    X: NDArray[np.float32]
    y: NDArray[np.int64]
    classes: tuple[str, ...]
    features: tuple[str, ...]


@cache
def _parse(filename: str) -> _Parsed:
    """Read a file of `datasets`: a remark, the column names, then rows that end in the class."""
    raw = (files("tinygrad_ce") / "datasets" / filename).read_bytes()
    text = (gzip.decompress(raw) if filename.endswith(".gz") else raw).decode()
    _remark, header, *rows = text.splitlines()
    cells, labels = zip(*(row.rsplit(",", 1) for row in rows), strict=True)
    X = np.loadtxt(cells, delimiter=",", dtype=np.float32)
    classes, y = np.unique(labels, return_inverse=True)
    *features, _class = header.split(",")
    return _Parsed(X, y.astype(np.int64), tuple(classes.tolist()), tuple(features))


def _copy_of(name: str) -> Dataset:
    parsed = _parse(_FILES[name])
    return parsed.X.copy(), parsed.y.copy(), parsed.classes


def _paired(X: NDArray[DX], y: NDArray[DY]) -> tuple[NDArray[DX], NDArray[DY]]:
    X, y = as_array(X, "X", copy=None), as_array(y, "y", copy=None)
    for name, array in (("X", X), ("y", y)):
        if array.ndim == 0:
            raise ValueError(f"{name} is a scalar: expected an array with one entry a row")
    if len(X) != len(y):
        raise ValueError(
            f"X has {len(X)} rows and y has {len(y)}: expected one target a row; "
            "check that both were cut from the same rows"
        )
    return X, y


def _check_part(position: int, array: NDArray[Any], columns: tuple[int, ...]) -> None:
    name = f"others[{position - 1}]" if position else "X_train"
    if not np.issubdtype(array.dtype, np.floating):
        raise TypeError(
            f"{name} has dtype {array.dtype}: expected a floating one, since standardized values "
            "are fractions; convert it first, as in X.astype(np.float32)"
        )
    if array.ndim == 0:
        raise ValueError(f"{name} is a scalar: expected an array with one entry a row")
    if array.shape[1:] != columns:
        raise ValueError(
            f"{name} has rows of shape {array.shape[1:]}: expected {columns}, as in X_train; "
            "give every part the same columns"
        )
