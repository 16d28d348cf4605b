"""Softmax and cross-entropy, composed of exp, sum, log, max and indexing.

Nothing here has a derivative of its own: what backprop finds, it finds through the primitives. The
maximum that is subtracted before exp is held constant. That changes no derivative, of any order,
since the result does not depend on it; it only keeps exp from overflowing.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np

from . import primitives as p
from .modes import scope
from .tensor import Array, Tensor, as_tensor, of_one

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")


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
    z = as_tensor(x)
    e = (z - _shift(z, axis)).exp()
    return e / e.sum(axis, keepdims=True)


@scope("log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    """The logarithm of softmax(x), without forming it: finite where softmax underflows to 0.

    >>> log_softmax(Tensor([0.0, 1000.0]))
    Tensor([-1000.,     0.])
    """
    z = as_tensor(x)
    shifted = z - _shift(z, axis)
    return shifted - shifted.exp().sum(axis, keepdims=True).log()


@scope("logsumexp")
def logsumexp(x: Any, axis: int = -1, keepdims: bool = False) -> Tensor:
    """log Σ exp(x) along an axis; -inf where all of it is -inf. Its gradient is softmax(x).

    >>> logsumexp(Tensor([1000.0, 1000.0]))
    Tensor(1000.69314718)
    """
    z = as_tensor(x)
    shift = _shift(z, axis)
    total = (z - shift).exp().sum(axis, keepdims=True).log() + shift
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
    labels = _labels(np.asarray(target), n_classes)
    return (as_tensor(labels).expand_dims(-1) == np.arange(n_classes)).astype(dtype)


@scope("cross_entropy")
def cross_entropy(
    logits: Any, target: Any, *, axis: int = -1, reduction: Reduction = "mean"
) -> Tensor:
    """The cross-entropy of softmax(logits) against labels: -log of the label's probability.

    With the largest logit subtracted first, it is log Σ exp(z) - z_t. Its gradient, which generic
    backprop finds, is softmax(z) - one_hot(t), divided by the number of rows for a mean.

    Parameters
    ----------
    logits
        Unnormalised log-probabilities, floating point, of shape (..., C) or (C,). A logit of -inf
        is a class that cannot be.
    target
        Labels: integers in [0, C), of the shape of the logits without the class axis.
    axis
        The axis of the classes.
    reduction
        "mean" over all rows, their "sum", or "none".

    Returns
    -------
    Tensor
        0-d, or of the target's shape for "none". The mean of no rows is nan.

    Raises
    ------
    TypeError
        Logits that are not floating point, labels that are not integers.
    ValueError
        A target of another shape, no class, an unknown reduction.
    IndexError
        A label out of range. Labels never wrap around.

    Examples
    --------
    >>> logits = Tensor([[2.0, 1.0, 0.1]], requires_grad=True)
    >>> loss = cross_entropy(logits, [0])
    >>> loss.backward()
    >>> logits.grad + [[1, 0, 0]]
    array([[0.659..., 0.242..., 0.098...]])
    >>> softmax(logits).data
    array([[0.659..., 0.242..., 0.098...]])
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is one of {', '.join(REDUCTIONS)}, got {reduction!r}")
    z = _classes_last(_logits(logits), axis)
    t = _target(target, z)
    if z.ndim > 2:
        loss = _losses(z.reshape(-1, z.shape[-1]), t.reshape(-1))
    else:
        loss = _losses(z, t)
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    return loss.reshape(t.shape) if z.ndim > 2 else loss


def _losses(z: Tensor, t: Tensor) -> Tensor:
    """The loss of each row of logits (N, C) with labels (N,), or of one row (C,) with one label."""
    shifted = z - _shift(z, -1)
    at_label = (np.arange(z.shape[0]), t) if z.ndim == 2 else t
    return shifted.exp().sum(-1).log() - shifted[at_label]


def _shift(x: Tensor, axis: int) -> Tensor:
    """The maximum along an axis, held constant, and finite where all of x is -inf."""
    return of_one(p.peak, x, axis, _lowest(x.dtype))


@cache
def _lowest(dtype: np.dtype[Any]) -> float:
    return float(np.finfo(dtype).min)


# ── What cross_entropy accepts ────────────────────────────────────────────────────────────────────


def _logits(logits: Any) -> Tensor:
    z = as_tensor(logits)
    if z.dtype.kind != "f":
        raise TypeError(
            f"logits are floating point, got {z.dtype}: convert them with astype(float)"
        )
    if z.ndim == 0:
        raise ValueError("logits have a class axis, got a single number: a shape (C,) or (..., C)")
    return z


def _classes_last(z: Tensor, axis: int) -> Tensor:
    if axis in (-1, z.ndim - 1):
        return z
    if not -z.ndim <= axis < z.ndim:
        raise ValueError(f"axis {axis} is out of range for logits of shape {z.shape}")
    rest = [a for a in range(z.ndim) if a != axis % z.ndim]
    return z.transpose(*rest, axis)


def _target(target: Any, z: Tensor) -> Tensor:
    t = as_tensor(target if isinstance(target, Tensor) else np.asarray(target))
    if t.shape != z.shape[:-1]:
        raise ValueError(
            f"logits of shape {z.shape} (classes last) need one label a row, "
            f"a target of shape {z.shape[:-1]}; got {t.shape}"
        )
    _labels(t._value, z.shape[-1])
    return t


def _labels(labels: Array, n_classes: int) -> Array:
    """The labels, if each is an integer in [0, n_classes)."""
    if labels.dtype.kind not in "iu":
        raise TypeError(
            f"labels are integers from 0 to {n_classes - 1}, got {labels.dtype}: "
            "convert them with astype(int)"
        )
    # Read as unsigned, a negative label is a huge one: one comparison finds both.
    unsigned = labels.view(f"u{labels.dtype.itemsize}")
    if labels.size and np.maximum.reduce(unsigned, None) >= n_classes:
        row = tuple(int(i) for i in np.argwhere(unsigned >= n_classes)[0])
        where = f" at row {row[0] if len(row) == 1 else row}" if row else ""
        raise IndexError(
            f"target {labels[row]}{where} is out of range for {n_classes} classes: "
            f"labels run from 0 to {n_classes - 1}"
        )
    return labels
