"""A proof in LaTeX."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from .exact_numbers import require_sympy, to_rational
from .lines import Line, in_order, one_hot, sections
from .result import ProofData

_CLAIMS = {
    "gradient": (
        r"\frac{{\partial L}}{{\partial z}} = p - y, "
        r"\quad p = \operatorname{{softmax}}(z), \quad y = {}"
    ),
    "hessian": (
        r"\frac{{\partial G}}{{\partial z}} = \operatorname{{diag}}(p) - p\,p^\top, "
        r"\quad G = \frac{{\partial L}}{{\partial z}}, \quad p = \operatorname{{softmax}}(z)"
    ),
}


def as_latex(proof: ProofData) -> str:
    """The claim and the lines of each section, below one another at their signs."""
    lines = ["& " + _CLAIMS[proof.of].format(one_hot(proof))] if proof.of else []
    for words, block in sections(proof):
        lines += [rf"& \text{{{words}}}"] * bool(words) + [_line(line) for line in block]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _line(line: Line) -> str:
    of, *by = map(_array, map(require_sympy().Symbol, line.left))
    power = {2: "^2"}.get(len(by), "")
    below = r" \, ".join(rf"\partial {x}" for x in by)
    left = rf"\frac{{\partial{power} {of}}}{{{below}}}" if by else of
    signs = {"=": "=", "≠": r"\ne"}
    right = " ".join(f"{signs[sign]} {_array(side)}" for sign, side in line.sides)
    note = line.note.replace("_", r"\_")
    return rf"{left} &{right}" + rf" && \text{{{note}}}" * bool(note)


def _array(side: Any) -> str:
    array = np.squeeze(to_rational(side))
    if not array.ndim:
        return str(_printer().doprint(array[()]))
    if array.ndim == 1:
        return rf"\left({', '.join(map(_array, array))}\right)"
    rows = (" & ".join(map(_array, row)) for row in array.reshape(len(array), -1))
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


@cache
def _printer() -> Any:
    from sympy.printing.latex import LatexPrinter

    return type("LaTeX", (LatexPrinter,), {"_as_ordered_terms": in_order})()
