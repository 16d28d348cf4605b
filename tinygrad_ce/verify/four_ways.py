"""The derivatives of cross-entropy, each computed in four ways that have little in common.

For logits z, a label t, p = softmax(z), y = one_hot(t) and L = −log p_t: by autograd; by the closed
form in plain arrays; by central differences, for the second derivative of the gradient; and by the
closed form to 50 digits. Where all agree, a mistake would have to be in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import closed_form
from .. import functional as F
from ..arguments import as_numbers
from ..engine.array_types import Array
from ..engine.tensor import Tensor
from ..engine.transforms import gradients, hessian, jacobian
from . import decimal_reference as reference
from .chain_rule import check_rows
from .comparison import Comparison, compare
from .finite_differences import EPS, STEP, central_differences

DIFFERENCES_RTOL = 1e-6  # what differences may be off by, relative to the largest term


@dataclass(frozen=True, eq=False)
class DerivativeCheck:
    """A derivative, computed in four ways, for N rows of logits.

    Attributes
    ----------
    autograd, closed_form, differences, reference
        Arrays of one shape, N in front: three in float64, and one of Decimals. Differences are nan
        where there are none, as for a loss that is inf.
    comparison
        How far autograd is from the closed form.
    errors
        How far autograd, closed form and differences are from the reference, rounded to float64.
    """

    name: str
    formula: str
    autograd: Array
    closed_form: Array
    differences: Array
    reference: Array
    comparison: Comparison
    errors: tuple[Comparison, Comparison, Comparison]

    @property
    def agrees(self) -> bool:
        """Whether the four ways agree, within what rounding and the step of differences explain."""
        return self.comparison.close and all(error.close for error in self.errors)


def check_four_ways(logits: ArrayLike, target: ArrayLike) -> list[DerivativeCheck]:
    """Check ∂L/∂p, ∂p/∂z, ∂L/∂z and ∂²L/∂z² for each row of logits by itself.

    Parameters
    ----------
    logits, target
        In float64, of shape (N, C), each row with a finite maximum, others may be -inf; and the
        labels of shape (N,).

    Returns
    -------
    list
        A check for each of the four.

    >>> checks = check_four_ways([[2.0, 1.0, 0.1]], [0])
    >>> [(c.name, c.agrees) for c in checks]
    [('∂L/∂p', True), ('∂p/∂z', True), ('∂L/∂z', True), ('∂²L/∂z²', True)]
    >>> print(checks[2].reference[0, 1])
    0.24243297070471392139152468496933438103090364867927
    """
    z = as_numbers(logits, "logits", np.float64, copy=None)
    t = as_numbers(target, "labels", copy=None)
    check_rows(z, t)
    with np.errstate(all="ignore"):  # infinities are answers here
        return list(_derivatives(z, t))


def _derivatives(z: Array, t: Array) -> Iterator[DerivativeCheck]:
    rows, pairs = np.arange(len(z)), list(zip(z, t, strict=True))
    p = F.softmax(z).data

    def neg_log_prob(p: Any) -> Any:
        return -p[rows, t].log()

    # Rounding the distance of z_t from the maximum changes p_t by as many epsilons as it is long.
    gap = z.max(-1) - z[rows, t]
    p_t = p[rows, t]
    terms = np.where(p_t > 0, np.minimum((1 + gap) / p_t, np.finfo(np.float64).max), 1)
    yield _check(
        "∂L/∂p",
        "∂L/∂p_i = −1/p_t for i = t, 0 for i ≠ t",
        _gradient(neg_log_prob, p),
        closed_form.nll_grad(closed_form.softmax(z), t, "none"),
        _quotients(neg_log_prob, p, np.where(p > 0, STEP * p, STEP)),
        [reference.nll_grad(*row) for row in pairs],
        terms[:, None],
    )
    yield _check(
        "∂p/∂z",
        "∂p_i/∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
        np.stack([jacobian(F.softmax)(row).data for row in z]),
        np.stack([closed_form.softmax_jacobian(row) for row in z]),
        _quotients(F.softmax, z, STEP),
        [reference.softmax_jacobian(row) for row in z],
    )

    def losses(x: Any) -> Any:
        return F.cross_entropy(x, t, reduction="none")

    yield _check(
        "∂L/∂z",
        "∂L/∂z_i = p_i − 1 for i = t, p_i for i ≠ t",
        _gradient(losses, z),
        closed_form.cross_entropy_grad(z, t, "none"),
        _quotients(losses, z, STEP),
        [reference.cross_entropy_grad(*row) for row in pairs],
    )
    yield _check(
        "∂²L/∂z²",
        "∂²L/∂z_i∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
        np.stack([hessian(F.cross_entropy)(*row).data for row in pairs]),
        np.stack([closed_form.cross_entropy_hessian(row) for row in z]),
        _quotients(lambda x: Tensor(_gradient(losses, x.data)), z, STEP),
        [reference.cross_entropy_hessian(row) for row in z],
    )


def _gradient(f: Callable[[Tensor], Tensor], x: Array) -> Array:
    variable = Tensor(x, requires_grad=True)
    return np.asarray(gradients(f(variable).sum(), [variable])[0])


def _quotients(f: Callable[[Tensor], Tensor], x: Array, step: ArrayLike) -> tuple[Array, Array]:
    """Difference quotients, nan where there are none, and how far rounding may move them."""
    quotients, sizes = central_differences(lambda rows: f(Tensor(rows)).data, x, step)
    # x + h is rounded as well, relative to the largest element of x.
    size = np.abs(x).max(-1, initial=1, where=np.isfinite(x))
    to_row = (len(x), *[1] * (quotients.ndim - 2))
    h = np.broadcast_to(step, x.shape).reshape(*to_row, -1)
    noise = 16 * EPS * (sizes + size.reshape(*to_row, 1)) / h
    found = np.isfinite(quotients)
    return np.where(found, quotients, np.nan), np.where(found, noise, 0)


def _check(
    name: str,
    formula: str,
    autograd: Array,
    closed_form: Array,
    differences: tuple[Array, Array],
    exact: list[Array],
    terms: ArrayLike = 1.0,
) -> DerivativeCheck:
    """`terms` is the size of the largest term of the formula: rounding is relative to it."""
    quotients, noise = differences
    exactly = np.stack(exact)
    rounded = exactly.astype(np.float64)
    # Where there is no difference quotient, it does not disagree.
    allowed = DIFFERENCES_RTOL * np.broadcast_to(terms, quotients.shape) + noise
    measured = np.where(np.isnan(quotients), rounded, quotients)
    ways = autograd, closed_form, quotients, exactly
    comparison = compare(autograd, closed_form, name, scale=terms)
    errors = (
        compare(autograd, rounded, name, scale=terms),
        compare(closed_form, rounded, name, scale=terms),
        compare(measured, rounded, name, tolerance=1.0, scale=allowed),
    )
    return DerivativeCheck(name, formula, *ways, comparison, errors)
