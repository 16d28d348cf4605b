"""Two small data sets, as NumPy arrays.

The files are in the package's folder `datasets`; its SOURCES.md says where they come from.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_choice

Dataset: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64], tuple[str, ...]]


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
