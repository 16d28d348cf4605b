r"""The proof: a graph read as SymPy expressions, and the line to which they collapse.

What backprop computes is a graph, and a graph can be read with symbols in the place of numbers.
`expressions` does so, for any Tensor. `prove` reads what generic backprop has found for the
gradient of cross-entropy, or for its Hessian, and shows that the difference to the closed form is
0 for all logits. That is the derivation of the textbook, made by the machine:

>>> print(prove(2, target=0))
∂L/∂z = p − y, with p = softmax(z) and y = (1, 0)
<BLANKLINE>
The values, from the logits to the loss:
    z = (z₁, z₂)
    m = max(z₁, z₂)         (peak, held constant: any number will do)
    a = (z₁ − m, z₂ − m)    (subtract)
    b = (exp(a₁), exp(a₂))  (exp)
    c = b₁ + b₂             (sum)
    d = log(c)              (log)
    f = a₁                  (getitem)
    g = d − f               (subtract)
    L = g                   (mean)
<BLANKLINE>
The gradients, as backprop passed them back:
    ∂L/∂L = 1
    ∂L/∂g = 1
    ∂L/∂f = −1
    ∂L/∂d = 1
    ∂L/∂c = 1/c
    ∂L/∂b = (1/c, 1/c)
    ∂L/∂a = (b₁/c − 1, b₂/c)
    ∂L/∂z = (b₁/c − 1, b₂/c)
<BLANKLINE>
With all but c put in:
    c = exp(z₁ − m) + exp(z₂ − m)
    ∂L/∂z₁ = exp(z₁ − m)/c − 1 = p₁ − 1
    ∂L/∂z₂ = exp(z₂ − m)/c = p₂
<BLANKLINE>
Proved: the difference simplifies to 0.

Needs the extra `symbolic`: ``pip install "tinygrad-ce[symbolic]"``.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import count
from operator import attrgetter
from random import Random
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import functional as F
from . import primitives as p
from .backprop import FreedGraphError, backpropagate, leading_to
from .modes import MODE, Mode, Setting
from .primitives import Primitive
from .tensor import Tensor, constant

Expression = Any  # of SymPy, which need not be installed
Expressions = NDArray[Any]  # of objects: SymPy expressions
Readings = dict[Tensor, Expressions]
Derivative = Literal["gradient", "hessian"]
Loss = Callable[[Tensor, int], Tensor]


def expressions(output: Tensor, symbols: Mapping[Tensor, Any]) -> Any:
    """What a Tensor was computed to be, as SymPy expressions.

    Parameters
    ----------
    output
        A Tensor, such as a loss, or a gradient found with ``create_graph=True``.
    symbols
        The symbols to stand for Tensors, each a name or symbols in an array of the Tensor's shape.
        A vector named z has the elements z_1, z_2, ..., real numbers. It need not be a leaf: the
        graph is read back from the output as far as to Tensors with symbols.

    Returns
    -------
    numpy.ndarray or sympy.Expr
        An array of the output's shape; an expression by itself where that is 0-d.

    Raises
    ------
    TypeError
        A primitive cannot be read.
    ValueError
        Symbols of another shape than their Tensor, or an expression too deep for SymPy.
    FreedGraphError
        The graph was freed by backward().

    Notes
    -----
    What has no symbol is constant. A floating point number is read as the simplest fraction that
    rounds to it, 0.1 as 1/10.

    What has no derivative, such as a comparison, is a constant in a graph. With the slope of relu
    read so, the expressions hold where all elements have the signs that they had. A graph made
    inside of `recording` has the comparison itself, and can be read for all numbers.

    >>> import tinygrad_ce as tg
    >>> z = tg.Tensor([2.0, 1.0], requires_grad=True)
    >>> loss = z.exp().sum().log() - z[0]
    >>> expressions(loss, {z: "z"})
    -z_1 + log(exp(z_1) + exp(z_2))
    >>> (gradient,) = tg.gradients(loss, [z], create_graph=True)
    >>> expressions(gradient, {z: "z"})[1]
    exp(z_2)/(exp(z_1) + exp(z_2))
    """
    known = {t: _given(t, given) for t, given in symbols.items()}
    return _read([output], known)[output][()]


class recording(Setting):
    """Keep in the graph what has no derivative, too: comparisons, or a maximum held constant.

    Where such a result is a leaf otherwise, a reader of the graph finds of what it was made.
    Backprop is the same. To read a value inside is an error, since it would be a constant.

    >>> import tinygrad_ce as tg
    >>> x = tg.Tensor(3.0, requires_grad=True)
    >>> with recording():
    ...     (slope,) = tg.gradients(x.relu(), [x], create_graph=True)
    >>> expressions(slope, {x: "x"})
    Piecewise((1, x > 0), (0, True))
    """

    __slots__ = ()

    def __enter__(self) -> None:
        mode = MODE.get()
        MODE.set(Mode(mode.grad, mode.scope, mode, mode.watch, _Recorder()))


@dataclass(frozen=True, eq=False)
class Step:
    """One node of a derivation.

    Attributes
    ----------
    name
        What it is called in the derivation.
    primitive
        The name of the primitive that made it; "" for the logits.
    formula, value
        Its value, in the names of what it was made from, and in z.
    backprop, gradient
        The derivative by this node, as backprop found it, in the names of nodes, and in z. None
        for what is held constant. Of the second derivatives, a row for each logit.
    """

    name: str
    primitive: str
    formula: Expressions
    value: Expressions
    backprop: Expressions | None
    gradient: Expressions | None


@dataclass(frozen=True, eq=False, repr=False)
class Proof:
    """Whether what was found and the closed form are the same, and why.

    Printed, it is the derivation as text; `latex` gives it as LaTeX, in which notebooks show it.

    Attributes
    ----------
    of, target
        Which derivative, and the label; None for expressions of a user's own.
    steps
        The nodes on the way, from the logits to what is differentiated.
    found, closed
        The expressions to compare.
    difference
        found − closed, simplified: zeros if the proof holds.
    collapsed
        The closed form in p = softmax(z), or `closed` where there is no p.
    """

    of: Derivative | None
    target: int | None
    steps: tuple[Step, ...]
    found: Expressions
    closed: Expressions
    difference: Expressions
    collapsed: Expressions

    @property
    def holds(self) -> bool:
        """Whether the difference is 0."""
        return all(d == 0 for d in self.difference.flat)

    def __repr__(self) -> str:
        return f"Proof(of={self.of!r}, target={self.target!r}, holds={self.holds})"

    def __str__(self) -> str:
        return _text(self)

    def latex(self) -> str:
        """The derivation in LaTeX, to be set between ``$$``."""
        return _latex(self)

    def _repr_latex_(self) -> str:
        return f"$$\n{self.latex()}\n$$"


def prove(
    n_classes: int,
    target: int = 0,
    of: Derivative = "gradient",
    loss: Loss = F.cross_entropy,
) -> Proof:
    """Prove what generic backprop finds for the cross-entropy of one row of logits.

    The graphs of the loss and of its derivatives are read as expressions in z_1, z_2, ..., and
    compared with the closed form, softmax(z) - one_hot(target) or diag(p) - p pᵀ.

    Parameters
    ----------
    n_classes
        The number of logits.
    target
        The label, counted from 0.
    of
        "gradient", or "hessian": the second derivatives.
    loss
        Takes logits and label, and returns the loss: this is whose derivatives are compared.

    Returns
    -------
    Proof
        Its `holds` is False if the loss has another derivative, or a rule is wrong.

    >>> prove(3, target=1).holds, prove(3, target=1, of="hessian").holds
    (True, True)
    >>> prove(3, loss=lambda z, t: -F.softmax(z)[t].log()).holds
    True
    >>> prove(3, loss=lambda z, t: z.exp().sum() - z[t]).holds
    False
    """
    if of not in ("gradient", "hessian"):
        raise ValueError(f"of is gradient or hessian, got {of!r}")
    if n_classes < 1:
        raise ValueError(f"n_classes is 1 or more, got {n_classes}")
    if not 0 <= target < n_classes:
        raise IndexError(
            f"target {target} is out of range for {n_classes} classes: "
            f"labels run from 0 to {n_classes - 1}"
        )
    z = Tensor(np.linspace(0, 1, n_classes), requires_grad=True)
    with recording():
        output = loss(z, target)
        if not isinstance(output, Tensor):
            raise TypeError(f"a loss returns a Tensor, got {type(output).__name__}")
        gradients = _walk(z, output, output.cotangent())
        if of == "hessian":
            output = gradients[z]
            gradients = _walk(z, output, np.eye(n_classes))
    steps = _steps(z, output, gradients, "L" if of == "gradient" else "G")
    found = next(step.gradient for step in steps if step.name == "z")
    assert found is not None
    e = _each(_sympy().exp)(_symbols("z", z.shape))
    closed = _closed(e / e.sum(), target, of)
    collapsed = _closed(_symbols("p", z.shape), target, of)
    return Proof(of, target, steps, found, closed, _difference(found, closed), collapsed)


def prove_equal(found: Any, closed: Any) -> Proof:
    """Prove that expressions that were read from a graph are those of a closed form.

    Parameters
    ----------
    found, closed
        SymPy expressions, in arrays of one shape. Symbols are real numbers, and symbols of one
        name are the same.

    Raises
    ------
    ValueError
        Two shapes.

    >>> import tinygrad_ce as tg
    >>> import sympy
    >>> x = tg.Tensor(0.5, requires_grad=True)
    >>> (slope,) = tg.gradients(x.sigmoid(), [x], create_graph=True)
    >>> e = sympy.exp(-sympy.Symbol("x", real=True))
    >>> print(prove_equal(expressions(slope, {x: "x"}), e / (1 + e) ** 2))
    found = (1 − 1/(exp(−x) + 1))/(exp(−x) + 1) = exp(−x)/(exp(−x) + 1)²
    <BLANKLINE>
    Proved: the difference simplifies to 0.
    """
    left, right = (_exact(_each(_of_real_symbols)(_exact(e))) for e in (found, closed))
    if left.shape != right.shape:
        raise ValueError(f"found has shape {left.shape}, closed has shape {right.shape}")
    return Proof(None, None, (), left, right, _difference(left, right), right)


# ── Reading a graph ───────────────────────────────────────────────────────────────────────────────


def _read(outputs: Iterable[Tensor], known: Readings) -> Readings:
    """The readings of the outputs, and of all from which they were made, on top of known ones."""
    readings = dict(known)
    for node in _unknown(outputs, known):
        readings[node] = _apply(node, readings) if node.inputs else _exact(node._value)
    return readings


def _unknown(outputs: Iterable[Tensor], known: Readings) -> list[Tensor]:
    """The nodes that must be read, in the order in which they were made."""
    found: set[Tensor] = set()
    todo = list(outputs)
    while todo:
        node = todo.pop()
        if node in found or node in known:
            continue
        found.add(node)
        if node.inputs is None:
            raise FreedGraphError(node)
        todo += node.inputs
    return sorted(found, key=attrgetter("index"))


def _apply(node: Tensor, readings: Readings) -> Expressions:
    """The value of a node, computed from the readings of its inputs."""
    primitive, inputs = node.primitive, node.inputs
    assert primitive is not None
    assert inputs is not None
    arguments: list[Any] = [readings[source] for source in inputs]
    if primitive in (p.getitem, p.scatter):  # what is behind the first is an index, not a number
        if any(e.free_symbols for index in arguments[1:] for e in index.flat):
            raise TypeError(f"{_cannot_read(node)}: its index depends on symbols")
        arguments[1:] = node._arguments[1 : len(inputs)]
    meaning = _meanings().get(primitive, primitive.value)
    try:
        reading = _exact(meaning(*arguments, *node.params))
    except RecursionError as error:
        raise ValueError(
            f"the expression of {node.label()} is nested too deeply for SymPy: give a tensor on "
            "the way to it a symbol of its own"
        ) from error
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise TypeError(_cannot_read(node)) from error
    if reading.shape != node.shape:
        raise TypeError(f"{_cannot_read(node)}: its value has another shape, {reading.shape}")
    return reading


def _cannot_read(node: Tensor) -> str:
    assert node.primitive is not None
    return (
        f"the primitive {node.primitive.name} cannot be read as SymPy expressions; "
        f"a symbol can stand for {node.label()}"
    )


@cache
def _meanings() -> dict[Primitive, Callable[..., Any]]:
    """What a primitive means for arrays of expressions, where its own value is for numbers only."""
    s = _sympy()
    larger, smaller = _each(s.Max, 2, -s.oo), _each(s.Min, 2, s.oo)
    return {
        p.power: lambda x, n: x ** _exact(n)[()],
        p.exp: _each(s.exp),
        p.expm1: _each(lambda x: s.exp(x) - 1),
        p.log: _each(s.log),
        p.log1p: _each(lambda x: s.log(1 + x)),
        p.sqrt: _each(s.sqrt),
        p.sin: _each(s.sin),
        p.cos: _each(s.cos),
        p.erf: _each(s.erf),
        p.tanh: _each(s.tanh),
        p.sigmoid: _each(lambda x: 1 / (1 + s.exp(-x))),
        p.logaddexp: _each(lambda a, b: s.log(s.exp(a) + s.exp(b)), 2),
        p.relu: _each(lambda x: s.Max(x, 0)),
        p.abs_: _each(s.Abs),
        p.sign: _each(s.sign),
        p.clip: lambda x, lo, hi: smaller(
            larger(x, _exact(-math.inf if lo is None else lo)),
            _exact(math.inf if hi is None else hi),
        ),
        p.maximum: larger,
        p.minimum: smaller,
        p.max_: lambda x, axis, keepdims: larger.reduce(x, axis, None, None, keepdims),
        p.min_: lambda x, axis, keepdims: smaller.reduce(x, axis, None, None, keepdims),
        p.peak: lambda x, axis, least: larger(
            larger.reduce(x, axis, None, None, True),
            _exact(-math.inf if least in _LOWEST else least),
        ),
        p.where: _each(lambda c, a, b: s.Piecewise((a, c), (b, True)), 3),
        p.cast: _cast,
        p.getitem: _getitem,
        p.scatter: _scatter,
        p.less: _each(s.Lt, 2),
        p.less_equal: _each(s.Le, 2),
        p.greater: _each(s.Gt, 2),
        p.greater_equal: _each(s.Ge, 2),
        p.equal: _each(s.Eq, 2),
        p.not_equal: _each(s.Ne, 2),
        p.logical_and: _each(s.And, 2),
        p.logical_or: _each(s.Or, 2),
        p.logical_not: _each(s.Not),
        # Symbols are for real numbers, not for infinities.
        p.isfinite: _each(lambda x: s.true),
        p.isnan: _each(lambda x: s.false),
    }


# A maximum that is never below these is never below -∞, as far as real numbers go.
_LOWEST = frozenset(float(np.finfo(dtype).min) for dtype in (np.float16, np.float32, np.float64))


def _each(function: Callable[..., Any], n_arguments: int = 1, identity: Any = None) -> Any:
    """The function as a ufunc, element by element."""
    return np.frompyfunc(function, n_arguments, 1, identity=identity)


def _cast(x: Expressions, dtype: np.dtype[Any]) -> Any:
    s = _sympy()
    if all(e.is_Boolean or e.is_Relational for e in x.flat):
        return x if dtype.kind == "b" else _each(lambda c: s.Piecewise((1, c), (0, True)))(x)
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


class _Recorder:
    """What is reported to while recording, see modes.py; refuses what an expression cannot show."""

    def copied(self, new: Tensor, source: Tensor) -> None:
        """A Tensor made from a Tensor keeps its source, though no gradient flows to it."""
        new.primitive = p.cast
        new.inputs = (source,)
        new._arguments = (source._value, new.dtype)

    def refuse_reading(self, tensor: Tensor) -> None:
        """Numbers that were read out would be constants, whatever they depend on."""
        raise RuntimeError(
            f"the value of {tensor.label()} was read inside of recording(), and the graph cannot "
            "tell what depends on it: read it outside, or choose by np.where in place of an if"
        )

    def verify(self, *check: Any) -> None:
        """What is accepted does not show in the graph."""

    def depends_on(self, *state: Any) -> None:
        """Nor does what a Module is set to."""

    def passing(self, node: Tensor, g: Tensor) -> None:
        """Nor whose gradient a Tensor is."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def refuse(*args: Any) -> Any:
            raise RuntimeError(
                f"recording() is for computing values and gradients(); {name} is not recorded"
            )

        return refuse


# ── From numbers and names to SymPy ───────────────────────────────────────────────────────────────


def _sympy() -> Any:
    try:
        import sympy
    except ImportError as error:
        raise ImportError(
            'symbolic expressions need SymPy: pip install "tinygrad-ce[symbolic]"'
        ) from error
    return sympy


def _given(t: Tensor, given: Any) -> Expressions:
    """The symbols that stand for a Tensor."""
    if not isinstance(t, Tensor):
        raise TypeError(f"symbols stand for Tensors, got {type(t).__name__}")
    if isinstance(given, str):
        return _symbols(given, t.shape)
    symbols = _exact(given)
    if symbols.shape != t.shape:
        raise ValueError(
            f"{t.label()} needs symbols of its shape {t.shape}, got shape {symbols.shape}"
        )
    return symbols


def _symbols(name: str, shape: tuple[int, ...]) -> Expressions:
    """A symbol for each element: z_1, z_2, ...; z alone where there is one."""
    s = _sympy()
    symbols = np.empty(shape, object)
    for place in np.ndindex(shape):
        indices = [str(i + 1) for i in place] if symbols.size > 1 else []
        symbols[place] = s.Symbol("_".join([name, *indices]), real=True)
    return symbols


def _exact(values: Any) -> Expressions:
    """Numbers and expressions, all as exact expressions."""
    array = np.asarray(values)
    exact = np.empty(array.shape, object)
    exact[...] = _each(lambda x: _exact_number(x, array.dtype))(array)
    return exact


def _exact_number(x: Any, dtype: np.dtype[Any]) -> Expression:
    s = _sympy()
    if isinstance(x, float):
        if x in _irrationals():
            return _irrationals()[x]
        if math.isfinite(x):
            fraction = _simplest(x, dtype.type if dtype.kind == "f" else float)
            return s.Rational(fraction.numerator, fraction.denominator)
    return s.sympify(x)


def _simplest(x: float, rounded: Callable[[float], Any]) -> Fraction:
    """A fraction with a small denominator that rounds to x."""
    exact = Fraction(x)
    for digits in range(1, 18):
        fraction = exact.limit_denominator(10**digits)
        if rounded(float(fraction)) == rounded(x):
            return fraction
    return exact


@cache
def _irrationals() -> dict[float, Expression]:
    s = _sympy()
    numbers = (s.pi, s.sqrt(2), 2 / s.sqrt(s.pi), s.sqrt(2 / s.pi))
    return {float(number): number for number in numbers}


def _of_real_symbols(e: Expression) -> Expression:
    s = _sympy()
    return e.xreplace({x: s.Symbol(x.name, real=True) for x in e.free_symbols if not x.is_real})


# ── The derivation ────────────────────────────────────────────────────────────────────────────────


def _walk(z: Tensor, output: Tensor, cotangent: Any) -> dict[Tensor, Tensor]:
    """The derivatives of the output by each node between z and it, with their graphs."""
    nodes = leading_to([z], output)
    if not nodes:
        return {z: constant(np.zeros(np.shape(cotangent)[: -output.ndim or None] + z.shape))}
    return backpropagate(output, constant(cotangent), wanted=nodes, create_graph=True)


def _steps(
    z: Tensor, output: Tensor, gradients: dict[Tensor, Tensor], name: str
) -> tuple[Step, ...]:
    """The derivation of the output from z, node by node."""
    held = [t for t in _unknown([output, *gradients.values()], {}) if t.primitive is p.peak]
    nodes = sorted({z, *gradients, *held}, key=attrgetter("index"))
    names = _names(nodes, {output: name, z: "z"})
    symbols = {node: _symbols(names[node], node.shape) for node in nodes}
    in_z = _read([*nodes, *gradients.values()], {t: symbols[t] for t in (z, *held)})
    in_names = _read(gradients.values(), symbols)
    return tuple(
        Step(
            names[node],
            node.primitive.name if node.primitive else "",
            _apply(node, in_z | symbols) if node.inputs else symbols[node],
            in_z[node],
            in_names[gradients[node]] if node in gradients else None,
            in_z[gradients[node]] if node in gradients else None,
        )
        for node in nodes
    )


def _names(nodes: Sequence[Tensor], names: dict[Tensor, str]) -> dict[Tensor, str]:
    """A name for each node: its own if it has one, m for what is held constant, else a letter."""
    names = dict(names)
    taken = {*names.values(), "p"}
    letters = _letters()
    for node in nodes:
        if node in names:
            continue
        own = node.name or ("m" if node.primitive is p.peak else None)
        if own is None or own in taken or not re.fullmatch(r"[^\W\d_]+", own):
            own = next(letter for letter in letters if letter not in taken)
        names[node] = own
        taken.add(own)
    return names


def _letters() -> Iterator[str]:
    """Without those that mean something in mathematics, or look like numbers."""
    yield from "abcdfghknqrstuvwxy"
    yield from "ABCDFHKMPQRTUVWXY"
    yield from (f"v{i}" for i in count(1))


def _one_hot(proof: Proof) -> tuple[int, ...]:
    return tuple(int(i == proof.target) for i in range(len(proof.found)))


def _closed(p: Expressions, target: int, of: Derivative) -> Expressions:
    """The closed form, in p = softmax(z)."""
    if of == "gradient":
        return _exact(p - np.eye(len(p), dtype=int)[target])
    return _exact(np.diag(p) - np.outer(p, p))


# ── Is it 0? ──────────────────────────────────────────────────────────────────────────────────────


def _difference(found: Expressions, closed: Expressions) -> Expressions:
    exponentials = _Exponentials()
    return _exact(_each(lambda a, b: _simplified(a - b, exponentials), 2)(found, closed))


def _simplified(e: Expression, exponentials: _Exponentials) -> Expression:
    """The expression as one fraction; 0 if it is 0 everywhere."""
    s = _sympy()
    rational = exponentials.replaced(e)
    numerator, _ = s.fraction(s.together(rational))
    if s.expand(numerator) == 0:
        return s.S.Zero
    if not _is_nonzero_somewhere(e) and s.simplify(e) == 0:
        return s.S.Zero
    return exponentials.put_back(s.cancel(rational))


def _is_nonzero_somewhere(e: Expression) -> bool:
    """Whether a few random numbers show that the expression is not 0."""
    s, random = _sympy(), Random(0)
    symbols = sorted(e.free_symbols, key=str)
    for _ in range(5):
        value = e.xreplace({x: s.Float(random.uniform(-2, 2), 30) for x in symbols}).evalf(30)
        if value.is_number and value.is_finite and abs(value) > 1e-15:
            return True
    return False


class _Exponentials:
    """Symbols in the place of exponentials, so that expressions become rational functions.

    With A for exp(a) and B for exp(b), exp(2a - b) is A²/B. A rational function that is 0 has a
    numerator whose terms cancel once it is multiplied out, and nothing cleverer is needed.
    """

    def __init__(self) -> None:
        self.symbols: dict[Expression, Expression] = {}
        self.done: dict[Expression, Expression] = {}

    def replaced(self, e: Expression) -> Expression:
        """The expression in these symbols."""
        if e.is_Atom or e.is_Boolean or e.is_Relational:
            return e
        if e not in self.done:
            self.done[e] = self._replaced(e.func, [self.replaced(part) for part in e.args])
        return self.done[e]

    def put_back(self, e: Expression) -> Expression:
        """The expression with the exponentials again."""
        for exponent, symbol in reversed(self.symbols.items()):
            e = e.xreplace({symbol: _sympy().exp(exponent)})
        return e

    def _replaced(self, function: Any, parts: list[Expression]) -> Expression:
        s = _sympy()
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
        s = _sympy()
        product = s.S.One
        for term, coefficient in s.expand(exponent).as_coefficients_dict().items():
            if term not in self.symbols:
                self.symbols[term] = s.Dummy(positive=True)
            product *= self.symbols[term] ** coefficient
        return product


# ── Written out ───────────────────────────────────────────────────────────────────────────────────


class _Line(NamedTuple):
    """A name, or a derivative of the first by the others, and what it is, with = or ≠ before it."""

    left: tuple[str, ...]
    sides: Sequence[tuple[str, Any]]
    note: str = ""


def _derivation(proof: Proof) -> Iterator[tuple[str, list[_Line]]]:
    """What is said of a proof: words, and the lines to which they lead."""
    sums = _sums_of_exponentials(proof)
    if proof.steps:
        second = proof.of == "hessian"
        what = ("gradient G", "derivatives of G") if second else ("loss", "gradients")
        yield f"The values, from the logits to the {what[0]}:", [_value(s) for s in proof.steps]
        derivatives = [line for s in reversed(proof.steps) for line in _derivative(s, second)]
        yield f"The {what[1]}, as backprop passed them back:", derivatives
        but = f" but {' and '.join(map(str, sums.values()))}" if sums else ""
        lines = [_Line((str(symbol),), [("=", value)]) for value, symbol in sums.items()]
        yield f"With all{but} put in:", [*lines, *_results(proof, sums)]
    else:
        yield "", list(_results(proof, sums))
    if proof.holds:
        yield "Proved: the difference simplifies to 0.", []
    else:
        yield "Not proved. What is left of the difference:", list(_differences(proof))


def _value(step: Step) -> _Line:
    held = ", held constant: any number will do" * (step.backprop is None)
    return _Line((step.name,), [("=", step.formula)], step.primitive + held)


def _derivative(step: Step, second: bool) -> Iterator[_Line]:
    """In one line, or if that would be too long, in a line for each element."""
    found = step.backprop
    if found is None:
        return
    rows = len(found) if second else 1
    if sum(len(str(e)) for e in found.flat) <= _WIDTH * rows:
        yield _Line(("G" if second else "L", step.name), [("=", found)])
        return
    of = _symbols("G", found.shape[:1]) if second else _symbols("L", ())
    by = _symbols(step.name, step.formula.shape)
    for place in np.ndindex(found.shape):
        n = of.ndim
        names = (str(of[place[:n]]), str(by[place[n:]]))
        yield _Line(names, [("=", found[place])])


def _sums_of_exponentials(proof: Proof) -> dict[Expression, Expression]:
    """The symbols of such steps, by their values, which would fill the page if they were put in."""
    exp = _sympy().exp
    values = {step.name: step.value.item() for step in proof.steps if step.value.size == 1}
    return {
        value: _symbols(name, ()).item()
        for name, value in values.items()
        if value.is_Add
        and all(term.func is exp for term in value.args)
        and any(e.has(value) for e in proof.found.flat)
    }


def _results(proof: Proof, sums: dict[Expression, Expression]) -> Iterator[_Line]:
    for place, left in _places(proof):
        found, closed = proof.found[place].xreplace(sums), proof.collapsed[place]
        sign = "=" if proof.difference[place] == 0 else "≠"
        yield _Line(left, [("=", found), (sign, closed)][: 1 + (found != closed)])


def _differences(proof: Proof) -> Iterator[_Line]:
    for place, left in _places(proof):
        if proof.difference[place] != 0:
            yield _Line(left, [("=", proof.difference[place])])


def _places(proof: Proof) -> Iterator[tuple[tuple[int, ...], tuple[str, ...]]]:
    """The places of the elements that are compared, and what to call each."""
    shape = proof.found.shape
    z, found = _symbols("z", shape[:1]), _symbols("found", shape)
    for place in np.ndindex(shape):
        yield place, ("L", *(str(z[i]) for i in place)) if proof.steps else (str(found[place]),)


# What is to be proved, as text and in LaTeX.
_CLAIMS = {
    "gradient": (
        "∂L/∂z = p − y, with p = softmax(z) and y = {}",
        r"\frac{{\partial L}}{{\partial z}} = p - y, "
        r"\quad p = \operatorname{{softmax}}(z), \quad y = {}",
    ),
    "hessian": (
        "∂G/∂z = diag(p) − p pᵀ, with G = ∂L/∂z and p = softmax(z)",
        r"\frac{{\partial G}}{{\partial z}} = \operatorname{{diag}}(p) - p\,p^\top, "
        r"\quad G = \frac{{\partial L}}{{\partial z}}, \quad p = \operatorname{{softmax}}(z)",
    ),
}


@cache
def _printers() -> tuple[Any, Any]:
    """For text and for LaTeX, with terms in the order in which people write them: z − m, p − 1."""
    from sympy.printing.latex import LatexPrinter
    from sympy.printing.str import StrPrinter

    def terms(self: Any, e: Expression, order: Any = None) -> list[Expression]:
        by_name = e.as_ordered_terms("lex")
        return sorted(by_name, key=lambda t: (t.could_extract_minus_sign(), t.is_number))

    def maximum(self: Any, e: Expression) -> str:
        return f"max({self.stringify(e.args, ', ')})"

    text = {"_as_ordered_terms": terms, "_print_Max": maximum}
    latex = {"_as_ordered_terms": terms}
    return type("Text", (StrPrinter,), text)(), type("LaTeX", (LatexPrinter,), latex)()


# As text.

_WIDTH = 100
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _text(proof: Proof) -> str:
    blocks = [_CLAIMS[proof.of][0].format(_one_hot(proof))] if proof.of else []
    for words, lines in _derivation(proof):
        shown = [_text_line(line) for line in lines]
        width = max((len(text) for text in shown if len(text) <= _WIDTH / 2), default=0)
        for i, line in enumerate(lines):
            if line.note:
                shown[i] = f"{shown[i]:<{width}}  ({line.note})"
        indent = "    " if words else ""
        body = [textwrap.indent(text, indent) for text in shown]
        blocks.append("\n".join([words, *body] if words else body))
    return "\n\n".join(blocks)


def _text_line(line: _Line) -> str:
    of, *by = map(_text_name, line.left)
    power = {2: "²"}.get(len(by), "")
    left = f"∂{power}{of}/" + "".join(f"∂{x}" for x in by) if by else of
    sides = [f"{sign} {_text_array(side, len(left) + 3)}" for sign, side in line.sides]
    text = " ".join([left, *sides])
    if len(text) > _WIDTH and "\n" not in text:
        text = "\n    ".join([left, *sides])
    return text


def _text_name(name: str) -> str:
    """z_12 as z₁₂. Two indices, z_1_2, stay as they are."""
    letter, _, index = name.partition("_")
    return letter + index.translate(_SUBSCRIPTS) if index.isdigit() else name


def _text_array(side: Any, column: int) -> str:
    """An expression; a vector as (a, b); a matrix with a row a line, each from this column on."""
    array = np.squeeze(_exact(side))
    if not array.ndim:
        shown = _printers()[0].doprint(array[()]).replace("**", "^").replace("*", "·")
        shown = re.sub(r"[^\W\d_]+_\d+\b", lambda name: _text_name(name[0]), shown)
        shown = re.sub(r"\^(\d+)", lambda power: power[1].translate(_SUPERSCRIPTS), shown)
        return shown.replace("-", "−")
    if array.ndim == 1:
        return f"({', '.join(_text_array(e, 0) for e in array)})"
    cells = [[_text_array(e, 0) for e in row] for row in array.reshape(len(array), -1)]
    widths = [max(map(len, cells_of_column)) for cells_of_column in zip(*cells, strict=True)]
    rows = [", ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)) for row in cells]
    return ("\n" + " " * column).join(f"({row})" for row in rows)


# In LaTeX.


def _latex(proof: Proof) -> str:
    lines = ["& " + _CLAIMS[proof.of][1].format(_one_hot(proof))] if proof.of else []
    for words, block in _derivation(proof):
        lines += [rf"& \text{{{words}}}"] * bool(words) + [_latex_line(line) for line in block]
    body = " \\\\\n".join(lines)
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def _latex_line(line: _Line) -> str:
    of, *by = map(_latex_array, map(_sympy().Symbol, line.left))
    power = {2: "^2"}.get(len(by), "")
    below = r" \, ".join(rf"\partial {x}" for x in by)
    left = rf"\frac{{\partial{power} {of}}}{{{below}}}" if by else of
    signs = {"=": "=", "≠": r"\ne"}
    right = " ".join(f"{signs[sign]} {_latex_array(side)}" for sign, side in line.sides)
    note = line.note.replace("_", r"\_")
    return rf"{left} &{right}" + rf" && \text{{{note}}}" * bool(note)


def _latex_array(side: Any) -> str:
    array = np.squeeze(_exact(side))
    if not array.ndim:
        latex: str = _printers()[1].doprint(array[()])
        return latex
    if array.ndim == 1:
        return rf"\left({', '.join(map(_latex_array, array))}\right)"
    rows = (" & ".join(map(_latex_array, row)) for row in array.reshape(len(array), -1))
    return r"\begin{pmatrix} " + r" \\ ".join(rows) + r" \end{pmatrix}"
