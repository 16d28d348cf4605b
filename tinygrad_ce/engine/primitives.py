"""The table of derivatives: each primitive's value and its vector-Jacobian products.

For y = f(a, b) inside a larger computation that ends in a scalar L, and with g = ∂L/∂y already
known, a rule returns ∂L/∂a: the product of g with the Jacobian of f. An entry reads

    multiply = elementwise("multiply", "×", operator.mul,
        lambda g, y, a, b: g * b,      # ∂L/∂a
        lambda g, y, a, b: g * a)      # ∂L/∂b

that is: name, symbol in drawings, the value as a function of arrays, and for each argument its
rule, or None where there is no derivative (an index, a mask). A rule gets g, the value y, and what
the value was computed from: the inputs, then the parameters (``params``, an axis for example).

**One rule, two worlds.** A rule is written in operators, NumPy functions, methods that arrays and
Tensors share, and other primitives of this page. On arrays, it runs at NumPy's speed and records
nothing. On Tensors, the same rule records its own graph, and the derivative can be differentiated
again. On symbols, it writes its own formula.

**What rules need not care about.** backprop.py sums over axes along which an argument was
broadcast, casts to the argument's dtype, skips arguments that need no gradient, adds up, and maps
rules over a batch of cotangents.

**Ties and kinks.** max and min share the gradient equally among ties; maximum, minimum and
logaddexp of equals give half to each. relu, abs, sign and root have slope 0 at 0; clip has its
inside slope at both ends; at 0⁰, where aᵇ has no limit, all slopes are 0.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import accumulate, pairwise

import numpy as np

from ..arguments import check_callable, check_kind
from . import axes, kernels
from .array_types import Arguments, Function, Value
from .axes import Axis, count_along, index_along, with_axes_kept
from .kernels import ieee

Rule = Callable[..., Value]

_ARRAYS = (np.ndarray, np.generic, int, float, complex)


class Primitive:
    """One entry of the table: a value, and a rule for each argument.

    Called on arrays, it computes its value; called on Tensors, it records a node. That is how
    rules use other primitives in both worlds; the first argument says in which one we are.

    Parameters
    ----------
    name, symbol
        What it is called in messages, and in drawings.
    value
        A function of arrays.
    rules
        For each input ``rule(g, y, *inputs, *params)``, its vector-Jacobian product, or None.
    params
        The names of the parameters, which come after the inputs.
    latex
        Formulas of the value and of the rules, where running them on symbols gives none.
    elementwise
        Whether value and rules work element by element.
    stacks
        Whether the rules take a stack of cotangents as they take one. Element by element they do.
    variadic
        It has any number of inputs: its one rule, called with all arguments, yields theirs, which
        take no more than g and y: n rules of n arguments each would take n² steps.

    >>> from tinygrad_ce import Tensor
    >>> from tinygrad_ce.engine import apply
    >>> cube = Primitive("cube", "x³", lambda x: x * x * x, lambda g, y, x: g * 3 * x * x)
    >>> x = Tensor(2.0, requires_grad=True)
    >>> apply(cube, x).backward()
    >>> x.grad
    array(12.)
    """

    __slots__ = (
        "differentiable", "elementwise", "latex", "name", "params", "rules", "stacks", "symbol",
        "value", "variadic",
    )  # fmt: skip

    def __init__(
        self, name: str, symbol: str, value: Function, *rules: Rule | None,
        params: tuple[str, ...] = (), latex: tuple[str | None, ...] | None = None,
        elementwise: bool = False, stacks: bool = False, variadic: bool = False,
    ) -> None:  # fmt: skip
        self.name = check_kind("name", name, str)
        self.symbol = check_kind("symbol", symbol, str)
        self.value = check_callable("value", value)
        for rule in rules:
            if rule is not None:
                check_callable("a rule", rule)
        for param in check_kind("params", params, tuple):
            check_kind("each of params", param, str)
        self.rules, self.params, self.latex = rules, params, latex
        self.elementwise, self.variadic = elementwise, variadic
        self.stacks = stacks or elementwise
        self.differentiable = any(rules)

    def __call__(self, *arguments: Value) -> Value:
        if isinstance(arguments[0], _ARRAYS):
            return self.value(*arguments)
        return arguments[0].__primitive__(self, arguments)

    def rules_for(self, arguments: Arguments) -> Iterable[Rule | None]:
        """Return the rule of each input of a call with these arguments."""
        if self.variadic and self.rules[0] is not None:
            rules: Iterator[Rule] = self.rules[0](*arguments)
            return rules
        return self.rules

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


elementwise = partial(Primitive, elementwise=True)

# fmt: off
# ── Arithmetic ────────────────────────────────────────────────────────────────────────────────────
# The operators, not the ufuncs: on the scalars that 0-d values are, they are ten times as fast.

add = elementwise("add", "+", operator.add,
    lambda g, y, a, b: g,
    lambda g, y, a, b: g)

subtract = elementwise("subtract", "−", operator.sub,
    lambda g, y, a, b: g,
    lambda g, y, a, b: -g)

multiply = elementwise("multiply", "×", operator.mul,
    lambda g, y, a, b: g * b,
    lambda g, y, a, b: g * a)

divide = elementwise("divide", "÷", kernels.divide,
    lambda g, y, a, b: g / b,
    lambda g, y, a, b: -g * y / b)

negative = elementwise("negative", "−", operator.neg,
    lambda g, y, x: -g)

# x ** n with a fixed number n. The slope of x⁰ is 0 everywhere, also where n·xⁿ⁻¹ would be 0·∞.
scalar_power = elementwise("scalar_power", "xⁿ", ieee(operator.pow),
    lambda g, y, x, n: g * (n * x ** (n - 1)) if n else np.zeros_like(g),
    params=("n",))

# a ** b with b an array. The slope of a⁰ by a is 0 everywhere, but its slope by b in turn is 1/a.
# At a = 0 the limit of aᵇ·log a is 0 for b > 0, and -∞ for b < 0.
def _power_vjp(g: Value, y: Value, a: Value, b: Value) -> Value:
    defined = (b != 0) | np.isfinite(1 / a)
    return g * np.where(defined == 0, 0, b) * np.where(defined == 0, 1, a) ** (b - 1)

power = elementwise("power", "aᵇ", ieee(operator.pow),
    _power_vjp,
    lambda g, y, a, b: g * y * np.log(np.where(((a == 0) & (b >= 0)) == 1, 1, a)))

remainder = elementwise("remainder", "%", ieee(operator.mod),
    lambda g, y, a, b: g,
    lambda g, y, a, b: -g * (a // b))

float_power = elementwise("float_power", "aᵇ", ieee(np.float_power), *power.rules)

matmul = Primitive("matmul", "@", kernels.matmul,
    lambda g, y, a, b: kernels.matmul(g, b.mT),
    lambda g, y, a, b: kernels.matmul(a.mT, g),
    stacks=True)

# ── Functions of one variable ─────────────────────────────────────────────────────────────────────

exp     = elementwise("exp",     "exp",   np.exp,           lambda g, y, x: g * y)
exp2    = elementwise("exp2",    "2ˣ",    np.exp2,          lambda g, y, x: g * y * kernels.LN_2)
expm1   = elementwise("expm1",   "expm1", np.expm1,         lambda g, y, x: g * (y + 1))
log     = elementwise("log",     "log",   ieee(np.log),     lambda g, y, x: g / x)
log2    = elementwise("log2",    "log₂",  ieee(np.log2),    lambda g, y, x: g / (x * kernels.LN_2))
log10   = elementwise("log10",   "log₁₀", ieee(np.log10),   lambda g, y, x: g / (x * kernels.LN_10))
log1p   = elementwise("log1p",   "log1p", ieee(np.log1p),   lambda g, y, x: g / (1 + x))
sqrt    = elementwise("sqrt",    "√",     ieee(np.sqrt),    lambda g, y, x: g / (2 * y))
cbrt    = elementwise("cbrt",    "∛",     np.cbrt,          lambda g, y, x: g / (3 * y * y))
sin     = elementwise("sin",     "sin",   ieee(np.sin),     lambda g, y, x: g * np.cos(x))
cos     = elementwise("cos",     "cos",   ieee(np.cos),     lambda g, y, x: -g * np.sin(x))
tan     = elementwise("tan",     "tan",   ieee(np.tan),     lambda g, y, x: g * (1 + y * y))
arcsin  = elementwise("arcsin",  "asin",  ieee(np.arcsin),  lambda g, y, x: g / np.sqrt(1 - x * x))
arccos  = elementwise("arccos",  "acos",  ieee(np.arccos),  lambda g, y, x: -g / np.sqrt(1 - x * x))
arctan  = elementwise("arctan",  "atan",  np.arctan,        lambda g, y, x: g / (1 + x * x))
sinh    = elementwise("sinh",    "sinh",  np.sinh,          lambda g, y, x: g * np.cosh(x))
cosh    = elementwise("cosh",    "cosh",  np.cosh,          lambda g, y, x: g * np.sinh(x))
tanh    = elementwise("tanh",    "tanh",  np.tanh,          lambda g, y, x: g * (1 - y * y))
arcsinh = elementwise("arcsinh", "asinh", np.arcsinh,       lambda g, y, x: g / np.sqrt(1 + x * x))
arccosh = elementwise("arccosh", "acosh", ieee(np.arccosh), lambda g, y, x: g / np.sqrt(x * x - 1))
arctanh = elementwise("arctanh", "atanh", ieee(np.arctanh), lambda g, y, x: g / (1 - x * x))
sigmoid = elementwise("sigmoid", "σ",     kernels.sigmoid,  lambda g, y, x: g * y * (1 - y))
relu    = elementwise("relu",    "relu",  kernels.relu,     lambda g, y, x: np.where(x > 0, g, 0))
abs_    = elementwise("abs",     "|x|",   kernels.absolute, lambda g, y, x: g * np.sign(x))

erf = elementwise("erf", "erf", kernels.erf,
    lambda g, y, x: g * (kernels.TWO_OVER_ROOT_PI * np.exp(-x * x)))

# The root of the order n of a sum of powers, as norms and standard deviations take it: where all
# are 0, its kink has the slope 0. The second derivative does not exist there, and is nan.
root = elementwise("root", "ⁿ√", kernels.nth_root,
    lambda g, y, x, n: g * np.where(y == 0, 0, y ** (1 - n) / n),
    params=("n",))

clip = elementwise("clip", "clip", np.clip,
    lambda g, y, x, lo, hi: np.where(kernels.inside(x, lo, hi), g, 0),
    params=("lo", "hi"))

# ── Functions of two variables ────────────────────────────────────────────────────────────────────

def _share(a: Value, b: Value, y: Value) -> Value:
    """exp(a - y), and its limit where y is infinite with a: ½ if b is too, else 1."""
    infinite = ~np.isfinite(y)
    log_share = np.where(((a == y) & infinite) == 1, 0, a - y)
    return np.where(((a == b) & infinite) == 1, 0.5, np.exp(log_share))

logaddexp = elementwise("logaddexp", "logaddexp", np.logaddexp,
    lambda g, y, a, b: g * _share(a, b, y),
    lambda g, y, a, b: g * _share(b, a, y))

logaddexp2 = elementwise("logaddexp2", "logaddexp2", np.logaddexp2,
    lambda g, y, a, b: g * _share(a * kernels.LN_2, b * kernels.LN_2, y * kernels.LN_2),
    lambda g, y, a, b: g * _share(b * kernels.LN_2, a * kernels.LN_2, y * kernels.LN_2))

hypot = elementwise("hypot", "hypot", np.hypot,
    lambda g, y, a, b: g * np.where(y == 0, 0, a / y),
    lambda g, y, a, b: g * np.where(y == 0, 0, b / y))

arctan2 = elementwise("arctan2", "atan2", np.arctan2,
    lambda g, y, a, b: g * b / (a * a + b * b),
    lambda g, y, a, b: -g * a / (a * a + b * b))

# ── Choosing ──────────────────────────────────────────────────────────────────────────────────────

where = elementwise("where", "where", kernels.where,
    None,
    lambda g, y, c, a, b: np.where(c, g, 0),
    lambda g, y, c, a, b: np.where(c, 0, g))

maximum = elementwise("maximum", "max", np.maximum,
    lambda g, y, a, b: np.where(a > b, g, np.where(a == b, g / 2, 0)),
    lambda g, y, a, b: np.where(b > a, g, np.where(a == b, g / 2, 0)))

minimum = elementwise("minimum", "min", np.minimum,
    lambda g, y, a, b: np.where(a < b, g, np.where(a == b, g / 2, 0)),
    lambda g, y, a, b: np.where(b < a, g, np.where(a == b, g / 2, 0)))

# ── Reductions, and what undoes them ──────────────────────────────────────────────────────────────

def _keep_axes(r: Value, x: Value, axis: Axis, keepdims: bool) -> Value:
    """A reduction of x with its axes put back, of length 1, so that it broadcasts against x."""
    return r if keepdims or not r.shape else r.reshape(with_axes_kept(x.shape, axis))

def _sum_vjp(g: Value, y: Value, x: Value, axis: Axis, keepdims: bool) -> Value:
    return broadcast_to(_keep_axes(g, x, axis, keepdims), x.shape)

sum_ = Primitive("sum", "Σ", kernels.sum_,
    _sum_vjp,
    params=("axis", "keepdims"))

def _mean_vjp(g: Value, y: Value, x: Value, axis: Axis, keepdims: bool) -> Value:
    n = max(count_along(x.shape, axis), 1)
    if g.dtype == np.float16 and n > 65504:  # the largest number of float16
        g = g.astype(np.float32)
    return _sum_vjp(g / n, y, x, axis, keepdims)

mean = Primitive("mean", "mean", kernels.mean,
    _mean_vjp,
    params=("axis", "keepdims"))

def _max_vjp(g: Value, y: Value, x: Value, axis: Axis, keepdims: bool) -> Value:
    ties = x == _keep_axes(y, x, axis, keepdims)
    number = ties.astype(np.result_type(g.dtype, np.float32)).sum(axis, keepdims=True)
    return np.where(ties, _keep_axes(g, x, axis, keepdims) / number, 0)

max_ = Primitive("max", "max", kernels.max_,
    _max_vjp,
    params=("axis", "keepdims"))

min_ = Primitive("min", "min", kernels.min_,
    _max_vjp,
    params=("axis", "keepdims"))

def _cumsum_vjp(g: Value, y: Value, x: Value, axis: int) -> Value:
    """Each element of x is in all sums from its own place on: summed up from the end."""
    backwards = index_along(slice(None, None, -1), axis)
    return cumsum(g[backwards], axis)[backwards]

cumsum: Primitive = Primitive("cumsum", "cumsum", np.cumsum,
    _cumsum_vjp,
    params=("axis",))

def _prod_vjp(g: Value, y: Value, x: Value, axis: Axis, keepdims: bool) -> Value:
    """g times the product of all others, which is that of those before and of those after."""
    rows, restore = axes.rows_along(x, axis)
    others = axes.products_before(rows, -1) * axes.products_before(rows[..., ::-1], -1)[..., ::-1]
    return _keep_axes(g, x, axis, keepdims) * restore(others)

prod = Primitive("prod", "Π", kernels.prod,
    _prod_vjp,
    params=("axis", "keepdims"), latex=(None, r"g \prod_{j \ne i} x_j"))

def _cumprod_vjp(g: Value, y: Value, x: Value, axis: int) -> Value:
    """What is before an element, times the sum s = g + (next x)·(next s), found by doubling."""
    s, product = g, axes.move_forward(x, 1, axis)
    for d in axes.doublings(x.shape[axis]):  # s is of d terms, and product of as many factors
        s = s + product * axes.move_forward(s, d, axis)
        product = product * axes.move_forward(product, d, axis)
    return s * axes.products_before(x, axis)

cumprod: Primitive = Primitive("cumprod", "cumprod", np.cumprod,
    _cumprod_vjp,
    params=("axis",), latex=(None, r"\sum_{j \ge i} g_j \prod_{k \le j, k \ne i} x_k"))

def _einsum_vjps(*arguments: Value) -> Iterator[Rule]:
    for i in range(len(arguments) - 1):
        yield lambda g, y, *_, i=i: _einsum_vjp(g, y, i, arguments)

def _einsum_vjp(g: Value, y: Value, i: int, arguments: Arguments) -> Value:
    """The same contraction, with g in the place of the operand, and the operand as the result."""
    *operands, subscripts = arguments
    terms, result = subscripts.split("->")
    terms = terms.split(",")
    others = [(x, t) for j, (x, t) in enumerate(zip(operands, terms, strict=True)) if j != i]
    # Along an index that is in this operand alone, or of length 1 in all others, g is the same.
    known = {pair for x, term in [(y, result), *others] for pair in zip(term, x.shape, strict=True)}
    for label, n in zip(terms[i], operands[i].shape, strict=True):
        if (label, n) not in known:
            others.append((np.ones(n, g.dtype), label))
    factors, labels = [g, *(x for x, _ in others)], [result, *(term for _, term in others)]
    return einsum(*factors, f"{','.join(labels)}->{terms[i]}")

# The sum over all indices that the result lacks; no index twice in one operand.
einsum: Primitive = Primitive("einsum", "einsum", kernels.einsum,
    _einsum_vjps,
    params=("subscripts",), variadic=True)

broadcast_to = Primitive("broadcast_to", "broadcast", kernels.broadcast_to,
    lambda g, y, x, shape: g,  # summed over the new axes by backprop, as for every broadcast
    params=("shape",), stacks=True, latex=("x",))

# ── Shapes ────────────────────────────────────────────────────────────────────────────────────────

reshape = Primitive("reshape", "reshape", kernels.reshape,
    lambda g, y, x, shape: g.reshape(x.shape),
    params=("shape",))

transpose = Primitive("transpose", "transpose", kernels.transpose,
    lambda g, y, x, axes: g.transpose(tuple(map(axes.index, range(len(axes))))),
    params=("axes",))

astype = elementwise("astype", "astype", kernels.astype,
    lambda g, y, x, dtype: g.astype(x.dtype),
    params=("dtype",))

identity = elementwise("identity", "≡", lambda x: x,
    lambda g, y, x: g)

def _concatenate_vjps(*arguments: Value) -> Iterator[Rule]:
    """The rule of each part: its piece of g."""
    *parts, axis = arguments
    for start, end in pairwise(accumulate((x.shape[axis] for x in parts), initial=0)):
        piece = index_along(slice(start, end), axis)
        yield lambda g, y, *_, piece=piece: g[piece]

concatenate = Primitive("concatenate", "concat", kernels.concatenate,
    _concatenate_vjps,
    params=("axis",), variadic=True, latex=(None, "g_a"))

# ── Indexing ──────────────────────────────────────────────────────────────────────────────────────
# Integer arrays and masks in an index are inputs of the node; the template is the index with a
# slot in the place of each. What getitem takes from the places of an index, scatter adds to them.

getitem: Primitive = Primitive("getitem", "[ ]", kernels.getitem,
    lambda g, y, x, *index: scatter(g, *index, x.shape),
    params=("index_template",))

scatter: Primitive = Primitive("scatter", "scatter", kernels.scatter,
    lambda g, y, x, *index: getitem(g, *index[:-1]),
    params=("index_template", "shape"), latex=(r"x \text{ at } [i]",))

# ── Without a derivative ──────────────────────────────────────────────────────────────────────────
# Their results are constants to the calculus, but whoever repeats a graph must compute them again.

less          = elementwise("less", "<", operator.lt)
less_equal    = elementwise("less_equal", "≤", operator.le)
greater       = elementwise("greater", ">", operator.gt)
greater_equal = elementwise("greater_equal", "≥", operator.ge)
equal         = elementwise("equal", "=", operator.eq)
not_equal     = elementwise("not_equal", "≠", operator.ne)
logical_and   = elementwise("logical_and", "∧", operator.and_)
logical_or    = elementwise("logical_or", "∨", operator.or_)
logical_not   = elementwise("logical_not", "¬", operator.invert)
floor_divide  = elementwise("floor_divide", "//", ieee(operator.floordiv))
isfinite      = elementwise("isfinite", "finite?", np.isfinite)
isnan         = elementwise("isnan", "nan?", np.isnan)
sign          = elementwise("sign", "sign", kernels.sign)
stop_gradient = elementwise("stop_gradient", "stop", np.real)
rounding_error = elementwise("rounding_error", "ε", kernels.rounding_error,
    latex=(r"\text{error of } a - b",))
argmax        = Primitive("argmax", "argmax", kernels.argmax, params=("axis", "keepdims"))
argmin        = Primitive("argmin", "argmin", kernels.argmin, params=("axis", "keepdims"))
argsort       = Primitive("argsort", "argsort", kernels.argsort, params=("axis",))
# The maximum as a constant, to be subtracted before exp; never below `initial`, and so finite.
max_constant  = Primitive("max_constant", "max", kernels.max_constant, params=("axis", "initial"))
# fmt: on
