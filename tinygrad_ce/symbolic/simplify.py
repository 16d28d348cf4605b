"""Is it 0? Differences as rational functions of exponentials."""

from __future__ import annotations

from random import Random
from typing import Any

from .exact_numbers import Expression, Expressions, elementwise, require_sympy, to_rational


def simplify_difference(actual: Expressions, expected: Expressions) -> Expressions:
    """actual − expected, element by element: 0 where they are the same for all numbers."""
    exponentials = Exponentials()
    simplify = elementwise(lambda difference: _simplify(difference, exponentials))
    return to_rational(simplify(actual - expected))


def _simplify(e: Expression, exponentials: Exponentials) -> Expression:
    s = require_sympy()
    rational = exponentials.replace(e)
    numerator, _ = s.fraction(s.together(rational))
    if s.expand(numerator) == 0:
        return s.S.Zero
    if not _is_nonzero_somewhere(e) and s.simplify(e) == 0:
        return s.S.Zero
    return exponentials.put_back(s.cancel(rational))


def _is_nonzero_somewhere(e: Expression) -> bool:
    s, random = require_sympy(), Random(0)
    symbols = sorted(e.free_symbols, key=str)
    for _ in range(5):
        value = e.xreplace({x: s.Float(random.uniform(-2, 2), 30) for x in symbols}).evalf(30)
        if value.is_number and value.is_finite and abs(value) > 1e-15:
            return True
    return False


class Exponentials:
    """Symbols in the place of exponentials, so that expressions become rational functions.

    With A for exp(a) and B for exp(b), exp(2a - b) is A²/B. Such a function is 0 if the terms of
    its numerator cancel once it is multiplied out.
    """

    def __init__(self) -> None:
        self.symbols: dict[Expression, Expression] = {}
        self.done: dict[Expression, Expression] = {}

    def replace(self, e: Expression) -> Expression:
        if e.is_Atom or e.is_Boolean or e.is_Relational:
            return e
        if e not in self.done:
            self.done[e] = self._rebuild(e.func, [self.replace(part) for part in e.args])
        return self.done[e]

    def put_back(self, e: Expression) -> Expression:
        for exponent, symbol in reversed(self.symbols.items()):
            e = e.xreplace({symbol: require_sympy().exp(exponent)})
        return e

    def _rebuild(self, function: Any, parts: list[Expression]) -> Expression:
        s = require_sympy()
        if function is s.exp:
            return self._exp(parts[0])
        if function is s.tanh:
            square = self._exp(2 * parts[0])
            return (square - 1) / (square + 1)
        if function is s.log:
            logs = s.expand_log(s.log(s.factor(parts[0])))
            return logs.xreplace({s.log(symbol): x for x, symbol in self.symbols.items()})
        return function(*parts)

    def _exp(self, exponent: Expression) -> Expression:
        s = require_sympy()
        product = s.S.One
        for term, coefficient in s.expand(exponent).as_coefficients_dict().items():
            if term not in self.symbols:
                self.symbols[term] = s.Dummy(positive=True)
            product *= self.symbols[term] ** coefficient
        return product
