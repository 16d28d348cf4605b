"""The proof that what backprop finds is the closed form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain, count
from operator import attrgetter
from typing import Any

import numpy as np

from .. import functional as F
from ..arguments import check_callable, check_choice, check_integer
from ..engine import primitives
from ..engine.backprop import backpropagate
from ..engine.graph import nodes_between, topological_order
from ..engine.tensor import Tensor, constant
from .exact_numbers import (
    Expressions,
    elementwise,
    require_sympy,
    symbol_array,
    to_rational,
    with_real_symbols,
)
from .full_graph import recording
from .read_graph import expression_of, read_nodes
from .result import Derivative, Proof, Step
from .simplify import simplify_difference

Loss = Callable[[Tensor, int], Tensor]


# Without those that mean something in mathematics, or look like numbers.
LETTERS = "abcdfghknqrstuvwxyABCDFHKMPQRTUVWXY"


def prove(
    n_classes: int, target: int = 0, of: Derivative = "gradient", loss: Loss = F.cross_entropy
) -> Proof:
    """Prove what generic backprop finds for the cross-entropy of one row of logits.

    The graphs of the loss and of its derivatives are read as expressions in z_1, z_2, ..., and
    compared with the closed form, softmax(z) - one_hot(target) or diag(p) - p pᵀ.

    Parameters
    ----------
    n_classes, target
        The number of logits, and the label, counted from 0.
    of
        "gradient", or "hessian": the second derivatives.
    loss
        Takes logits and label, and returns the loss: this is whose derivatives are compared.

    Returns
    -------
    Proof
        Its `holds` is False if the loss has another derivative, or a rule is wrong.

    Raises
    ------
    ValueError, IndexError
        Another `of`, less than one class, or a target that is no class.
    TypeError, RuntimeError
        A loss that returns no single number in a Tensor, or that cannot be read.

    >>> prove(3, target=1).holds, prove(3, target=1, of="hessian").holds
    (True, True)
    >>> prove(3, loss=lambda z, t: -F.softmax(z)[t].log()).holds
    True
    >>> prove(3, loss=lambda z, t: z.exp().sum() - z[t]).holds
    False
    """
    check_choice("of", of, ("gradient", "hessian"))
    check_callable("loss", loss)
    n_classes, target = check_integer("n_classes", n_classes, 1), check_integer("target", target)
    if not 0 <= target < n_classes:
        labels = f"labels run from 0 to {n_classes - 1}"
        raise IndexError(f"target {target} is out of range for {n_classes} classes: {labels}")
    steps = _derive(n_classes, target, of, loss)
    actual = next(step.gradient for step in steps if step.name == "z")
    assert actual is not None
    e = elementwise(require_sympy().exp)(symbol_array("z", (n_classes,)))
    expected = _closed_form(e / e.sum(), target, of)
    in_p = _closed_form(symbol_array("p", (n_classes,)), target, of)
    difference = simplify_difference(actual, expected)
    return Proof(of, target, steps, actual, expected, difference, in_p)


def prove_equal(actual: Any, expected: Any) -> Proof:
    """Prove that expressions that were read from a graph are those of a closed form.

    Parameters
    ----------
    actual, expected
        SymPy expressions, in arrays of one shape. Symbols are real numbers, and symbols of one
        name are the same.

    Raises
    ------
    ValueError
        Arrays of two shapes.

    >>> import sympy
    >>> import tinygrad_ce as tg
    >>> from tinygrad_ce.symbolic import expressions, prove_equal
    >>> x = tg.Tensor(0.5, requires_grad=True)
    >>> (slope,) = tg.gradients(x.sigmoid(), [x], create_graph=True)
    >>> e = sympy.exp(-sympy.Symbol("x", real=True))
    >>> print(prove_equal(expressions(slope, {x: "x"}), e / (1 + e) ** 2))
    actual = (1 − 1/(exp(−x) + 1))/(exp(−x) + 1) = exp(−x)/(exp(−x) + 1)²
    <BLANKLINE>
    Proved: the difference simplifies to 0.
    """
    with_real = elementwise(with_real_symbols)
    left, right = (to_rational(with_real(to_rational(e))) for e in (actual, expected))
    if left.shape != right.shape:
        raise ValueError(f"actual has shape {left.shape}, expected has shape {right.shape}")
    return Proof(None, None, (), left, right, simplify_difference(left, right), right)


def _derive(n_classes: int, target: int, of: Derivative, loss: Loss) -> tuple[Step, ...]:
    """What backprop does between the logits z and the loss, or between z and its gradient."""
    z = Tensor(np.linspace(0, 1, n_classes), requires_grad=True)
    with recording():
        output = loss(z, target)
        if not isinstance(output, Tensor):
            raise TypeError(f"a loss returns a Tensor, got {type(output).__name__}")
        gradients = _gradients(z, output, output.cotangent())
        if of == "hessian":
            output = gradients[z]
            gradients = _gradients(z, output, np.eye(n_classes))
    return _steps(z, output, gradients, "L" if of == "gradient" else "G")


def _gradients(z: Tensor, output: Tensor, cotangent: Any) -> dict[Tensor, Tensor]:
    """The derivatives of the output with respect to each node from z on, with their graphs."""
    nodes = nodes_between([z], output)
    if not nodes:
        return {z: constant(np.zeros(np.shape(cotangent)[: -output.ndim or None] + z.shape))}
    return backpropagate(output, constant(cotangent), wanted=nodes, create_graph=True)


def _steps(
    z: Tensor, output: Tensor, gradients: dict[Tensor, Tensor], name: str
) -> tuple[Step, ...]:
    graph = topological_order(output, *gradients.values())
    held = [node for node in graph if node.primitive is primitives.max_constant]
    nodes = sorted({z, *gradients, *held}, key=attrgetter("index"))
    names = _names(nodes, {output: name, z: "z"})
    symbols = {node: symbol_array(names[node], node.shape) for node in nodes}
    in_z = read_nodes([*nodes, *gradients.values()], {t: symbols[t] for t in (z, *held)})
    in_names = read_nodes(gradients.values(), symbols)
    return tuple(
        Step(
            names[node],
            node.primitive.name if node.primitive else "",
            expression_of(node, in_z | symbols) if node.inputs else symbols[node],
            in_z[node],
            in_names[gradients[node]] if node in gradients else None,
            in_z[gradients[node]] if node in gradients else None,
        )
        for node in nodes
    )


def _names(nodes: Sequence[Tensor], names: dict[Tensor, str]) -> dict[Tensor, str]:
    """A name for each node: its own if it has one, m for what is held constant, else a letter."""
    names = dict(names)
    taken = {*names.values(), "p"}
    letters = chain(LETTERS, (f"v{i}" for i in count(1)))
    for node in nodes:
        if node in names:
            continue
        own = node.name or ("m" if node.primitive is primitives.max_constant else None)
        if own is None or own in taken or not re.fullmatch(r"[^\W\d_]+", own):
            own = next(letter for letter in letters if letter not in taken)
        names[node] = own
        taken.add(own)
    return names


def _closed_form(p: Expressions, target: int, of: Derivative) -> Expressions:
    if of == "gradient":
        return to_rational(p - np.eye(len(p), dtype=int)[target])
    return to_rational(np.diag(p) - np.outer(p, p))
