"""A proof as text."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from .exact_numbers import Expression, to_rational
from .lines import WIDTH, Line, in_order, one_hot, sections
from .result import ProofData

_CLAIMS = {
    "gradient": "∂L/∂z = p − y, with p = softmax(z) and y = {}",
    "hessian": "∂G/∂z = diag(p) − p pᵀ, with G = ∂L/∂z and p = softmax(z)",
}

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def as_text(proof: ProofData) -> str:
    blocks = [_CLAIMS[proof.of].format(one_hot(proof))] if proof.of else []
    for words, lines in sections(proof):
        indent = "    " if words else ""
        body = [textwrap.indent(text, indent) for text in _with_notes(lines)]
        blocks.append("\n".join([words, *body] if words else body))
    return "\n\n".join(blocks)


def _with_notes(lines: Sequence[Line]) -> list[str]:
    """The lines, with their notes one below the other where no line is too long for that."""
    shown = [_line(line) for line in lines]
    width = max((len(text) for text in shown if len(text) <= WIDTH / 2), default=0)
    return [
        f"{text:<{width}}  ({line.note})" if line.note else text
        for text, line in zip(shown, lines, strict=True)
    ]


def _line(line: Line) -> str:
    of, *by = map(_name, line.left)
    power = {2: "²"}.get(len(by), "")
    left = f"∂{power}{of}/" + "".join(f"∂{x}" for x in by) if by else of
    sides = [f"{sign} {_array(side, len(left) + 3)}" for sign, side in line.sides]
    text = " ".join([left, *sides])
    if len(text) > WIDTH and "\n" not in text:
        text = "\n    ".join([left, *sides])
    return text


def _name(name: str) -> str:
    """z_12 as z₁₂. Two indices, z_1_2, stay as they are."""
    letter, _, index = name.partition("_")
    return letter + index.translate(_SUBSCRIPTS) if index.isdigit() else name


def _array(side: Any, column: int) -> str:
    """An expression; a vector as (a, b); a matrix with a row a line, each from this column on."""
    array = np.squeeze(to_rational(side))
    if not array.ndim:
        return _expression(array[()])
    if array.ndim == 1:
        return f"({', '.join(_array(e, 0) for e in array)})"
    cells = [[_array(e, 0) for e in row] for row in array.reshape(len(array), -1)]
    widths = [max(map(len, cells_of_column)) for cells_of_column in zip(*cells, strict=True)]
    rows = [", ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return ("\n" + " " * column).join(f"({row})" for row in rows)


def _expression(e: Expression) -> str:
    shown = _printer().doprint(e).replace("**", "^").replace("*", "·")
    shown = re.sub(r"[^\W\d_]+_\d+\b", lambda name: _name(name[0]), shown)
    shown = re.sub(r"\^(\d+)", lambda power: power[1].translate(_SUPERSCRIPTS), shown)
    return shown.replace("-", "−")


@cache
def _printer() -> Any:
    from sympy.printing.str import StrPrinter

    def maximum(self: Any, e: Expression) -> str:
        return f"max({self.stringify(e.args, ', ')})"

    return type("Text", (StrPrinter,), {"_as_ordered_terms": in_order, "_print_Max": maximum})()
