"""Symbols, on which values and rules of primitives run, and the formulas that come of it."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Sequence
from functools import lru_cache, reduce
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from ...engine import primitives
from ...engine.kernels import ARRAY_SLOT, LN_2, LN_10, TWO_OVER_ROOT_PI
from ...engine.primitives import Primitive
from .trees import ONE, ZERO, Tree, frac, from_latex, neg, plus, replace, times, where

_G, _Y = ("var", "g"), ("var", "y")
# Numbers that read better as what they are.
_CONSTANTS = {
    math.pi: ("sym", "π"),
    math.inf: ("sym", "∞"),
    LN_2: ("call", "log", ("num", "2")),
    LN_10: ("call", "log", ("num", "10")),
    TWO_OVER_ROOT_PI: ("frac", ("num", "2"), ("sqrt", ("sym", "π"))),
}


def _tree(value: Any) -> Tree:
    """The tree of a symbol or of a number."""
    if isinstance(value, Symbol):
        return value.tree
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
        raise TypeError(f"{value!r} has no formula")
    if number < 0:
        return neg(_tree(-number))
    short = int(number) if number == number // 1 and number < 1e15 else number
    return _CONSTANTS.get(number) or ("num", str(short))


def _conjunction(a: Tree, b: Tree) -> Tree:
    """x ≥ l ∧ x ≤ h is l ≤ x ≤ h."""
    if a[0] == b[0] == "rel" and a[1] == b[1] and (a[2], b[2]) == ("≥", "≤"):
        return ("rel", a[3], "≤", a[1], "≤", b[3])
    return ("rel", a, "∧", b)


class Symbol(NDArrayOperatorsMixin):
    """Takes the place of an array of one axis in a rule, and notes what the rule does with it."""

    def __init__(self, tree: Tree, ndim: int = 1) -> None:
        self.tree, self.ndim = tree, ndim

    dtype = np.dtype(float)
    __hash__ = object.__hash__
    __iter__ = None
    shape = property(lambda self: (_SIZE,) * self.ndim)
    size = property(lambda self: reduce(operator.mul, self.shape, 1))

    def __bool__(self) -> bool:
        if self.tree[0] == "rel":
            raise TypeError("a formula does not depend on a comparison")
        return True

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a symbol is no array")

    # Shapes are not seen in a formula.
    real = property(lambda self: self)
    T = mT = property(lambda self: self.transpose())  # noqa: N815

    def reshape(self, *shape: Any) -> Symbol:
        return self

    def transpose(self, *axes: Any) -> Symbol:
        return Symbol(("transposed", self.tree))

    def astype(self, dtype: Any) -> Symbol:
        return Symbol(("bracket", self.tree)) if self.tree[0] == "rel" else self

    def sum(self, axis: Any = None, keepdims: bool = False) -> Symbol:
        return Symbol(("sum", None, self.tree))

    def __getitem__(self, index: Any) -> Symbol:
        parts = index if isinstance(index, tuple) else (index,)
        if slice(None, None, -1) in [part for part in parts if isinstance(part, slice)]:
            return Symbol(_reversed(self.tree))
        arrays = [part.tree for part in parts if isinstance(part, Symbol)]
        return Symbol(("at", self.tree, *arrays)) if arrays else self

    def __primitive__(self, primitive: Primitive, arguments: tuple[Any, ...]) -> Any:
        if primitive is primitives.einsum:
            return primitive.value(*arguments)
        trees = [a.tree for a in arguments if isinstance(a, Symbol)]
        known = dict(zip(letters(primitive, len(trees)).inputs, trees, strict=False))
        return Symbol(replace(value_formula(primitive, n_inputs=len(trees)), known))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce":
            return inputs[0].sum() if name == "add" else _symbol(_UFUNCS[name], inputs[0])
        if method != "__call__" or options:
            return NotImplemented
        return _symbol(_UFUNCS.get(name, _call(name)), *inputs)

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        known = _FUNCTIONS.get(function.__name__)
        return known(*args, **options) if known else NotImplemented


class _Size(Symbol):
    """The length of an axis: some number that is not small."""

    def __lt__(self, other: Any) -> bool:
        return False

    def __index__(self) -> int:
        return 2


def _symbol(build: Callable[..., Tree], *inputs: Any) -> Symbol:
    return Symbol(build(*map(_tree, inputs)))


_SIZE: _Size = _Size(("var", "n"))
_FROM_THE_END = ("sym", "::-1")


def _reversed(tree: Tree) -> Tree:
    """From the end. The sums up to each of these, from the end again, are sums from each on."""
    if tree[0] == "sum" and tree[2][1][2:] == (_FROM_THE_END,):
        j, _, i = tree[1][1:]
        return ("sum", ("rel", j, "≥", i), ("sub", tree[2][1][1], j))
    return ("at", tree, _FROM_THE_END)


def _call(name: str) -> Callable[..., Tree]:
    return lambda *inputs: ("call", name, *inputs)


def _relation(sign: str) -> Callable[..., Tree]:
    return lambda a, b: ("rel", a, sign, b)


def _cumsum(x: Symbol, axis: Any = None) -> Symbol:
    i, j = ("sym", "i"), ("sym", "j")
    return Symbol(("sum", ("rel", j, "≤", i), ("sub", x.tree, j)))


def _einsum(subscripts: str, *operands: Any, **_: Any) -> Symbol:
    terms, result = subscripts.split("->")
    product, summed = ONE, dict.fromkeys(terms.replace(",", ""))
    for operand, labels in zip(operands, terms.split(","), strict=True):
        if isinstance(operand, Symbol):  # an array is of ones, and repeats
            factor = ("sub", operand.tree, ("sym", labels)) if labels else operand.tree
            product = times(product, factor)
    index = "".join(label for label in summed if label not in result)
    return Symbol(("sum", ("sym", index), product) if index else product)


def _clip(x: Symbol, lo: Any, hi: Any) -> Symbol:
    above = x if lo is None else np.maximum(x, lo)
    return above if hi is None else np.minimum(above, hi)


def _power(a: Tree, n: Tree) -> Tree:
    return ("pow", a, n)


_E, _TWO = ("sym", "e"), ("num", "2")
_UFUNCS: dict[str, Callable[..., Tree]] = {
    "add": plus,
    "subtract": lambda a, b: plus(a, neg(b)),
    "multiply": times,
    "divide": frac,
    "power": _power,
    "float_power": _power,
    "matmul": lambda a, b: ("matmul", a, b),
    "negative": neg,
    "absolute": lambda a: ("abs", a),
    "sqrt": lambda x: ("sqrt", x),
    "exp": lambda x: _power(_E, x),
    "exp2": lambda x: _power(_TWO, x),
    "expm1": lambda x: plus(_power(_E, x), neg(ONE)),
    "remainder": _call("mod"),
    "floor_divide": lambda a, b: ("floor", a, b),
    "hypot": lambda a, b: ("sqrt", plus(_power(a, _TWO), _power(b, _TWO))),
    "log1p": lambda x: ("call", "log", plus(ONE, x)),
    "logaddexp": lambda a, b: ("call", "log", plus(_power(_E, a), _power(_E, b))),
    "logaddexp2": lambda a, b: ("call", "log2", plus(_power(_TWO, a), _power(_TWO, b))),
    "maximum": _call("max"), "minimum": _call("min"),
    "less": _relation("<"), "less_equal": _relation("≤"), "equal": _relation("="),
    "greater": _relation(">"), "greater_equal": _relation("≥"), "not_equal": _relation("≠"),
    **dict.fromkeys(("bitwise_and", "logical_and"), _conjunction),
    **dict.fromkeys(("bitwise_or", "logical_or"), _relation("∨")),
    **dict.fromkeys(("invert", "logical_not"), _call("not")),
}  # fmt: skip
_FUNCTIONS: dict[str, Any] = {
    "where": lambda *inputs: _symbol(where, *inputs),
    "zeros_like": lambda x: Symbol(ZERO),
    "real": lambda x: x,
    "clip": _clip,
    "cumsum": _cumsum,
    "einsum": _einsum,
    "concatenate": lambda parts, axis: _symbol(lambda *trees: ("bracket", *trees), *parts),
}

_DEFAULT = "abcdefhijklmnopqrstuvwxz"
# What takes the place of parameters that no formula shows.
_GENERIC: dict[str, Any] = {
    "axis": -1,
    "keepdims": True,
    "index_template": (ARRAY_SLOT,),
    "shape": (_SIZE,),
    "axes": (1, 0),
    "dtype": Symbol.dtype,
}


class Letters(NamedTuple):
    """The variables in the formulas of a primitive."""

    inputs: tuple[str, ...]
    params: tuple[str, ...]


@lru_cache(maxsize=1024)
def letters(primitive: Primitive, n_inputs: int | None = None) -> Letters:
    """Return the variables of a primitive's formulas, beside g and y.

    `n_inputs` is the number of inputs of one call, for a primitive that does not say it.
    """
    inputs = _input_names(primitive, n_inputs)
    short = [name[0] for name in inputs + [p for p in primitive.params if p not in _GENERIC]]
    long = {c for c in short if c in "gy" or short.count(c) > 1} | _GENERIC.keys()
    return Letters(*(
        tuple(name if {name, name[0]} & long else name[0] for name in names)
        for names in (inputs, primitive.params)
    ))  # fmt: skip


def _input_names(primitive: Primitive, n_inputs: int | None) -> list[str]:
    """What the rules call the inputs; where they do not say it, a and b, or x."""
    if primitive.variadic:
        return list(_DEFAULT[: n_inputs or 2])
    rule = next(filter(None, primitive.rules), None)
    try:
        parameters = list(inspect.signature(rule or primitive.value).parameters.values())
    except (TypeError, ValueError):  # it is not written in Python
        parameters = []
    names = [parameter.name for parameter in parameters][2 if rule else 0 :]
    if names and parameters[-1].kind is not inspect.Parameter.VAR_POSITIONAL:
        names = names[: len(names) - len(primitive.params)]
    if rule and names:
        return names
    n = n_inputs or getattr(primitive.value, "nin", len(names))
    return ["x"] if n == 1 else list(_DEFAULT[:n])


def value_formula(
    primitive: Primitive, params: Sequence[Any] = (), n_inputs: int | None = None
) -> Tree:
    """Return the formula of a primitive's value, as it is called with these parameters."""
    return _value_formula(primitive, _relevant(primitive, params), n_inputs)


def rule_formula(
    primitive: Primitive, place: int, params: Sequence[Any] = (), n_inputs: int | None = None
) -> Tree | None:
    """Return the formula of the rule of an input, in which g is the gradient of the value y.

    It is None where there is no rule. Of a rule that symbols cannot run, it is g · ∂f/∂x.
    """
    return _rule_formula(primitive, place, _relevant(primitive, params), n_inputs)


def _relevant(primitive: Primitive, params: Sequence[Any]) -> tuple[Any, ...]:
    """The parameters as far as they change a formula: None, 0 and subscripts do."""

    def counts(p: Any) -> bool:
        return p is None or isinstance(p, str) or (isinstance(p, int | float) and p == 0)

    return tuple(p if counts(p) else ... for p in params) or (...,) * len(primitive.params)


@lru_cache(maxsize=1024)
def _value_formula(primitive: Primitive, params: tuple[Any, ...], n_inputs: int | None) -> Tree:
    if primitive.latex and primitive.latex[0]:
        return from_latex(primitive.latex[0])
    symbols, arguments = _arguments(primitive, params, n_inputs)
    by_name = ("call", primitive.name, *(symbol.tree for symbol in symbols))
    if primitive is primitives.sigmoid:  # computed in pieces: its name says more
        return by_name
    return _run(primitive.value, [*symbols, *arguments]) or by_name


@lru_cache(maxsize=1024)
def _rule_formula(
    primitive: Primitive, place: int, params: tuple[Any, ...], n_inputs: int | None
) -> Tree | None:
    number = 0 if primitive.variadic else place
    if primitive.rules[number : number + 1] in ((), (None,)):
        return None
    symbols, arguments = _arguments(primitive, params, n_inputs)
    x = symbols[place].tree if place < len(symbols) else ("text", f"argument {place + 1}")
    if latex := (primitive.latex or ())[number + 1 : number + 2]:
        known = {"a": x} if primitive.variadic else {}
        written: Tree = replace(from_latex(latex[0] or ""), known)
        return written
    given = [*symbols, *arguments]
    ndim = len(arguments[0].split("->")[-1]) if primitive is primitives.einsum else 1

    def rule(g: Symbol, y: Symbol) -> Any:
        rules: Any = primitive.rules_for(tuple(given))
        return next(islice(rules, place, None))(g, y, *given)

    slope = ("frac", ("seq", ("sym", "∂"), ("text", primitive.name)), ("seq", ("sym", "∂"), x))
    return _run(rule, [Symbol(_G, ndim), Symbol(_Y, ndim)]) or ("times", _G, slope)


def _arguments(
    primitive: Primitive, params: tuple[Any, ...], n_inputs: int | None
) -> tuple[list[Symbol], list[Any]]:
    """Symbols for the inputs, and what takes the place of the parameters."""
    if primitive is primitives.einsum:
        subscripts = params[0] if isinstance(params[0], str) else "ij,jk->ik"
        terms = subscripts.split("->")[0].split(",")
        inputs = letters(primitive, len(terms)).inputs
        symbols = [Symbol(("var", c), len(t)) for c, t in zip(inputs, terms, strict=True)]
        return symbols, [subscripts]
    inputs, shorts = letters(primitive, n_inputs)
    arguments = [
        _GENERIC.get(name, Symbol(("var", letter)) if value is ... else value)
        for name, letter, value in zip(primitive.params, shorts, params, strict=False)
    ]
    return [Symbol(("var", letter)) for letter in inputs], arguments


def _run(function: Callable[..., Any], arguments: Sequence[Any]) -> Tree | None:
    """The tree that a function gives on symbols, or None if it needs arrays."""
    try:
        return _tree(function(*arguments))
    except Exception:  # it can be anybody's function, and fail in any way
        return None
