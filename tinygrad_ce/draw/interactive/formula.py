r"""The formulas of the table of derivatives, taken apart: to be shown with names or with numbers.

The table writes its formulas in a small part of LaTeX. `parse` makes a tree of one, which the page
writes out as mathematics, once with the names of tensors and once with their numbers. `evaluate`
computes a tree on arrays; where that is what the rule itself has computed, the page may fill in
numbers. A formula that is beyond this part of LaTeX is shown as it stands: nothing else breaks.

A tree is nested tuples, ``(kind, *parts)``, which JSON keeps:

>>> parse(r"-\frac{g\,y}{b}")
('neg', ('frac', ('times', ('var', 'g'), ('var', 'y')), ('var', 'b')))
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

Tree = tuple[Any, ...]
Env = Mapping[str, Any]

_TOKEN = re.compile(r"\\text\{(?P<text>[^}]*)\}|\\operatorname\{(?P<name>\w+)\}|\\[a-zA-Z]+|\\.|\S")
_IGNORED = frozenset((r"\,", r"\;", r"\ ", r"\textstyle", r"\cdot"))
_FUNCTIONS = frozenset((r"\log", r"\sin", r"\cos", r"\tanh", r"\sigma", r"\max", r"\min", r"\arg"))
_RELATIONS = {
    "=": "=",
    "<": "<",
    ">": ">",
    r"\le": "≤",
    r"\ge": "≥",
    r"\ne": "≠",
    r"\land": "∧",
    r"\lor": "∨",
}
_SYMBOLS = {r"\pi": "π", r"\infty": "∞", r"\top": "⊤"}
_CLOSING = frozenset((")", "]", "}", ",", ":", "?", r"\rvert", "+", "-", *_RELATIONS))


class _CannotReadError(ValueError):
    """The formula is beyond the part of LaTeX that is known here."""


@lru_cache(maxsize=1024)
def parse(latex: str) -> Tree | None:
    r"""The tree of a formula, or None where it is beyond what is known here.

    >>> parse(r"g\,n\,x^{n-1}")[-1]
    ('pow', ('var', 'x'), ('plus', ('var', 'n'), ('neg', ('num', '1'))))
    >>> parse(r"\begin{matrix}")
    """
    try:
        return _Parser(latex).whole()
    except _CannotReadError:
        return None


def _free(latex: str) -> str:
    r"""The formula with a letter that begins a text taken out of it: \text{g at } has a g in it."""
    return re.sub(r"\\text\{([a-z]) ([^}]*)\}", r"\1\\text{ \2}", latex)


class _Parser:
    """A parser by recursive descent; formulas are short."""

    def __init__(self, latex: str) -> None:
        self.tokens = [m for m in _TOKEN.finditer(_free(latex)) if m[0] not in _IGNORED]
        self.place = 0

    def whole(self) -> Tree:
        tree = self.choice()
        if self.next() is not None:
            raise _CannotReadError
        return tree

    def next(self) -> str | None:
        return self.tokens[self.place][0] if self.place < len(self.tokens) else None

    def close(self) -> bool:
        """Whether nothing, not even a space, is between the last token and the next."""
        before, after = self.tokens[self.place - 1 : self.place + 1]
        return before.end() == after.start()

    def take(self, expected: str | None = None) -> str:
        token = self.next()
        if token is None or (expected is not None and token != expected):
            raise _CannotReadError
        self.place += 1
        return token

    def choice(self) -> Tree:
        tree = self.relation()
        if self.next() != "?":
            return tree
        self.take()
        first = self.relation()
        self.take(":")
        return ("choice", tree, first, self.relation())

    def relation(self) -> Tree:
        parts: list[Any] = [self.sum()]
        while (sign := _RELATIONS.get(self.next() or "")) is not None:
            self.take()
            parts += [sign, self.sum()]
        return ("rel", *parts) if len(parts) > 1 else parts[0]

    def sum(self) -> Tree:
        terms = [self.signed()]
        while self.next() in ("+", "-"):
            if self.next() == "+":
                self.take()
            terms.append(self.signed())
        return ("plus", *terms) if len(terms) > 1 else terms[0]

    def signed(self) -> Tree:
        if self.next() == "-":
            self.take()
            return ("neg", self.product())
        return self.product()

    def product(self) -> Tree:
        factors = [self.factor()]
        while (token := self.next()) is not None and token not in _CLOSING:
            factors.append(self.factor())
        return ("times", *factors) if len(factors) > 1 else factors[0]

    def factor(self) -> Tree:
        tree = self.atom()
        while (token := self.next()) in ("^", "_", "["):
            if token == "[":  # an index stands close, a bracket with its condition apart
                if tree[0] != "var" or not self.close():
                    break
                tree = ("at", tree, self.bracketed())
                continue
            self.take()
            part = self.group()
            if part == ("sym", "⊤"):
                tree = ("transposed", tree)
            else:
                tree = ("pow" if token == "^" else "sub", tree, part)
        return tree

    def atom(self) -> Tree:
        match = self.tokens[self.place] if self.place < len(self.tokens) else None
        token = self.take()
        assert match is not None
        if match["text"] is not None:
            return ("text", match["text"])
        if match["name"] is not None:
            return ("call", match["name"], self.factor())
        if token == r"\lnot":
            return ("call", "not", self.factor())
        if token in _FUNCTIONS:
            return ("call", token[1:], self.factor())
        if token in _SYMBOLS:
            return ("sym", _SYMBOLS[token])
        if token.isdigit():
            return ("num", token)
        if token.isalpha():
            return ("var", token)
        return self.structure(token)

    def structure(self, token: str) -> Tree:
        if token in (r"\frac", r"\tfrac"):
            return ("frac", self.group(), self.group())
        if token == r"\sqrt":
            return ("sqrt", self.group())
        if token == r"\sum":
            index = None
            if self.next() == "_":
                self.take()
                index = self.group()
            return ("sum", index, self.product())
        if token == r"\lvert":
            inside = self.relation()
            self.take(r"\rvert")
            return ("abs", inside)
        if token == "(":
            return ("paren", *self.listed(")"))
        if token == "[":
            self.place -= 1
            return ("bracket", self.bracketed())
        if token == "{":
            self.place -= 1
            return self.group()
        raise _CannotReadError

    def bracketed(self) -> Tree:
        self.take("[")
        parts = self.listed("]")
        return parts[0] if len(parts) == 1 else ("list", *parts)

    def listed(self, end: str) -> list[Tree]:
        parts = [self.relation()]
        while self.next() == ",":
            self.take()
            parts.append(self.relation())
        self.take(end)
        return parts

    def group(self) -> Tree:
        if self.next() != "{":
            return self.atom()
        self.take()
        tree = self.relation()
        self.take("}")
        return tree


# ── In LaTeX, with other names ────────────────────────────────────────────────────────────────────


def renamed(latex: str, names: Mapping[str, str]) -> str:
    r"""The formula in LaTeX, with each variable in the place of which a name is given replaced.

    >>> renamed(r"g\,\log a", {"g": r"\frac{\partial L}{\partial y}", "a": "x_1"})
    '\\frac{\\partial L}{\\partial y}\\,\\log x_1'
    >>> renamed(r"\text{g at } i", {"g": "g_1", "i": "3"})
    'g_1\\text{ at } 3'
    """
    pieces = re.split(r"(\\(?:text|operatorname)\{[^}]*\}|\\[a-zA-Z]+|\\.)", _free(latex))
    for i in range(0, len(pieces), 2):
        pieces[i] = re.sub(r"[a-zA-Z]", lambda m: names.get(m[0], m[0]), pieces[i])
    return "".join(pieces)


# ── On arrays ─────────────────────────────────────────────────────────────────────────────────────


@np.errstate(all="ignore")
def evaluate(tree: Tree, env: Env, total: Callable[[Any], Any] | None = None) -> Any:
    r"""The value of a formula on arrays, or None where this cannot tell.

    Parameters
    ----------
    tree
        From `parse`.
    env
        The values of the variables.
    total
        What a sum without an index means.

    >>> evaluate(parse(r"g\,[x > 0]"), {"g": 3.0, "x": np.array([1.0, -1.0])})
    array([3., 0.])
    >>> evaluate(parse(r"\text{g at } i"), {"g": 3.0}) is None
    True
    """
    try:
        return _value(tree, env, total)
    except (_CannotReadError, KeyError, TypeError, ValueError):
        return None


def _value(tree: Tree, env: Env, total: Callable[[Any], Any] | None) -> Any:
    kind, *parts = tree
    if kind == "num":
        return int(parts[0])
    if kind == "var":
        return env[parts[0]]
    if kind == "sym":
        return {"π": math.pi, "∞": math.inf}[parts[0]]
    if kind == "rel":
        return _compared([_value(p, env, total) for p in parts[::2]], parts[1::2])
    if kind == "call":
        function = _CALLS.get(parts[0])
        if function is None:
            raise _CannotReadError
        return function(*_arguments(parts[1], env, total))
    if kind == "sum":
        if parts[0] is not None or total is None:
            raise _CannotReadError
        return total(_value(parts[1], env, total))
    operation = _OPERATIONS.get(kind)
    if operation is None:
        raise _CannotReadError
    return operation(*[_value(p, env, total) for p in parts])


def _arguments(tree: Tree, env: Env, total: Callable[[Any], Any] | None) -> list[Any]:
    parts = tree[1:] if tree[0] == "paren" else (tree,)
    return [_value(p, env, total) for p in parts]


def _compared(values: list[Any], signs: list[str]) -> Any:
    holds: Any = True
    for left, sign, right in zip(values[:-1], signs, values[1:], strict=True):
        holds = holds & _COMPARISONS[sign](left, right)
    return holds


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal,
    "≠": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "≥": np.greater_equal,
}


def _product(*factors: Any) -> Any:
    product: Any = 1
    for factor in factors:
        # An Iverson bracket of 0 wins even over inf and nan: that is what np.where does.
        if isinstance(factor, _Bracket):
            product = np.where(factor.holds, product, 0)
        else:
            product = product * factor
    return product


class _Bracket:
    """[condition]: 1 where it holds, else 0."""

    def __init__(self, holds: Any) -> None:
        self.holds = holds

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.holds, dtype or float)


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, _Bracket) else value


def _one(value: Any) -> Any:
    return value


_OPERATIONS: dict[str, Callable[..., Any]] = {
    "neg": lambda x: -_plain(x),
    "plus": lambda *terms: sum(_plain(term) for term in terms),
    "times": _product,
    "frac": lambda a, b: np.true_divide(_plain(a), _plain(b)),
    "pow": lambda a, b: np.asarray(a) ** np.asarray(b),
    "sqrt": np.sqrt,
    "abs": np.abs,
    "paren": _one,
    "bracket": _Bracket,
}

_CALLS: dict[str, Callable[..., Any]] = {
    "log": np.log,
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "sign": np.sign,
    "not": np.logical_not,
    "max": np.maximum,
    "min": np.minimum,
}
# The letter e stands for Euler's number where it is raised to a power.
EULER = {"e": math.e}
