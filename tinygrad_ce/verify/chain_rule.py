"""The chain of the cross-entropy: every gradient on the way, beside its closed form.

The loss is written out from primitives, so that each intermediate has a name. On one side stands
what backprop finds for it, on the other what the textbook says, in plain arrays: each closed form
follows from those before it, never from a result of backprop.

With logits z of shape (N, C) and labels t of shape (N,):

    m = max z    e = exp(z − m)    s = Σ e    L = mean(log s − (z_t − m))

and p = softmax(z), y = one_hot(t). The maximum m is held constant, as in functional.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import closed_form
from .. import functional as F
from ..engine.tensor import Tensor
from ..engine.transforms import gradients
from ..nn import Linear, Sequential, Tanh
from .comparison import Comparison, compare

Array = NDArray[Any]


@dataclass(frozen=True)
class Link:
    """One gradient of the chain.

    Attributes
    ----------
    name, formula
        Which gradient, and its closed form, to be read by people.
    comparison
        How far what backprop found is from the closed form.
    roundings
        The largest difference in units of rounding: the dtype's epsilon times the largest term of
        the formula. Up to `comparison.CLOSE` of them are close.
    """

    name: str
    formula: str
    comparison: Comparison
    roundings: float


class _Closed(NamedTuple):
    """A closed form, and the size of its terms: the same formula with every minus a plus.

    Where terms cancel, as in p − y for a confident model, rounding is relative to them, not to the
    little that is left.
    """

    value: Array
    terms: Any


def cross_entropy_links(logits: ArrayLike, target: ArrayLike) -> list[Link]:
    """The gradients from the loss back to the logits, and of `functional.cross_entropy` as well.

    Parameters
    ----------
    logits
        Floating point, of shape (N, C).
    target
        Labels of shape (N,).

    >>> links = cross_entropy_links(np.array([[2.0, 1.0, 0.1]]), [0])
    >>> [(link.name, link.formula) for link in links][-2:]
    [('∂L/∂z', '(p − y) / N'), ('∂L/∂z of F.cross_entropy', '(p − y) / N')]
    >>> all(link.comparison.close for link in links)
    True
    """
    z = Tensor(np.asarray(logits), requires_grad=True, name="z")
    t = np.asarray(target)
    return [*_loss_links(z, t), _whole(z, t)]


def network_links(model: Sequential, X: ArrayLike, y: ArrayLike) -> list[Link]:
    """The gradients from the loss back to the first weights of a network.

    Parameters
    ----------
    model
        Linear layers with Tanh between them, as in an `MLP`.
    X, y
        A batch: rows (N, n_in) of the dtype of the model, and labels (N,).

    Raises
    ------
    TypeError
        A layer of another kind, whose closed form is not known here.

    >>> from tinygrad_ce import data, nn
    >>> X, y, _ = data.iris()
    >>> links = network_links(nn.MLP([4, 16, 3], rng=0, dtype=float), X.astype(float), y)
    >>> [link.name for link in links if link.comparison.shape == (16, 3)]
    ['∂L/∂W2']
    """
    outputs = [Tensor(np.asarray(X), name="x")]
    for layer in model.layers:
        outputs.append(layer(outputs[-1]))
    z, t = outputs[-1], np.asarray(y)
    return [*_loss_links(z, t, model, outputs), _whole(z, t)]


def random_sets_link(n_sets: int = 1000, seed: int = 0) -> Link:
    """∂L/∂z for many random sets of logits in float64, with a reduction of sum, in one comparison.

    A set is two rows of C logits, C from 2 to 1000, on a scale from 1e-3 to 1e4.

    >>> random_sets_link(10).comparison.max_abs <= 4e-16
    True
    """
    rng = np.random.default_rng(seed)
    found, closed = [], []
    for _ in range(n_sets):
        n_classes = int(rng.integers(2, 1001))
        scale = 10 ** rng.uniform(-3, 4)
        logits = scale * rng.standard_normal((2, n_classes))
        target = rng.integers(0, n_classes, 2)
        z = Tensor(logits, requires_grad=True)
        (gradient,) = gradients(F.cross_entropy(z, target, reduction="sum"), [z])
        found.append(gradient.ravel())
        closed.append(closed_form.cross_entropy_grad(logits, target, "sum").ravel())
    both = _Closed(np.concatenate(closed), 1.0)
    return _link(f"∂L/∂z of {n_sets:,} sets", "p − y", np.concatenate(found), both)


# ── The loss ──────────────────────────────────────────────────────────────────────────────────────


def _loss_links(
    z: Tensor, t: Array, model: Sequential | None = None, outputs: Sequence[Tensor] = ()
) -> list[Link]:
    """The links from the loss back to the logits, and on through the model that made them."""
    n = len(t)
    rows = np.arange(n)

    shifted = z - z.max(-1, keepdims=True).detach()
    e = shifted.exp()
    s = e.sum(-1)
    log_s = s.log()
    shifted_t = shifted[rows, t]
    losses = log_s - shifted_t
    loss = losses.mean()

    p, y = closed_form.softmax(z.data), np.eye(z.shape[-1], dtype=z.dtype)[t]
    s_closed = np.exp(z.data - z.data.max(-1, keepdims=True)).sum(-1)
    each = np.full(n, 1 / n, z.dtype)
    spread = np.broadcast_to((1 / (n * s_closed))[:, None], z.shape)
    result = _Closed((p - y) / n, (p + y) / n)
    chain = [
        ("losses", "1 / N", losses, _same_sign(each)),
        ("log s", "1 / N", log_s, _same_sign(each)),
        ("(z_t − m)", "−1 / N", shifted_t, _same_sign(-each)),
        ("s", "1 / (N s)", s, _same_sign(1 / (n * s_closed))),
        ("e", "1 / (N s)", e, _same_sign(spread)),
        ("(z − m)", "(p − y) / N", shifted, result),
        ("z", "(p − y) / N", z, result),
    ]
    if model is not None:
        chain += _layers(model, outputs, result)
    found = gradients(loss, [tensor for _, _, tensor, _ in chain])
    return [
        _link(f"∂L/∂{name}", formula, gradient, closed)
        for (name, formula, _, closed), gradient in zip(chain, found, strict=True)
    ]


def _whole(z: Tensor, t: Array) -> Link:
    """∂L/∂z of the function that users call."""
    (found,) = gradients(F.cross_entropy(z, t), [z])
    terms = (closed_form.softmax(z.data).max(initial=0) + 1) / len(t)
    closed = _Closed(closed_form.cross_entropy_grad(z.data, t), terms)
    return _link("∂L/∂z of F.cross_entropy", "(p − y) / N", found, closed)


# ── The layers before it ──────────────────────────────────────────────────────────────────────────


def _layers(
    model: Sequential, outputs: Sequence[Tensor], at_logits: _Closed
) -> Iterator[tuple[str, str, Tensor, _Closed]]:
    """Name, formula, tensor and closed form of the gradients, from the last layer to the first.

    `outputs` are the input of the first layer and the output of each.
    """
    g, G = at_logits, "∂L/∂z"
    number = sum(isinstance(layer, Linear) for layer in model.layers)
    for i in reversed(range(len(model.layers))):
        layer, x, output = model.layers[i], outputs[i], outputs[i + 1]
        if isinstance(layer, Linear):
            h = f"h{number - 1}" if i else "x"
            W, b = layer.weight, layer.bias
            yield f"W{number}", f"{h}ᵀ {G}", W, _product(x.data.T, g)
            if b is not None:
                yield f"b{number}", f"Σ {G}", b, _Closed(g.value.sum(0), g.terms.sum(0))
            if i:
                g = _Closed(g.value @ W.data.T, g.terms @ np.abs(W.data).T)
                yield h, f"{G} W{number}ᵀ", x, g
                G = f"∂L/∂{h}"
            number -= 1
        elif isinstance(layer, Tanh):
            slope = 1 - output.data**2
            g = _Closed(g.value * slope, g.terms * slope)
            yield f"a{number}", f"{G} (1 − h{number}²)", x, g
            G = f"∂L/∂a{number}"
        else:
            raise TypeError(
                f"the closed form of {type(layer).__name__} is not known here: "
                "network_links is for Linear and Tanh"
            )


def _product(left: Array, g: _Closed) -> _Closed:
    return _Closed(left @ g.value, np.abs(left) @ g.terms)


def _same_sign(value: Array) -> _Closed:
    return _Closed(value, np.abs(value))


def _link(name: str, formula: str, found: Any, closed: _Closed) -> Link:
    largest_term = float(np.max(closed.terms))
    comparison = compare(found, closed.value, name, scale=largest_term)
    unit = float(np.finfo(closed.value.dtype).eps) * largest_term
    return Link(name, formula, comparison, comparison.max_abs / unit)
