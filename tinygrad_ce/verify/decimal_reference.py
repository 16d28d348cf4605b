"""The derivatives of cross-entropy of one row of logits to 50 digits, in decimal numbers.

No formula subtracts numbers of one sign, so that every digit is right: 1 − p_t is the sum of the
other p_j. What underflows in floating point is a number here.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from decimal import Decimal
from functools import wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import as_numbers

Decimals = NDArray[Any]  # of objects: Decimals

DIGITS = 50
GUARD = 10  # digits more, for the roundings on the way

_LIMITS: dict[str, Any] = {"Emin": decimal.MIN_EMIN, "Emax": decimal.MAX_EMAX, "traps": []}
_EXACT = decimal.Context(DIGITS + GUARD, **_LIMITS)
_ROUND = decimal.Context(DIGITS, **_LIMITS)


def _to_50_digits(f: Callable[..., Any]) -> Callable[..., Decimals]:
    """Compute with a few more digits, and round once, at the end."""

    @wraps(f)
    def rounded(*args: Any) -> Decimals:
        with decimal.localcontext(_EXACT):
            result = np.asarray(f(*args))
        return np.array([_ROUND.plus(x) for x in result.flat], object).reshape(result.shape)

    return rounded


@_to_50_digits
def softmax(logits: ArrayLike) -> Decimals:
    """p = exp(z) / Σ exp(z).

    >>> [str(p)[:20] for p in softmax([0.0, 40.0])]
    ['4.248354255291588977', '0.999999999999999995']
    """
    return _softmax(logits)


@_to_50_digits
def cross_entropy(logits: ArrayLike, label: int) -> Any:
    """L = log Σ exp(z) − z_t, a 0-d array.

    >>> float(cross_entropy([0.0, 40.0], 1))
    4.248354255291589e-18
    """
    z = decimals(logits)
    others = np.exp(np.delete(z, label) - z[label]).sum() if z.size > 1 else Decimal(0)
    # log(1 + x) of a small x loses as many digits as 1 + x does: its series does not.
    small = Decimal(10) ** -(DIGITS // 2)
    if others < small:
        return others - others**2 / 2 + others**3 / 3
    with decimal.localcontext(prec=2 * (DIGITS + GUARD)):
        return (1 + others).ln()


@_to_50_digits
def nll_grad(logits: ArrayLike, label: int) -> Decimals:
    """∂L/∂p of L = −log p_t, at p = softmax(z): −1/p_t at the label, 0 elsewhere."""
    p = _softmax(logits)
    gradient = np.full(p.shape, Decimal(0), object)
    gradient[label] = -1 / p[label]
    return gradient


@_to_50_digits
def softmax_jacobian(logits: ArrayLike) -> Decimals:
    """∂p_i/∂z_j = p_i (1 − p_i) for i = j, and −p_i p_j for i ≠ j."""
    p = _softmax(logits)
    jacobian: Decimals = -np.multiply.outer(p, p)
    np.fill_diagonal(jacobian, p * _others(p))
    return jacobian


@_to_50_digits
def cross_entropy_grad(logits: ArrayLike, label: int) -> Decimals:
    """∂L/∂z = p − y, which is −Σ p_j over j ≠ t at the label.

    >>> [float(g) for g in cross_entropy_grad([0.0, 40.0], 1)]  # where p − 1 would be 0
    [4.248354255291589e-18, -4.248354255291589e-18]
    """
    p = _softmax(logits)
    gradient = p.copy()
    gradient[label] = -_others(p)[label]
    return gradient


def cross_entropy_hessian(logits: ArrayLike) -> Decimals:
    """∂²L/∂z_i∂z_j = diag(p) − p pᵀ, whatever the label."""
    return softmax_jacobian(logits)


def decimals(logits: ArrayLike) -> Decimals:
    """The numbers as they are, without rounding."""
    return np.array([Decimal(x) for x in as_numbers(logits, "logits", np.float64).tolist()], object)


def _softmax(logits: ArrayLike) -> Decimals:
    z = decimals(logits)
    e = np.exp(z - z.max())
    return np.asarray(e / e.sum())


def _others(p: Decimals) -> Decimals:
    """1 − p_i as the sum of all the others: sums from the left and from the right of i."""
    left, right = np.cumsum(p), np.cumsum(p[::-1])[::-1]
    others = np.full(p.shape, Decimal(0), object)
    others[1:] += left[:-1]
    others[:-1] += right[1:]
    return others
