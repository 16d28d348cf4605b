"""What each primitive does to arrays of expressions."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from ..engine import primitives as p
from ..engine.primitives import Primitive
from .exact_numbers import Expressions, elementwise, require_sympy, to_rational

# A maximum that is never below these is never below -∞, as far as real numbers go.
_LOWEST = frozenset(float(np.finfo(dtype).min) for dtype in (np.float16, np.float32, np.float64))

# By SymPy's name of what they compute.
_UNARY = {"exp": p.exp, "log": p.log, "sqrt": p.sqrt, "sin": p.sin, "cos": p.cos, "tanh": p.tanh}
_UNARY |= {"tan": p.tan, "asin": p.arcsin, "acos": p.arccos, "atan": p.arctan, "sinh": p.sinh}
_UNARY |= {"cosh": p.cosh, "asinh": p.arcsinh, "acosh": p.arccosh, "atanh": p.arctanh}
_UNARY |= {"erf": p.erf, "Abs": p.abs_, "sign": p.sign, "Not": p.logical_not}
_BINARY = {"Lt": p.less, "Le": p.less_equal, "Gt": p.greater, "Ge": p.greater_equal}
_BINARY |= {"Eq": p.equal, "Ne": p.not_equal, "And": p.logical_and, "Or": p.logical_or}
_BINARY |= {"atan2": p.arctan2, "Mod": p.remainder, "Pow": p.float_power}


@cache
def sympy_rules() -> dict[Primitive, Callable[..., Any]]:
    """The values of primitives for expressions, where their own are for numbers only."""
    s = require_sympy()
    larger, smaller = elementwise(s.Max, 2, -s.oo), elementwise(s.Min, 2, s.oo)
    return {
        p.scalar_power: lambda x, n: x ** to_rational(n)[()],
        p.expm1: elementwise(lambda x: s.exp(x) - 1),
        p.exp2: elementwise(lambda x: 2**x),
        p.log2: elementwise(lambda x: s.log(x, 2)),
        p.log10: elementwise(lambda x: s.log(x, 10)),
        p.log1p: elementwise(lambda x: s.log(1 + x)),
        p.cbrt: elementwise(lambda x: s.sign(x) * s.Abs(x) ** s.Rational(1, 3)),
        p.hypot: elementwise(lambda a, b: s.sqrt(a * a + b * b), 2),
        p.floor_divide: elementwise(lambda a, b: s.floor(a / b), 2),
        p.root: lambda x, n: x ** to_rational(1 / n)[()],
        p.sigmoid: elementwise(lambda x: 1 / (1 + s.exp(-x))),
        p.logaddexp: elementwise(lambda a, b: s.log(s.exp(a) + s.exp(b)), 2),
        p.logaddexp2: elementwise(lambda a, b: s.log(2**a + 2**b, 2), 2),
        p.relu: elementwise(lambda x: s.Max(x, 0)),
        p.clip: lambda x, lo, hi: smaller(
            larger(x, to_rational(-math.inf if lo is None else lo)),
            to_rational(math.inf if hi is None else hi),
        ),
        p.maximum: larger,
        p.minimum: smaller,
        p.max_: lambda x, axis, keepdims: larger.reduce(x, axis, None, None, keepdims),
        p.min_: lambda x, axis, keepdims: smaller.reduce(x, axis, None, None, keepdims),
        p.max_constant: lambda x, axis, least: larger(
            larger.reduce(x, axis, None, None, True),
            to_rational(-math.inf if least in _LOWEST else least),
        ),
        p.where: elementwise(lambda c, a, b: s.Piecewise((a, c), (b, True)), 3),
        p.astype: _cast,
        p.getitem: _getitem,
        p.scatter: _scatter,
        p.rounding_error: elementwise(lambda a, b: s.S.Zero, 2),
        **{primitive: elementwise(getattr(s, name)) for name, primitive in _UNARY.items()},
        **{primitive: elementwise(getattr(s, name), 2) for name, primitive in _BINARY.items()},
        # Symbols are for real numbers, not for infinities.
        p.isfinite: elementwise(lambda x: s.true),
        p.isnan: elementwise(lambda x: s.false),
    }


def _cast(x: Expressions, dtype: np.dtype[Any]) -> Any:
    s = require_sympy()
    if all(e.is_Boolean or e.is_Relational for e in x.flat):
        return x if dtype.kind == "b" else elementwise(lambda c: s.Piecewise((1, c), (0, True)))(x)
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
