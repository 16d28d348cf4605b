"""The derivatives of cross-entropy, each found in four ways that have little in common.

For logits z, a label t, p = softmax(z), y = one_hot(t) and L = −log p_t:

1. autograd: generic backprop through primitives;
2. the closed form: the textbook's formula in plain arrays;
3. central differences: of the value, or for the second derivative of the gradient;
4. the reference: the closed form to 50 digits.

Where all agree, a mistake would have to be in all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import closed_form
from .. import functional as F
from ..engine.tensor import Tensor
from ..engine.transforms import gradients, hessian, jacobian
from . import decimal_reference as reference
from .comparison import Comparison, compare

Array = NDArray[Any]

STEP = 1e-5  # of central differences: its square is the error of a smooth function
DIFFERENCES = 1e-6  # what differences may be off by, relative to the largest term

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Evidence:
    """A derivative, found in four ways, for N rows of logits.

    Attributes
    ----------
    name, formula
        Which derivative, and the equation of its closed form, to be read by people.
    autograd, closed, differences, reference
        Arrays of one shape, N in front: three in float64, and one of Decimals. Differences are nan
        where there are none, as for a loss that is inf.
    comparison
        How far autograd is from the closed form.
    errors
        How far autograd, closed form and differences are from the reference, which is rounded to
        float64 for that.
    """

    name: str
    formula: str
    autograd: Array
    closed: Array
    differences: Array
    reference: Array
    comparison: Comparison
    errors: tuple[Comparison, Comparison, Comparison]

    @property
    def agree(self) -> bool:
        """Whether the four agree, within what rounding and the step of differences explain."""
        return self.comparison.close and all(error.close for error in self.errors)


def evidence(logits: ArrayLike, target: ArrayLike) -> list[Evidence]:
    """∂L/∂p, ∂p/∂z, ∂L/∂z and ∂²L/∂z² for each row of logits by itself.

    Parameters
    ----------
    logits
        In float64, of shape (N, C). Each row has a finite maximum; others may be -inf.
    target
        Labels of shape (N,).

    >>> found = evidence([[2.0, 1.0, 0.1]], [0])
    >>> [(e.name, e.agree) for e in found]
    [('∂L/∂p', True), ('∂p/∂z', True), ('∂L/∂z', True), ('∂²L/∂z²', True)]
    >>> print(found[2].reference[0, 1])
    0.24243297070471392139152468496933438103090364867927
    """
    z, t = np.asarray(logits, np.float64), np.asarray(target)
    with np.errstate(all="ignore"):  # infinities are answers here
        return list(_evidence(z, t))


def _evidence(z: Array, t: Array) -> Iterator[Evidence]:
    rows = np.arange(len(z))
    p = F.softmax(z).data

    def surprise(p: Any) -> Any:
        return -p[rows, t].log()

    # Rounding the distance of z_t from the maximum changes p_t by as many epsilons as it is long.
    gap = z.max(-1) - z[rows, t]
    p_t = p[rows, t]
    terms = np.where(p_t > 0, np.minimum((1 + gap) / p_t, np.finfo(np.float64).max), 1)
    yield _compared(
        "∂L/∂p",
        "∂L/∂p_i = −1/p_t for i = t, 0 for i ≠ t",
        _gradient(surprise, p),
        closed_form.nll_grad(closed_form.softmax(z), t, "none"),
        _central_differences(surprise, p, np.where(p > 0, STEP * p, STEP)),
        [reference.nll_grad(*row) for row in zip(z, t, strict=True)],
        terms[:, None],
    )
    yield _compared(
        "∂p/∂z",
        "∂p_i/∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
        np.stack([jacobian(F.softmax)(row).data for row in z]),
        np.stack([closed_form.softmax_jacobian(row) for row in z]),
        _central_differences(F.softmax, z, STEP),
        [reference.softmax_jacobian(row) for row in z],
    )

    def losses(x: Any) -> Any:
        return F.cross_entropy(x, t, reduction="none")

    yield _compared(
        "∂L/∂z",
        "∂L/∂z_i = p_i − 1 for i = t, p_i for i ≠ t",
        _gradient(losses, z),
        closed_form.cross_entropy_grad(z, t, "none"),
        _central_differences(losses, z, STEP),
        [reference.cross_entropy_grad(*row) for row in zip(z, t, strict=True)],
    )
    yield _compared(
        "∂²L/∂z²",
        "∂²L/∂z_i∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
        np.stack([_hessian(*row) for row in zip(z, t, strict=True)]),
        np.stack([closed_form.cross_entropy_hessian(row) for row in z]),
        _central_differences(lambda x: Tensor(_gradient(losses, x.data)), z, STEP),
        [reference.cross_entropy_hessian(row) for row in z],
    )


def _gradient(f: Callable[[Tensor], Tensor], x: Array) -> Array:
    """Of each row's value by that row."""
    variable = Tensor(x, requires_grad=True)
    gradient: Array = gradients(f(variable).sum(), [variable])[0]
    return gradient


def _hessian(z: Array, t: Any) -> Array:
    second: Tensor = hessian(lambda x: F.cross_entropy(x, t))(z)
    return second.data


def _central_differences(
    f: Callable[[Tensor], Tensor], x: Array, step: ArrayLike
) -> tuple[Array, Array]:
    """(f(x + h) − f(x − h)) / 2h of each row, element by element, and how far rounding moves it.

    f takes the N rows of x to N values, numbers or vectors. The derivative by x has its last axis.
    """
    h = np.broadcast_to(step, x.shape)
    size = np.abs(x).max(-1, initial=1, where=np.isfinite(x))
    derivatives, noises = [], []
    for j in range(x.shape[1]):
        above, below = x.copy(), x.copy()
        above[:, j] += h[:, j]
        below[:, j] -= h[:, j]
        # What was added is not quite h; and nothing, where x is -inf.
        moved = np.where(np.isfinite(x[:, j]), above[:, j] - below[:, j], 2 * h[:, j])
        up, down = f(Tensor(above)).data, f(Tensor(below)).data
        by_row = (slice(None),) + (None,) * (up.ndim - 1)
        derivatives.append((up - down) / moved[by_row])
        largest = np.maximum(np.abs(up), np.abs(down)) + size[by_row]
        noises.append(16 * _EPS * largest / h[:, j][by_row])
    quotients, noise = np.stack(derivatives, -1), np.stack(noises, -1)
    found = np.isfinite(quotients)
    return np.where(found, quotients, np.nan), np.where(found, noise, 0)


def _compared(
    name: str,
    formula: str,
    autograd: Array,
    closed: Array,
    differences: tuple[Array, Array],
    exact: list[Array],
    terms: ArrayLike = 1.0,
) -> Evidence:
    """`terms` is the size of the largest term of the formula: rounding is relative to it."""
    quotients, noise = differences
    exactly = np.stack(exact)
    rounded = exactly.astype(np.float64)
    # Where there is no difference quotient, it does not disagree.
    allowed = DIFFERENCES * np.broadcast_to(terms, quotients.shape) + noise
    measured = np.where(np.isnan(quotients), rounded, quotients)
    return Evidence(
        name,
        formula,
        autograd,
        closed,
        quotients,
        exactly,
        compare(autograd, closed, name, scale=terms),
        (
            compare(autograd, rounded, name, scale=terms),
            compare(closed, rounded, name, scale=terms),
            compare(measured, rounded, name, tolerance=1.0, scale=allowed),
        ),
    )
