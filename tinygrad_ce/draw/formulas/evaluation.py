"""Formulas, computed on arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import numpy as np

from ...engine import primitives
from ...engine.primitives import Primitive
from .trees import Tree


@np.errstate(all="ignore")
def evaluate(tree: Tree, env: Mapping[str, Any], axis: Any = ...) -> Any:
    """Return the value of a formula on arrays, or None where it is not of their elements.

    Parameters
    ----------
    tree
        From `value_formula` or `rule_formula`.
    env
        The values of the variables.
    axis
        The axes of sums, which are kept, of length 1. Without them, a sum is not known.

    >>> g, x = ("var", "g"), ("var", "x")
    >>> evaluate(("times", g, ("pow", x, ("num", "2"))), {"g": 3.0, "x": np.array([1.0, 2.0])})
    array([ 3., 12.])
    >>> evaluate(("at", g, x), {"g": 3.0, "x": 0}) is None
    True
    """
    try:
        return _plain(_value(tree, env, axis))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _value(tree: Tree, env: Mapping[str, Any], axis: Any) -> Any:
    kind, *parts = tree
    if kind == "num":
        return int(parts[0]) if parts[0].isdigit() else float(parts[0])
    if kind == "var":
        return env[parts[0]]
    if kind == "sym":
        return {"π": math.pi, "∞": math.inf, "e": math.e}[parts[0]]
    if kind == "rel":
        values = [_value(part, env, axis) for part in parts[::2]]
        pairs = zip(values[:-1], parts[1::2], values[1:], strict=True)
        return reduce(np.logical_and, [_RELATIONS[sign](a, b) for a, sign, b in pairs])
    if kind == "call":
        function = _CALLS.get(parts[0]) or getattr(np, parts[0])
        return function(*(_value(part, env, axis) for part in parts[1:]))
    if kind == "sum" and parts[0] is None:
        return np.sum(_plain(_value(parts[1], env, axis)), axis=axis, keepdims=True)
    return _OPERATIONS[kind](*(_value(part, env, axis) for part in parts))


class _Bracket:
    """[condition]: 1 where it holds, else 0."""

    def __init__(self, holds: Any) -> None:
        self.holds = holds


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


_RELATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal,
    "≠": np.not_equal,
    "<": np.less,
    ">": np.greater,
    "≤": np.less_equal,
    "≥": np.greater_equal,
    "∧": np.logical_and,
    "∨": np.logical_or,
}
_CALLS: dict[str, Callable[..., Any]] = {
    **{v.name: v.value for v in vars(primitives).values() if isinstance(v, Primitive)},
    "max": np.maximum,
    "min": np.minimum,
    "not": np.logical_not,
}
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "neg": lambda x: -_plain(x),
    "plus": lambda *terms: sum(map(_plain, terms)),
    "times": _product,
    "frac": lambda a, b: np.true_divide(_plain(a), _plain(b)),
    "pow": lambda a, n: np.asarray(a) ** np.asarray(n),
    "sqrt": np.sqrt,
    "abs": np.abs,
    "bracket": _Bracket,
    "choice": np.where,
}
