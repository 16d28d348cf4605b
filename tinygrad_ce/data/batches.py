"""Rows of examples: a training set and a test set of them, and batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..arguments import as_array, check_flag, check_generator, check_integer, check_real

DX = TypeVar("DX", bound=np.generic)
DY = TypeVar("DY", bound=np.generic)


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

    >>> from tinygrad_ce import data
    >>> X, y, _ = data.iris()
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
        (n, ...) the examples and (n, ...) their targets. An `np.memmap`, or what
        `np.load(path, mmap_mode="r")` returns, is read batch by batch, and may be larger than
        memory.
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
