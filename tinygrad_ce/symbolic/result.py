"""What a proof is made of: its steps, and the expressions that it compares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .exact_numbers import Expression, Expressions, require_sympy, symbol_array
from .setting import WIDTH, Derivation, Line, as_latex, as_text

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
class Proof:
    """Whether what was read from a graph and a closed form are the same, and why.

    Printed, it is the derivation as text; notebooks show its `latex`.

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

    def __str__(self) -> str:
        return as_text(self._derivation())

    def latex(self) -> str:
        """Return the derivation in LaTeX, to be set between ``$$``."""
        return as_latex(self._derivation())

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"

    def _derivation(self) -> Derivation:
        one_hot = tuple(int(i == self.target) for i in range(len(self.actual.flat)))
        return Derivation(self.of, one_hot, self._sections())

    def _sections(self) -> Iterator[tuple[str, list[Line]]]:
        sums = self._sums_of_exponentials()
        if self.steps:
            second = self.of == "hessian"
            what = ("gradient G", "derivatives of G") if second else ("loss", "gradients")
            yield f"The values, from the logits to the {what[0]}:", [_value(s) for s in self.steps]
            derivatives = [line for s in reversed(self.steps) for line in _derivative(s, second)]
            yield f"The {what[1]}, as backprop passed them back:", derivatives
            but = f" but {' and '.join(map(str, sums.values()))}" if sums else ""
            lines = [Line((str(symbol),), [("=", value)]) for value, symbol in sums.items()]
            yield f"With all{but} put in:", [*lines, *self._results(sums)]
        else:
            yield "", list(self._results(sums))
        if self.holds:
            yield "Proved: the difference simplifies to 0.", []
        else:
            left = [(left, self.difference[place]) for place, left in self._places()]
            lines = [Line(names, [("=", rest)]) for names, rest in left if rest != 0]
            yield "Not proved. What is left of the difference:", lines

    def _sums_of_exponentials(self) -> dict[Expression, Expression]:
        """The symbols of such steps, by values that would fill the page if they were put in."""
        exp = require_sympy().exp
        values = {step.name: step.value.item() for step in self.steps if step.value.size == 1}
        return {
            value: symbol_array(name, ()).item()
            for name, value in values.items()
            if value.is_Add
            and all(term.func is exp for term in value.args)
            and any(e.has(value) for e in self.actual.flat)
        }

    def _results(self, sums: dict[Expression, Expression]) -> Iterator[Line]:
        for place, left in self._places():
            actual, expected = self.actual[place].xreplace(sums), self.closed_form_in_p[place]
            sign = "=" if self.difference[place] == 0 else "≠"
            yield Line(left, [("=", actual), (sign, expected)][: 1 + (actual != expected)])

    def _places(self) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
        """The places of the elements that are compared, and what to call each."""
        shape = self.actual.shape
        z, actual = symbol_array("z", shape[:1]), symbol_array("actual", shape)
        for place in np.ndindex(shape):
            names = ("L", *(str(z[i]) for i in place)) if self.steps else (str(actual[place]),)
            yield place, names


def _value(step: Step) -> Line:
    held = ", held constant: any number will do" * (step.backprop is None)
    return Line((step.name,), [("=", step.formula)], step.primitive + held)


def _derivative(step: Step, second: bool) -> Iterator[Line]:
    """In one line, or if that would be too long, in a line for each element."""
    values, name = step.backprop, "G" if second else "L"
    if values is None:
        return
    rows = len(values) if second else 1
    if sum(len(str(e)) for e in values.flat) <= WIDTH * rows:
        yield Line((name, step.name), [("=", values)])
        return
    of = symbol_array(name, values.shape[: int(second)])
    by = symbol_array(step.name, step.formula.shape)
    for place in np.ndindex(values.shape):
        yield Line((str(of[place[: of.ndim]]), str(by[place[of.ndim :]])), [("=", values[place])])
