"""Softmax, its logarithm and its normaliser, composed of exp, sum, log and max.

Nothing here has a derivative of its own: what backprop finds, it finds through the primitives. The
maximum that is subtracted before exp is held constant. That changes no derivative, of any order,
since the result does not depend on it; it only keeps exp from overflowing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from ..engine import primitives as p
from ..engine.context import scope
from ..engine.tensor import Tensor, apply_unary, run_check
from . import validation


@scope("softmax")
def softmax(x: Any, axis: int = -1) -> Tensor:
    """exp(x) / Σ exp(x) along an axis: positive, and summing to 1.

    Parameters
    ----------
    x
        Logits, of any shape and floating point dtype.
    axis
        The axis of the classes.

    >>> softmax(Tensor([0.0, 0.0, -np.inf]))
    Tensor([0.5, 0.5, 0. ])
    """
    z = validation.floating(x)
    e = (z - max_constant(z, axis)).exp()
    return e / e.sum(axis, keepdims=True)


@scope("log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """The logarithm of softmax(x), without forming it: finite where softmax underflows to 0.

    >>> log_softmax(Tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    z = validation.floating(x)
    shifted = z - max_constant(z, axis)
    return shifted - shifted.exp().sum(axis, keepdims=True).log()


@scope("logsumexp")
def logsumexp(x: Any, axis: int = -1, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) along an axis; -inf where all of it is -inf. Its gradient is softmax(x).

    >>> logsumexp(Tensor([1000.0, 1000.0]))
    Tensor(1000.69314718)
    """
    z = validation.floating(x)
    peak = max_constant(z, axis)
    total = (z - peak).exp().sum(axis, keepdims=True).log() + peak
    return total if keepdims else total.squeeze(axis)


def one_hot(target: Any, n_classes: int, dtype: Any = np.float64) -> Tensor:
    """Rows of zeros with a 1 at the label: shape (*target.shape, n_classes).

    Raises
    ------
    TypeError, IndexError
        Labels that are not integers, or out of range.

    >>> one_hot([1, 0], 3)
    Tensor([[0., 1., 0.],
            [1., 0., 0.]])
    """
    t = validation.integers_or_floats(target)
    run_check(validation.check_range, t, n_classes)
    return is_label(t, n_classes).astype(dtype)


def max_constant(x: Tensor, axis: int) -> Tensor:
    """The maximum along an axis, held constant, and finite where all of x is -inf."""
    return apply_unary(p.max_constant, x, axis, _lowest(x.dtype))


@cache
def _lowest(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).min)


def is_label(t: Tensor, n_classes: int) -> Tensor:
    """[t = c] for each class c: booleans of shape (*t.shape, C)."""
    return t.expand_dims(-1) == np.arange(n_classes)
