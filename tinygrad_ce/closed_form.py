"""The textbook's answers, in plain arrays. This module knows nothing of Tensor.

What backprop finds step by step, a person can find once on paper. These are the results, to hold
backprop against; `compare` in comparison.py does so.

Classes are on the last axis. A target is an array of integer labels, or of floating point
distributions of the shape of the logits. float16 is computed in float32, and rounded at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

Array = NDArray[Any]


def softmax(logits: ArrayLike) -> Array:
    """p = exp(z) / Σ exp(z) over the last axis.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    z = _floating(logits)
    e = np.exp(_shifted(_at_least_single(z)))
    p: Array = e / e.sum(-1, keepdims=True)
    return p.astype(z.dtype)


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


def nll_grad(probs: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Array:
    """∂L/∂p of L = -Σ y log p, the first factor of the chain: -1/p_t at a label t, 0 elsewhere.

    Parameters
    ----------
    probs
        Probabilities of shape (..., C).
    target
        Labels, or distributions y, for which it is -y/p.
    reduction
        Divided by the number of rows for "mean"; for "sum" and "none" it is not.

    >>> nll_grad([0.25, 0.75], 0)
    array([-4.,  0.])
    """
    t = _terms(probs, target)
    q = _reduced_coefficients(t, reduction)
    with np.errstate(divide="ignore"):  # the slope of log at 0 is inf
        gradient = np.divide(-q, t.z, out=np.zeros_like(q), where=q != 0)
    return gradient.astype(t.dtype)


def cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    reduction: str = "mean",
    *,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    """L = -Σ q_c log p_c of each row, and its sum or mean, with p = softmax(z).

    The coefficients are q_c = w_c ((1 - ε) y_c + ε / C): the target y, which is one-hot for a
    label, smoothed by ε and weighted by class; and 0 for a row that is ignored. Without any of
    these, L = log Σ exp(z) - z_t.

    Parameters
    ----------
    logits
        Shape (..., C).
    target
        Labels of shape (...), or distributions of shape (..., C).
    reduction
        "mean", "sum" or "none". The mean is Σ L_n / Σ w_{t_n} for labels, over the rows that are
        not ignored, and Σ L_n / N for distributions.
    weight
        w, of shape (C,).
    ignore_index
        The label whose rows are ignored.
    label_smoothing
        ε.

    Raises
    ------
    ValueError
        A target or weights of another shape, an unknown reduction.
    TypeError, IndexError
        Labels that are not integers, or out of range.

    >>> float(cross_entropy([0.0, 0.0], 1) / np.log(2))
    1.0
    """
    t = _terms(logits, target, weight, ignore_index, label_smoothing)
    shifted = _shifted(t.z)
    surprise = np.log(np.exp(shifted).sum(-1, keepdims=True)) - shifted
    surprise[(t.q == 0) & (surprise == np.inf)] = 0  # 0 log 0 is 0
    losses = (t.q * surprise).sum(-1)
    if reduction == "none":
        return losses.astype(t.dtype)
    total = losses.sum()
    if reduction == "mean":
        with np.errstate(invalid="ignore"):  # the mean of no rows is nan
            total = total / t.n_rows
    elif reduction != "sum":
        raise ValueError(_unknown(reduction))
    return total.astype(t.dtype)


def cross_entropy_grad(
    logits: ArrayLike,
    target: ArrayLike,
    reduction: str = "mean",
    *,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Array:
    """∂L/∂z = p Σ_c q_c - q, of the logits' shape: for labels, softmax(z) - one_hot(t).

    The coefficients q are those of `cross_entropy`, as are the parameters and errors; for a mean
    they are divided by what the mean divides by. For "none", it is the gradient of each row's loss
    by that row's logits.

    >>> cross_entropy_grad([0.0, 0.0], 1)
    array([ 0.5, -0.5])

    >>> cross_entropy_grad([0.0, 0.0], [0.75, 0.25])
    array([-0.25,  0.25])
    """
    t = _terms(logits, target, weight, ignore_index, label_smoothing)
    q = _reduced_coefficients(t, reduction)
    e = np.exp(_shifted(t.z))
    gradient: Array = e * (q.sum(-1, keepdims=True) / e.sum(-1, keepdims=True)) - q
    return gradient.astype(t.dtype)


def cross_entropy_hessian(logits: ArrayLike) -> Array:
    """∂²L/∂z_i∂z_j = diag(p) - p pᵀ, shape (C, C), whatever the label: one_hot(t) is constant.

    >>> cross_entropy_hessian([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    return softmax_jacobian(logits)


def batch_norm_grad(
    dout: ArrayLike, x: ArrayLike, gamma: ArrayLike, eps: float = 1e-5, ddof: int = 1
) -> Array:
    """∂L/∂x of y = γ x̂ + β, with x̂ = (x - μ)(σ² + ε)^-½ over the rows, in one expression.

    ∂L/∂x = γ (σ² + ε)^-½ (g - mean(g) - x̂ Σ g x̂ / (N - ddof)) with g = ∂L/∂y. The second term is
    what reaches x through μ, the third what reaches it through σ².

    Parameters
    ----------
    dout
        ∂L/∂y, of shape (N, n).
    x
        The rows before normalisation, of shape (N, n).
    gamma
        The scale γ, of shape (n,) or (1, n). The shift β does not matter.
    eps
        ε, added to the variance.
    ddof
        The variance σ² divides by N - ddof: 1 for the unbiased one, 0 for the biased one, with
        which PyTorch normalises.

    References
    ----------
    Karpathy, Building makemore part 4: becoming a backprop ninja, exercise 3.

    >>> batch_norm_grad([[1.0], [0.0]], [[0.0], [2.0]], [1.0], eps=2.0)
    array([[ 0.125],
           [-0.125]])
    """
    g, x, gamma = _floating(dout), _floating(x), _floating(gamma)
    if g.shape != x.shape or x.ndim != 2:
        raise ValueError(f"dout and x have the same shape (N, n), got {g.shape} and {x.shape}")
    n = len(x)
    centred = x - x.mean(0)
    inverse_std = ((centred**2).sum(0) / (n - ddof) + eps) ** -0.5
    x_hat = centred * inverse_std
    gradient: Array = (
        gamma * inverse_std * (g - g.mean(0) - x_hat * (g * x_hat).sum(0) / (n - ddof))
    )
    return gradient


# ── Logits, and the coefficients of their logarithms ──────────────────────────────────────────────


class _Terms(NamedTuple):
    """What L = -Σ q_c log p_c is made of.

    `z` are the logits, 0 in rows that are ignored, and `n_rows` is what a mean divides by. Both
    and `q` are at least float32; `dtype` is that of the result.
    """

    z: Array
    q: Array
    n_rows: Any
    dtype: DTypeLike


def _terms(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> _Terms:
    z, y = _floating(logits), np.asarray(target)
    labelled = y.dtype.kind != "f" or y.shape == z.shape[:-1]
    if y.shape != (z.shape[:-1] if labelled else z.shape) or not z.ndim:
        raise ValueError(
            f"logits of shape (..., C) need labels of shape (...) or distributions of shape "
            f"(..., C); got {z.shape}, and {y.dtype} of shape {y.shape}"
        )
    n_classes = z.shape[-1]
    w = np.ones(n_classes, z.dtype) if weight is None else _floating(weight)
    if w.shape != (n_classes,):
        raise ValueError(f"{n_classes} classes need as many weights, got shape {w.shape}")
    dtype = np.result_type(z, w) if labelled else np.result_type(z, w, y)
    z, w = (_at_least_single(x.astype(dtype)) for x in (z, w))
    keep = np.ones(z.shape[:-1], bool)
    n_rows: Any = keep.size
    if labelled:
        keep = np.not_equal(y, ignore_index) if ignore_index is not None else keep
        y = _labels(y, keep, n_classes)
        n_rows = w[y].sum(where=keep)
        y = y[..., None] == np.arange(n_classes)
    keep = keep[..., None]
    q = w * ((1 - label_smoothing) * y + label_smoothing / n_classes)
    return _Terms(np.where(keep, z, 0), np.where(keep, q, 0).astype(z.dtype), n_rows, dtype)


def _labels(t: Array, keep: Array, n_classes: int) -> Array:
    """The labels, if those that are kept are in range, and 0 for the others."""
    if t.dtype.kind not in "iu":
        raise TypeError(f"labels are integers, got {t.dtype}")
    t = np.where(keep, t, 0)
    if t.size and not (t.min() >= 0 and t.max() < n_classes):
        raise IndexError(f"labels run from 0 to {n_classes - 1}, got {t.min()} to {t.max()}")
    return t


def _reduced_coefficients(t: _Terms, reduction: str) -> Array:
    """q, divided by what a mean divides by: the coefficients of the reduced loss."""
    if reduction == "mean":
        q: Array = np.divide(t.q, t.n_rows, out=np.zeros_like(t.q), where=t.q != 0)
        return q
    if reduction not in ("sum", "none"):
        raise ValueError(_unknown(reduction))
    return t.q


def _unknown(reduction: str) -> str:
    return f"reduction is one of mean, sum, none, got {reduction!r}"


def _shifted(z: Array) -> Array:
    """z less its maximum, which changes no softmax and keeps exp from overflowing."""
    shifted: Array = z - z.max(-1, keepdims=True, initial=np.finfo(z.dtype).min)
    return shifted


def _floating(x: ArrayLike) -> Array:
    array = np.asarray(x)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _at_least_single(x: Array) -> Array:
    return x.astype(np.result_type(x.dtype, np.float32))
