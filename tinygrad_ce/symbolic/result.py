"""What a proof is made of: its steps, and the expressions that it compares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .exact_numbers import Expressions

Derivative = Literal["gradient", "hessian"]


@dataclass(frozen=True, eq=False)
class Step:
    """One node of a derivation.

    Attributes
    ----------
    primitive
        The name of the primitive that made it; "" for the logits.
    formula, value
        Its value, in the names of what it was made from, and in z.
    backprop, gradient
        The derivative with respect to this node, as backprop found it, in the names of nodes, and
        in z. None for what is held constant. Of the second derivatives, a row for each logit.
    """

    name: str
    primitive: str
    formula: Expressions
    value: Expressions
    backprop: Expressions | None
    gradient: Expressions | None


@dataclass(frozen=True, eq=False, repr=False)
class ProofData:
    """What was compared, and what came of it.

    Attributes
    ----------
    of, target
        Which derivative, and the label; None for expressions of a user's own.
    actual, expected, difference
        What was read from the graph, the closed form, and the one minus the other, simplified.
    closed_form_in_p
        The closed form in p = softmax(z), or `expected` where there is no p.
    """

    of: Derivative | None
    target: int | None
    steps: tuple[Step, ...]
    actual: Expressions
    expected: Expressions
    difference: Expressions
    closed_form_in_p: Expressions

    @property
    def holds(self) -> bool:
        """Whether the difference is 0."""
        return all(d == 0 for d in self.difference.flat)

    def __repr__(self) -> str:
        return f"Proof(of={self.of!r}, target={self.target!r}, holds={self.holds})"
