"""What a network learns from: points with classes, and the plane in which they are seen."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import data
from ..arguments import as_numbers
from .network_settings import Settings
from .point_sets import POINT_SETS

Array = NDArray[Any]

MAX_ROWS = 20_000
MAX_FEATURES = 4_096
MAX_CLASSES = 100
MAX_FITTED = 2_000  # rows from which the plane is found


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A training set and, where there is one, a test set of it.

    X is (n, ...) float, y (n,) int64 with the classes that `class_names` has.
    """

    X: Array
    y: NDArray[np.int64]
    X_test: Array | None
    y_test: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    plane: Plane

    @property
    def n_features(self) -> int:
        """How many numbers an example has."""
        return int(np.prod(self.X.shape[1:]))

    @property
    def test_set(self) -> tuple[Array, NDArray[np.int64]] | None:
        """X and y of the test set, if there is one."""
        return None if self.X_test is None or self.y_test is None else (self.X_test, self.y_test)


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """The plane in which examples are seen: that of two features, or else of most variance.

    Attributes
    ----------
    origin, axes
        (d,) the point at 0, and (2, d) what is one to the right and one up.
    domain
        From left to right and from bottom to top, what is shown.
    names
        What the axes are.
    """

    origin: Array
    axes: Array
    domain: tuple[float, float, float, float]
    names: tuple[str, str]

    def project(self, X: Array) -> Array:
        """Return where examples are seen: (n, 2)."""
        return (X.reshape(len(X), -1) - self.origin) @ self.axes.T

    def grid(self, n: int) -> Array:
        """Return the examples in the middle of n × n cells, row by row from the top: (n², d)."""
        left, right, bottom, top = self.domain
        middles = (np.arange(n) + 0.5) / n
        across, down = left + (right - left) * middles, top - (top - bottom) * middles
        places = np.stack(np.meshgrid(across, down), -1).reshape(-1, 2)
        found: Array = places @ self.axes + self.origin
        return found


def make_problem(settings: Settings) -> Problem:
    """Draw, load or read what the settings say.

    Raises
    ------
    ValueError, TypeError
        A CSV file that cannot be read, or a class of one point.

    >>> problem = make_problem(Settings(points=40))
    >>> problem.X.shape, problem.X_test.shape, problem.class_names
    ((30, 2), (10, 2), ('0', '1'))
    """
    if settings.data == "drawn":
        return _drawn(settings)
    axes: tuple[str, ...] = ("x₀", "x₁")
    if settings.data == "csv":
        file = io.StringIO(settings.csv)
        file.name = settings.csv_name or "text"  # for messages
        table = data.as_table(file, settings.target)
        X, y, names = table.X.astype(np.float32), table.y, table.class_names
        axes = tuple(table.feature_names[:2])
    elif settings.data == "iris":
        X, y, names = data.iris()
        X, axes = X[:, [2, 3]], ("petal length, standardized", "petal width, standardized")
    elif settings.data == "digits":
        X, y, names = data.digits()
        X = X / np.float32(16)
    else:
        X, y = POINT_SETS[settings.data](settings.points, settings.noise, settings.data_seed)
        names = tuple(map(str, range(int(y.max()) + 1)))
    _check_size(X, names)
    X, X_test, y, y_test = data.train_test_split(X, y, rng=settings.data_seed)
    if settings.data in ("csv", "iris"):
        standardizer = data.Standardizer().fit(X)
        X, X_test = standardizer.transform(X), standardizer.transform(X_test)
    return Problem(X, y, X_test, y_test, names, find_plane(X, axes))


def _drawn(settings: Settings) -> Problem:
    points = np.array(settings.drawn, np.float32).reshape(-1, 3)
    if not len(points):
        raise ValueError("there are no points: draw some, or choose data")
    X, y = np.ascontiguousarray(points[:, :2]), points[:, 2].astype(np.int64)
    names = tuple(map(str, range(max(int(y.max()) + 1, 2))))
    # Which stays the same while points are drawn within it.
    reach = max(2.0, float(np.ceil(4 * float(np.abs(X).max()) + 0.2)) / 4)
    plane = Plane(np.zeros(2), np.eye(2), (-reach, reach, -reach, reach), ("x₀", "x₁"))
    return Problem(X, y, None, None, names, plane)


def given_problem(X: Any, y: Any) -> Problem:
    """Take a user's own examples, all of them for training.

    Parameters
    ----------
    X, y
        (n, ...) examples and (n,) their classes, from 0 on.

    Raises
    ------
    ValueError, TypeError
        They are no numbers, differ in length, or are too many.
    """
    X, y = as_numbers(X, "X"), as_numbers(y, "y", np.int64)
    if X.ndim < 2 or y.shape != X.shape[:1] or not len(y):
        raise ValueError(
            f"X has shape {X.shape} and y {y.shape}: expected (n, ...) examples and (n,) classes"
        )
    if y.min() < 0:
        raise ValueError(f"a class is {y.min()}: expected classes from 0 on")
    X = X if X.dtype.kind == "f" else X.astype(np.float32)
    names = tuple(map(str, range(max(int(y.max()) + 1, 2))))
    _check_size(X, names)
    return Problem(X, y, None, None, names, find_plane(X, ("x₀", "x₁")))


def _check_size(X: Array, names: tuple[str, ...]) -> None:
    sizes = {"rows": len(X), "features": X[0].size, "classes": len(names)}
    limits = {"rows": MAX_ROWS, "features": MAX_FEATURES, "classes": MAX_CLASSES}
    for what, size in sizes.items():
        if size > limits[what]:
            raise ValueError(f"the data have {size:,} {what}: at most {limits[what]:,} are shown")


def find_plane(X: Array, names: tuple[str, ...]) -> Plane:
    """Return the plane of two features, or through the mean along the first principal components.

    Parameters
    ----------
    X
        (n, ...) examples.
    names
        What two features are called.

    >>> X = np.array([[0.0, 0.0, 0.0], [3.0, 0.0, 4.0], [6.0, 0.0, 8.0]])
    >>> find_plane(X, ()).axes[0].round(1)
    array([0.6, 0. , 0.8])
    """
    rows = X.reshape(len(X), -1).astype(np.float64)
    d = rows.shape[1]
    if d <= 2:
        origin, axes = np.zeros(d), np.eye(2, d)
    else:
        origin = rows.mean(axis=0)
        some = rows[:: -(-len(rows) // MAX_FITTED)] - origin
        axes = np.linalg.svd(np.concatenate([some, np.zeros((2, d))]), full_matrices=False)[2][:2]
        largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], 1)
        axes = axes * np.sign(largest)
        names = tuple(f"{which} principal component" for which in ("1st", "2nd"))
    places = (rows - origin) @ axes.T
    low, high = places.min(axis=0), places.max(axis=0)
    margin = np.maximum(0.1 * (high - low), 0.1)
    low, high = low - margin, high + margin
    domain = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
    shown = names if len(names) == 2 and d > 1 else (names[0] if names else "x₀", "")
    return Plane(origin, axes, domain, shown)
