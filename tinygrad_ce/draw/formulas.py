r"""The formulas of primitives, which their values and rules write themselves.

A rule is operators, NumPy functions and other primitives. Run on symbols instead of arrays, it
returns the tree of its formula. `latex` prints a tree, the page of `draw` writes it with names or
with numbers, and `evaluate` computes it on arrays.

A tree is nested tuples, ``(kind, *parts)``, which JSON keeps:

>>> from tinygrad_ce.engine import primitives
>>> rule_formula(primitives.divide, 1)
('neg', ('frac', ('times', ('var', 'g'), ('var', 'y')), ('var', 'b')))
>>> print(latex(_))
-\frac{g\,y}{b}

What a rule does at single points, such as ``np.where(b == 0, 0, ...)``, is left out. So is what
cannot be seen in a formula: shapes, dtypes, axes.
"""

from __future__ import annotations

import inspect
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, reduce
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..engine import primitives
from ..engine.kernels import ARRAY_SLOT, TWO_OVER_ROOT_PI
from ..engine.primitives import Primitive
from .formatting import subscript

__all__ = ["evaluate", "latex", "latex_text", "letters", "replace", "rule_formula", "value_formula"]

Tree = tuple[Any, ...]

_ZERO, _ONE = ("num", "0"), ("num", "1")
_G, _Y, _E = ("var", "g"), ("var", "y"), ("sym", "e")
# Numbers that read better as what they are.
_CONSTANTS = {
    math.pi: ("sym", "π"),
    math.inf: ("sym", "∞"),
    TWO_OVER_ROOT_PI: ("frac", ("num", "2"), ("sqrt", ("sym", "π"))),
}

# ── Trees ─────────────────────────────────────────────────────────────────────────────────────────


def _tree(value: Any) -> Tree:
    """The tree of a symbol or of a number."""
    if isinstance(value, Symbol):
        return value.tree
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int | float) or number != number:
        raise TypeError(f"{value!r} has no formula")
    if number < 0:
        return _neg(_tree(-number))
    short = int(number) if number != math.inf and number == int(number) else number
    return _CONSTANTS.get(number) or ("num", str(short))


def _neg(a: Tree) -> Tree:
    return a[1] if a[0] == "neg" else ("neg", a)


def _plus(a: Tree, b: Tree) -> Tree:
    return ("plus", *(a[1:] if a[0] == "plus" else (a,)), *(b[1:] if b[0] == "plus" else (b,)))


def _times(a: Tree, b: Tree) -> Tree:
    """a b, with the sign and numbers in front, and x x as a power."""
    if "neg" in (a[0], b[0]):
        product = _times(a[1] if a[0] == "neg" else a, b[1] if b[0] == "neg" else b)
        return _neg(product) if a[0] != b[0] else product
    left, right = (list(t[1:]) if t[0] == "times" else [t] for t in (a, b))
    last = left[-1]
    base, exponent = last[1:] if last[0] == "pow" else (last, _ONE)
    if base == right[0] and base[0] == "var" and exponent[0] == "num":
        left[-1] = ("pow", base, ("num", str(int(exponent[1]) + 1)))
        right = right[1:]
    factors = sorted(left + right, key=lambda t: t[0] != "num")
    factors = [t for t in factors if t != _ONE] or [_ONE]
    return ("times", *factors) if len(factors) > 1 else factors[0]


def _frac(a: Tree, b: Tree) -> Tree:
    return _neg(_frac(a[1], b)) if a[0] == "neg" else ("frac", a, b)


def _where(condition: Tree, a: Tree, b: Tree) -> Tree:
    """a where the condition holds, else b: with an Iverson bracket if one of them is 0."""
    sides, sign = set(condition[1::2]), condition[2:3]
    if condition[0] == "rel" and sign == ("=",) and condition[3][0] == a[0] == "num":
        return b  # a guard at a single point
    if b == _ZERO:
        return _restricted(a, condition)
    if a == _ZERO:
        return _restricted(b, ("call", "not", condition))
    if b[0] == "times" and b[-1][0] == "bracket" and condition[0] == "rel":
        other = b[-1][1]
        if set(other[1::2]) == sides and {other[2], *sign} in ({"=", "<"}, {"=", ">"}):
            return _plus(_restricted(a, condition), b)  # they exclude each other
    return ("choice", condition, a, b)


def _restricted(a: Tree, condition: Tree) -> Tree:
    if a[0] == "frac" and a[2][0] != "num":
        return _frac(_restricted(a[1], condition), a[2])
    return _times(a, ("bracket", condition))


def replace(tree: Any, known: Mapping[str, Tree]) -> Any:
    """Return a tree with other trees in the place of variables."""
    if not isinstance(tree, tuple):
        return tree
    if tree[:1] == ("var",):
        return known.get(tree[1], tree)
    return tuple(replace(part, known) for part in tree)


# ── Symbols ───────────────────────────────────────────────────────────────────────────────────────


def _operator(build: Callable[[Tree, Tree], Tree]) -> tuple[Any, Any]:
    """An operator of symbols and numbers, and the same from the right."""

    def apply(a: Any, b: Any) -> Symbol:
        return Symbol(build(_tree(a), _tree(b)))

    return apply, lambda a, b: apply(b, a)


def _relation(sign: str) -> Any:
    return _operator(lambda a, b: ("rel", a, sign, b))[0]


def _conjunction(a: Tree, b: Tree) -> Tree:
    """x ≥ l ∧ x ≤ h is l ≤ x ≤ h."""
    if a[0] == b[0] == "rel" and a[1] == b[1] and (a[2], b[2]) == ("≥", "≤"):
        return ("rel", a[3], "≤", a[1], "≤", b[3])
    return ("rel", a, "∧", b)


class Symbol:
    """What a rule can be run on like on an array of one axis, and what notes what it did."""

    def __init__(self, tree: Tree, ndim: int = 1) -> None:
        self.tree = tree
        self.ndim = ndim

    dtype = np.dtype(float)
    __hash__ = object.__hash__
    __iter__ = None

    @property
    def shape(self) -> tuple[Symbol, ...]:
        return (_SIZE,) * self.ndim

    size = property(lambda self: reduce(operator.mul, self.shape, 1))

    __add__, __radd__ = _operator(_plus)
    __sub__, __rsub__ = _operator(lambda a, b: _plus(a, _neg(b)))
    __mul__, __rmul__ = _operator(_times)
    __truediv__, __rtruediv__ = _operator(_frac)
    __pow__, __rpow__ = _operator(lambda a, b: ("pow", a, b))
    __matmul__, __rmatmul__ = _operator(lambda a, b: ("matmul", a, b))
    __and__, __or__ = _operator(_conjunction)[0], _relation("∨")
    __lt__, __le__, __gt__, __ge__ = map(_relation, "<≤>≥")
    __eq__, __ne__ = map(_relation, "=≠")

    def __neg__(self) -> Symbol:
        return Symbol(_neg(self.tree))

    def __invert__(self) -> Symbol:
        return Symbol(("call", "not", self.tree))

    def __abs__(self) -> Symbol:
        return Symbol(("abs", self.tree))

    def __bool__(self) -> bool:
        if self.tree[0] == "rel":
            raise TypeError("a formula does not depend on a comparison")
        return True

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("a symbol is no array")

    # Shapes are not seen in a formula.
    real = property(lambda self: self)
    T = property(lambda self: self.transpose())
    mT = T  # noqa: N815

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

    def __primitive__(self, primitive: Primitive, arguments: tuple[Any, ...]) -> Symbol:
        symbols = [a for a in arguments if isinstance(a, Symbol)]
        if primitive is primitives.einsum:
            return Symbol(_tree(primitive.value(*arguments)))
        inputs = letters(primitive, len(symbols)).inputs
        known = dict(zip(inputs, map(_tree, symbols), strict=False))
        return Symbol(replace(value_formula(primitive, n_inputs=len(symbols)), known))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        name = ufunc.__name__
        if method == "reduce":
            reduction = _REDUCTIONS.get(name)
            return reduction(inputs[0]) if reduction else NotImplemented
        if method != "__call__" or options:
            return NotImplemented
        function = _UFUNCS.get(name) or _call(name)
        return function(*(Symbol(_tree(x)) for x in inputs))

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        known = _FUNCTIONS.get(function.__name__)
        return known(*args, **options) if known else NotImplemented


class _Size(Symbol):
    """The length of an axis: some number that is not small."""

    def __lt__(self, other: Any) -> bool:
        return False

    def __index__(self) -> int:
        return 2


_SIZE = _Size(("var", "n"))


_FROM_THE_END = ("sym", "::-1")


def _reversed(tree: Tree) -> Tree:
    """From the end. The sums up to each of these, from the end again, are sums from each on."""
    if tree[0] == "sum" and tree[2][1][2:] == (_FROM_THE_END,):
        j, _, i = tree[1][1:]
        return ("sum", ("rel", j, "≥", i), ("sub", tree[2][1][1], j))
    return ("at", tree, _FROM_THE_END)


def _call(name: str) -> Callable[..., Symbol]:
    return lambda *inputs: Symbol(("call", name, *map(_tree, inputs)))


def _cumsum(x: Symbol, axis: Any = None) -> Symbol:
    i, j = ("sym", "i"), ("sym", "j")
    return Symbol(("sum", ("rel", j, "≤", i), ("sub", x.tree, j)))


def _einsum(subscripts: str, *operands: Any, **_: Any) -> Symbol:
    terms, result = subscripts.split("->")
    product, summed = _ONE, dict.fromkeys(terms.replace(",", ""))
    for operand, labels in zip(operands, terms.split(","), strict=True):
        if isinstance(operand, Symbol):  # an array is of ones, and repeats
            factor = ("sub", operand.tree, ("sym", labels)) if labels else operand.tree
            product = _times(product, factor)
    index = "".join(label for label in summed if label not in result)
    return Symbol(("sum", ("sym", index), product) if index else product)


def _clip(x: Symbol, lo: Any, hi: Any) -> Symbol:
    above = x if lo is None else _call("max")(x, lo)
    return above if hi is None else _call("min")(above, hi)


def _exp(x: Symbol) -> Symbol:
    return Symbol(("pow", _E, x.tree))


_REDUCTIONS: dict[str, Callable[[Symbol], Symbol]] = {
    "add": Symbol.sum,
    "maximum": _call("max"),
    "minimum": _call("min"),
}
_UFUNCS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "matmul": operator.matmul,
    "negative": operator.neg,
    "absolute": operator.abs,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "logical_and": operator.and_,
    "logical_or": operator.or_,
    "logical_not": operator.invert,
    "maximum": _call("max"),
    "minimum": _call("min"),
    "square": lambda x: x**2,
    "reciprocal": lambda x: 1 / x,
    "sqrt": lambda x: Symbol(("sqrt", x.tree)),
    "exp": _exp,
    "expm1": lambda x: _exp(x) - 1,
    "log1p": lambda x: _call("log")(1 + x),
    "logaddexp": lambda a, b: _call("log")(_exp(a) + _exp(b)),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "where": lambda c, a, b: Symbol(_where(_tree(c), _tree(a), _tree(b))),
    "zeros_like": lambda x: Symbol(_ZERO),
    "ones_like": lambda x: Symbol(_ONE),
    "real": lambda x: x,
    "sum": Symbol.sum,
    "clip": _clip,
    "cumsum": _cumsum,
    "einsum": _einsum,
    "concatenate": lambda parts, axis: Symbol(("bracket", *map(_tree, parts))),
}

# ── The formulas of a primitive ───────────────────────────────────────────────────────────────────

# Computed in pieces, so that nothing overflows: its name says more.
_CALLED_BY_NAME = frozenset((primitives.sigmoid,))
_VARIADIC = "abcdefhijklmnopqrstuvwxz"
# What takes the place of parameters that no formula shows, and of those of no call.
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
def letters(primitive: Primitive, n_inputs: int = 2) -> Letters:
    """Return the variables of a primitive's formulas, beside g and y.

    Parameters
    ----------
    primitive
        An entry of the table, or one's own.
    n_inputs
        The number of inputs, for one that has any number.

    >>> letters(primitives.clip)
    Letters(inputs=('x',), params=('l', 'h'))
    >>> letters(primitives.less).inputs
    ('a', 'b')
    """
    params = [name for name in primitive.params if name not in _GENERIC]
    inputs = list(_VARIADIC[:n_inputs]) if primitive.variadic else _input_names(primitive)
    short = [name[0] for name in inputs + params]

    unclear = {c for c in short if c in "gy" or short.count(c) > 1}

    def shorten(names: Iterable[str]) -> tuple[str, ...]:
        long = unclear | _GENERIC.keys()
        return tuple(name if {name, name[0]} & long else name[0] for name in names)

    return Letters(shorten(inputs), shorten(primitive.params))


def _input_names(primitive: Primitive) -> list[str]:
    """What the rules call the inputs; without rules, a and b, or x."""
    for rule in filter(None, primitive.rules):
        arguments = list(inspect.signature(rule).parameters.values())[2:]
        if arguments[-1].kind is inspect.Parameter.VAR_POSITIONAL:
            return [argument.name for argument in arguments]
        return [argument.name for argument in arguments[: len(arguments) - len(primitive.params)]]
    value: Any = primitive.value
    n = value.nin if isinstance(value, np.ufunc) else len(inspect.signature(value).parameters)
    n -= len(primitive.params)
    return ["x"] if n == 1 else list(_VARIADIC[:n])


def value_formula(primitive: Primitive, params: Sequence[Any] = (), n_inputs: int = 2) -> Tree:
    """Return the formula of a primitive's value.

    Parameters
    ----------
    primitive
        An entry of the table, or one's own.
    params
        The parameters of one call, most of which change nothing.
    n_inputs
        The number of inputs, for a primitive that has any number.

    >>> value_formula(primitives.exp)
    ('pow', ('sym', 'e'), ('var', 'x'))
    """
    return _value_formula(primitive, _relevant(primitive, params), n_inputs)


def rule_formula(
    primitive: Primitive, place: int, params: Sequence[Any] = (), n_inputs: int = 2
) -> Tree | None:
    """Return the formula of a rule, in which g is the gradient of the value y.

    Parameters
    ----------
    primitive, params, n_inputs
        As for `value_formula`.
    place
        Which input the rule is for.

    Returns
    -------
    tuple or None
        None where there is no rule. Of a rule that symbols cannot run, g · ∂f/∂x.

    >>> rule_formula(primitives.exp, 0)
    ('times', ('var', 'g'), ('var', 'y'))
    >>> rule_formula(primitives.where, 0)
    """
    return _rule_formula(primitive, place, _relevant(primitive, params), n_inputs)


def _relevant(primitive: Primitive, params: Sequence[Any]) -> tuple[Any, ...]:
    """The parameters as far as they change a formula: None, 0 and subscripts do."""
    known = [p if p is None or isinstance(p, str) or _is_zero(p) else ... for p in params]
    return tuple(known) or (...,) * len(primitive.params)


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and value == 0


@lru_cache(maxsize=1024)
def _value_formula(primitive: Primitive, params: tuple[Any, ...], n_inputs: int) -> Tree:
    if primitive.latex and primitive.latex[0]:
        return _from_latex(primitive.latex[0])
    symbols, arguments = _arguments(primitive, params, n_inputs)
    found = None
    if primitive not in _CALLED_BY_NAME:
        found = _run(primitive.value, [*symbols, *arguments])
    return found or ("call", primitive.name, *(symbol.tree for symbol in symbols))


@lru_cache(maxsize=1024)
def _rule_formula(
    primitive: Primitive, place: int, params: tuple[Any, ...], n_inputs: int
) -> Tree | None:
    if primitive.rules[0 if primitive.variadic else place : place + 1] in ((), (None,)):
        return None
    symbols, arguments = _arguments(primitive, params, n_inputs)
    x = symbols[place].tree
    number = 1 if primitive.variadic else place + 1
    if latex := (primitive.latex or ())[number : number + 1]:
        known = {"a": x} if primitive.variadic else {}
        written: Tree = replace(_from_latex(latex[0] or ""), known)
        return written
    ndim = len(arguments[0].split("->")[-1]) if primitive is primitives.einsum else 1
    given = [*symbols, *arguments]

    def rule(g: Symbol, y: Symbol) -> Any:
        rules: Any = primitive.rules_for(tuple(given))
        return next(islice(rules, place, None))(g, y, *given)

    found = _run(rule, [Symbol(_G, ndim), Symbol(_Y, ndim)])
    slope = ("frac", ("seq", ("sym", "∂"), ("text", primitive.name)), ("seq", ("sym", "∂"), x))
    return found or ("times", _G, slope)


def _arguments(
    primitive: Primitive, params: tuple[Any, ...], n_inputs: int
) -> tuple[list[Symbol], list[Any]]:
    """Symbols for the inputs, and what takes the place of the parameters."""
    arguments: list[Any] = []
    if primitive is primitives.einsum:
        subscripts = params[0] if isinstance(params[0], str) else "ij,jk->ik"
        terms = subscripts.split("->")[0].split(",")
        inputs = letters(primitive, len(terms)).inputs
        symbols = [Symbol(("var", c), len(t)) for c, t in zip(inputs, terms, strict=True)]
        return symbols, [subscripts]
    inputs, shorts = letters(primitive, n_inputs)
    for name, letter, value in zip(primitive.params, shorts, params, strict=False):
        shown = Symbol(("var", letter)) if value is ... else value
        arguments.append(_GENERIC.get(name, shown))
    return [Symbol(("var", letter)) for letter in inputs], arguments


def _run(function: Callable[..., Any], arguments: Sequence[Any]) -> Tree | None:
    """The tree that a function gives on symbols, or None if it needs arrays.

    It can be anybody's function, so that it can fail in any way.
    """
    try:
        return _tree(function(*arguments))
    except Exception:
        return None


_TOKEN = re.compile(r"\\text\{([^}]*)\}|\\[a-zA-Z]+|\\.|.", re.DOTALL)


def _from_latex(latex: str) -> Tree:
    r"""A formula that is given in LaTeX: its letters are variables, and the rest is kept.

    >>> _from_latex(r"g_a")
    ('sub', ('var', 'g'), ('var', 'a'))
    >>> _from_latex(r"x \text{ at } [i]")[1:4]
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


# ── In LaTeX ──────────────────────────────────────────────────────────────────────────────────────

_Write = Callable[..., str]
# As in the page's numbers.js: what binds weaker than what is around it gets parentheses.
_PRECEDENCE = {
    "choice": 0, "rel": 1, "plus": 2, "neg": 2, "seq": 2, "times": 3, "matmul": 3, "sum": 3.6,
    "call": 4, "pow": 5, "frac": 5.5,
}  # fmt: skip
_SIGNS = {"≤": r"\le", "≥": r"\ge", "≠": r"\ne", "∧": r"\land", "∨": r"\lor"}
_SYMBOLS = {"π": r"\pi", "∞": r"\infty", "∂": r"\partial "}
_LATEX_FUNCTIONS = frozenset(("log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min"))
_SPECIAL_FUNCTIONS = {"not": r"\lnot ", "sigmoid": r"\sigma"}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: "\\" + c for c in "#$%&_{}"},
    **{subscript(digit): f"$_{digit}$" for digit in range(10)},
}


def latex_text(words: str) -> str:
    r"""Return words as text in a formula.

    >>> print(latex_text("a_b"))
    \text{a\_b}
    """
    return r"\text{" + "".join(_ESCAPES.get(c, c) for c in words) + "}"


def latex(tree: Tree, names: Mapping[str, str] | None = None) -> str:
    r"""Return a formula in LaTeX.

    Parameters
    ----------
    tree
        From `value_formula` or `rule_formula`.
    names
        LaTeX for variables that are not to be called by their letters.

    >>> print(latex(rule_formula(primitives.log, 0), {"x": "x_1"}))
    \frac{g}{x_1}
    """
    return _latex(tree, names or {}, 0)


def _latex(tree: Tree, names: Mapping[str, str], outer: float) -> str:
    def write(part: Tree, outer: float = 0) -> str:
        return _latex(part, names, outer)

    kind, *parts = tree
    if kind == "var":
        return names.get(parts[0]) or (parts[0] if len(parts[0]) == 1 else latex_text(parts[0]))
    written = _WRITERS[kind](write, *parts)
    return f"({written})" if _PRECEDENCE.get(kind, 9) < outer else written


def _write_plus(write: _Write, *terms: Tree) -> str:
    shown = write(terms[0], 2)
    for term in terms[1:]:
        minus = term[0] == "neg"
        shown += (" - " if minus else " + ") + write(term[1] if minus else term, 2.5)
    return shown


def _write_times(write: _Write, *factors: Tree) -> str:
    # A function that is not the last factor would seem to be of all that follow.
    *first, last = factors
    return r"\,".join([*(write(t, 4.5) for t in first), write(last, 3.5)])


def _write_call(write: _Write, name: str, *inputs: Tree) -> str:
    known = name in _LATEX_FUNCTIONS
    operator_name = rf"\operatorname{{{name}}}" if name.isalnum() else latex_text(name)
    shown = _SPECIAL_FUNCTIONS.get(name) or (f"\\{name}" if known else operator_name)
    inside = ", ".join(map(write, inputs))
    simple = len(inputs) == 1 and _PRECEDENCE.get(inputs[0][0], 9) > 5 and name != "sigmoid"
    if not simple:
        return f"{shown}({inside})"
    return shown + inside if name == "not" else f"{shown} {inside}"


def _write_rel(write: _Write, *parts: Any) -> str:
    shown = [_SIGNS.get(p, p) if i % 2 else write(p, 1.5) for i, p in enumerate(parts)]
    return " ".join(shown)


def _write_sum(write: _Write, index: Tree | None, terms: Tree) -> str:
    under = f"_{_braced(write(index))}" if index else ""
    return rf"\sum{under} {write(terms, 3)}"


def _braced(written: str) -> str:
    return written if len(written) == 1 else f"{{{written}}}"


_WRITERS: dict[str, Callable[..., str]] = {
    "num": lambda write, number: number,
    "sym": lambda write, name: _SYMBOLS.get(name) or name,
    "tex": lambda write, latex: latex,
    "text": lambda write, words: latex_text(words),
    "seq": lambda write, *parts: "".join(map(write, parts)),
    "neg": lambda write, a: f"-{write(a, 2.75)}",
    "plus": _write_plus,
    "times": _write_times,
    "matmul": _write_times,
    "frac": lambda write, a, b: rf"\frac{{{write(a)}}}{{{write(b)}}}",
    "pow": lambda write, a, n: f"{write(a, 6)}^{_braced(write(n))}",
    "sub": lambda write, a, i: f"{write(a, 6)}_{_braced(write(i))}",
    "transposed": lambda write, a: rf"{write(a, 6)}^\top",
    "sqrt": lambda write, a: rf"\sqrt{{{write(a)}}}",
    "abs": lambda write, a: rf"\lvert {write(a)} \rvert",
    "call": _write_call,
    "sum": _write_sum,
    "bracket": lambda write, *parts: f"[{', '.join(map(write, parts))}]",
    "at": lambda write, a, *index: f"{write(a, 6)}[{', '.join(map(write, index))}]",
    "rel": _write_rel,
    "choice": lambda write, c, a, b: rf"{write(c, 1)} \;?\; {write(a, 1)} : {write(b, 1)}",
}

# ── On arrays ─────────────────────────────────────────────────────────────────────────────────────


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

    >>> evaluate(rule_formula(primitives.relu, 0), {"g": 3.0, "x": np.array([1.0, -1.0])})
    array([3., 0.])
    >>> evaluate(rule_formula(primitives.getitem, 0), {"g": 3.0}) is None
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
