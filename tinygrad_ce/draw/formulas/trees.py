"""Trees of formulas: nested tuples ``(kind, *parts)``, which JSON keeps.

They are built here as one would write them: with the sign in front, x x as x², and a choice between
something and 0 as a bracket [condition]. The table at the end says how each kind is written, and
what it is on arrays. What is written becomes LaTeX here, and text or HTML on the page.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from ...engine import primitives
from ...engine.primitives import Primitive
from ..formatting import subscript

Tree = tuple[Any, ...]
Parts = list[Any]  # see `write`
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
    """A formula that is given in LaTeX: its letters are variables, and the rest is kept."""
    parts: list[Tree] = []
    tokens = re.compile(r"(?<=.)_([a-zA-Z])|\\text\{([^}]*)\}|(\\[a-zA-Z]+|\\.|.)", re.DOTALL)
    for sub, words, other in tokens.findall(formula):
        if sub:
            parts.append(("sub", parts.pop(), ("var", sub)))
        elif other:
            parts.append(("var" if other.isalpha() else "tex", other))
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
# Signs as they are on the page, and in LaTeX.
_SIGNS = {
    "−": "-", "·": r"\,", "\u2009": " ", "Σ": r"\sum", "π": r"\pi", "∞": r"\infty",
    "∂": r"\partial ", "≠": r"\ne", "≤": r"\le", "≥": r"\ge", "∧": r"\land", "∨": r"\lor",
    "ᵀ": r"^\top",
}  # fmt: skip
_SHOWN = {tex.strip(): sign for sign, tex in _SIGNS.items()}
_SHOWN |= {r"\top": "⊤", r"\cdot": "·", "{": "", "}": "", "": ""}
_FLOOR = ("name", r"\lfloor ", "⌊"), ("name", r" \rfloor", "⌋")
_BARS = ("name", r"\lvert ", "|"), ("name", r" \rvert", "|")
_CONSTANTS = {"π": math.pi, "∞": math.inf, "e": math.e}
_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal, "≠": np.not_equal, "<": np.less, ">": np.greater, "≤": np.less_equal,
    "≥": np.greater_equal, "∧": np.logical_and, "∨": np.logical_or,
}  # fmt: skip
# Functions that are commands of LaTeX.
_NAMES = {"log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan"}
_NAMES |= {"max", "min"}
_FUNCTION_SIGNS = {
    "not": ("name", r"\lnot ", "¬"), "sigmoid": ("name", r"\sigma", "σ"),
    "log2": ("name", r"\log_2", "log₂"), "log10": ("name", r"\log_{10}", "log₁₀"),
}  # fmt: skip


def latex_text(words: str) -> str:
    """Return words as text in a formula."""
    return r"\text{" + "".join(_ESCAPES.get(c, c) for c in words) + "}"


def latex(tree: Tree, names: Mapping[str, str] | None = None) -> str:
    """Return a formula in LaTeX, with names in LaTeX for variables not called by their letters."""
    return _latex(write(tree), names or {})


_MARKS = {
    "frac": r"\frac{{{}}}{{{}}}", "sup": "^{}", "sub": "_{}", "root": r"\sqrt{{{}}}",
    "choice": r"{} \;?\; {} : {}",
}  # fmt: skip


def _latex(parts: Parts, names: Mapping[str, str]) -> str:
    def written(part: Any) -> str:
        if isinstance(part, str):
            return "".join(_SIGNS.get(c, c) for c in part)
        mark, first, *_ = part
        if mark == "name":
            return str(first)
        if mark == "var":
            return names.get(first) or (first if len(first) == 1 else latex_text(first))
        inner = [_latex(parts, names) for parts in part[1:]]
        if mark in ("sup", "sub") and len(inner[0]) > 1:
            inner = [f"{{{inner[0]}}}"]
        return _MARKS[mark].format(*inner)

    return "".join(map(written, parts))


def write(tree: Tree, outer: float = 0) -> Parts:
    """Return a formula as what is written one after the other.

    That is signs, variables ``("var", letter, tight)`` (a negative number in the place of a tight
    one needs parentheses), names ``("name", latex, shown)`` and marks such as ``("frac", above,
    below)``, with lists of the same in them. What binds weaker than what is around it (`outer`) is
    in parentheses.
    """
    kind, *parts = tree
    if kind == "var":
        return [("var", parts[0], outer > 3)]
    written: Parts = _KINDS[kind].write(*parts)
    return ["(", *written, ")"] if _KINDS[kind].precedence < outer else written


def _join(sign: str, written: Iterable[Parts]) -> Parts:
    first, *others = written
    return reduce(lambda parts, more: [*parts, sign, *more], others, first)


def _write_plus(*terms: Tree) -> Parts:
    parts = write(terms[0], 2)
    for term in terms[1:]:
        minus = term[0] == "neg"
        parts += [" − " if minus else " + ", *write(term[1] if minus else term, 2.5)]
    return parts


def _write_times(*factors: Tree) -> Parts:
    # A function that is not the last factor would seem to be of all that follow.
    return _join("·", [*(write(t, 4.5) for t in factors[:-1]), write(factors[-1], 3.5)])


def _write_call(name: str, *inputs: Tree) -> Parts:
    as_latex = rf"\operatorname{{{name}}}" if name.isalnum() else latex_text(name)
    as_latex = rf"\{name}" if name in _NAMES else as_latex
    function = _FUNCTION_SIGNS.get(name) or ("name", as_latex, name)
    if len(inputs) > 1 or _precedence(inputs[0]) <= 5 or name == "sigmoid":
        return [function, "(", *_join(", ", map(write, inputs)), ")"]
    return [function, *([] if name == "not" else ["\u2009"]), *write(inputs[0], 4.5)]


def _write_sum(index: Tree | None, terms: Tree) -> Parts:
    below: Parts = [("sub", write(index))] if index else []
    return ["Σ", *below, "\u2009", *write(terms, 3)]


def _write_bracket(*parts: Tree) -> Parts:
    return ["[", *_join(", ", map(write, parts)), "]"]


def _write_relation(first: Tree, *others: Any) -> Parts:
    pairs = zip(others[::2], others[1::2], strict=True)
    return [*write(first, 1.5), *chain(*([f" {sign} ", *write(t, 1.5)] for sign, t in pairs))]


def _precedence(tree: Tree) -> float:
    return 9 if tree[0] == "var" else _KINDS[tree[0]].precedence


@np.errstate(all="ignore")
def evaluate(tree: Tree, env: Mapping[str, Any], axis: Any = ...) -> Any:
    """Return the value of a formula on arrays, or None where it is not of their elements.

    `env` has the values of the variables, `axis` the axes of sums, which are kept, of length 1;
    without them, a sum is not known.
    """

    def value(tree: Tree) -> Any:
        kind, *parts = tree
        if kind == "var":
            return env[parts[0]]
        if kind == "sum" and parts[0] is None:
            return np.sum(value(parts[1]), axis=axis, keepdims=True)
        if kind == "times":
            product: Any = 1
            for part in parts:  # a bracket of 0 wins even over inf and nan, as np.where does
                holds = part[0] == "bracket"
                product = np.where(value(part), product, 0) if holds else product * value(part)
            return product
        inputs = [value(part) if isinstance(part, tuple) else part for part in parts]
        return _KINDS[kind].value(*inputs)

    try:
        return value(tree)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _related(*parts: Any) -> Any:
    triples = zip(parts[:-2:2], parts[1::2], parts[2::2], strict=True)
    return reduce(np.logical_and, [_RELATIONS[sign](a, b) for a, sign, b in triples])


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
    write: Callable[..., Parts]
    value: Callable[..., Any] = _unknown
    precedence: float = 9


_KINDS = {
    "num": _Kind(lambda number: [number], lambda n: int(n) if n.isdigit() else float(n)),
    "sym": _Kind(lambda sign: [sign], _CONSTANTS.__getitem__),
    "tex": _Kind(lambda tex: [("name", tex, _SHOWN.get(tex.strip(), tex.replace("\\", "")))]),
    "text": _Kind(lambda words: [("name", latex_text(words), words)]),
    "seq": _Kind(lambda *parts: [*chain(*map(write, parts))], precedence=2),
    "neg": _Kind(lambda a: ["−", *write(a, 2.75)], operator.neg, 2),
    "plus": _Kind(_write_plus, lambda *terms: sum(terms), 2),
    "times": _Kind(_write_times, precedence=3),
    "matmul": _Kind(_write_times, precedence=3),
    "frac": _Kind(lambda a, b: [("frac", write(a), write(b))], np.true_divide, 5.5),
    "pow": _Kind(lambda a, n: [*write(a, 6), ("sup", write(n))], np.power, 5),
    "sub": _Kind(lambda a, i: [*write(a, 6), ("sub", write(i))]),
    "transposed": _Kind(lambda a: [*write(a, 6), "ᵀ"]),
    "sqrt": _Kind(lambda a: [("root", write(a))], np.sqrt),
    "abs": _Kind(lambda a: [_BARS[0], *write(a), _BARS[1]], np.abs),
    "floor": _Kind(lambda *ab: [_FLOOR[0], *write(("frac", *ab)), _FLOOR[1]], np.floor_divide),
    "call": _Kind(_write_call, _call, 4),
    "sum": _Kind(_write_sum, precedence=3.6),
    "bracket": _Kind(_write_bracket, lambda holds: np.asarray(holds, float)),
    "at": _Kind(lambda a, *index: [*write(a, 6), *_write_bracket(*index)]),
    "rel": _Kind(_write_relation, _related, 1),
    "choice": _Kind(
        lambda c, a, b: [("choice", write(c, 1), write(a, 1), write(b, 1))], np.where, 0
    ),
}
