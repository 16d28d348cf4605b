"""From numbers and names to SymPy: exact expressions, in arrays of objects."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import as_array, shown

Expression = Any  # of SymPy, which need not be installed
Expressions = NDArray[Any]  # of objects: SymPy expressions


def require_sympy() -> Any:
    try:
        import sympy
    except ImportError as error:
        reason = 'symbolic expressions need SymPy: pip install "tinygrad-ce[symbolic]"'
        raise ImportError(reason) from error
    return sympy


def elementwise(function: Callable[..., Any], n_arguments: int = 1, identity: Any = None) -> Any:
    return np.frompyfunc(function, n_arguments, 1, identity=identity)


def symbol_array(name: str, shape: tuple[int, ...]) -> Expressions:
    """A symbol for each element: z_1, z_2, ...; z alone where there is one."""
    s = require_sympy()
    symbols = np.empty(shape, object)
    for place in np.ndindex(shape):
        indices = [str(i + 1) for i in place] if symbols.size > 1 else []
        symbols[place] = s.Symbol("_".join([name, *indices]), real=True)
    return symbols


def with_real_symbols(e: Expression) -> Expression:
    """The expression in symbols for real numbers, as those of a graph are."""
    s = require_sympy()
    if not isinstance(e, s.Expr):
        raise TypeError(f"expected numbers or expressions of SymPy, got {shown(e)}")
    return e.xreplace({x: s.Symbol(x.name, real=True) for x in e.free_symbols if not x.is_real})


def to_rational(values: Any) -> Expressions:
    """Numbers and expressions, all as exact expressions: floating point numbers as fractions."""
    expression = isinstance(values, require_sympy().Basic)
    array = np.array(values, object) if expression else as_array(values, "expressions", copy=None)
    expressions = np.empty(array.shape, object)
    expressions[...] = elementwise(lambda x: _exact_number(x, array.dtype))(array)
    return expressions


def _exact_number(x: Any, dtype: np.dtype[Any]) -> Expression:
    s = require_sympy()
    if not isinstance(x, float) or not math.isfinite(x):
        try:  # what is text would be executed
            expression = None if isinstance(x, str | bytes) else s.sympify(x)
        except Exception:
            expression = None
        if not isinstance(expression, s.Basic):
            raise TypeError(f"expected numbers or expressions of SymPy, got {shown(x)}")
        return expression
    rounded, itself = dtype.type if dtype.kind == "f" else float, Fraction(x)
    simpler = (itself.limit_denominator(10**digits) for digits in range(1, 18))
    fraction = next((f for f in simpler if rounded(float(f)) == rounded(x)), itself)
    return _irrationals().get(x) or s.Rational(fraction.numerator, fraction.denominator)


@cache
def _irrationals() -> dict[float, Expression]:
    s = require_sympy()
    numbers = (s.pi, s.sqrt(2), 2 / s.sqrt(s.pi), s.sqrt(2 / s.pi))
    return {float(number): number for number in numbers}
