"""What each primitive means for arrays of expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..engine import primitives as p
from ..engine.primitives import Primitive
from .exact_numbers import Expressions, each, exact, require_sympy

# A maximum that is never below these is never below -∞, as far as real numbers go.
_LOWEST = frozenset(float(np.finfo(dtype).min) for dtype in (np.float16, np.float32, np.float64))


@cache
def meanings() -> dict[Primitive, Callable[..., Any]]:
    """What a primitive means for arrays of expressions, where its own value is for numbers only."""
    s = require_sympy()
    larger, smaller = each(s.Max, 2, -s.oo), each(s.Min, 2, s.oo)
    return {
        p.scalar_power: lambda x, n: x ** exact(n)[()],
        p.exp: each(s.exp),
        p.expm1: each(lambda x: s.exp(x) - 1),
        p.log: each(s.log),
        p.log1p: each(lambda x: s.log(1 + x)),
        p.sqrt: each(s.sqrt),
        p.sin: each(s.sin),
        p.cos: each(s.cos),
        p.erf: each(s.erf),
        p.tanh: each(s.tanh),
        p.sigmoid: each(lambda x: 1 / (1 + s.exp(-x))),
        p.logaddexp: each(lambda a, b: s.log(s.exp(a) + s.exp(b)), 2),
        p.relu: each(lambda x: s.Max(x, 0)),
        p.abs_: each(s.Abs),
        p.sign: each(s.sign),
        p.clip: lambda x, lo, hi: smaller(
            larger(x, exact(-math.inf if lo is None else lo)),
            exact(math.inf if hi is None else hi),
        ),
        p.maximum: larger,
        p.minimum: smaller,
        p.max_: lambda x, axis, keepdims: larger.reduce(x, axis, None, None, keepdims),
        p.min_: lambda x, axis, keepdims: smaller.reduce(x, axis, None, None, keepdims),
        p.max_constant: lambda x, axis, least: larger(
            larger.reduce(x, axis, None, None, True),
            exact(-math.inf if least in _LOWEST else least),
        ),
        p.where: each(lambda c, a, b: s.Piecewise((a, c), (b, True)), 3),
        p.astype: _cast,
        p.getitem: _getitem,
        p.scatter: _scatter,
        p.less: each(s.Lt, 2),
        p.less_equal: each(s.Le, 2),
        p.greater: each(s.Gt, 2),
        p.greater_equal: each(s.Ge, 2),
        p.equal: each(s.Eq, 2),
        p.not_equal: each(s.Ne, 2),
        p.logical_and: each(s.And, 2),
        p.logical_or: each(s.Or, 2),
        p.logical_not: each(s.Not),
        # Symbols are for real numbers, not for infinities.
        p.isfinite: each(lambda x: s.true),
        p.isnan: each(lambda x: s.false),
    }


def _cast(x: Expressions, dtype: np.dtype[Any]) -> Any:
    s = require_sympy()
    if all(e.is_Boolean or e.is_Relational for e in x.flat):
        return x if dtype.kind == "b" else each(lambda c: s.Piecewise((1, c), (0, True)))(x)
    if dtype.kind == "f" or (dtype.kind in "iu" and all(e.is_integer for e in x.flat)):
        return x
    raise TypeError(f"no expression is a number rounded to {dtype}")


# An index is applied to the places of the elements, and says which to take or to add to.


def _getitem(x: Expressions, *index: Any) -> Any:
    places = np.arange(x.size).reshape(x.shape)
    return x.ravel()[p.getitem.value(places, *index)]


def _scatter(g: Expressions, *index_and_shape: Any) -> Any:
    *index, shape = index_and_shape
    places = np.arange(math.prod(shape)).reshape(shape)
    out = np.zeros(math.prod(shape), object)
    np.add.at(out, np.ravel(p.getitem.value(places, *index)), g.ravel())
    return out.reshape(shape)
