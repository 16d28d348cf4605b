"""Trees of formulas: nested tuples ``(kind, *parts)``, which JSON keeps.

They are built here as one would write them: with the sign in front, x x as x², and a choice between
something and 0 as a bracket [condition]. The table at the end says how each kind is written in
LaTeX, and what it is on arrays; the page's numbers.js writes the same kinds in HTML.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ...engine import primitives
from ...engine.primitives import Primitive
from ..formatting import subscript

Tree = tuple[Any, ...]
ZERO, ONE = ("num", "0"), ("num", "1")


def neg(a: Tree) -> Tree:
    return a[1] if a[0] == "neg" else ("neg", a)


def plus(a: Tree, b: Tree) -> Tree:
    return ("plus", *(a[1:] if a[0] == "plus" else (a,)), *(b[1:] if b[0] == "plus" else (b,)))


def times(a: Tree, b: Tree) -> Tree:
    """a b, with the sign and numbers in front, and x x as a power."""
    if "neg" in (a[0], b[0]):
        product = times(a[1] if a[0] == "neg" else a, b[1] if b[0] == "neg" else b)
        return neg(product) if a[0] != b[0] else product
    left, right = (list(t[1:]) if t[0] == "times" else [t] for t in (a, b))
    base, exponent = left[-1][1:] if left[-1][0] == "pow" else (left[-1], ONE)
    if base == right[0] and base[0] == "var" and exponent[0] == "num":
        left[-1] = ("pow", base, ("num", str(int(exponent[1]) + 1)))
        del right[0]
    factors = sorted(left + right, key=lambda t: t[0] != "num")
    factors = [t for t in factors if t != ONE] or [ONE]
    return ("times", *factors) if len(factors) > 1 else factors[0]


def frac(a: Tree, b: Tree) -> Tree:
    return neg(frac(a[1], b)) if a[0] == "neg" else ("frac", a, b)


def where(condition: Tree, a: Tree, b: Tree) -> Tree:
    """a where the condition holds, else b: with an Iverson bracket if one of them is 0."""
    sides, sign = set(condition[1::2]), condition[2:3]
    if sign == ("=",) and condition[3][0] == a[0] == "num" and b[0] != "num":
        return b  # a guard at a single point
    if b == ZERO:
        return restricted(a, condition)
    if a == ZERO:
        return restricted(b, ("call", "not", condition))
    if b[0] == "times" and b[-1][0] == "bracket" and condition[0] == "rel":
        other = b[-1][1]
        if set(other[1::2]) == sides and {other[2], *sign} in ({"=", "<"}, {"=", ">"}):
            return plus(restricted(a, condition), b)  # they exclude each other
    return ("choice", condition, a, b)


def restricted(a: Tree, condition: Tree) -> Tree:
    if a[0] == "frac" and a[2][0] != "num":
        return frac(restricted(a[1], condition), a[2])
    return times(a, ("bracket", condition))


def replace(tree: Any, known: Mapping[str, Tree]) -> Any:
    """Return a tree with other trees in the place of variables."""
    if not isinstance(tree, tuple):
        return tree
    if tree[:1] == ("var",):
        return known.get(tree[1], tree)
    return tuple(replace(part, known) for part in tree)


def from_latex(formula: str) -> Tree:
    r"""A formula that is given in LaTeX: its letters are variables, and the rest is kept.

    >>> from_latex(r"g_a"), from_latex(r"x \text{ at }")
    (('sub', ('var', 'g'), ('var', 'a')), ('seq', ('var', 'x'), ('tex', ' '), ('text', ' at ')))
    """
    parts: list[Tree] = []
    for sub, words, other in re.findall(
        r"(?<=.)_([a-zA-Z])|\\text\{([^}]*)\}|(\\[a-zA-Z]+|\\.|.)", formula, re.DOTALL
    ):
        if sub:
            parts.append(("sub", parts.pop(), ("var", sub)))
        elif other:
            is_letter = len(other) == 1 and other.isalpha()
            parts.append(("var" if is_letter else "tex", other))
        else:
            parts.append(("text", words))
    return parts[0] if len(parts) == 1 else ("seq", *parts)


_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "#$%&_{}"},
    **{subscript(digit): f"$_{digit}$" for digit in range(10)},
}
_SYMBOLS = {"π": r"\pi", "∞": r"\infty", "∂": r"\partial "}
_CONSTANTS = {"π": math.pi, "∞": math.inf, "e": math.e}
_RELATIONS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "=": ("=", np.equal),
    "≠": (r"\ne", np.not_equal),
    "<": ("<", np.less),
    ">": (">", np.greater),
    "≤": (r"\le", np.less_equal),
    "≥": (r"\ge", np.greater_equal),
    "∧": (r"\land", np.logical_and),
    "∨": (r"\lor", np.logical_or),
}
_CALLS = {
    **{name: rf"\{name}" for name in ("log", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    **{name: rf"\{name}" for name in ("arcsin", "arccos", "arctan")},
    "log2": r"\log_2",
    "log10": r"\log_{10}",
    "max": r"\max",
    "min": r"\min",
    "not": r"\lnot ",
    "sigmoid": r"\sigma",
}


def latex_text(words: str) -> str:
    r"""Return words as text in a formula.

    >>> print(latex_text("a_b"))
    \text{a\_b}
    """
    return r"\text{" + "".join(_ESCAPES.get(c, c) for c in words) + "}"


def latex(tree: Tree, names: Mapping[str, str] | None = None, outer: float = 0) -> str:
    r"""Return a formula in LaTeX.

    Parameters
    ----------
    tree
        From `value_formula` or `rule_formula`.
    names
        LaTeX for variables that are not to be called by their letters.
    outer
        How strongly what is around it binds: what binds weaker gets parentheses.

    >>> print(latex(("frac", ("var", "g"), ("var", "x")), {"x": "x_1"}))
    \frac{g}{x_1}
    """

    def write(part: Tree, outer: float = 0) -> str:
        return latex(part, names, outer)

    kind, *parts = tree
    if kind == "var":
        name = parts[0]
        return (names or {}).get(name) or (name if len(name) == 1 else latex_text(name))
    written = _KINDS[kind].latex(write, *parts)
    return f"({written})" if _KINDS[kind].precedence < outer else written


def _write_plus(write: Any, *terms: Tree) -> str:
    shown: str = write(terms[0], 2)
    for term in terms[1:]:
        minus = term[0] == "neg"
        shown += (" - " if minus else " + ") + write(term[1] if minus else term, 2.5)
    return shown


def _write_times(write: Any, *factors: Tree) -> str:
    # A function that is not the last factor would seem to be of all that follow.
    return r"\,".join([*(write(t, 4.5) for t in factors[:-1]), write(factors[-1], 3.5)])


def _write_call(write: Any, name: str, *inputs: Tree) -> str:
    shown = rf"\operatorname{{{name}}}" if name.isalnum() else latex_text(name)
    shown = _CALLS.get(name, shown)
    inside = ", ".join(map(write, inputs))
    if len(inputs) > 1 or _precedence(inputs[0]) <= 5 or name == "sigmoid":
        return f"{shown}({inside})"
    return shown + inside if name == "not" else f"{shown} {inside}"


def _write_relation(write: Any, *parts: Any) -> str:
    return " ".join(_RELATIONS[p][0] if i % 2 else write(p, 1.5) for i, p in enumerate(parts))


def _write_sum(write: Any, index: Tree | None, terms: Tree) -> str:
    return rf"\sum{f'_{_braced(write(index))}' if index else ''} {write(terms, 3)}"


def _precedence(tree: Tree) -> float:
    return 9 if tree[0] == "var" else _KINDS[tree[0]].precedence


def _braced(written: str) -> str:
    return written if len(written) == 1 else f"{{{written}}}"


class _Bracket:
    """[condition]: 1 where it holds, else 0."""

    def __init__(self, holds: Any) -> None:
        self.holds = holds


@np.errstate(all="ignore")
def evaluate(tree: Tree, env: Mapping[str, Any], axis: Any = ...) -> Any:
    """Return the value of a formula on arrays, or None where it is not of their elements.

    `env` has the values of the variables, `axis` the axes of sums, which are kept, of length 1;
    without them, a sum is not known.

    >>> evaluate(("pow", ("var", "x"), ("num", "2")), {"x": np.array([1.0, 2.0])})
    array([1., 4.])
    """

    def value(tree: Tree) -> Any:
        kind, *parts = tree
        if kind == "var":
            return env[parts[0]]
        if kind == "sum" and parts[0] is None:
            return np.sum(_plain(value(parts[1])), axis=axis, keepdims=True)
        if kind in ("num", "sym", "call", "rel"):
            inputs = [value(part) if isinstance(part, tuple) else part for part in parts]
        else:
            inputs = list(map(value, parts))
        return _KINDS[kind].value(*inputs)

    try:
        return _plain(value(tree))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _plain(value: Any) -> Any:
    return np.asarray(value.holds, float) if isinstance(value, _Bracket) else value


def _product(*factors: Any) -> Any:
    product: Any = 1
    for factor in factors:
        # A bracket of 0 wins even over inf and nan: that is what np.where does.
        if isinstance(factor, _Bracket):
            product = np.where(factor.holds, product, 0)
        else:
            product = product * factor
    return product


def _power(a: Any, n: Any) -> Any:
    return np.asarray(a) ** np.asarray(n)


def _quotient(a: Any, b: Any) -> Any:
    return np.true_divide(_plain(a), _plain(b))


def _related(*parts: Any) -> Any:
    triples = zip(parts[:-2:2], parts[1::2], parts[2::2], strict=True)
    return reduce(np.logical_and, [_RELATIONS[sign][1](a, b) for a, sign, b in triples])


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{v.name: v.value for v in vars(primitives).values() if isinstance(v, Primitive)},
    "max": np.maximum,
    "min": np.minimum,
    "not": np.logical_not,
}


def _call(name: str, *inputs: Any) -> Any:
    return (_FUNCTIONS.get(name) or getattr(np, name))(*inputs)


def _unknown(*parts: Any) -> Any:
    raise TypeError("it is not of elements")


class _Kind(NamedTuple):
    latex: Callable[..., str]
    value: Callable[..., Any] = _unknown
    precedence: float = 9


_KINDS = {
    "num": _Kind(lambda write, number: number, lambda n: int(n) if n.isdigit() else float(n)),
    "sym": _Kind(lambda write, name: str(_SYMBOLS.get(name, name)), _CONSTANTS.__getitem__),
    "tex": _Kind(lambda write, latex: latex),
    "text": _Kind(lambda write, words: latex_text(words)),
    "seq": _Kind(lambda write, *parts: "".join(map(write, parts)), precedence=2),
    "neg": _Kind(lambda write, a: f"-{write(a, 2.75)}", lambda a: -_plain(a), 2),
    "plus": _Kind(_write_plus, lambda *terms: sum(map(_plain, terms)), 2),
    "times": _Kind(_write_times, _product, 3),
    "matmul": _Kind(_write_times, precedence=3),
    "frac": _Kind(lambda write, a, b: rf"\frac{{{write(a)}}}{{{write(b)}}}", _quotient, 5.5),
    "pow": _Kind(lambda write, a, n: f"{write(a, 6)}^{_braced(write(n))}", _power, 5),
    "sub": _Kind(lambda write, a, i: f"{write(a, 6)}_{_braced(write(i))}"),
    "transposed": _Kind(lambda write, a: rf"{write(a, 6)}^\top"),
    "sqrt": _Kind(lambda write, a: rf"\sqrt{{{write(a)}}}", np.sqrt),
    "abs": _Kind(lambda write, a: rf"\lvert {write(a)} \rvert", np.abs),
    "floor": _Kind(
        lambda write, a, b: rf"\lfloor \frac{{{write(a)}}}{{{write(b)}}} \rfloor", np.floor_divide
    ),
    "call": _Kind(_write_call, _call, 4),
    "sum": _Kind(_write_sum, precedence=3.6),
    "bracket": _Kind(lambda write, *parts: f"[{', '.join(map(write, parts))}]", _Bracket),
    "at": _Kind(lambda write, a, *index: f"{write(a, 6)}[{', '.join(map(write, index))}]"),
    "rel": _Kind(_write_relation, _related, 1),
    "choice": _Kind(
        lambda write, c, a, b: rf"{write(c, 1)} \;?\; {write(a, 1)} : {write(b, 1)}", np.where, 0
    ),
}
