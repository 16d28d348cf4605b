"""Cross-entropy, in nats, composed of exp, sum, log, max and indexing.

Nothing here has a derivative of its own: what backprop finds, it finds through the primitives. As
in probabilities.py, the maximum that is subtracted before exp is held constant.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

import numpy as np

from ..arguments import check_choice
from ..engine import primitives as p
from ..engine.array_types import Array
from ..engine.context import scope
from ..engine.kernels import ARRAY_SLOT
from ..engine.operations import where
from ..engine.tensor import Tensor, apply, as_tensor, constant
from ..other_names import numpy_keywords
from . import validation
from .probabilities import at_least_float32, is_label, max_constant, round_to, softmax

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")


# ── Three ways to write it ────────────────────────────────────────────────────────────────────────
# On paper they are one function. In floating point they differ once a model is confident.


@scope("naive_cross_entropy")
def naive_cross_entropy(logits: Any, target: Any) -> Tensor:
    """Return -log softmax(z)_t of each row, as the textbook writes it.

    Where the label's logit is far below the largest, its probability underflows to 0, and the loss
    is inf: from a gap of 746 in float64 (104 in float32). The gradient is nan already from 710
    (89), where 1/p_t overflows. Where it is far above the others, its probability rounds to 1, and
    loss and gradient are 0: from a gap of 37 (17).

    Parameters
    ----------
    logits
        Floating point, of shape (..., C).
    target
        Labels, integers of shape (...).

    Returns
    -------
    Tensor
        The losses in nats, of the target's shape and the dtype of the logits.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `cross_entropy`; and TypeError for distributions.

    >>> naive_cross_entropy(Tensor([0.0, 1000.0]), 0)
    Tensor(inf)
    """
    z, t, dtype = _labelled(logits, target)
    return round_to(-_at_label(softmax(z), t).log(), dtype)


@scope("shifted_cross_entropy")
def shifted_cross_entropy(logits: Any, target: Any) -> Tensor:
    """Return log Σ exp(z - m) - (z_t - m) of each row, with m = max z, as `cross_entropy` does.

    It is finite for all finite logits whose differences are, and accurate to an epsilon of the
    larger of 1 and the loss. A loss much smaller than 1 is not accurate relative to itself: it
    loses a digit for each factor of 10, and so does p_t - 1, the gradient at the label. From a gap
    of 37 between the label and the others in float64 (17 in float32), both are 0.

    Parameters, result and errors are those of `naive_cross_entropy`.

    >>> shifted_cross_entropy(Tensor([0.0, 1000.0]), 0)
    Tensor(1000.)
    >>> shifted_cross_entropy(Tensor([40.0, 0.0]), 0)
    Tensor(0.)
    """
    z, t, dtype = _labelled(logits, target)
    return round_to(_weighted_nll(z, t), dtype)


@scope("margin_cross_entropy")
def margin_cross_entropy(logits: Any, target: Any) -> Tensor:
    """Return log(1 + Σ_{j≠t} exp(z_j - z_t)) of each row: accurate however small or large it is.

    Loss and gradient are right to 3 epsilons in float64 and to 8 in float32 (whose exp alone can
    be off by 2.5 in NumPy), relative to their own size, where they are not subnormal: to a gap of
    708 in float64 (87 in float32) by which the label is ahead, and at any by which it is behind.
    Elsewhere, cross-entropy is computed so that its errors are small beside 1: once a model is
    confident and right, nothing is left of the loss, nor of the gradient at the label.

    Parameters, result and errors are those of `naive_cross_entropy`. The label's logit has to be
    finite, or the loss is nan; the others may be -inf.

    Notes
    -----
    It is c + log1p(expm1(-c) + Σ_{j≠t} exp(z_j - m) (1 + ε_j)), with m = max z, and c = m - z_t
    held constant: 0 where the label is ahead. The label's own term, exp(-c), is never added to a
    sum that it would swallow. Nor is it in the gradient: as if m were z_t + c, z_t has a part in
    all the other terms, and backprop finds -Σ_{j≠t} p_j where the textbook has p_t - 1.

    A difference of two floating point numbers is rounded by up to half an epsilon of its size, and
    exp makes of it an error of up to 350 epsilons for exp(-700). But that rounding error, ε_j, is
    itself a floating point number, which additions and subtractions alone find.

    Examples
    --------
    >>> z = Tensor([40.0, 0.0], requires_grad=True)
    >>> loss = margin_cross_entropy(z, 0)
    >>> loss.backward()
    >>> loss.data, z.grad
    (array(4.24835426e-18), array([-4.24835426e-18,  4.24835426e-18]))
    """
    z, t, dtype = _labelled(logits, target)
    label = _at_label(z, t).expand_dims(-1)
    m = max_constant(z, -1)
    constant_label = label.detach()
    terms = (z - m - (label - constant_label)).exp()
    terms = where(is_label(t, z.shape[-1]), 0, terms + terms * apply(p.rounding_error, z, m))
    c = (m - constant_label).squeeze(-1)
    return round_to(c + ((-c).expm1() + terms.sum(-1)).log1p(), dtype)


# ── Cross-entropy ─────────────────────────────────────────────────────────────────────────────────


@scope("cross_entropy")
@numpy_keywords
def cross_entropy(
    logits: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
    check_targets: bool = False,
) -> Tensor:
    """Return the cross-entropy -Σ y_c log p_c, in nats, of p = softmax(logits) and a target y.

    For a label t, whose y is one-hot, one term is left: -log p_t, or log Σ exp(z) - z_t. The
    gradient, which generic backprop finds, is p - y, divided by the number of rows for a mean.

    Parameters
    ----------
    logits
        Unnormalized log-probabilities, floating point, of shape (..., C) or (C,). A logit of -inf
        gives a class probability 0.
    target
        Labels: integers in [0, C), of the shape of the logits without the class axis. Or
        distributions: floating point of the shape of the logits. Their rows need not sum to 1.
    axis
        The axis of the classes.
    weight
        A weight w_c for each class, floating point of shape (C,): the terms become
        -w_c y_c log p_c.
    ignore_index
        A label, in [0, C) or not. The loss and the gradient of its rows are 0, whatever their
        logits are, nan included. For labels only.
    label_smoothing
        ε in [0, 1]: replaces y_c by (1 - ε) y_c + ε / C.
    reduction
        "mean", "sum" or "none". The mean of labelled rows is weighted by the weights of their
        labels, Σ_n ℓ_n / Σ_n w_{t_n}, over rows that are not ignored; that of distributions is
        over all rows.
    check_targets
        Whether to require that distributions have no negative element and sum to 1.

    Returns
    -------
    Tensor
        0-d, or for "none" of the shape of the logits without the class axis. The mean of no rows,
        as when all are ignored, is nan. The dtype is the one to which NumPy promotes logits,
        distributions and weights; float16 is computed in float32, and rounded at the end.

    Raises
    ------
    TypeError
        Logits or weights that are not floating point, labels that are not integers.
    ValueError
        A target or weights of another shape, no class axis, ignore_index with distributions,
        label_smoothing outside [0, 1], an unknown reduction, a row that is no distribution under
        check_targets.
    IndexError
        A label out of range. Labels never wrap around.

    Warns
    -----
    UserWarning
        All rows are probabilities that sum to 1: a softmax was taken already.

    Notes
    -----
    As in PyTorch, with these exceptions: a class of weight or target 0 with a logit of -inf
    adds 0, not nan; an ignored row may hold nan; no label is ignored unless `ignore_index` is
    given; and the classes are on the last axis by default.

    Examples
    --------
    >>> logits = Tensor([[2.0, 1.0, 0.1]], requires_grad=True)
    >>> loss = cross_entropy(logits, [0])
    >>> loss.backward()
    >>> logits.grad + [[1, 0, 0]]
    array([[0.659..., 0.242..., 0.098...]])
    >>> softmax(logits).data
    array([[0.659..., 0.242..., 0.098...]])

    A distribution, and a batch of which the second row is padding:

    >>> cross_entropy(Tensor([0.0, 0.0]), [0.5, 0.5])
    Tensor(0.69314718)
    >>> cross_entropy(Tensor([[0.0, 0.0], [np.nan, 5.0]]), [1, -100], ignore_index=-100)
    Tensor(0.69314718)
    """
    if type(reduction) is not str or reduction not in REDUCTIONS:
        check_choice("reduction", reduction, REDUCTIONS)
    z, y, w, dtype = validation.validate_cross_entropy(
        logits, target, axis, weight, ignore_index, label_smoothing, check_targets
    )
    primitive = getattr(logits, "primitive", None)
    if primitive is None or primitive is p.divide:  # with which a softmax ends
        validation.warn_of_probabilities(z)
    keep = None
    if ignore_index is not None:
        keep = y != ignore_index
        z, y = where(keep.expand_dims(-1), z, 0), where(keep, y, 0)
    smooth = _smooth(y, label_smoothing, z) if label_smoothing else y
    losses = _weighted_nll(z, smooth, w)
    if keep is not None:
        losses = where(keep, losses, 0)
    loss = reduce_losses(losses, reduction, _row_weights(y, w, keep, z.dtype))
    return loss if loss.dtype is dtype else loss.astype(dtype)


def _smooth(y: Tensor, epsilon: float, z: Tensor) -> Tensor:
    """(1 - ε) y + ε / C, of labels or distributions."""
    n_classes = z.shape[-1]
    if y.dtype.kind != "f":
        y = is_label(y, n_classes).astype(z.dtype)
    return (1 - epsilon) * y + epsilon / n_classes


def _weighted_nll(z: Tensor, y: Tensor, w: Tensor | None = None) -> Tensor:
    """-Σ w_c y_c log p_c of each row, for distributions y or labels."""
    shifted = z - max_constant(z, -1)
    log_sum = shifted.exp().sum(-1).log()
    if y.dtype.kind != "f":  # one term is left
        neg_log_prob = log_sum - _at_label(shifted, y)
        return neg_log_prob if w is None else multiply_zero_inf(w[y], neg_log_prob)
    neg_log_prob = log_sum.expand_dims(-1) - shifted
    return multiply_zero_inf(y if w is None else y * w, neg_log_prob).sum(-1)


def multiply_zero_inf(q: Tensor, neg_log_prob: Tensor) -> Tensor:
    """Return q · (-log p) with 0 · inf = 0, the limit of q log q: p may be 0 where q is."""
    return q * where((q == 0) & (neg_log_prob == np.inf), 0, neg_log_prob)


def _row_weights(y: Tensor, w: Tensor | None, keep: Tensor | None, dtype: Any) -> Tensor | None:
    """w_t of each row with a label t, 0 where it is ignored; None if all rows have weight 1."""
    if y.dtype.kind == "f" or (w is None and keep is None):
        return None
    label_weights = None if w is None else w[y]
    if keep is None:
        return label_weights
    return keep.astype(dtype) if label_weights is None else where(keep, label_weights, 0)


def reduce_losses(
    losses: Tensor, reduction: Reduction, row_weights: Tensor | None = None
) -> Tensor:
    """Return the losses, their sum, or their weighted mean."""
    if reduction == "none":
        return losses
    if reduction == "sum":
        return losses.sum()
    return losses.mean() if row_weights is None else losses.sum() / row_weights.sum()


@scope("calculate_cross_entropy")
def calculate_cross_entropy(y_true: Any, y_predicted: Any) -> Tensor:
    """Return -Σ y log ŷ, in nats, over all elements, with ŷ clamped to [1e-15, 1 - 1e-15].

    For learning from, not for training: `cross_entropy` takes logits, and needs no clamp.

    Parameters
    ----------
    y_true
        The true distribution, floating point.
    y_predicted
        The predicted one, of the same shape.

    Raises
    ------
    ValueError
        Unequal shapes.

    Notes
    -----
    The clamp avoids log(0), and is itself wrong in three ways. The gradient of a prediction that is
    entirely wrong is 0, where it should be largest:

    >>> y_predicted = Tensor([0.0, 1.0], requires_grad=True)
    >>> loss = calculate_cross_entropy([1.0, 0.0], y_predicted)
    >>> loss.backward()
    >>> loss.data, y_predicted.grad
    (array(34.53877639), array([0., 0.]))

    The loss is biased: that of a certain and right prediction is not 0.

    >>> calculate_cross_entropy([1.0, 0.0], [1.0, 0.0])
    Tensor(9.99200722e-16)

    And in float32 there is no upper clamp, since 1 - 1e-15 rounds to 1:

    >>> calculate_cross_entropy(np.float32([1, 0]), np.float32([1, 0]))
    Tensor(-0., dtype=float32)

    Examples
    --------
    >>> calculate_cross_entropy([0.0, 0.0, 1.0], [0.2, 0.28, 0.52])
    Tensor(0.65392647)
    """
    y, prediction = as_tensor(y_true), as_tensor(y_predicted)
    if y.shape != prediction.shape:
        raise ValueError(
            f"y_true and y_predicted have the same shape, got {y.shape} and {prediction.shape}"
        )
    y_hat = at_least_float32(prediction)  # in float16, 1e-15 is 0
    loss = -(y * y_hat.clip(1e-15, 1 - 1e-15).log()).sum()
    return loss if y_hat is prediction else round_to(loss, np.result_type(y.dtype, np.float16))


@scope("nll_loss")
@numpy_keywords
def nll_loss(
    log_probs: Any,
    target: Any,
    *,
    axis: int = -1,
    weight: Any = None,
    ignore_index: int | None = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return the negative log-likelihood -log p_t of labels t, for given log-probabilities.

    Of `log_softmax(logits)`, it is `cross_entropy(logits, target)`.

    Parameters
    ----------
    log_probs
        Log-probabilities, floating point, of shape (..., C) or (C,).
    target
        Labels: integers in [0, C), of the shape of the log-probabilities without the class axis.
    axis, weight, ignore_index, reduction
        As in `cross_entropy`; the mean is weighted by the weights of the labels.

    Returns
    -------
    Tensor
        0-d, or for "none" of the shape of the target.

    Raises
    ------
    TypeError, ValueError, IndexError
        As `cross_entropy`; and TypeError for distributions.

    >>> nll_loss(Tensor(np.log([[0.5, 0.25, 0.25]])), [1])
    Tensor(1.38629436)
    """
    check_choice("reduction", reduction, REDUCTIONS)
    z, t, w, dtype = validation.validate_cross_entropy(
        log_probs, target, axis, weight, ignore_index
    )
    if t.dtype.kind == "f":
        raise TypeError(f"nll_loss takes labels, integers, got {t.dtype}: kl_div has distributions")
    keep = None
    if ignore_index is not None:
        keep = t != ignore_index
        z, t = where(keep.expand_dims(-1), z, 0), where(keep, t, 0)
    losses = -_at_label(z, t)
    if w is not None:
        losses = multiply_zero_inf(w[t], losses)
    if keep is not None:
        losses = where(keep, losses, 0)
    return round_to(reduce_losses(losses, reduction, _row_weights(t, w, keep, z.dtype)), dtype)


# ── Parts ─────────────────────────────────────────────────────────────────────────────────────────


def _at_label(x: Tensor, t: Tensor) -> Tensor:
    """x[..., t]: the element of each row of x at its label."""
    rows, index_template = _rows(t.shape)
    return apply(p.getitem, x, *map(constant, rows), t, params=(index_template,))


@lru_cache(maxsize=32)
def _rows(shape: tuple[int, ...]) -> tuple[tuple[Array, ...], tuple[Any, ...]]:
    """The indices of all rows of a batch, an array for each axis; and the template with a label."""
    rows = np.indices(shape, sparse=True)
    return rows, (ARRAY_SLOT,) * (len(rows) + 1)


def _labelled(logits: Any, target: Any) -> tuple[Tensor, Tensor, np.dtype[Any]]:
    """Logits with labels, and the dtype of the loss; distributions are refused."""
    z, t, _, dtype = validation.validate_cross_entropy(logits, target)
    if t.dtype.kind == "f":
        raise TypeError(f"labels are integers, got {t.dtype}: cross_entropy takes distributions")
    return z, t, dtype
