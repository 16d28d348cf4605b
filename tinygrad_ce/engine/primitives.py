r"""Every primitive on one page: its value and its derivatives, side by side.

This is the table of derivatives of a calculus book. For y = f(a, b) inside a larger computation
that ends in a scalar L, and with g = ∂L/∂y already known, a rule returns ∂L/∂a: the product of g
with the Jacobian of f, called the vector-Jacobian product, or vjp. An entry reads

    multiply = Primitive("multiply", "×", r"a \cdot b", operator.mul,
        (lambda g, y, a, b: g * b, r"g\,b"),         # ∂L/∂a
        (lambda g, y, a, b: g * a, r"g\,a"))         # ∂L/∂b

that is: name, symbol in drawings, LaTeX of the value, the value as a function of arrays, and for
each argument its rule with the rule's LaTeX, or None where there is no derivative (an index, a
mask, a comparison). A rule gets g, the value y, and then exactly what the value was computed from:
the inputs first, the parameters (``params``, an axis say) behind them.

**One rule, two worlds.** A rule is written in operators, NumPy functions, methods that arrays and
Tensors share, and other primitives of this page. These mean the same for arrays and for Tensors.
On arrays, a rule runs at NumPy's speed and records nothing. On Tensors, the same rule records its
own graph, and the derivative can be differentiated again.

**One cotangent, or many.** g has the shape of y, or further axes in front of it: a batch of
cotangents, with which a Jacobian takes one walk. Broadcasting aligns shapes at their ends, so most
rules need not know. Those that name axes or shapes count from the end, or keep what is in front.

**What rules need not care about.** backprop.py sums over axes along which an argument was
broadcast, casts to the argument's dtype, skips arguments that need no gradient, and adds up.

**Conventions at ties and kinks**, chosen once and here: max and min share the gradient equally
among ties, maximum(a, a) and minimum(a, a) give half to each, relu, abs and sign have slope 0 at
0, clip has the slope of its inside at both ends.

To add a primitive: add its entry here, its line in tests/test_primitives.py, and, if it shall
have one, its method in tensor.py or its function in operations.py.
"""

from __future__ import annotations

import math
import operator
import string
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial
from itertools import accumulate, count
from typing import Any

import numpy as np

# An array, a NumPy scalar, a Python number, or a Tensor: what a rule can be handed.
Value = Any
Vjp = Callable[..., Value]

_ARRAYS = (np.ndarray, np.generic, int, float, complex)


class Primitive:
    """One entry of the table: a value, and a derivative for each argument.

    Called on arrays, it computes its value; called on Tensors, it records a node. That is how the
    rules below use one another in both worlds; the first argument tells in which one we are.
    """

    __slots__ = (
        "differentiable",
        "latex",
        "name",
        "params",
        "rules",
        "rules_latex",
        "symbol",
        "value",
    )

    def __init__(
        self,
        name: str,
        symbol: str,
        latex: str,
        value: Vjp,
        *rules: tuple[Vjp, str] | None,
        params: tuple[str, ...] = (),
        variadic: bool = False,
    ) -> None:
        self.name = name
        self.symbol = symbol
        self.latex = latex
        self.value = value
        self.rules: Iterable[Vjp | None] = tuple(rule and rule[0] for rule in rules)
        self.rules_latex = tuple(rule and rule[1] for rule in rules)
        self.params = params
        self.differentiable = any(rules)
        if variadic:
            [(rule, _)] = (r for r in rules if r)
            self.rules = _ForEachInput(rule)

    def __call__(self, *arguments: Value) -> Value:
        if isinstance(arguments[0], _ARRAYS):
            return self.value(*arguments)
        return arguments[0].__primitive__(self, arguments)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


class _ForEachInput:
    """The rules of a primitive with any number of inputs: ``rule(i, shared, g, y, ...)`` for each.

    `shared` is a list, empty at first: what one of them puts there, the next ones find.
    """

    def __init__(self, rule: Vjp) -> None:
        self.rule = rule

    def __iter__(self) -> Iterator[Vjp]:
        shared: list[Any] = []
        return (partial(self.rule, i, shared) for i in count())


# 1/0 is inf and log(-1) is nan without a warning: the result says it already.
_ieee = np.errstate(divide="ignore", invalid="ignore")


# ── How the larger values are computed, and the longer rules ──────────────────────────────────────
# A 0-d result is a scalar, not a 0-d array: [()] turns the one into the other.


def _divide(a: Value, b: Value) -> Value:
    # By a number other than 0, as in a mean, there is nothing to keep quiet; that takes 0.4 µs.
    return a / b if type(b) is int and b else _quiet_divide(a, b)


_quiet_divide = _ieee(operator.truediv)


def _matmul(a: Value, b: Value) -> Value:
    # Of two matrices, dot is the same product; the call takes half the time.
    return a.dot(b) if type(a) is np.ndarray and a.ndim == b.ndim == 2 else a @ b


# The real part, here and in what has no derivative, is all of a real number. It is for the complex
# step of gradcheck, in which the imaginary part carries the derivative.
def _sigmoid(x: Value) -> Value:
    negative = np.real(x) < 0
    e = np.exp(_where(negative, x, -x))
    return _where(negative, e, 1) / (1 + e)


def _abs(x: Value) -> Value:
    return np.abs(x) if x.dtype.kind != "c" else _where(x.real < 0, -x, x)


def _sign(x: Value) -> Value:
    return np.sign(np.real(x))


_TWO_OVER_ROOT_PI = 2 / math.sqrt(math.pi)


def _erf(x: Value) -> Value:
    dtype = x.dtype if x.dtype.kind == "f" else np.float64
    return np.array([math.erf(v) for v in np.ravel(x).tolist()], dtype).reshape(x.shape)[()]


def _where(c: Value, a: Value, b: Value) -> Value:
    chosen: Any = np.where(c, a, b)
    return chosen[()]


def _inside(x: Value, lo: float | None, hi: float | None) -> Value:
    above = x == x if lo is None else x >= lo
    return above if hi is None else above & (x <= hi)


def _larger(g: Value, a: Value, b: Value) -> Value:
    return np.where(a > b, g, np.where(a == b, g / 2, 0))


# A ufunc's own reduce, since np.sum and its like put layers of Python around it.
_add_up: Any = np.add.reduce
_largest: Any = np.maximum.reduce
_smallest: Any = np.minimum.reduce


def _sum(x: Value, axis: Any, keepdims: bool) -> Value:
    return _add_up(x, axis, None, None, keepdims)


def _mean(x: Value, axis: Any, keepdims: bool) -> Value:
    half = x.dtype.char == "e"  # float16, whose sum can overflow where its mean does not
    total = _add_up(x, axis, np.float32 if half else None, None, keepdims)
    mean = _divide(total, number_along(x.shape, axis))
    return mean.astype(np.float16) if half else mean


def number_along(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements a reduction over these axes takes together."""
    if axis is None:
        return math.prod(shape)
    return math.prod([shape[a] for a in axis]) if isinstance(axis, tuple) else shape[axis]


def _max(x: Value, axis: Any, keepdims: bool) -> Value:
    return _largest(x, axis, None, None, keepdims)


def _min(x: Value, axis: Any, keepdims: bool) -> Value:
    return _smallest(x, axis, None, None, keepdims)


def _peak(x: Value, axis: Any, initial: float) -> Value:
    x = x.real
    if x.ndim == 2 and axis == -1 and x.size and x.flags.carray:
        # The place of the largest in each row is found in half the time of its value, or less;
        # but argmax copies an array that is read-only.
        places = x.argmax(-1) + row_starts(*x.shape)
        return np.maximum(x.take(places), initial).reshape(-1, 1)
    return _largest(x, axis, None, None, True, initial)


@lru_cache(maxsize=32)
def row_starts(n: int, length: int) -> Value:
    """Where each of n rows begins, if elements are counted through all of them."""
    starts = np.arange(0, n * length, length)
    starts.setflags(write=False)
    return starts


def _argmax(x: Value, axis: int | None, keepdims: bool) -> Value:
    return np.argmax(x, axis, keepdims=keepdims)


def _argmin(x: Value, axis: int | None, keepdims: bool) -> Value:
    return np.argmin(x, axis, keepdims=keepdims)


def _argsort(x: Value, axis: int) -> Value:
    return np.argsort(x, axis, kind="stable")


def _unreduced(r: Value, x: Value, axis: Any, keepdims: bool) -> Value:
    """A reduction of x with its axes put back, of length 1, so that it broadcasts against x."""
    if keepdims or not r.shape:  # a single number broadcasts as it is
        return r
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    shape = list(x.shape)
    for a in axes:
        shape[a] = 1
    batch = r.ndim + len(axes) - len(shape)
    return r.reshape((*r.shape[:batch], *shape) if batch else tuple(shape))


def _spread(g: Value, y: Value, x: Value, axis: Any, keepdims: bool) -> Value:
    shape = g.shape[: g.ndim - y.ndim] + x.shape
    return broadcast_to(_unreduced(g, x, axis, keepdims), shape)


def _spread_evenly(g: Value, y: Value, x: Value, axis: Any, keepdims: bool) -> Value:
    return _spread(g / max(number_along(x.shape, axis), 1), y, x, axis, keepdims)


def _share_ties(g: Value, y: Value, x: Value, axis: Any, keepdims: bool) -> Value:
    ties = x == _unreduced(y, x, axis, keepdims)
    number = ties.astype(g.dtype).sum(axis, keepdims=True)
    return np.where(ties, _unreduced(g, x, axis, keepdims) / number, 0)


def sum_to(g: Value, shape: tuple[int, ...], batch: int = 0) -> Value:
    """Sum g over the axes along which an array of this shape was broadcast to g's shape.

    The first `batch` axes of g are left as they are.
    """
    new = g.ndim - len(shape)
    axes = list(range(batch, new))
    if 1 in shape:
        axes += [i for i, n in enumerate(shape, new) if n == 1 and g.shape[i] != 1]
    full = (*g.shape[:batch], *shape) if batch else shape
    g = _add_up(g, tuple(axes))
    return g if g.shape == full else g.reshape(full)


# np.broadcast_to's view saves memory, but takes 1.7 µs to set up, and those who read it go on to
# each row anew: up to so many elements, it is faster to fill an array, from 0.4 µs on.
LARGEST_FILLED = 2**14


def _broadcast_to(x: Value, shape: tuple[int, ...]) -> Value:
    size = 1
    for n in shape:
        size *= n
    if size > LARGEST_FILLED:
        return np.broadcast_to(x, shape)
    out = np.empty(shape, getattr(x, "dtype", type(x)))  # a Python number has no dtype
    out[...] = x
    return out if shape else out[()]


def _cast(x: Value, dtype: np.dtype[Any]) -> Value:
    if x.dtype.kind == "c":
        raise TypeError("a cast takes real numbers only")
    return x.astype(dtype)


def _reshape(x: Value, shape: tuple[int, ...]) -> Value:
    y = x.reshape(shape)
    return y if y.shape else y[()]


def _reshape_back(g: Value, y: Value, x: Value, shape: tuple[int, ...]) -> Value:
    return g.reshape((*g.shape[: g.ndim - y.ndim], *x.shape))


def _transpose_back(g: Value, y: Value, x: Value, axes: tuple[int, ...]) -> Value:
    batch = g.ndim - y.ndim
    inverse = (batch + axes.index(i) for i in range(len(axes)))
    return g.transpose((*range(batch), *inverse))


def _concatenate(*rest: Value) -> Value:
    return np.concatenate(rest[:-1], rest[-1])


def _along(part: slice, axis: int) -> tuple[Any, ...]:
    """The index that takes a part along one axis, counted from the end (-1 is the last)."""
    return (Ellipsis, part, *(slice(None),) * (-1 - axis))


def _piece(i: int, ends: list[int], g: Value, y: Value, *rest: Value) -> Value:
    axis = rest[-1]
    if not ends:
        ends += accumulate((x.shape[axis] for x in rest[:-1]), initial=0)
    return g[_along(slice(ends[i], ends[i + 1]), axis)]


def _cumsum_back(g: Value, y: Value, x: Value, axis: int) -> Value:
    """What is summed up from the end: each element of x is in all sums from its own place on."""
    backwards = _along(slice(None, None, -1), axis)
    return cumsum(g[backwards], axis)[backwards]


def _einsum(*rest: Value) -> Value:
    *operands, subscripts = rest
    return np.einsum(subscripts, *operands, optimize=len(operands) > 2)[()]


def _einsum_back(i: int, shared: list[Any], g: Value, y: Value, *rest: Value) -> Value:
    """The same contraction, with g in the place of the operand, and the operand as the result."""
    *operands, subscripts = rest
    terms, result = subscripts.split("->")
    terms = terms.split(",")
    batch = _unused(subscripts)[: g.ndim - y.ndim]
    others = [(x, t) for j, (x, t) in enumerate(zip(operands, terms, strict=True)) if j != i]
    # Along an index that is in this operand alone, or of length 1 in all others, g is the same.
    terms_left = [(y, result), *others]
    known = {(label, n) for x, term in terms_left for label, n in zip(term, x.shape, strict=True)}
    for label, n in zip(terms[i], operands[i].shape, strict=True):
        if (label, n) not in known:
            others.append((np.ones(n, g.dtype), label))
    spelled = ",".join([batch + result, *(term for _, term in others)])
    return einsum(g, *(x for x, _ in others), f"{spelled}->{batch}{terms[i]}")


def _unused(subscripts: str) -> str:
    return "".join(letter for letter in string.ascii_letters if letter not in subscripts)


class Hole:
    """The place of an array in the pattern of an index."""

    def __repr__(self) -> str:
        return "·"


HOLE = Hole()


def _filled(arrays: tuple[Value, ...], pattern: tuple[Any, ...]) -> tuple[Any, ...]:
    if not arrays:
        return pattern
    if len(arrays) == len(pattern):
        return arrays
    remaining = iter(arrays)
    return tuple(next(remaining) if part is HOLE else part for part in pattern)


def _getitem(x: Value, *rest: Value) -> Value:
    y = x[_filled(rest[:-1], rest[-1])]
    return y if y.shape else y[()]


def _scatter(g: Value, *rest: Value) -> Value:
    arrays, pattern, shape = rest[:-2], rest[-2], rest[-1]
    index = _filled(arrays, pattern)
    out = np.zeros(shape, g.dtype)
    for array in arrays:
        if array.dtype.kind != "b":  # integer arrays can name a place more than once
            if pattern == (HOLE,) and array.ndim and out.ndim > 1:
                add_rows(out, array, g)
            else:
                np.add.at(out, index, g)
            return out
    out[index] = g
    return out


def add_rows(out: Value, rows: Value, g: Value) -> None:
    """Add to each row as often as it is named, element by element: np.add.at is fast on those."""
    width = math.prod(out.shape[1:])
    places = rows.astype(np.intp)[..., None] * width + np.arange(width)
    np.add.at(out.reshape(-1), places.reshape(-1), g.reshape(-1))


def _getitem_back(g: Value, y: Value, x: Value, *index: Value) -> Value:
    batch = g.ndim - y.ndim
    if not batch:
        return scatter(g, *index, x.shape)
    shape = x.shape + g.shape[:batch]
    return _batch_in_front(scatter(_batch_behind(g, batch), *_wider(index, batch), shape), batch)


def _scatter_back(g: Value, y: Value, x: Value, *index: Value) -> Value:
    index, batch = index[:-1], g.ndim - y.ndim
    if not batch:
        return getitem(g, *index)
    return _batch_in_front(getitem(_batch_behind(g, batch), *_wider(index, batch)), batch)


# An index leaves alone what stands behind its axes, and so a batch stands there meanwhile.
def _batch_behind(g: Value, batch: int) -> Value:
    return g.transpose((*range(batch, g.ndim), *range(batch)))


def _batch_in_front(g: Value, batch: int) -> Value:
    rest = g.ndim - batch
    return g.transpose((*range(rest, g.ndim), *range(rest)))


def _wider(index: tuple[Any, ...], batch: int) -> tuple[Any, ...]:
    """An index whose Ellipsis does not reach over the batch behind its axes."""
    *arrays, pattern = index
    if Ellipsis in pattern:
        pattern = (*pattern, *(slice(None),) * batch)
    return (*arrays, pattern)


# fmt: off
# ── Arithmetic ────────────────────────────────────────────────────────────────────────────────────
# The operators, not the ufuncs: on the scalars that 0-d values are, they are ten times as fast.

add = Primitive("add", "+", "a + b", operator.add,
    (lambda g, y, a, b: g,                     "g"),
    (lambda g, y, a, b: g,                     "g"))

subtract = Primitive("subtract", "−", "a - b", operator.sub,
    (lambda g, y, a, b: g,                     "g"),
    (lambda g, y, a, b: -g,                    "-g"))

multiply = Primitive("multiply", "×", r"a \cdot b", operator.mul,
    (lambda g, y, a, b: g * b,                 r"g\,b"),
    (lambda g, y, a, b: g * a,                 r"g\,a"))

divide = Primitive("divide", "÷", r"\frac{a}{b}", _divide,
    (lambda g, y, a, b: g / b,                 r"\frac{g}{b}"),
    (lambda g, y, a, b: -g * y / b,            r"-\frac{g\,y}{b}"))

negative = Primitive("negative", "−", "-x", operator.neg,
    (lambda g, y, x: -g,                       "-g"))

# x ** n with a fixed number n. The slope of x⁰ is 0 everywhere, also where n·xⁿ⁻¹ would be 0·∞.
power = Primitive("power", "xⁿ", "x^n", _ieee(operator.pow),
    (lambda g, y, x, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g), r"g\,n\,x^{n-1}"),
    params=("n",))

# a ** b with b an array. At a = 0 the limit of aᵇ·log a is 0 for b > 0.
pow_ = Primitive("pow", "aᵇ", "a^b", _ieee(operator.pow),
    (lambda g, y, a, b: np.where(b == 0, 0, g * b * a ** np.where(b == 0, 1, b - 1)),
                                               r"g\,b\,a^{b-1}"),
    (lambda g, y, a, b: g * y * np.log(np.where(a == 0, 1, a)),          r"g\,y\,\log a"))

matmul = Primitive("matmul", "@", r"a\,b", _matmul,
    (lambda g, y, a, b: _matmul(g, b.mT),      r"g\,b^\top"),
    (lambda g, y, a, b: _matmul(a.mT, g),      r"a^\top g"))

# ── Functions of one variable ─────────────────────────────────────────────────────────────────────

exp = Primitive("exp", "exp", "e^x", np.exp,
    (lambda g, y, x: g * y,                    r"g\,y"))

expm1 = Primitive("expm1", "expm1", "e^x - 1", np.expm1,
    (lambda g, y, x: g * (y + 1),              r"g\,(y + 1)"))

log = Primitive("log", "log", r"\log x", _ieee(np.log),
    (lambda g, y, x: g / x,                    r"\frac{g}{x}"))

log1p = Primitive("log1p", "log1p", r"\log(1 + x)", _ieee(np.log1p),
    (lambda g, y, x: g / (1 + x),              r"\frac{g}{1 + x}"))

sqrt = Primitive("sqrt", "√", r"\sqrt{x}", _ieee(np.sqrt),
    (lambda g, y, x: g / (2 * y),              r"\frac{g}{2y}"))

sin = Primitive("sin", "sin", r"\sin x", np.sin,
    (lambda g, y, x: g * np.cos(x),            r"g \cos x"))

cos = Primitive("cos", "cos", r"\cos x", np.cos,
    (lambda g, y, x: -g * np.sin(x),           r"-g \sin x"))

erf = Primitive("erf", "erf", r"\operatorname{erf} x", _erf,
    (lambda g, y, x: g * (_TWO_OVER_ROOT_PI * np.exp(-x * x)),
                                               r"g\,\tfrac{2}{\sqrt\pi}\,e^{-x^2}"))

tanh = Primitive("tanh", "tanh", r"\tanh x", np.tanh,
    (lambda g, y, x: g * (1 - y * y),          r"g\,(1 - y^2)"))

sigmoid = Primitive("sigmoid", "σ", r"\sigma(x)", _sigmoid,
    (lambda g, y, x: g * y * (1 - y),          r"g\,y\,(1 - y)"))

relu = Primitive("relu", "relu", r"\max(x, 0)", lambda x: np.maximum(x, 0),
    (lambda g, y, x: np.where(x > 0, g, 0),    r"g\,[x > 0]"))

abs_ = Primitive("abs", "|x|", r"\lvert x \rvert", _abs,
    (lambda g, y, x: g * np.sign(x),           r"g\,\operatorname{sign} x"))

clip = Primitive("clip", "clip", r"\min(\max(x, l), h)", np.clip,
    (lambda g, y, x, lo, hi: np.where(_inside(x, lo, hi), g, 0),         r"g\,[l \le x \le h]"),
    params=("lo", "hi"))

# ── Functions of two variables ────────────────────────────────────────────────────────────────────

logaddexp = Primitive("logaddexp", "logaddexp", r"\log(e^a + e^b)", np.logaddexp,
    (lambda g, y, a, b: g * np.exp(a - y),     r"g\,e^{a - y}"),
    (lambda g, y, a, b: g * np.exp(b - y),     r"g\,e^{b - y}"))

# ── Choosing ──────────────────────────────────────────────────────────────────────────────────────

where = Primitive("where", "where", r"c\;?\;a : b", _where,
    None,
    (lambda g, y, c, a, b: np.where(c, g, 0),  r"g\,[c]"),
    (lambda g, y, c, a, b: np.where(c, 0, g),  r"g\,[\lnot c]"))

maximum = Primitive("maximum", "max", r"\max(a, b)", np.maximum,
    (lambda g, y, a, b: _larger(g, a, b),      r"g\,[a > b] + \tfrac{g}{2}[a = b]"),
    (lambda g, y, a, b: _larger(g, b, a),      r"g\,[b > a] + \tfrac{g}{2}[a = b]"))

minimum = Primitive("minimum", "min", r"\min(a, b)", np.minimum,
    (lambda g, y, a, b: _larger(g, b, a),      r"g\,[a < b] + \tfrac{g}{2}[a = b]"),
    (lambda g, y, a, b: _larger(g, a, b),      r"g\,[b < a] + \tfrac{g}{2}[a = b]"))

# ── Reductions, and what undoes them ──────────────────────────────────────────────────────────────
# _spread(g, y, x, axis, keepdims) repeats g along the axes that were summed over; _share_ties does
# so too, gives it to the elements that equal y, and divides by their number.

sum_ = Primitive("sum", "Σ", r"\sum x", _sum,
    (_spread,                                  "g"),
    params=("axis", "keepdims"))

mean = Primitive("mean", "mean", r"\tfrac{1}{n} \sum x", _mean,
    (_spread_evenly,                           r"\tfrac{g}{n}"),
    params=("axis", "keepdims"))

max_ = Primitive("max", "max", r"\max x", _max,
    (_share_ties,                              r"g\,\frac{[x = y]}{\sum [x = y]}"),
    params=("axis", "keepdims"))

min_ = Primitive("min", "min", r"\min x", _min,
    (_share_ties,                              r"g\,\frac{[x = y]}{\sum [x = y]}"),
    params=("axis", "keepdims"))

cumsum = Primitive("cumsum", "cumsum", r"\sum_{j \le i} x_j", np.cumsum,
    (_cumsum_back,                             r"\sum_{j \ge i} g_j"),
    params=("axis",))

# The sum over all indices that the result lacks; no index twice in one operand.
einsum = Primitive("einsum", "einsum", r"\sum a\,b", _einsum,
    (_einsum_back,                             r"\sum g\,b"),
    params=("subscripts",), variadic=True)

broadcast_to = Primitive("broadcast_to", "broadcast", "x", _broadcast_to,
    (lambda g, y, x, shape: g,                 r"\sum g"),
    params=("shape",))

# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────

reshape = Primitive("reshape", "reshape", "x", _reshape,
    (_reshape_back,                            "g"),
    params=("shape",))

transpose = Primitive("transpose", "transpose", r"x^\top", lambda x, axes: x.transpose(axes),
    (_transpose_back,                          r"g^\top"),
    params=("axes",))

cast = Primitive("cast", "cast", "x", _cast,
    (lambda g, y, x, dtype: g.astype(x.dtype),                           "g"),
    params=("dtype",))

alias = Primitive("alias", "≡", "x", lambda x: x,
    (lambda g, y, x: g,                        "g"))

# Of any number of inputs: the rule is told for which.
concatenate = Primitive("concatenate", "concat", "[a, b]", _concatenate,
    (_piece,                                   "g_a"),
    params=("axis",), variadic=True)

# ── Indexing ──────────────────────────────────────────────────────────────────────────────────────
# Integer arrays and masks in an index are inputs of the node; `pattern` is the index with a hole
# in the place of each. What getitem takes from the places of an index, scatter adds to them.

getitem: Primitive = Primitive("getitem", "[ ]", "x[i]", _getitem,
    (_getitem_back,                            r"g \text{ at } i"),
    params=("pattern",))

scatter: Primitive = Primitive("scatter", "scatter", r"x \text{ at } i", _scatter,
    (_scatter_back,                            "g[i]"),
    params=("pattern", "shape"))

# ── Without a derivative ──────────────────────────────────────────────────────────────────────────
# Their results are constants to the calculus, but a replay of the graph must compute them anew.

less          = Primitive("less", "<", "a < b", operator.lt, None, None)
less_equal    = Primitive("less_equal", "≤", r"a \le b", operator.le, None, None)
greater       = Primitive("greater", ">", "a > b", operator.gt, None, None)
greater_equal = Primitive("greater_equal", "≥", r"a \ge b", operator.ge, None, None)
equal         = Primitive("equal", "=", "a = b", operator.eq, None, None)
not_equal     = Primitive("not_equal", "≠", r"a \ne b", operator.ne, None, None)
logical_and   = Primitive("logical_and", "∧", r"a \land b", operator.and_, None, None)
logical_or    = Primitive("logical_or", "∨", r"a \lor b", operator.or_, None, None)
logical_not   = Primitive("logical_not", "¬", r"\lnot x", operator.invert, None)
isfinite      = Primitive("isfinite", "finite?", r"\lvert x \rvert < \infty", np.isfinite, None)
isnan         = Primitive("isnan", "nan?", r"\operatorname{isnan} x", np.isnan, None)
sign          = Primitive("sign", "sign", r"\operatorname{sign} x", _sign, None)
stop          = Primitive("stop", "stop", "x", np.real, None)
argmax        = Primitive("argmax", "argmax", r"\arg\max x", _argmax, None,
    params=("axis", "keepdims"))
argsort       = Primitive("argsort", "argsort", r"\arg\operatorname{sort} x", _argsort, None,
    params=("axis",))
argmin        = Primitive("argmin", "argmin", r"\arg\min x", _argmin, None,
    params=("axis", "keepdims"))
# The maximum as a constant, to be subtracted before exp; never below `initial`, and so finite.
peak          = Primitive("peak", "max", r"\max x", _peak, None, params=("axis", "initial"))
# fmt: on
