"""Derivatives as the textbook writes them, in plain arrays. This module knows nothing of Tensor.

What backprop finds step by step, a person can find once on paper. These are the results, to compare
those of backprop with, as `tinygrad_ce.compare` does.

Classes are on the last axis. A target is an array of integer labels, or of floating point
distributions of the shape of the logits. float16 is computed in float32, and rounded at the end.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .arguments import as_numbers, check_choice, check_integer, check_real

__all__ = [
    "softmax",
    "softmax_jacobian",
    "nll_grad",
    "cross_entropy",
    "cross_entropy_grad",
    "cross_entropy_hessian",
    "batch_norm_grad",
]


def __dir__() -> list[str]:
    return __all__


Array = NDArray[Any]

REDUCTIONS = ("mean", "sum", "none")


def softmax(logits: ArrayLike) -> Array:
    """Return p = exp(z) / Σ exp(z) over the last axis.

    >>> softmax([0.0, 0.0])
    array([0.5, 0.5])
    """
    z = _as_floating(logits, "logits")
    e = np.exp(_shift(_at_least_float32(z)))
    p: Array = e / e.sum(-1, keepdims=True)
    return p.astype(z.dtype)


def softmax_jacobian(logits: ArrayLike) -> Array:
    """Return ∂p_i/∂z_j = p_i (1 - p_i) for i = j, -p_i p_j for i ≠ j: diag(p) - p pᵀ, (C, C).

    Raises
    ------
    ValueError
        Logits that are not one row, of shape (C,).

    >>> softmax_jacobian([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    p = softmax(logits)
    if p.ndim != 1:
        raise ValueError(f"softmax_jacobian takes one row of logits, (C,), got shape {p.shape}")
    jacobian: Array = np.subtract(np.diag(p), np.outer(p, p))
    return jacobian


def nll_grad(probs: ArrayLike, target: ArrayLike, reduction: str = "mean") -> Array:
    """Return ∂L/∂p of L = -Σ y log p: -1/p_t at a label t, 0 elsewhere.

    Parameters
    ----------
    probs
        Probabilities of shape (..., C).
    target
        Labels, or distributions y, for which it is -y/p.
    reduction
        "mean", which divides by the number of rows, "sum" or "none", which do not.

    Raises
    ------
    ValueError, TypeError, IndexError
        As `cross_entropy`.

    >>> nll_grad([0.25, 0.75], 0)
    array([-4.,  0.])
    """
    check_choice("reduction", reduction, REDUCTIONS)
    t = _terms(probs, target)
    q = _reduce_coefficients(t, reduction)
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
    """Return L = -Σ q_c log p_c, in nats, of each row, or its sum or mean; p = softmax(z).

    The coefficients are q_c = w_c ((1 - ε) y_c + ε / C): the target y, which is one-hot for a
    label, smoothed by ε and weighted by class; and 0 in a row that is ignored. Without any of
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
        A target or weights of another shape, or an unknown reduction.
    TypeError, IndexError
        Labels that are not integers, or out of range.

    >>> float(cross_entropy([0.0, 0.0], 1) / np.log(2))
    1.0
    """
    check_choice("reduction", reduction, REDUCTIONS)
    t = _terms(logits, target, weight, ignore_index, label_smoothing)
    shifted = _shift(t.z)
    neg_log_prob = np.log(np.exp(shifted).sum(-1, keepdims=True)) - shifted
    neg_log_prob[(t.q == 0) & (neg_log_prob == np.inf)] = 0  # 0 log 0 is 0
    losses = (t.q * neg_log_prob).sum(-1)
    if reduction == "none":
        return losses.astype(t.dtype)
    total = losses.sum()
    if reduction == "mean":
        with np.errstate(invalid="ignore"):  # the mean of no rows is nan
            total = total / t.divisor
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
    """Return ∂L/∂z = p Σ_c q_c - q, of the logits' shape: for labels, softmax(z) - one_hot(t).

    It is computed in just these steps, and so independently of how backprop finds it: the two may
    differ by a rounding, about 1e-16. Where p_t is almost 1, subtracting 1 leaves that rounding
    and little else.

    Parameters
    ----------
    logits, target, weight, ignore_index, label_smoothing
        As `cross_entropy`, with the same errors; so are the coefficients q.
    reduction
        For "mean", it is divided by what the mean divides by. For "none", the gradient is that of
        each row's loss with respect to the logits of this row.

    >>> cross_entropy_grad([0.0, 0.0], 1)
    array([ 0.5, -0.5])

    >>> cross_entropy_grad([0.0, 0.0], [0.75, 0.25])
    array([-0.25,  0.25])
    """
    check_choice("reduction", reduction, REDUCTIONS)
    t = _terms(logits, target, weight, ignore_index, label_smoothing)
    gradient: Array = softmax(t.z) * t.q.sum(-1, keepdims=True) - t.q
    if reduction == "mean":  # what does not count is 0, also in a mean of nothing
        counts = (t.q != 0).any(-1, keepdims=True)
        gradient = np.divide(gradient, t.divisor, out=np.zeros_like(gradient), where=counts)
    rounded: Array = gradient.astype(t.dtype)
    return rounded


def cross_entropy_hessian(logits: ArrayLike) -> Array:
    """Return ∂²L/∂z_i∂z_j = diag(p) - p pᵀ, (C, C), for any label: one_hot(t) is constant.

    >>> cross_entropy_hessian([0.0, 0.0])
    array([[ 0.25, -0.25],
           [-0.25,  0.25]])
    """
    return softmax_jacobian(logits)


def batch_norm_grad(
    dout: ArrayLike, x: ArrayLike, gamma: ArrayLike, eps: float = 1e-5, ddof: int = 1
) -> Array:
    """Return ∂L/∂x of y = γ x̂ + β, with x̂ = (x - μ)(σ² + ε)^-½ over the rows.

    ∂L/∂x = γ (σ² + ε)^-½ (g - mean(g) - x̂ Σ g x̂ / (N - ddof)) with g = ∂L/∂y. The second term
    passes through μ, the third through σ².

    Parameters
    ----------
    dout
        ∂L/∂y, of shape (N, n).
    x
        The rows before normalization, of shape (N, n).
    gamma
        The scale γ, of shape (n,) or (1, n). The shift β does not matter.
    eps
        ε, added to the variance.
    ddof
        The variance σ² divides by N - ddof: 1 for the unbiased one, 0 for the biased one, which
        PyTorch uses.

    Raises
    ------
    ValueError
        dout and x of unequal shapes, or not 2-d.

    References
    ----------
    Karpathy, Building makemore part 4: becoming a backprop ninja, exercise 3.

    >>> batch_norm_grad([[1.0], [0.0]], [[0.0], [2.0]], [1.0], eps=2.0)
    array([[ 0.125],
           [-0.125]])
    """
    g, x, gamma = _as_floating(dout, "dout"), _as_floating(x, "x"), _as_floating(gamma, "gamma")
    eps, ddof = check_real("eps", eps, 0), check_integer("ddof", ddof, 0)
    if g.shape != x.shape or x.ndim != 2:
        raise ValueError(f"dout and x have the same shape (N, n), got {g.shape} and {x.shape}")
    n = len(x)
    if gamma.shape not in (x.shape[1:], (1, *x.shape[1:])):
        raise ValueError(f"gamma has the shape {x.shape[1:]} of a row of x, got {gamma.shape}")
    centered = x - x.mean(0)
    inverse_std = ((centered**2).sum(0) / (n - ddof) + eps) ** -0.5
    x_hat = centered * inverse_std
    gradient: Array = (
        gamma * inverse_std * (g - g.mean(0) - x_hat * (g * x_hat).sum(0) / (n - ddof))
    )
    return gradient


# ── Logits, and the coefficients of their logarithms ──────────────────────────────────────────────


class _Terms(NamedTuple):
    """The parts of L = -Σ q_c log p_c.

    `z` are the logits, 0 in rows that are ignored, and `divisor` is that of a mean. Both and `q`
    are at least float32; `dtype` is that of the result.
    """

    z: Array
    q: Array
    divisor: Any
    dtype: DTypeLike


def _terms(
    logits: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> _Terms:
    z, y = _as_floating(logits, "logits"), as_numbers(target, "a target", copy=None)
    check_real("label_smoothing", label_smoothing, 0, 1)
    labelled = y.dtype.kind != "f" or y.shape == z.shape[:-1]
    if y.shape != (z.shape[:-1] if labelled else z.shape) or not z.ndim:
        raise ValueError(
            f"logits of shape (..., C) need labels of shape (...) or distributions of shape "
            f"(..., C); got {z.shape}, and {y.dtype} of shape {y.shape}"
        )
    n_classes = z.shape[-1]
    w = np.ones(n_classes, z.dtype) if weight is None else _as_floating(weight, "class weights")
    if w.shape != (n_classes,):
        raise ValueError(f"{n_classes} classes need as many weights, got shape {w.shape}")
    dtype = np.result_type(z, w) if labelled else np.result_type(z, w, y)
    z, w = (_at_least_float32(x.astype(dtype)) for x in (z, w))
    keep = np.ones(z.shape[:-1], bool)
    divisor: Any = keep.size
    if labelled:
        if ignore_index is not None:
            keep = np.not_equal(y, check_integer("ignore_index", ignore_index))
        y = _labels(y, keep, n_classes)
        divisor = w[y].sum(where=keep)
        y = y[..., None] == np.arange(n_classes)
    keep = keep[..., None]
    q = w * ((1 - label_smoothing) * y + label_smoothing / n_classes)
    return _Terms(np.where(keep, z, 0), np.where(keep, q, 0).astype(z.dtype), divisor, dtype)


def _labels(t: Array, keep: Array, n_classes: int) -> Array:
    """Labels that are kept, if they are in range, and 0 for the others."""
    if t.dtype.kind not in "iu":
        raise TypeError(f"labels are integers, got {t.dtype}")
    t = np.where(keep, t, 0)
    if t.size and not (t.min() >= 0 and t.max() < n_classes):
        raise IndexError(f"labels run from 0 to {n_classes - 1}, got {t.min()} to {t.max()}")
    return t


def _reduce_coefficients(t: _Terms, reduction: str) -> Array:
    """The coefficients of the reduced loss: q, for a mean over its divisor."""
    if reduction == "mean":
        q: Array = np.divide(t.q, t.divisor, out=np.zeros_like(t.q), where=t.q != 0)
        return q
    return t.q


def _shift(z: Array) -> Array:
    """z minus its maximum, which changes no softmax and keeps exp from overflowing."""
    shifted: Array = z - z.max(-1, keepdims=True, initial=np.finfo(z.dtype).min)
    return shifted


def _as_floating(x: ArrayLike, what: str) -> Array:
    array = as_numbers(x, what, copy=None)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _at_least_float32(x: Array) -> Array:
    return x.astype(np.result_type(x.dtype, np.float32))
