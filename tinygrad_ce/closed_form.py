"""The textbook's answers, in plain arrays. This module knows nothing of Tensor.

What backprop finds step by step, a person can find once on paper. These are the results, to hold
backprop against; `compare` in check.py does so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def softmax(logits: ArrayLike) -> Array:
    """p = exp(z) / Σ exp(z) over the last axis.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    z = _floating(logits)
    e = np.exp(z - z.max(-1, keepdims=True, initial=np.finfo(z.dtype).min))
    p: Array = e / e.sum(-1, keepdims=True)
    return p


def cross_entropy(logits: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Any:
    """L = log Σ exp(z) - z_t, the loss of each row, and its mean or sum.

    Parameters
    ----------
    logits
        Shape (N, C), or (C,) for one row.
    target
        Integer labels of shape (N,), or one label.
    reduction
        "mean", "sum" or "none".

    >>> float(cross_entropy([0.0, 0.0], 1) / np.log(2))
    1.0
    """
    z, t = _rows(logits, target)
    shifted = z - z.max(-1, keepdims=True, initial=np.finfo(z.dtype).min)
    losses = np.log(np.exp(shifted).sum(-1)) - shifted[np.arange(len(t)), t]
    if reduction == "none":
        return losses.reshape(np.shape(target))
    return _reduced(losses.sum(), len(t), reduction)


def cross_entropy_grad(logits: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Array:
    """∂L/∂z = softmax(z) - one_hot(t), of the logits' shape; divided by N for a mean.

    For "none", it is the gradient of each row's loss by that row's logits.

    >>> cross_entropy_grad([0.0, 0.0], 1)
    array([ 0.5, -0.5])
    """
    _, t = _rows(logits, target)
    gradient = softmax(logits)
    rows = np.atleast_2d(gradient)
    rows[np.arange(len(t)), t] -= 1
    if reduction == "none":
        return gradient
    return _reduced(gradient, len(t), reduction)


def softmax_jacobian(logits: ArrayLike) -> Array:
    """∂p_i/∂z_j = p_i (1 - p_i) for i = j, and -p_i p_j for i ≠ j: diag(p) - p pᵀ, shape (C, C).

    >>> softmax_jacobian([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    p = softmax(logits)
    if p.ndim != 1:
        raise ValueError(f"softmax_jacobian is of one row of logits, (C,), got shape {p.shape}")
    jacobian: Array = np.subtract(np.diag(p), np.outer(p, p))
    return jacobian


def cross_entropy_hessian(logits: ArrayLike) -> Array:
    """∂²L/∂z_i∂z_j = diag(p) - p pᵀ, shape (C, C), whatever the label: one_hot(t) is constant.

    >>> cross_entropy_hessian([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    return softmax_jacobian(logits)


def _reduced(total: Array, n: int, reduction: str) -> Array:
    if reduction == "sum":
        return total
    if reduction == "mean":
        with np.errstate(invalid="ignore"):  # the mean of no rows is nan
            return total / n
    raise ValueError(f"reduction is one of mean, sum, none, got {reduction!r}")


def _floating(logits: ArrayLike) -> Array:
    z = np.asarray(logits)
    return z if z.dtype.kind == "f" else z.astype(np.float64)


def _rows(logits: ArrayLike, target: ArrayLike) -> tuple[Array, Array]:
    """Logits as (N, C) and labels as (N,)."""
    z, t = _floating(logits), np.asarray(target)
    if z.ndim not in (1, 2) or t.shape != z.shape[:-1]:
        raise ValueError(
            f"logits of shape (N, C) need labels of shape (N,), and (C,) a single one; "
            f"got {z.shape} and {t.shape}"
        )
    if t.dtype.kind not in "iu":
        raise TypeError(f"labels are integers, got {t.dtype}")
    if t.size and not (t.min() >= 0 and t.max() < z.shape[-1]):
        raise IndexError(f"labels run from 0 to {z.shape[-1] - 1}, got {t.min()} to {t.max()}")
    return np.atleast_2d(z), np.atleast_1d(t)
