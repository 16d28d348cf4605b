"""What is shown of a layer: histograms, and which units hardly learn.

Which units these are is decided by the derivative of the activation: where tanh is beyond ±0.97,
its derivative 1 − y² is below 0.06, and where a ReLU is 0, it is 0. Histograms, and the ratio of
update to data, are those of part 3 of makemore, Andrej Karpathy's lectures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BINS = 40
SATURATED = 0.97  # of tanh; a sigmoid is (1 + tanh(x/2)) / 2

ACTIVATIONS = ("tanh", "relu", "sigmoid")
LIMITS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}


def histogram(array: Array, limits: tuple[float, float] | None = None) -> dict[str, Any]:
    """Count the finite elements in bins of equal width.

    Parameters
    ----------
    array
        Of any shape.
    limits
        Where the first bin begins and the last one ends; left out, so that 0 is in the middle and
        no element outside.

    Returns
    -------
    dict
        `low`, `high` and `counts`.

    >>> histogram(np.array([-1.0, 0.1, 0.1]))["counts"].index(2), BINS
    (22, 40)
    """
    numbers = array[np.isfinite(array)]
    largest = float(np.abs(numbers).max()) if numbers.size else 0.0
    low, high = limits or (-largest or -1.0, largest or 1.0)
    scaled = (numbers.astype(np.float64) - low) * (BINS / (high - low))
    bins = np.clip(scaled, 0, BINS - 1).astype(np.int64)
    return {"low": low, "high": high, "counts": np.bincount(bins, minlength=BINS).tolist()}


def saturated(activation: str, y: Array) -> NDArray[np.bool_]:
    """Return where an activation hardly passes a gradient on, from its output.

    >>> saturated("tanh", np.array([0.0, -0.99, 0.9])).tolist()
    [False, True, False]
    """
    if activation == "relu":
        stopped = y == 0
    else:
        stopped = np.abs(y if activation == "tanh" else 2 * y - 1) > SATURATED
    return np.asarray(stopped, bool)


def derivative(activation: str, y: Array) -> Array:
    """Return the derivative of an activation, from its output: what backprop multiplies by.

    >>> derivative("tanh", np.array([0.0, -0.5, 1.0])).tolist()
    [1.0, 0.75, 0.0]
    """
    if activation == "relu":
        return (y > 0).astype(y.dtype)
    return 1 - y * y if activation == "tanh" else y * (1 - y)


def layer_statistics(activation: str, y: Array) -> dict[str, Any]:
    """Summarize the output of an activation for many examples.

    Parameters
    ----------
    activation
        One of `ACTIVATIONS`.
    y
        (n, ...) the output, a row for each example.

    Returns
    -------
    dict
        `mean` and `std`; `derivative`, the mean of the derivative; `saturated`, the share of
        outputs that hardly pass a gradient on; `dead`, the share of units of which no output does;
        and the histogram.

    >>> found = layer_statistics("relu", np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> found["saturated"], found["dead"]
    (0.75, 0.5)
    """
    stopped = saturated(activation, y)
    limits = LIMITS.get(activation)
    if activation == "relu":
        limits = 0.0, max(float(y.max(initial=0)), 1e-6)
    return {
        "mean": _finite(y.mean()),
        "std": _finite(y.std()),
        "derivative": _finite(derivative(activation, y).mean()),
        "saturated": float(stopped.mean()),
        "dead": float(stopped.all(axis=0).mean()),
        "histogram": histogram(y, limits if limits is None or np.isfinite(limits[1]) else None),
    }


def update_ratio(before: Array, after: Array) -> float | None:
    """Return log₁₀ of the standard deviation of an update over that of what is updated.

    None where it is no number: of constant weights, for instance.

    >>> round(update_ratio(np.array([1.0, -1.0]), np.array([1.001, -1.001])), 6)
    -3.0
    """
    data, update = float(before.std()), float((after - before).std())
    if not (data > 0 and update > 0 and np.isfinite(data) and np.isfinite(update)):
        return None
    return float(np.log10(update / data))


def _finite(number: Any) -> float | None:
    return float(number) if np.isfinite(number) else None
