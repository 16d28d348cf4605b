"""Trees of formulas: nested tuples ``(kind, *parts)``, which JSON keeps.

The functions here make trees as one would write them: with the sign in front, x x as x², and a
choice between something and 0 as a bracket [condition].
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

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
    last = left[-1]
    base, exponent = last[1:] if last[0] == "pow" else (last, ONE)
    if base == right[0] and base[0] == "var" and exponent[0] == "num":
        left[-1] = ("pow", base, ("num", str(int(exponent[1]) + 1)))
        right = right[1:]
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


_TOKEN = re.compile(r"\\text\{([^}]*)\}|\\[a-zA-Z]+|\\.|.", re.DOTALL)


def from_latex(latex: str) -> Tree:
    r"""A formula that is given in LaTeX: its letters are variables, and the rest is kept.

    >>> from_latex(r"g_a")
    ('sub', ('var', 'g'), ('var', 'a'))
    >>> from_latex(r"x \text{ at } [i]")[1:4]
    (('var', 'x'), ('tex', ' '), ('text', ' at '))
    """
    parts: list[Tree] = []
    tokens = _TOKEN.finditer(latex)
    for token in tokens:
        if token[0] == "_" and parts and latex[token.end() :][:1].isalpha():
            parts[-1] = ("sub", parts[-1], ("var", next(tokens)[0]))
        elif token[1] is not None:
            parts.append(("text", token[1]))
        else:
            is_letter = len(token[0]) == 1 and token[0].isalpha()
            parts.append(("var" if is_letter else "tex", token[0]))
    return parts[0] if len(parts) == 1 else ("seq", *parts)
