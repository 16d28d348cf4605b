"""Losses of two arrays of equal shape, element by element, composed of primitives.

As in losses.py, nothing here has a derivative of its own, and float16 is computed in float32 and
rounded at the end.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from ..arguments import check_choice, check_flag, check_real
from ..engine.context import scope
from ..engine.operations import logaddexp, maximum, where
from ..engine.tensor import Tensor, run_check
from ..other_names import numpy_keywords
from . import validation
from .losses import REDUCTIONS, Reduction, multiply_zero_inf, reduce_losses
from .probabilities import at_least_float32, round_to

SMALLEST_LOG = -100.0  # in binary cross-entropy of probabilities, as in PyTorch
SMALLEST_PROBABILITY = 1e-12  # by which its gradient divides


@scope("mse_loss")
@numpy_keywords
def mse_loss(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Tensor:
    """Return the squared error (x - y)².

    Parameters
    ----------
    prediction, target
        x and y, floating point, of equal shapes. Both get gradients.
    reduction
        "mean" over all elements, "sum" or "none".

    Returns
    -------
    Tensor
        0-d, or for "none" of the shape of both; of the dtype to which NumPy promotes both.

    Raises
    ------
    TypeError
        Something that is not floating point.
    ValueError
        Unequal shapes, an unknown reduction.

    >>> mse_loss(Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(2.)
    """
    x, y, dtype = _validate("mse_loss", prediction, target, reduction)
    distance = x - y
    return round_to(reduce_losses(distance * distance, reduction), dtype)


@scope("l1_loss")
@numpy_keywords
def l1_loss(prediction: Any, target: Any, *, reduction: Reduction = "mean") -> Tensor:
    """Return the absolute error |x - y|; its derivative where they are equal is 0.

    Parameters, result and errors are those of `mse_loss`.

    >>> l1_loss(Tensor([1.0, 2.0]), [1.0, 4.0])
    Tensor(1.)
    """
    x, y, dtype = _validate("l1_loss", prediction, target, reduction)
    return round_to(reduce_losses(abs(x - y), reduction), dtype)


@scope("huber_loss")
@numpy_keywords
def huber_loss(
    prediction: Any, target: Any, *, reduction: Reduction = "mean", delta: float = 1.0
) -> Tensor:
    """Return half the squared error d² up to |d| = δ, and δ (|d| - δ/2) from there on.

    Parameters
    ----------
    prediction, target, reduction
        As in `mse_loss`, with the same result and errors.
    delta
        δ, above 0: the magnitude of the largest gradient.

    Raises
    ------
    ValueError
        A delta that is not above 0.

    Notes
    -----
    It is c (|d| - c/2), where c is |d| limited to δ, so that nothing overflows for large d. With
    δ = 1, it is PyTorch's smooth_l1_loss.

    References
    ----------
    Huber, Robust estimation of a location parameter, 1964.

    >>> huber_loss(Tensor([1.0, 2.0]), [1.5, 4.0], reduction="none")
    Tensor([0.125, 1.5  ])
    """
    x, y, dtype = _validate("huber_loss", prediction, target, reduction)
    delta = float(check_real("delta", delta, 0))
    if not delta:
        raise ValueError("delta is above 0, got 0")
    distance = abs(x - y)
    limited = distance.clip(None, delta)
    return round_to(reduce_losses(limited * (distance - limited / 2), reduction), dtype)


@scope("binary_cross_entropy")
@numpy_keywords
def binary_cross_entropy(
    probability: Any, target: Any, *, weight: Any = None, reduction: Reduction = "mean"
) -> Tensor:
    """Return -(y log p + (1 - y) log(1 - p)) of probabilities p and targets y.

    As in PyTorch, a logarithm is at least -100, and the slope of one at most 1e12, so that a
    certain and wrong prediction has a finite loss, and a gradient. Prefer
    `binary_cross_entropy_with_logits`, which needs no such limits.

    Parameters
    ----------
    probability
        p in [0, 1], floating point.
    target
        y in [0, 1], floating point of the same shape.
    weight
        What multiplies the losses, floating point; broadcasts to their shape.
    reduction
        "mean" over all elements, "sum" or "none".

    Returns
    -------
    Tensor
        0-d, or for "none" of the shape of both; of the dtype to which NumPy promotes them.

    Raises
    ------
    TypeError
        Something that is not floating point.
    ValueError
        Unequal shapes, probabilities or targets outside of [0, 1], an unknown reduction.

    >>> binary_cross_entropy(Tensor([0.5, 0.0]), [1.0, 1.0], reduction="none")
    Tensor([  0.69314718, 100.        ])
    """
    p, y, dtype = _validate("binary_cross_entropy", probability, target, reduction)
    run_check(validation.check_unit_interval, p, "probability")
    run_check(validation.check_unit_interval, y, "target")
    q = p.detach()
    log_p = _log_with_limits(p, q.log())
    log_rest = _log_with_limits(1 - p, (-q).log1p())
    losses = -(y * log_p + (1 - y) * log_rest)
    return round_to(reduce_losses(_weigh(losses, weight), reduction), dtype)


def _log_with_limits(p: Tensor, exact: Tensor) -> Tensor:
    """The given value of log p, at least -100, with the slope 1/p, at most 1e12."""
    limited = p + (maximum(p.detach(), SMALLEST_PROBABILITY) - p.detach())
    log = limited.log()
    return log + (exact.clip(SMALLEST_LOG) - log.detach())


@scope("binary_cross_entropy_with_logits")
@numpy_keywords
def binary_cross_entropy_with_logits(
    logits: Any,
    target: Any,
    *,
    weight: Any = None,
    pos_weight: Any = None,
    reduction: Reduction = "mean",
) -> Tensor:
    """Return y log(1 + exp(-z)) + (1 - y) log(1 + exp(z)): the gradient is σ(z) - y.

    It is the binary cross-entropy of σ(z), accurate however large z is.

    Parameters
    ----------
    logits
        z, floating point.
    target
        y in [0, 1], floating point of the same shape.
    weight, pos_weight
        What multiplies the losses, and their first terms, floating point; both broadcast to the
        shape of the losses.
    reduction
        "mean" over all elements, "sum" or "none".

    Returns
    -------
    Tensor
        0-d, or for "none" of the shape of both; of the dtype to which NumPy promotes them.

    Raises
    ------
    TypeError
        Something that is not floating point.
    ValueError
        Unequal shapes, targets outside of [0, 1], an unknown reduction.

    >>> z = Tensor([0.0, 1000.0], requires_grad=True)
    >>> loss = binary_cross_entropy_with_logits(z, [1.0, 0.0], reduction="sum")
    >>> loss.backward()
    >>> loss.data, z.grad
    (array(1000.69314718), array([-0.5,  1. ]))
    """
    z, y, dtype = _validate("binary_cross_entropy_with_logits", logits, target, reduction)
    run_check(validation.check_unit_interval, y, "target")
    share = _weigh(y, pos_weight, "pos_weight")
    losses = multiply_zero_inf(share, logaddexp(-z, 0.0))
    losses = losses + multiply_zero_inf(1 - y, logaddexp(z, 0.0))
    return round_to(reduce_losses(_weigh(losses, weight), reduction), dtype)


@scope("kl_div")
@numpy_keywords
def kl_div(
    log_probs: Any,
    target: Any,
    *,
    reduction: Literal["mean", "sum", "none", "batchmean"] = "mean",
    log_target: bool = False,
) -> Tensor:
    """Return the Kullback-Leibler divergence q (log q - log p) of a target q from p.

    Parameters
    ----------
    log_probs
        log p, floating point, as `log_softmax` returns it.
    target
        q, or log q, floating point of the same shape.
    reduction
        "batchmean" divides the sum by the length of the first axis, as the formula has it; "mean"
        is over all elements, and so smaller by the number of classes; "sum" or "none".
    log_target
        Whether the target is log q.

    Returns
    -------
    Tensor
        0-d, or for "none" of the shape of both; of the dtype to which NumPy promotes them.

    Raises
    ------
    TypeError
        Something that is not floating point.
    ValueError
        Unequal shapes, an unknown reduction, "batchmean" of a single number.

    Notes
    -----
    As in PyTorch, but that where q is 0, the term is 0, also for a p of 0.

    References
    ----------
    Kullback and Leibler, On information and sufficiency, 1951.

    >>> kl_div(Tensor(np.log([[0.5, 0.5]])), [[1.0, 0.0]], reduction="batchmean")
    Tensor(0.69314718)
    """
    x, y, dtype = _validate("kl_div", log_probs, target, reduction, (*REDUCTIONS, "batchmean"))
    if check_flag("log_target", log_target):
        q, log_q = y.exp(), y
    else:
        q, log_q = y, where(y == 0, 1, y).log()
    losses = q * where(q == 0, 0, log_q - where(q == 0, 0, x))
    if reduction == "batchmean":
        if not x.shape:
            raise ValueError("the batchmean needs a batch, got a single number")
        return round_to(losses.sum() / x.shape[0], dtype)
    return round_to(reduce_losses(losses, reduction), dtype)


def _validate(
    name: str, x: Any, target: Any, reduction: str, reductions: tuple[str, ...] = REDUCTIONS
) -> tuple[Tensor, Tensor, np.dtype[Any]]:
    """The arguments of a loss, to compute with, and the dtype of the result."""
    check_choice("reduction", reduction, reductions)
    z = validation.as_floating(x, f"predictions of {name}")
    y = validation.as_floating(target, f"targets of {name}")
    if z.shape != y.shape:
        raise ValueError(
            f"{name} compares element by element, and never broadcasts: got predictions of shape "
            f"{z.shape} and targets of shape {y.shape}; reshape one of them"
        )
    return at_least_float32(z), at_least_float32(y), np.result_type(z.dtype, y.dtype)


def _weigh(losses: Tensor, weight: Any, name: str = "weight") -> Tensor:
    """Losses times weights that broadcast to their shape."""
    if weight is None:
        return losses
    w = validation.as_floating(weight, f"a {name}")
    pairs = zip(w.shape[::-1], losses.shape[::-1], strict=False)
    if w.ndim > losses.ndim or any(m not in (1, n) for m, n in pairs):
        raise ValueError(f"a {name} of shape {w.shape} is too large for losses of {losses.shape}")
    return losses * at_least_float32(w)
