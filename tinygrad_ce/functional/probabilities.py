"""Softmax, its logarithm and its normalizer, composed of exp, sum, log and max.

Nothing here has a derivative of its own: what backprop finds, it finds through the primitives. The
maximum that is subtracted before exp is held constant. That changes no derivative, of any order,
since the result does not depend on it; it only keeps exp from overflowing. float16 is computed in
float32, and rounded at the end.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import check_flag, check_integer
from ..engine import primitives as p
from ..engine.context import scope
from ..engine.operations import where
from ..engine.tensor import Tensor, apply_unary, run_check
from ..other_names import numpy_keywords
from . import validation


@scope("softmax")
@numpy_keywords
def softmax(x: Any, axis: int = -1) -> Tensor:
    """Return exp(x) / Σ exp(x) along an axis: positive, and summing to 1.

    Parameters
    ----------
    x
        Logits, floating point of any shape. The result has its shape and dtype.
    axis
        The axis of the classes.

    Raises
    ------
    TypeError
        Logits that are not floating point.

    >>> softmax(Tensor([0.0, 0.0, -np.inf]))
    Tensor([0.5, 0.5, 0. ])
    """
    logits = validation.as_floating(x)
    z = at_least_float32(logits)
    e = (z - max_constant(z, axis)).exp()
    return round_to(e / e.sum(axis, keepdims=True), logits.dtype)


@scope("log_softmax")
@numpy_keywords
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """Return log softmax(x) without forming softmax(x): finite where that underflows to 0.

    Parameters, shape, dtype and errors are those of `softmax`.

    >>> log_softmax(Tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    logits = validation.as_floating(x)
    z = at_least_float32(logits)
    shifted = z - max_constant(z, axis)
    return round_to(shifted - shifted.exp().sum(axis, keepdims=True).log(), logits.dtype)


@scope("logsumexp")
@numpy_keywords
def logsumexp(x: Any, axis: int = -1, keepdims: bool = False) -> Tensor:
    """Return log Σ exp(x) along an axis, without overflow. Its gradient is softmax(x).

    At infinity, value and gradient are limits: where an element is +inf, or all are -inf, the
    result is that largest element, and the gradient is shared equally by those that equal it.

    Parameters
    ----------
    x
        Floating point of any shape.
    axis
        The axis to sum over.
    keepdims
        Whether this axis stays, with length 1.

    Raises
    ------
    TypeError
        An x that is not floating point.

    >>> logsumexp(Tensor([1000.0, 1000.0]))
    Tensor(1000.69314718)
    """
    logits = validation.as_floating(x)
    z = at_least_float32(logits)
    largest = z.max(axis, keepdims=True)
    limit = abs(largest.detach()) == np.inf
    z = where(limit, 0, z)
    m = max_constant(z, axis)
    total = where(limit, largest, (z - m).exp().sum(axis, keepdims=True).log() + m)
    return round_to(
        total if check_flag("keepdims", keepdims) else total.squeeze(axis), logits.dtype
    )


@numpy_keywords
def one_hot(target: Any, n_classes: int, dtype: DTypeLike = np.float64) -> Tensor:
    """Return rows of zeros with a 1 at the label.

    Parameters
    ----------
    target
        Labels, integers in [0, n_classes) of any shape.
    n_classes
        The length C of a row: the result has the shape (*target.shape, C).
    dtype
        Of the result.

    Raises
    ------
    TypeError, IndexError
        Labels that are not integers, or out of range.

    >>> one_hot([1, 0], 3)
    Tensor([[0., 1., 0.],
            [1., 0., 0.]])
    """
    t = validation.as_integers_or_floats(target)
    n_classes = check_integer("n_classes", n_classes, 0)
    run_check(validation.check_range, t, n_classes)
    return is_label(t, n_classes).astype(dtype)


def max_constant(x: Tensor, axis: int) -> Tensor:
    """Return the maximum along an axis, held constant, and finite where all of x is -inf."""
    axis = check_integer("axis", axis) if type(axis) is not int else axis
    return apply_unary(p.max_constant, x, axis, _lowest(x.dtype))


@cache
def _lowest(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).min)


def at_least_float32(x: Tensor) -> Tensor:
    """Return x, as float32 where it is float16: in that, sums overflow, and 4096 + 1 is 4096."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def round_to(x: Tensor, dtype: np.dtype[Any]) -> Tensor:
    """Return x in this dtype."""
    return x if x.dtype == dtype else x.astype(dtype)


def is_label(t: Tensor, n_classes: int) -> Tensor:
    """Return [t = c] for each class c: booleans of shape (*t.shape, C)."""
    return t.expand_dims(-1) == np.arange(n_classes)
