"""The chain rule through cross-entropy: every gradient on the way, beside its closed form.

The loss is written out from primitives, so that each intermediate has a name. With logits z (N, C),
labels t (N,), p = softmax(z) and y = one_hot(t), where the maximum m is held constant:

    m = max z    e = exp(z − m)    s = Σ e    L = mean(log s − (z_t − m))

Each closed form follows from those before it, never from a result of backprop.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import closed_form
from .. import functional as F
from ..arguments import as_numbers, check_generator, check_integer, check_kind
from ..engine.array_types import Array
from ..engine.names import printable
from ..engine.tensor import Tensor
from ..engine.transforms import gradients
from ..functional.validation import check_range
from ..nn import Linear, Sequential, Tanh
from .comparison import Comparison, compare


@dataclass(frozen=True)
class GradientCheck:
    """One gradient of the chain, compared with its closed form.

    `roundings` is the largest difference in units of rounding: the dtype's epsilon times the
    largest term of the formula. Up to `comparison.TOLERANCE_EPS` of them are close.
    """

    name: str
    formula: str
    comparison: Comparison
    roundings: float


class _Expected(NamedTuple):
    """The value of a closed form, and the size of its terms, to which rounding is relative."""

    value: Array
    terms: Any


def check_cross_entropy(logits: ArrayLike, target: ArrayLike) -> list[GradientCheck]:
    """Check the gradients from the loss back to the logits, and of `functional.cross_entropy`.

    Parameters
    ----------
    logits, target
        Floating point, of shape (N, C), and labels of shape (N,).

    Returns
    -------
    list
        A check for each gradient, in the order in which backprop finds them.

    >>> checks = check_cross_entropy(np.array([[2.0, 1.0, 0.1]]), [0])
    >>> [(check.name, check.formula) for check in checks][-2:]
    [('∂L/∂z', '(p − y) / N'), ('∂L/∂z of F.cross_entropy', '(p − y) / N')]
    >>> all(check.comparison.close for check in checks)
    True
    """
    z = Tensor(as_numbers(logits, "logits", copy=None), requires_grad=True, name="z")
    t = as_numbers(target, "labels", copy=None)
    check_rows(z, t)
    return [*_check_loss(z, t), _check_function(z, t)]


def check_network(model: Sequential, X: ArrayLike, y: ArrayLike) -> list[GradientCheck]:
    """Check the gradients from the loss back to the first weights of a network.

    Parameters
    ----------
    model, X, y
        Linear layers with Tanh between them; and a batch: rows (N, n_in) of the dtype of the model,
        and labels (N,).

    Returns
    -------
    list
        A check for each gradient, those of `check_cross_entropy` among them.

    Raises
    ------
    TypeError
        A layer of another kind, whose closed form is not known here.

    >>> from tinygrad_ce import data, nn
    >>> X, y, _ = data.iris()
    >>> checks = check_network(nn.MLP([4, 16, 3], rng=0, dtype=float), X.astype(float), y)
    >>> [check.name for check in checks if check.comparison.shape == (16, 3)]
    ['∂L/∂W2']
    """
    check_kind("model", model, Sequential)
    outputs = [Tensor(as_numbers(X, "X", copy=None), name="x")]
    for layer in model.layers:
        outputs.append(layer(outputs[-1]))
    z, t = outputs[-1], as_numbers(y, "labels", copy=None)
    check_rows(z, t)
    return [*_check_loss(z, t, model, outputs), _check_function(z, t)]


def check_random_logits(n_sets: int = 1000, seed: int = 0) -> GradientCheck:
    """Check ∂L/∂z of random float64 logits, with a reduction of sum: `n_sets` sets, all in one.

    A set is two rows of C logits, C from 2 to 1000, on a scale from 1e-3 to 1e4.

    >>> check_random_logits(10).comparison.max_abs <= 4e-16
    True
    """
    n_sets, rng = check_integer("n_sets", n_sets, 1), check_generator(seed)
    actual: list[Array] = []
    expected: list[Array] = []
    for _ in range(n_sets):
        n_classes = int(rng.integers(2, 1001))
        logits = 10 ** rng.uniform(-3, 4) * rng.standard_normal((2, n_classes))
        target = rng.integers(0, n_classes, 2)
        z = Tensor(logits, requires_grad=True)
        actual += gradients(F.cross_entropy(z, target, reduction="sum"), [z])
        expected.append(closed_form.cross_entropy_grad(logits, target, "sum"))
    found, closed = (np.concatenate(arrays, axis=None) for arrays in (actual, expected))
    return _check(f"∂L/∂z of {n_sets:,} sets", "p − y", found, _Expected(closed, 1.0))


def check_rows(z: Tensor | Array, t: Array) -> None:
    """Raise if logits are not floating point (N, C), with a finite maximum, or labels not (N,)."""
    if z.dtype.kind != "f":
        raise TypeError(
            f"logits are floating point, got {z.dtype}: convert them with astype(float)"
        )
    if z.ndim != 2 or not z.size or t.shape != z.shape[:1]:
        raise ValueError(
            f"logits have the shape (N, C), with at least one row, and labels (N,); got {z.shape} "
            f"and {t.shape}"
        )
    check_range(t, z.shape[-1])


def _check_loss(
    z: Tensor, t: Array, model: Sequential | None = None, outputs: Sequence[Tensor] = ()
) -> list[GradientCheck]:
    n = len(t)
    shifted = z - z.max(-1, keepdims=True).detach()
    e = shifted.exp()
    s = e.sum(-1)
    log_s = s.log()
    shifted_t = shifted[np.arange(n), t]
    losses = log_s - shifted_t

    p, y = closed_form.softmax(z.data), np.eye(z.shape[-1], dtype=z.dtype)[t]
    s_expected = np.exp(z.data - z.data.max(-1, keepdims=True)).sum(-1)
    of_loss = np.full(n, 1 / n, z.dtype)
    of_sum = 1 / (n * s_expected)
    of_term = np.broadcast_to(of_sum[:, None], z.shape)
    result = _Expected((p - y) / n, (p + y) / n)
    chain = [
        ("losses", "1 / N", losses, _Expected(of_loss, of_loss)),
        ("log s", "1 / N", log_s, _Expected(of_loss, of_loss)),
        ("(z_t − m)", "−1 / N", shifted_t, _Expected(-of_loss, of_loss)),
        ("s", "1 / (N s)", s, _Expected(of_sum, of_sum)),
        ("e", "1 / (N s)", e, _Expected(of_term, of_term)),
        ("(z − m)", "(p − y) / N", shifted, result),
        ("z", "(p − y) / N", z, result),
    ]
    if model is not None:
        chain += _layers(model, outputs, result)
    actual = gradients(losses.mean(), [tensor for _, _, tensor, _ in chain])
    return [
        _check(f"∂L/∂{name}", formula, gradient, expected)
        for (name, formula, _, expected), gradient in zip(chain, actual, strict=True)
    ]


def _check_function(z: Tensor, t: Array) -> GradientCheck:
    (actual,) = gradients(F.cross_entropy(z, t), [z])
    terms = (closed_form.softmax(z.data).max(initial=0) + 1) / len(t)
    expected = _Expected(closed_form.cross_entropy_grad(z.data, t), terms)
    return _check("∂L/∂z of F.cross_entropy", "(p − y) / N", actual, expected)


def _layers(
    model: Sequential, outputs: Sequence[Tensor], at_logits: _Expected
) -> Iterator[tuple[str, str, Tensor, _Expected]]:
    """Name, formula, tensor and closed form, from the last layer to the first."""
    g, G = at_logits, "∂L/∂z"
    number = sum(isinstance(layer, Linear) for layer in model.layers)
    for i in reversed(range(len(model.layers))):
        layer, x, output = model.layers[i], outputs[i], outputs[i + 1]
        if isinstance(layer, Linear):
            h = f"h{number - 1}" if i else "x"
            W, b = layer.weight, layer.bias
            terms = np.abs(x.data.T) @ g.terms
            yield f"W{number}", f"{h}ᵀ {G}", W, _Expected(x.data.T @ g.value, terms)
            if b is not None:
                yield f"b{number}", f"Σ {G}", b, _Expected(g.value.sum(0), g.terms.sum(0))
            if i:
                g = _Expected(g.value @ W.data.T, g.terms @ np.abs(W.data).T)
                yield h, f"{G} W{number}ᵀ", x, g
                G = f"∂L/∂{h}"
            number -= 1
        elif isinstance(layer, Tanh):
            slope = 1 - output.data**2
            g = _Expected(g.value * slope, g.terms * slope)
            yield f"a{number}", f"{G} (1 − h{number}²)", x, g
            G = f"∂L/∂a{number}"
        else:
            name = printable(type(layer).__name__)
            known = "check_network is for Linear and Tanh"
            raise TypeError(f"the closed form of {name} is not known here: {known}")


def _check(name: str, formula: str, actual: Any, expected: _Expected) -> GradientCheck:
    largest_term = float(np.max(expected.terms))
    comparison = compare(actual, expected.value, name, scale=largest_term)
    unit = float(np.finfo(expected.value.dtype).eps) * largest_term
    return GradientCheck(name, formula, comparison, comparison.max_abs / unit)
