"""Random graphs: the gradients of thousands of expressions against the complex step.

A program is drawn, a list of steps of which each computes a new value from earlier ones. It runs
on Tensors, and backprop finds the gradient of its outputs, weighted at random, by each leaf. It
also runs on complex numbers: Im f(x + ihv) / h with h = 1e-20 is the derivative along v, in which
nothing is subtracted and so nothing lost. Where a function has a kink or a tie, a program takes
it only at a distance from there, and elsewhere one that is smooth.

At the end, a machine mixes forward, backward, modes and assignments, and compares what the leaves
have accumulated with a naive model.
"""

import os
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import tinygrad_ce as tg
from tinygrad_ce.engine.tensor import constant

T = tg.Tensor
EXAMPLES = int(os.environ.get("RANDOM_GRAPHS") or 0)  # see conftest.py
H = 1e-20
APART = 1e-3  # the least distance from a kink or a tie
LARGEST = 48  # the most elements of a value


class Program:
    """Leaves, steps, and the weights of the values that make up the output.

    A step is its text, its function, and the numbers of the values that it takes; leaves come
    first among the values.
    """

    def __init__(self, leaves):
        self.leaves = leaves
        self.steps = []
        self.weights = {}

    def outputs(self, *leaves):
        """What no later step has used, flat and weighted, one after another."""
        values = list(leaves)
        for _, f, sources in self.steps:
            values.append(f(*(values[i] for i in sources)))
        return tg.concatenate([(values[i] * w).reshape(-1) for i, w in self.weights.items()])

    def __call__(self, *leaves):
        return self.outputs(*leaves).sum()

    def __repr__(self):
        lines = [f"v{i} = {leaf!r}" for i, leaf in enumerate(self.leaves)]
        lines += [f"v{i} = {step[0]}" for i, step in enumerate(self.steps, len(self.leaves))]
        return "\n".join(["", *lines, f"outputs: {list(self.weights)}"])


# ── What a step can be ────────────────────────────────────────────────────────────────────────────
# Where a function of this package takes no complex numbers, or is not analytic as NumPy has it,
# these say the same in other words.


def is_complex(*tensors):
    return any(t.dtype.kind == "c" for t in tensors)


def absolute(t):
    return tg.where(t < 0, -t, t) if is_complex(t) else t.abs()


def logaddexp(a, b):
    return (a.exp() + b.exp()).log() if is_complex(a, b) else tg.logaddexp(a, b)


def softmax(t, axis):
    e = (t - t.max(axis, keepdims=True).detach()).exp()
    return e / e.sum(axis, keepdims=True)


def at_argmax(t, axis):
    return tg.take_along_axis(t, np.expand_dims(t.argmax(axis), axis), axis)


def away_from(*kinks):
    return lambda x: all(np.abs(x - kink).min() > APART for kink in kinks)


def anywhere(x):
    return True


# The text, the function, where it may be used, and what is used elsewhere.
UNARY = [
    ("exp({})", lambda t: t.exp(), lambda x: x.max() < 3, lambda t: t.tanh().exp()),
    ("expm1({})", lambda t: t.expm1(), lambda x: x.max() < 3, lambda t: t.sin().expm1()),
    ("log({})", lambda t: t.log(), lambda x: x.min() > 0.2, lambda t: (t * t + 0.5).log()),
    ("log1p({})", lambda t: t.log1p(), lambda x: x.min() > -0.8, lambda t: (t * t).log1p()),
    ("sqrt({})", np.sqrt, lambda x: x.min() > 0.2, lambda t: (t * t + 0.5).sqrt()),
    ("1 / {}", lambda t: 1 / t, lambda x: abs(x).min() > 0.3, lambda t: 2 / (t * t + 1)),
    ("sin({})", np.sin, anywhere, None),
    ("cos({})", lambda t: t.cos(), anywhere, None),
    ("tanh({})", lambda t: t.tanh(), anywhere, None),
    ("sigmoid({})", lambda t: t.sigmoid(), anywhere, None),
    ("{0} * {0}", lambda t: t * t, anywhere, None),
    ("{0} * {0}.detach()", lambda t: t * t.detach(), anywhere, None),
    ("{} ** 3", lambda t: t**3, lambda x: abs(x).max() < 3, lambda t: t.tanh() ** 3),
    ("{} ** -2", lambda t: t**-2, lambda x: abs(x).min() > 0.5, lambda t: (t * t + 1) ** -2),
    ("{} ** 0.7", lambda t: t**0.7, lambda x: x.min() > 0.3, lambda t: (t * t + 1) ** 0.7),
    ("2 ** {}", lambda t: 2**t, lambda x: x.max() < 3, lambda t: 2 ** t.cos()),
    ("-{}", lambda t: -t, anywhere, None),
    ("1.5 - {}", lambda t: 1.5 - t, anywhere, None),
    ("{} / 3", lambda t: t / 3, anywhere, None),
    ("relu({})", lambda t: t.relu(), away_from(0), lambda t: t.sigmoid() * t),
    ("abs({})", absolute, away_from(0), lambda t: (t * t + 1).sqrt()),
    ("clip({}, -0.5, 0.7)", lambda t: t.clip(-0.5, 0.7), away_from(-0.5, 0.7), None),
    ("clip({}, None, 0.2)", lambda t: np.clip(t, None, 0.2), away_from(0.2), None),
    ("maximum({}, 0.3)", lambda t: np.maximum(t, 0.3), away_from(0.3), None),
    ("where({0} > 0.1, {0}², 0)", lambda t: tg.where(t > 0.1, t * t, 0.0), away_from(0.1), None),
    ("{0}[{0} > 0]", lambda t: t[t > 0],
     lambda x: x.ndim and away_from(0)(x) and (x > 0).any(), lambda t: t.flatten()[[0, 0, -1]]),
    ("stack({0}, 2, {0})", lambda t: tg.stack([t, np.full(t.shape, 2.0), t]), anywhere, None),
]  # fmt: skip


def apart(x, y):
    return np.abs(x - y).min() > APART


BINARY = [
    ("{} + {}", lambda a, b: a + b, None),
    ("{} - {}", lambda a, b: a - b, None),
    ("{} * {}", lambda a, b: a * b, None),
    ("{} / {}", lambda a, b: a / b, lambda x, y: np.abs(y).min() > 0.3),
    ("{0} / ({1}² + 1)", lambda a, b: a / (b * b + 1), None),
    ("({0}² + 0.5) ** tanh({1})", lambda a, b: (a * a + 0.5) ** b.tanh(), None),
    ("{} ** {}", lambda a, b: a**b, lambda x, y: x.min() > 0.3 and np.abs(y).max() < 3),
    ("maximum({}, {})", tg.maximum, apart),
    ("minimum({}, {})", np.minimum, apart),
    ("where({0} > {1}, {0}, {1}²)", lambda a, b: np.where(a > b, a, b * b), apart),
    ("where({0} <= {1}, 2 * {1}, {0})", lambda a, b: tg.where(a <= b, 2 * b, a), apart),
    ("logaddexp({}, {})", logaddexp, None),
]


def in_rows(x, axis):
    """The elements that a reduction takes together, along the last axis."""
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    moved = np.moveaxis(x, axes, tuple(range(-len(axes), 0)))
    return moved.reshape(*moved.shape[: x.ndim - len(axes)], -1)


def without_ties(x, axis):
    rows = np.sort(in_rows(x, axis), -1)
    return rows.shape[-1] < 2 or np.diff(rows, axis=-1).min() > APART


REDUCTIONS = [
    ("sum", lambda t, axis, keep: np.sum(t, axis, keepdims=keep), None),
    ("sum", lambda t, axis, keep: t.sum(axis, keep), None),
    ("mean", lambda t, axis, keep: t.mean(axis, keepdims=keep), None),
    ("max", lambda t, axis, keep: t.max(axis, keepdims=keep), without_ties),
    ("min", lambda t, axis, keep: np.min(t, axis, keepdims=keep), without_ties),
    ("var", lambda t, axis, keep: t.var(axis, keepdims=keep), None),
    ("std", lambda t, axis, keep: t.std(axis, keep),
     lambda x, axis: in_rows(x, axis).std(-1).min() > 0.2),
    ("norm", lambda t, axis, keep: tg.norm(t, None, axis, keep),
     lambda x, axis: np.sqrt((in_rows(x, axis) ** 2).sum(-1)).min() > 0.2),
]  # fmt: skip

ALONG = [
    ("softmax", softmax, None),
    ("log softmax", lambda t, axis: softmax(t, axis).log(), None),
    ("cumsum", lambda t, axis: t.cumsum(axis), None),
    ("sort", tg.sort, without_ties),
    ("at argmax", at_argmax, without_ties),
]

EINSUMS = {
    0: ["...,...->..."],
    1: ["i,i->", "i,j->ji", "i,i,i->i", "i->", "...i,...i->..."],
    2: ["ij,kj->ik", "ij->ji", "ij,ik->jk", "ij,ij->j", "ij,kl->l", "ij,ij,ij->i", "ij->j"],
    3: ["ijk,ijl->kl", "ijk->kij", "...ij,...ij->...", "ijk,ilk->jl", "ijk->j", "ijk,ijk,ijk->ik"],
}
SQUARE = ["ii", "ii->i", "ij,jk->ik", "ij,ji", "ij,jj->i"]


class Builder:
    """Adds steps to a program, chosen by a random number generator, and knows their values."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.numbers = np.random.default_rng(seed)
        shapes = [self.sizes(self.random.randint(0, 3)) for _ in range(self.random.randint(1, 3))]
        self.values = [self.numbers.uniform(-2, 2, shape) for shape in shapes]
        self.program = Program(self.values.copy())
        self.pool = list(range(len(self.values)))  # of which a step can be made
        self.used = set()

    def sizes(self, n):
        return tuple(self.random.choices((1, 2, 3), (2, 3, 3), k=n))

    def add(self, seed):
        self.random = random.Random(seed)
        self.random.choice(self.STEPS)(self)

    def finish(self):
        for i, value in enumerate(self.values):
            if i not in self.used:
                signs = self.numbers.choice([-1.0, 1.0], value.shape)
                self.program.weights[i] = self.numbers.uniform(0.5, 1.5, value.shape) * signs
        return self.program

    def step(self, text, f, *sources):
        """Append the step f(*sources), and keep its value within bounds."""
        with tg.no_grad(), np.errstate(all="ignore"):
            value = f(*(constant(self.values[i][()]) for i in sources)).data
        if not 0 < value.size <= LARGEST:
            return self.step("{} * 2", lambda t: t * 2, sources[0])
        self.used.update(sources)
        self.values.append(value)
        self.program.steps.append((text.format(*(f"v{i}" for i in sources)), f, sources))
        new = len(self.values) - 1
        largest = float(np.abs(value).max())
        if largest > 4:
            self.step(f"{{}} * {2 / largest:.3g}", lambda t: t * (2 / largest), new)
        else:
            self.pool.append(new)

    def pick(self):
        """The number of a value, and the value; the latest are the likeliest."""
        n = len(self.pool)
        i = self.pool[max(self.random.randrange(n), self.random.randrange(n))]
        return i, self.values[i]

    def axis(self, x):
        return self.random.randint(-x.ndim, x.ndim - 1)

    def unary(self):
        text, f, allowed, instead = self.random.choice(UNARY)
        i, x = self.pick()
        if not allowed(x):
            text, f = f"smoothed {text}", instead or (lambda t: t.tanh())
        self.step(text, f, i)

    def binary(self):
        text, f, allowed = self.random.choice(BINARY)
        (i, x), (j, y) = self.pick(), self.pick()
        try:
            np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            self.step("{} * mean({})", lambda a, b: a * b.mean(), i, j)
        else:
            if allowed and not allowed(x, y):
                text, f = "{} + {}²", lambda a, b: a + b * b
            self.step(text, f, i, j)

    def reduction(self):
        name, f, allowed = self.random.choice(REDUCTIONS)
        i, x = self.pick()
        axes = [None, *range(-x.ndim, x.ndim)]
        axes += [(0, -1), (-1, 0), tuple(range(x.ndim))] if x.ndim > 1 else []
        axes += [(1, 2), (-2, 0)] if x.ndim > 2 else []
        axis, keep = self.random.choice(axes), self.random.random() < 0.5
        if allowed and not allowed(x, axis):
            name, f = "sum", lambda t, axis, keep: t.sum(axis, keep)
        self.step(f"{name}({{}}, {axis}, keepdims={keep})", lambda t: f(t, axis, keep), i)

    def along(self):
        name, f, allowed = self.random.choice(ALONG)
        i, x = self.pick()
        if not x.ndim:
            return self.unary()
        axis = self.axis(x)
        if allowed and not allowed(x, axis):
            name, f = "cumsum", np.cumsum
        self.step(f"{name}({{}}, {axis})", lambda t: f(t, axis), i)

    def reshape(self):
        i, x = self.pick()
        shapes = [(x.size,), (-1,), (x.size, 1), (1, -1), x.shape[::-1], (*x.shape, 1)]
        shapes += [(k, -1) for k in (2, 3) if x.size % k == 0] + [()] * (x.size == 1)
        shape = self.random.choice(shapes)
        self.step(f"reshape({{}}, {shape})", lambda t: t.reshape(shape), i)

    def transpose(self):
        i, x = self.pick()
        axes = tuple(self.random.sample(range(-x.ndim, 0), x.ndim))
        self.step(f"transpose({{}}, {axes})", lambda t: np.transpose(t, axes), i)

    def swapaxes(self):
        i, x = self.pick()
        if not x.ndim:
            return self.unary()
        a, b = self.axis(x), self.axis(x)
        self.step(f"swapaxes({{}}, {a}, {b})", lambda t: t.swapaxes(a, b), i)

    def axes_of_one(self):
        i, x = self.pick()
        axis = self.random.randint(-x.ndim - 1, x.ndim)
        if self.random.random() < 0.5:
            self.step(f"expand_dims({{}}, {axis})", lambda t: t.expand_dims(axis), i)
        else:
            self.step("squeeze({})", lambda t: t.squeeze(), i)

    def broadcast_to(self):
        i, x = self.pick()
        lead = self.sizes(self.random.randint(0, max(0, 3 - x.ndim)))
        shape = (*lead, *(self.random.randint(1, 3) if n == 1 else n for n in x.shape))
        self.step(f"broadcast_to({{}}, {shape})", lambda t: t.broadcast_to(shape), i)

    def index(self):
        i, x = self.pick()
        r = self.random
        length = r.randint(1, 4)  # of the arrays in this index
        kinds = ["int", "part", "all", "backwards", *["array", "list", "Tensor"] * r.randint(0, 1)]
        parts = []
        for n in x.shape:
            kind = r.choice(kinds)
            places = [r.randrange(-n, n) for _ in range(length)]
            start = r.randrange(n)
            parts.append(
                {
                    "int": places[0],
                    "part": slice(start, r.randint(start + 1, n)),
                    "all": slice(None),
                    "backwards": slice(None, None, r.choice([-1, -2])),
                    "array": np.array(places),
                    "list": places,
                    "Tensor": T(np.array(places)),
                }[kind]
            )
        if "list" in kinds and length in x.shape and r.random() < 0.5:
            parts[x.shape.index(length)] = np.ones(length, bool)
        if r.random() < 0.4:  # an Ellipsis in the place of some
            first = r.randint(0, x.ndim)
            parts[first : r.randint(first, x.ndim)] = [Ellipsis]
        if r.random() < 0.3:
            parts.insert(r.randint(0, len(parts)), None)
        index = tuple(parts)
        self.step(f"{{0}}[{index}]", lambda t: t[index], i)

    def join(self):
        (i, x), (j, y) = self.pick(), self.pick()
        if x.shape == y.shape:
            axis = self.random.randint(-x.ndim - 1, x.ndim)
            self.step(f"stack({{}}, {{}}, {axis})", lambda a, b: tg.stack([a, b], axis), i, j)
        elif x.ndim == y.ndim and sum(m != n for m, n in zip(x.shape, y.shape, strict=True)) == 1:
            axis = next(k for k in range(x.ndim) if x.shape[k] != y.shape[k]) - x.ndim
            text = f"concatenate({{}}, {{}}, {axis})"
            self.step(text, lambda a, b: np.concatenate([a, b], axis), i, j)
        elif x.ndim:
            axis = self.axis(x)
            text = f"concatenate({{0}}, {{0}}², {axis})"
            self.step(text, lambda a: tg.concatenate([a, a * a], axis), i)
        else:
            text = "concatenate({}, {}, None)"
            self.step(text, lambda a, b: tg.concatenate([a, b], None), i, j)

    def split(self):
        i, x = self.pick()
        if not x.ndim:
            return self.unary()
        axis = self.axis(x)
        n = x.shape[axis]
        k = self.random.randrange(n)
        self.step(f"split({{}}, {n}, {axis})[{k}]", lambda t: tg.split(t, n, axis)[k], i)

    def product(self):
        (i, x), (j, y) = self.pick(), self.pick()
        try:
            np.matmul(x, y)
        except ValueError:
            if x.ndim >= 2:
                self.step("{0} @ {0}.mT", lambda t: t @ t.mT, i)
            else:
                self.step("outer({}, {})", np.outer, i, j)
        else:
            self.step("{} @ {}", lambda a, b: a @ b, i, j)

    def einsum(self):
        i, x = self.pick()
        ways = EINSUMS.get(x.ndim, EINSUMS[0])
        if x.ndim == 2 and x.shape[0] == x.shape[1]:
            ways = ways + SQUARE
        way = self.random.choice(ways)
        n = way.partition("->")[0].count(",") + 1
        self.step(f"einsum('{way}', of {{0}})", lambda t: tg.einsum(way, *[t] * n), i)

    STEPS = (
        [unary] * 5 + [binary] * 6 + [reduction] * 4 + [along] * 2 + [index] * 4 + [product] * 2
        + [reshape, transpose, swapaxes, axes_of_one, broadcast_to, join, join, split, einsum]
    )  # fmt: skip


@st.composite
def programs(draw, most=8):
    """A program; fewer steps and other seeds are tried where one fails."""
    seeds = st.integers(0, 2**32 - 1)
    builder = Builder(draw(seeds))
    for seed in draw(st.lists(seeds, min_size=1, max_size=most)):
        builder.add(seed)
    return builder.finish()


# ── Its derivatives ───────────────────────────────────────────────────────────────────────────────


def directions(program):
    rng = np.random.default_rng(len(program.steps))
    return [rng.uniform(0.5, 1.5, x.shape) * rng.choice([-1, 1], x.shape) for x in program.leaves]


def moved(program, i, v):
    """The leaves as constants, the i-th moved by ihv."""
    leaves = [x + 1j * H * (v if i == k else 0) for k, x in enumerate(program.leaves)]
    return [constant(np.asarray(x)[()]) for x in leaves]


def variables(program):
    return [T(x, requires_grad=True) for x in program.leaves]


def assert_close(got, expected, scale):
    assert abs(got - expected) <= 1e-11 * scale + 1e-13


@pytest.mark.slow
@settings(max_examples=EXAMPLES or 5000)
@given(programs())
def test_gradients_by_every_leaf_agree_with_the_complex_step(program):
    leaves = variables(program)
    program(*leaves).backward()
    for i, (leaf, v) in enumerate(zip(leaves, directions(program), strict=True)):
        assert (leaf.grad.shape, leaf.grad.dtype) == (leaf.shape, np.float64)
        with tg.no_grad(), np.errstate(all="ignore"):
            expected = np.imag(program(*moved(program, i, v))._value) / H
        assert_close((leaf.grad * v).sum(), expected, np.abs(leaf.grad * v).sum())


@pytest.mark.slow
@settings(max_examples=EXAMPLES // 5 or 1000)
@given(programs(most=5))
def test_second_derivatives_agree_with_the_complex_step_of_the_first(program):
    us = directions(program)[::-1]
    us = [np.resize(u, x.shape) for u, x in zip(us, program.leaves, strict=True)]
    leaves = variables(program)
    first = tg.gradients(program(*leaves), leaves, create_graph=True)
    along = sum((g * u).sum() for g, u in zip(first, us, strict=True))
    second = tg.gradients(along, leaves) if along.requires_grad else [0.0 * u for u in us]
    for i, (h, v) in enumerate(zip(second, directions(program), strict=True)):
        # Complex numbers as leaves, which a user may not have, take the rules into the plane.
        plane = moved(program, i, v)
        for leaf in plane:
            leaf._requires_grad, leaf._tracked_since = True, 0
        with np.errstate(all="ignore"):
            gradients = tg.gradients(program(*plane), plane)
        expected = sum(np.imag(g * u).sum() for g, u in zip(gradients, us, strict=True)) / H
        assert_close((h * v).sum(), expected, 10 * np.abs(h * v).sum())


@pytest.mark.slow
@settings(max_examples=EXAMPLES // 10 or 500)
@given(programs(most=5))
def test_jacobians_and_jvps_agree_with_the_complex_step(program):
    argnums = tuple(range(len(program.leaves)))
    jacobians = tg.jacobian(program.outputs, argnums)(*program.leaves)
    tangents = directions(program)
    _, along_all = tg.jvp(program.outputs, program.leaves, tangents)
    total = sum(
        (j.data * v).reshape(len(j), -1).sum(1) for j, v in zip(jacobians, tangents, strict=True)
    )
    np.testing.assert_allclose(along_all.data, total, rtol=1e-11, atol=1e-11)
    for i, (jacobian, v) in enumerate(zip(jacobians, tangents, strict=True)):
        with tg.no_grad(), np.errstate(all="ignore"):
            expected = np.imag(program.outputs(*moved(program, i, v))._value) / H
        products = jacobian.data * v
        got = products.reshape(len(expected), -1).sum(1)
        assert np.abs(got - expected).max() <= 1e-11 * np.abs(products).max() + 1e-13


# ── Values ────────────────────────────────────────────────────────────────────────────────────────
# A value and a derivative that are wrong together agree with each other. So the values by which
# programs reduce and reorder are held against NumPy's.

ORDERS = (0, 0.5, 1, 2, 3, np.inf, -np.inf)
REDUCE = {
    **{name: getattr(np, name) for name in ("sum", "mean", "max", "min", "var", "std")},
    "norm": lambda x, axis, keepdims=False: np.linalg.norm(x, None, axis, keepdims),
}
REDUCE_ONE_AXIS = {
    f"norm {ord}": lambda x, axis, keepdims=False, ord=ord: np.linalg.norm(x, ord, axis, keepdims)
    for ord in ORDERS
}
REORDER = {
    **{name: getattr(np, name) for name in ("cumsum", "argmax", "argmin", "sort")},
    "argsort": lambda x, axis: np.argsort(x, axis, **({} if type(x) is T else {"kind": "stable"})),
}
AXES = [0, 1, 2, -1, -3]
SEVERAL = [(0, 1), (0, 2), (2, -2)]


@pytest.mark.parametrize("dtype", [float, np.float32, np.int8, bool])
@pytest.mark.parametrize(
    ("name", "f", "axis", "options"),
    [
        *((n, f, axis, options) for n, f in REDUCE.items() for axis in [None, *AXES, *SEVERAL]
          for options in ({}, {"keepdims": True})),
        *((n, f, axis, options) for n, f in REDUCE_ONE_AXIS.items() for axis in AXES
          for options in ({}, {"keepdims": True})),
        *((n, f, axis, {}) for n, f in REORDER.items() for axis in AXES),
        *((n, f, None, {}) for n, f in REORDER.items() if n != "argsort"),
    ],
)  # fmt: skip
def test_values_along_axes_are_those_of_numpy(name, f, axis, options, dtype):
    if dtype in (np.int8, bool) and "norm" in name:
        dtype = np.float64
    x = np.random.default_rng(0).integers(-3, 4, (2, 3, 4)).astype(dtype)
    expected, t = f(x, axis, **options), T(x)
    method = getattr(t, name, None)
    for y in (f(t, axis, **options), *([method(axis, **options)] if method else [])):
        assert (type(y), y.shape) == (T, expected.shape)
        np.testing.assert_allclose(y.data, expected, rtol=3e-6, atol=1e-6)
        assert y.dtype == expected.dtype


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        *((way, [(3, 3)] * (way.partition("->")[0].count(",") + 1)) for way in EINSUMS[2] + SQUARE),
        ("ba", [(2, 3)]),
        ("ba,bc", [(2, 3), (2, 4)]),
        ("zy,yx,x", [(2, 3), (3, 4), (4,)]),
        ("...ba", [(2, 3, 4)]),
        ("b...a,...c", [(2, 5, 3), (5, 4)]),
        ("i...->...", [(2, 3, 4)]),
        ("", [()]),
        (",i->i", [(), (3,)]),
    ],
)
def test_values_of_einsum_are_those_of_numpy(subscripts, shapes):
    arrays = [np.random.default_rng(i).normal(size=shape) for i, shape in enumerate(shapes)]
    got, expected = tg.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got.data, expected, rtol=1e-13, atol=1e-14)


# ── Forward, backward, modes and assignments in any order ─────────────────────────────────────────


class Naive:
    """What a node should be: a copy of its value, and for each input a way back, one by one."""

    def __init__(self, value, requires, inputs=(), ways=()):
        self.value = np.array(value)
        self.requires = requires
        self.ways = list(zip(inputs, ways, strict=True))  # an input, and g to its gradient
        self.freed = self.keeps = False
        self.grad = None
        self.depth = 1 + max((source.depth for source in inputs), default=0)

    def leaf(self):
        return not self.ways

    def behind(self):
        """All that a gradient walks through from here, itself included."""
        found = {id(self): self}
        for source, _ in self.ways:
            if source.requires:
                found.update((id(node), node) for node in source.behind())
        return list(found.values())

    def back(self, g, into):
        """Add what arrives along each single path; no order, nothing shared."""
        if self.leaf() or self.keeps:
            _, so_far = into.get(id(self), (self, 0.0))
            into[id(self)] = self, so_far + g
        for source, way in self.ways:
            if source.requires:
                source.back(fold(way(g), source.value.shape), into)
        return into


def fold(g, shape):
    """Undo a broadcast, element by element."""
    total = np.zeros(shape)
    lead = g.ndim - len(shape)
    for index in np.ndindex(g.shape):
        total[tuple(0 if n == 1 else k for k, n in zip(index[lead:], shape, strict=True))] += g[
            index
        ]
    return total


def scatter(index, shape):
    def way(g):
        total = np.zeros(shape)
        for k, place in enumerate(index):
            total[place] += g[k]
        return total

    return way


SHAPES = [(), (2,), (1, 2), (3, 1), (3, 2)]
numbers = st.integers(0, 999)  # of a node, counted around


class Machine(RuleBasedStateMachine):
    """Every Tensor has a naive twin; whatever is done to the one is done to the other."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.default_rng(0)
        self.pairs = []
        self.sources = []  # arrays that Tensors were made from, or that were given to them
        for shape in ((3, 2), (2,), ()):
            self.leaf(shape, True)

    def at(self, i, wanted=lambda node: True):
        found = [pair for pair in self.pairs if wanted(pair[1])]
        return found[i % len(found)]

    def record(self, tensor, value, inputs, ways, recording=True):
        requires = recording and any(source.requires for source in inputs)
        node = Naive(value, requires, inputs, ways) if requires else Naive(value, False)
        assert tensor.requires_grad == requires
        if node.depth < 10 and np.abs(node.value).max(initial=0) < 1e3:
            self.pairs.append((tensor, node))

    def made_here(self, size):
        array = self.rng.uniform(0.5, 1.5, size)
        self.sources.append(array)
        return array

    @rule(shape=st.sampled_from(SHAPES), requires=st.booleans())
    def leaf(self, shape, requires):
        array = np.asarray(self.made_here(shape))
        self.pairs.append((T(array, requires_grad=requires), Naive(array, requires)))

    @rule(i=numbers, j=numbers, kind=st.sampled_from("+-*/"), recording=st.booleans())
    def combine(self, i, j, kind, recording):
        (s, a), (t, b) = self.at(i), self.at(j)
        x, y = a.value, b.value
        try:
            np.broadcast_shapes(x.shape, y.shape)
        except ValueError:
            return
        f, ways = {
            "+": (lambda p, q: p + q, (lambda g: g, lambda g: g)),
            "-": (lambda p, q: p - q, (lambda g: g, lambda g: -g)),
            "*": (lambda p, q: p * q, (lambda g: g * y, lambda g: g * x)),
            "/": (lambda p, q: p / (q * q + 1), (
                lambda g: g / (y * y + 1), lambda g: -2 * g * x * y / (y * y + 1) ** 2)),
        }[kind]  # fmt: skip
        if recording:
            with tg.scope("outer"), tg.scope(kind):
                made = f(s, t)
            assert made.scope.path == f"outer/{kind}"
        else:
            with tg.scope("outer"), tg.no_grad():
                made = f(s, t)
        assert (s + t).scope is None
        self.record(made, f(x, y), (a, b), ways, recording)

    @rule(i=numbers, axis=st.sampled_from([None, 0, -1]), keepdims=st.booleans())
    def add_up(self, i, axis, keepdims):
        t, a = self.at(i)
        x = a.value
        axis = axis if x.ndim else None
        y = x.sum(axis, keepdims=keepdims)

        def way(g):
            return np.broadcast_to(
                g if keepdims or axis is None else np.expand_dims(g, axis), x.shape
            )

        self.record(t.sum(axis, keepdims), y, (a,), (way,))

    @rule(i=numbers, index=st.lists(st.integers(-2, 1), min_size=1, max_size=3))
    def take(self, i, index):
        t, a = self.at(i, lambda node: node.value.ndim and len(node.value) > 1)
        places = np.array(index)
        self.sources.append(places)
        way = scatter(index, a.value.shape)
        self.record(t[places], a.value[places], (a,), (way,))

    @rule(i=numbers)
    def tanh(self, i):
        t, a = self.at(i)
        y = np.tanh(a.value)
        self.record(np.tanh(t), y, (a,), (lambda g: g * (1 - y**2),))

    @rule(i=numbers)
    def detach(self, i):
        t, a = self.at(i)
        self.record(t.detach(), a.value, (), ())

    @rule(i=numbers)
    def assign(self, i):
        t, a = self.at(i, Naive.leaf)
        if t.primitive is None:
            new = np.asarray(self.made_here(a.value.shape))
            t.data = new
            # The ways back of what was computed before have kept the old value.
            a.value = new.copy()

    @rule()
    def scribble(self):
        """Over all that this package was ever given; and try it on what it hands out."""
        for array in self.sources:
            array[...] = -1
        for t, _ in self.pairs:
            for returned in (t.data, t.numpy(), t.grad):
                if returned is not None:
                    with pytest.raises(ValueError, match="read-only"):
                        returned[...] = 77

    @rule(i=numbers)
    def retain_grad(self, i):
        t, a = self.at(i, lambda node: node.requires)
        t.retain_grad()
        a.keeps = True

    @rule(i=numbers, kind=st.sampled_from(["clear", "set", "halve"]))
    def assign_grad(self, i, kind):
        t, a = self.at(i, lambda node: node.requires)
        if kind == "clear":
            t.grad = a.grad = None
        elif kind == "set":
            new = np.asarray(self.made_here(a.value.shape))
            t.grad, a.grad = new, new.copy()
        elif a.grad is not None:
            t.grad, a.grad = t.grad * 0.5, a.grad * 0.5

    @rule(i=numbers, retain=st.booleans(), given_=st.booleans(), off=st.booleans())
    def backward(self, i, retain, given_, off):
        t, a = self.at(i, lambda node: node.requires)
        g = np.asarray(self.made_here(a.value.shape)) if given_ else None
        if g is None and a.value.size != 1:
            with pytest.raises(RuntimeError, match="reduce it to one"):
                t.backward(retain_graph=retain)
            return
        behind = a.behind()
        if any(node.freed for node in behind):
            with pytest.raises(tg.FreedGraphError, match="freed by an earlier"):
                t.backward(g, retain_graph=retain)
            # Whatever was freed before the error is of no more use.
            self.forget({id(node) for node in behind if not node.leaf()})
            return
        expected = a.back(np.ones(a.value.shape) if g is None else g.copy(), {})
        if off:
            with tg.no_grad():
                t.backward(g, retain_graph=retain)
        else:
            t.backward(g, retain_graph=retain)
        for node, gradient in expected.values():
            node.grad = gradient if node.grad is None else node.grad + gradient
        for node in behind:
            node.freed = node.freed or not (retain or node.leaf())

    def forget(self, gone):
        self.pairs = [
            (t, node) for t, node in self.pairs if not any(id(n) in gone for n in node.behind())
        ]

    @rule(i=numbers, j=numbers)
    def gradients(self, i, j):
        """They are those of backward(), and change nothing."""
        t, a = self.at(i, lambda node: node.requires and node.value.size == 1)
        s, b = self.at(j, lambda node: node.requires)
        if any(node.freed for node in a.behind()):
            return
        keeps, b.keeps = b.keeps, True
        _, expected = a.back(np.ones(a.value.shape), {}).get(id(b), (b, np.zeros(b.value.shape)))
        b.keeps = keeps
        (got,) = tg.gradients(t, [s])
        np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)
        got[...] = 99

    @precondition(lambda self: len(self.pairs) > 12)
    @rule(keep=st.integers(3, 6))
    def drop(self, keep):
        self.pairs = self.pairs[:3] + self.pairs[-keep:]

    @invariant()
    def the_twins_agree(self):
        assert tg.engine.context.MODE.get().parent is None
        for t, node in self.pairs:
            np.testing.assert_array_equal(t.data, node.value)
            assert (t.grad is None) == (node.grad is None)
            if node.grad is not None:
                assert t.grad.shape == t.shape
                np.testing.assert_allclose(t.grad, node.grad, rtol=1e-11, atol=1e-12)


Machine.TestCase.settings = settings(max_examples=EXAMPLES // 20 or 100, stateful_step_count=30)
Machine.TestCase.pytestmark = [pytest.mark.slow]
test_any_order_of_operations_accumulates_what_a_naive_model_does = Machine.TestCase
