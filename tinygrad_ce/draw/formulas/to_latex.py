"""Formulas in LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..formatting import subscript
from .trees import Tree

_Write = Callable[..., str]
# As in the page's numbers.js: what binds weaker than what is around it gets parentheses.
_PRECEDENCE = {
    "choice": 0, "rel": 1, "plus": 2, "neg": 2, "seq": 2, "times": 3, "matmul": 3, "sum": 3.6,
    "call": 4, "pow": 5, "frac": 5.5,
}  # fmt: skip
_SIGNS = {"≤": r"\le", "≥": r"\ge", "≠": r"\ne", "∧": r"\land", "∨": r"\lor"}
_SYMBOLS = {"π": r"\pi", "∞": r"\infty", "∂": r"\partial "}
_LATEX_FUNCTIONS = frozenset(("log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"))
_SPECIAL_FUNCTIONS = {"not": r"\lnot ", "sigmoid": r"\sigma"}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "#$%&_{}"},
    **{subscript(digit): f"$_{digit}$" for digit in range(10)},
}


def latex_text(words: str) -> str:
    r"""Return words as text in a formula.

    >>> print(latex_text("a_b"))
    \text{a\_b}
    """
    return r"\text{" + "".join(_ESCAPES.get(c, c) for c in words) + "}"


def latex(tree: Tree, names: Mapping[str, str] | None = None) -> str:
    r"""Return a formula in LaTeX.

    Parameters
    ----------
    tree
        From `value_formula` or `rule_formula`.
    names
        LaTeX for variables that are not to be called by their letters.

    >>> print(latex(("frac", ("var", "g"), ("var", "x")), {"x": "x_1"}))
    \frac{g}{x_1}
    """
    return _latex(tree, names or {}, 0)


def _latex(tree: Tree, names: Mapping[str, str], outer: float) -> str:
    def write(part: Tree, outer: float = 0) -> str:
        return _latex(part, names, outer)

    kind, *parts = tree
    if kind == "var":
        return names.get(parts[0]) or (parts[0] if len(parts[0]) == 1 else latex_text(parts[0]))
    written = _WRITERS[kind](write, *parts)
    return f"({written})" if _PRECEDENCE.get(kind, 9) < outer else written


def _write_plus(write: _Write, *terms: Tree) -> str:
    shown = write(terms[0], 2)
    for term in terms[1:]:
        minus = term[0] == "neg"
        shown += (" - " if minus else " + ") + write(term[1] if minus else term, 2.5)
    return shown


def _write_times(write: _Write, *factors: Tree) -> str:
    # A function that is not the last factor would seem to be of all that follow.
    *first, last = factors
    return r"\,".join([*(write(t, 4.5) for t in first), write(last, 3.5)])


def _write_call(write: _Write, name: str, *inputs: Tree) -> str:
    known = name in _LATEX_FUNCTIONS
    operator_name = rf"\operatorname{{{name}}}" if name.isalnum() else latex_text(name)
    shown = _SPECIAL_FUNCTIONS.get(name) or (f"\\{name}" if known else operator_name)
    inside = ", ".join(map(write, inputs))
    simple = len(inputs) == 1 and _PRECEDENCE.get(inputs[0][0], 9) > 5 and name != "sigmoid"
    if not simple:
        return f"{shown}({inside})"
    return shown + inside if name == "not" else f"{shown} {inside}"


def _write_rel(write: _Write, *parts: Any) -> str:
    shown = [_SIGNS.get(p, p) if i % 2 else write(p, 1.5) for i, p in enumerate(parts)]
    return " ".join(shown)


def _write_sum(write: _Write, index: Tree | None, terms: Tree) -> str:
    under = f"_{_braced(write(index))}" if index else ""
    return rf"\sum{under} {write(terms, 3)}"


def _braced(written: str) -> str:
    return written if len(written) == 1 else f"{{{written}}}"


_WRITERS: dict[str, Callable[..., str]] = {
    "num": lambda write, number: number,
    "sym": lambda write, name: _SYMBOLS.get(name) or name,
    "tex": lambda write, latex: latex,
    "text": lambda write, words: latex_text(words),
    "seq": lambda write, *parts: "".join(map(write, parts)),
    "neg": lambda write, a: f"-{write(a, 2.75)}",
    "plus": _write_plus,
    "times": _write_times,
    "matmul": _write_times,
    "frac": lambda write, a, b: rf"\frac{{{write(a)}}}{{{write(b)}}}",
    "pow": lambda write, a, n: f"{write(a, 6)}^{_braced(write(n))}",
    "sub": lambda write, a, i: f"{write(a, 6)}_{_braced(write(i))}",
    "transposed": lambda write, a: rf"{write(a, 6)}^\top",
    "sqrt": lambda write, a: rf"\sqrt{{{write(a)}}}",
    "abs": lambda write, a: rf"\lvert {write(a)} \rvert",
    "call": _write_call,
    "sum": _write_sum,
    "bracket": lambda write, *parts: f"[{', '.join(map(write, parts))}]",
    "at": lambda write, a, *index: f"{write(a, 6)}[{', '.join(map(write, index))}]",
    "rel": _write_rel,
    "choice": lambda write, c, a, b: rf"{write(c, 1)} \;?\; {write(a, 1)} : {write(b, 1)}",
}
