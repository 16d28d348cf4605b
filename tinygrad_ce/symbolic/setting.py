"""A derivation set as text or in LaTeX, line by line."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from .exact_numbers import Expression, require_sympy, to_rational

WIDTH = 100  # of a line of text; what would be longer is split

_CLAIMS_IN_TEXT = {
    "gradient": "∂L/∂z = p − y, with p = softmax(z) and y = {}",
    "hessian": "∂G/∂z = diag(p) − p pᵀ, with G = ∂L/∂z and p = softmax(z)",
}
_CLAIMS_IN_LATEX = {
    "gradient": (
        r"\frac{{\partial L}}{{\partial z}} = p - y, "
        r"\quad p = \operatorname{{softmax}}(z), \quad y = {}"
    ),
    "hessian": (
        r"\frac{{\partial G}}{{\partial z}} = \operatorname{{diag}}(p) - p\,p^\top, "
        r"\quad G = \frac{{\partial L}}{{\partial z}}, \quad p = \operatorname{{softmax}}(z)"
    ),
}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Line(NamedTuple):
    """What is on the left, and on the right after = or ≠: of several names, a derivative."""

    left: tuple[str, ...]
    sides: Sequence[tuple[str, Any]]
    note: str = ""


class Derivation(NamedTuple):
    """What is claimed, of which label, and the sections: words, and lines."""

    of: str | None
    one_hot: tuple[int, ...]
    sections: Iterable[tuple[str, list[Line]]]


# ── Text ──────────────────────────────────────────────────────────────────────────────────────────


def as_text(derivation: Derivation) -> str:
    of, one_hot, sections = derivation
    blocks = [_CLAIMS_IN_TEXT[of].format(one_hot)] if of else []
    for words, lines in sections:
        body = "\n".join(_with_notes(lines))
        blocks.append("\n".join([words, textwrap.indent(body, "    ")]) if words else body)
    return "\n\n".join(block.rstrip("\n") for block in blocks)


def _with_notes(lines: Sequence[Line]) -> list[str]:
    """The lines, with their notes one below the other where no line is too long for that."""
    shown = [_text_line(line) for line in lines]
    width = max((len(text) for text in shown if len(text) <= WIDTH / 2), default=0)
    return [
        f"{text:<{width}}  ({line.note})" if line.note else text
        for text, line in zip(shown, lines, strict=True)
    ]


def _text_line(line: Line) -> str:
    of, *by = map(_name, line.left)
    power = {2: "²"}.get(len(by), "")
    left = f"∂{power}{of}/" + "".join(f"∂{x}" for x in by) if by else of
    sides = [f"{sign} {_text_array(side, len(left) + 3)}" for sign, side in line.sides]
    text = " ".join([left, *sides])
    return text if len(text) <= WIDTH or "\n" in text else "\n    ".join([left, *sides])


def _name(name: str) -> str:
    """z_12 as z₁₂. Two indices, z_1_2, stay as they are."""
    letter, _, index = name.partition("_")
    return letter + index.translate(_SUBSCRIPTS) if index.isdigit() else name


def _text_array(side: Any, column: int = 0) -> str:
    """An expression; a vector as (a, b); a matrix with a row a line, each from this column on."""
    array = np.squeeze(to_rational(side))
    if not array.ndim:
        return _text_expression(array[()])
    if array.ndim == 1:
        return f"({', '.join(map(_text_array, array))})"
    cells = [list(map(_text_array, row)) for row in array.reshape(len(array), -1)]
    widths = [max(map(len, cells_of_column)) for cells_of_column in zip(*cells, strict=True)]
    rows = [", ".join(map(str.rjust, row, widths)) for row in cells]
    return ("\n" + " " * column).join(f"({row})" for row in rows)


def _text_expression(e: Expression) -> str:
    shown = _printers()[0].doprint(e).replace("**", "^").replace("*", "·")
    shown = re.sub(r"[^\W\d_]+_\d+\b", lambda name: _name(name[0]), shown)
    shown = re.sub(r"\^(\d+)", lambda power: power[1].translate(_SUPERSCRIPTS), shown)
    return shown.replace("-", "−")


# ── LaTeX ─────────────────────────────────────────────────────────────────────────────────────────


def as_latex(derivation: Derivation) -> str:
    of, one_hot, sections = derivation
    lines = ["& " + _CLAIMS_IN_LATEX[of].format(one_hot)] if of else []
    for words, block in sections:
        lines += [rf"& \text{{{words}}}"] * bool(words) + list(map(_latex_line, block))
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _latex_line(line: Line) -> str:
    of, *by = map(_latex_array, map(require_sympy().Symbol, line.left))
    power = {2: "^2"}.get(len(by), "")
    below = r" \, ".join(rf"\partial {x}" for x in by)
    left = rf"\frac{{\partial{power} {of}}}{{{below}}}" if by else of
    signs = {"=": "=", "≠": r"\ne"}
    right = " ".join(f"{signs[sign]} {_latex_array(side)}" for sign, side in line.sides)
    note = line.note.replace("_", r"\_")
    return rf"{left} &{right}" + rf" && \text{{{note}}}" * bool(note)


def _latex_array(side: Any) -> str:
    array = np.squeeze(to_rational(side))
    if not array.ndim:
        return str(_printers()[1].doprint(array[()]))
    if array.ndim == 1:
        return rf"\left({', '.join(map(_latex_array, array))}\right)"
    rows = (" & ".join(map(_latex_array, row)) for row in array.reshape(len(array), -1))
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"


@cache
def _printers() -> tuple[Any, Any]:
    """SymPy's printers of text and LaTeX, with terms as people order them: z − m or p − 1."""
    from sympy.printing.latex import LatexPrinter
    from sympy.printing.str import StrPrinter

    def in_order(printer: Any, e: Expression, order: Any = None) -> list[Expression]:
        by_name = e.as_ordered_terms("lex")
        return sorted(by_name, key=lambda term: (term.could_extract_minus_sign(), term.is_number))

    def maximum(printer: Any, e: Expression) -> str:
        return f"max({printer.stringify(e.args, ', ')})"

    ordered = {"_as_ordered_terms": in_order}
    text = type("Text", (StrPrinter,), {**ordered, "_print_Max": maximum})
    return text(), type("LaTeX", (LatexPrinter,), ordered)()
