"""Points in the plane, in classes that no straight line separates."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_generator, check_integer, check_real

Points: TypeAlias = tuple[NDArray[np.float32], NDArray[np.int64]]
Rng: TypeAlias = "np.random.Generator | int | None"
Curve: TypeAlias = Callable[[NDArray[np.float64], int], NDArray[np.float64]]


def two_moons(n: int, noise: float = 0.15, rng: Rng = 0) -> Points:
    """Draw points near two half circles, each of which reaches into the other.

    Parameters
    ----------
    n
        The number of points, divided among the classes as equally as can be.
    noise
        The standard deviation of what is added to each coordinate.
    rng
        A generator or a seed.

    Returns
    -------
    X, y
        (n, 2) float32, about between -1.5 and 1.5, and (n,) int64, the classes.

    Raises
    ------
    ValueError, TypeError
        n is no integer above 1, or noise no number of at least 0.

    >>> X, y = two_moons(100)
    >>> X.shape, np.bincount(y).tolist()
    ((100, 2), [50, 50])
    """

    def moon(t: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        side = 1 - 2 * label
        angle = np.pi * t
        return np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], 1) * side

    return _near_curves(moon, 2, n, noise, rng)


def circles(n: int, noise: float = 0.1, rng: Rng = 0) -> Points:
    """Draw points near two circles around the origin, of radius 0.5 and 1.2.

    Parameters, results and errors are those of `two_moons`.

    >>> X, y = circles(100, noise=0)
    >>> np.hypot(*X.T)[:4].round(3)
    array([0.5, 1.2, 0.5, 1.2], dtype=float32)
    """

    def circle(t: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        angle = 2 * np.pi * t
        return np.stack([np.cos(angle), np.sin(angle)], 1) * (0.5, 1.2)[label]

    return _near_curves(circle, 2, n, noise, rng)


def spirals(n: int, noise: float = 0.05, rng: Rng = 0, arms: int = 3) -> Points:
    """Draw points near the arms of a spiral, one class each.

    Parameters, results and errors are those of `two_moons`; `arms` is at least 2.

    >>> X, y = spirals(90)
    >>> np.bincount(y).tolist()
    [30, 30, 30]
    """
    check_integer("arms", arms, 2)

    def arm(t: NDArray[np.float64], label: int) -> NDArray[np.float64]:
        angle = 2 * np.pi * (0.75 * t + label / arms)
        return np.stack([np.cos(angle), np.sin(angle)], 1) * (0.1 + 1.3 * t)[:, None]

    return _near_curves(arm, arms, n, noise, rng)


POINT_SETS: dict[str, Callable[..., Points]] = {
    "two_moons": two_moons, "circles": circles, "spirals": spirals,
}  # fmt: skip
"""The functions above by name."""


def _near_curves(curve: Curve, classes: int, n: int, noise: float, rng: Rng) -> Points:
    """Points at even distances along one curve a class, and noise."""
    check_integer("n", n, classes)
    check_real("noise", noise, 0)
    y = np.arange(n) % classes
    X = np.empty((n, 2))
    for label in range(classes):
        count = int((y == label).sum())
        X[y == label] = curve(np.linspace(0, 1, count), label)
    X += check_generator(rng).normal(0, noise, X.shape)
    return X.astype(np.float32), y.astype(np.int64)
