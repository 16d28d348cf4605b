"""The derivation of a proof, line by line, before it is set as text or in LaTeX."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .exact_numbers import Expression, require_sympy, symbol_array
from .result import ProofData, Step

WIDTH = 100  # of a line of text; what would be longer is split


class Line(NamedTuple):
    """What is on the left, and on the right after = or ≠: of several names, a derivative."""

    left: tuple[str, ...]
    sides: Sequence[tuple[str, Any]]
    note: str = ""


def sections(proof: ProofData) -> Iterator[tuple[str, list[Line]]]:
    """The sections of a proof: words, and the lines to which they lead."""
    sums = _sums_of_exponentials(proof)
    if proof.steps:
        second = proof.of == "hessian"
        what = ("gradient G", "derivatives of G") if second else ("loss", "gradients")
        yield f"The values, from the logits to the {what[0]}:", [_value(s) for s in proof.steps]
        derivatives = [line for s in reversed(proof.steps) for line in _derivative(s, second)]
        yield f"The {what[1]}, as backprop passed them back:", derivatives
        but = f" but {' and '.join(map(str, sums.values()))}" if sums else ""
        lines = [Line((str(symbol),), [("=", value)]) for value, symbol in sums.items()]
        yield f"With all{but} put in:", [*lines, *_results(proof, sums)]
    else:
        yield "", list(_results(proof, sums))
    if proof.holds:
        yield "Proved: the difference simplifies to 0.", []
    else:
        left = [(left, proof.difference[place]) for place, left in _places(proof)]
        lines = [Line(names, [("=", difference)]) for names, difference in left if difference != 0]
        yield "Not proved. What is left of the difference:", lines


def _value(step: Step) -> Line:
    held = ", held constant: any number will do" * (step.backprop is None)
    return Line((step.name,), [("=", step.formula)], step.primitive + held)


def _derivative(step: Step, second: bool) -> Iterator[Line]:
    """In one line, or if that would be too long, in a line for each element."""
    values = step.backprop
    if values is None:
        return
    rows = len(values) if second else 1
    if sum(len(str(e)) for e in values.flat) <= WIDTH * rows:
        yield Line(("G" if second else "L", step.name), [("=", values)])
        return
    of = symbol_array("G", values.shape[:1]) if second else symbol_array("L", ())
    by = symbol_array(step.name, step.formula.shape)
    for place in np.ndindex(values.shape):
        names = str(of[place[: of.ndim]]), str(by[place[of.ndim :]])
        yield Line(names, [("=", values[place])])


def _sums_of_exponentials(proof: ProofData) -> dict[Expression, Expression]:
    """The symbols of such steps, by their values, which would fill the page if they were put in."""
    exp = require_sympy().exp
    values = {step.name: step.value.item() for step in proof.steps if step.value.size == 1}
    return {
        value: symbol_array(name, ()).item()
        for name, value in values.items()
        if value.is_Add
        and all(term.func is exp for term in value.args)
        and any(e.has(value) for e in proof.actual.flat)
    }


def _results(proof: ProofData, sums: dict[Expression, Expression]) -> Iterator[Line]:
    for place, left in _places(proof):
        actual, expected = proof.actual[place].xreplace(sums), proof.closed_form_in_p[place]
        sign = "=" if proof.difference[place] == 0 else "≠"
        yield Line(left, [("=", actual), (sign, expected)][: 1 + (actual != expected)])


def _places(proof: ProofData) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    """The places of the elements that are compared, and what to call each."""
    shape = proof.actual.shape
    z, actual = symbol_array("z", shape[:1]), symbol_array("actual", shape)
    for place in np.ndindex(shape):
        yield place, ("L", *(str(z[i]) for i in place)) if proof.steps else (str(actual[place]),)


def one_hot(proof: ProofData) -> tuple[int, ...]:
    return tuple(int(i == proof.target) for i in range(len(proof.actual)))


def in_order(printer: Any, e: Expression, order: Any = None) -> list[Expression]:
    """Order terms as people write them, z − m or p − 1; printers of SymPy take it as a method."""
    by_name = e.as_ordered_terms("lex")
    return sorted(by_name, key=lambda term: (term.could_extract_minus_sign(), term.is_number))
