"""Each primitive, one line: its derivatives to second order against central differences.

A line names a function of Tensors and the shapes of its arguments; `case` draws arguments from an
interval on which the function is smooth. gradcheck weights the outputs at random, so no error can
hide in a sum.
"""

import inspect
import time

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.kernels import ARRAY_SLOT
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

RNG = np.random.default_rng(7)
TABLE = {entry.name: entry for entry in vars(p).values() if isinstance(entry, Primitive)}
ROWS = np.array([0, 2, 2, 1])  # a place that is named twice
MASK = np.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]])


def case(name, f, *shapes, low=-2.0, high=2.0, marks=()):
    arguments = [RNG.uniform(low, high, shape) for shape in shapes]
    return pytest.param(f, arguments, id=name, marks=marks)


def apart(*shape):
    """Numbers that differ by at least 0.1, so that no difference moves one past another."""
    size = int(np.prod(shape))
    return (RNG.permutation(size) * 0.1 - 0.05 * size + 0.03).reshape(shape)


def choice(name, f, *shapes):
    return pytest.param(f, [apart(*shape) for shape in shapes], id=name)


CASES = [
    case("add", lambda a, b: a + b, (3, 4), (3, 4)),
    case("add/row", lambda a, b: a + b, (3, 4), (4,)),
    case("add/column", lambda a, b: a + b, (3, 1), (3, 4)),
    case("add/both", lambda a, b: a + b, (3, 1), (1, 4)),
    case("add/scalar", lambda a, b: a + b, (), (2, 3)),
    case("add/itself", lambda a: a + a, (3,)),
    case("subtract", lambda a, b: a - b, (3, 4), (4,)),
    case("subtract/reflected", lambda a: 1 - a, (3,)),
    case("multiply", lambda a, b: a * b, (3, 4), (3, 1)),
    case("multiply/itself", lambda a: a * a, ()),
    case("divide", lambda a, b: a / b, (3, 4), (4,), low=0.5),
    case("divide/reflected", lambda a: 2 / a, (3,), low=0.5),
    case("negative", lambda a: -a * a, (3,)),
    case("float_power", lambda a, b: np.float_power(a, b).astype(a.dtype), (3,), (3,), low=0.5),
    case("remainder", lambda a, b: (a % b) ** 2, (3, 4), (4,), low=2.1, high=3.9),
    case("remainder/reflected", lambda a: (7.3 % a) ** 2, (3,), low=2.5, high=3.5),
    case("scalar_power/2", lambda a: a**2, (3,)),
    case("scalar_power/0", lambda a: a**0 * a, (3,)),
    case("scalar_power/-1", lambda a: a**-1, (3,), low=0.5),
    case("scalar_power/0.5", lambda a: a**0.5, (3,), low=0.5),
    case("scalar_power/3 of negatives", lambda a: a**3, (3,), low=-2.0, high=-0.5),
    case("power", lambda a, b: a**b, (3, 4), (4,), low=0.5),
    case("power/reflected", lambda b: 2**b, (3,)),
    case("matmul", lambda a, b: a @ b, (2, 3), (3, 4)),
    case("matmul/vector right", lambda a, b: a @ b, (2, 3), (3,)),
    case("matmul/vector left", lambda a, b: a @ b, (3,), (3, 4)),
    case("matmul/vectors", lambda a, b: a @ b, (3,), (3,)),
    case("matmul/stacks", lambda a, b: a @ b, (2, 2, 3), (2, 3, 2)),
    case("matmul/stack and matrix", lambda a, b: a @ b, (2, 2, 3), (3, 2)),
    case("matmul/stacks broadcast", lambda a, b: a @ b, (2, 1, 2, 3), (3, 3, 2)),
    case("exp", lambda a: a.exp(), (3,)),
    case("expm1", lambda a: a.expm1(), (3,)),
    case("log", lambda a: a.log(), (3,), low=0.5),
    case("log1p", lambda a: a.log1p(), (3,), low=-0.5),
    case("sqrt", lambda a: a.sqrt(), (3,), low=0.5),
    case("sin", lambda a: a.sin(), (3,)),
    case("cos", lambda a: a.cos(), (3,)),
    *(case(f, getattr(np, f), (3,)) for f in ("exp2", "tan", "arctan", "sinh", "cosh", "arcsinh")),
    *(case(f, getattr(np, f), (3,), low=0.5) for f in ("log2", "log10", "cbrt")),
    *(case(f, getattr(np, f), (3,), low=-0.9, high=0.9) for f in ("arcsin", "arccos", "arctanh")),
    case("arccosh", np.arccosh, (3,), low=1.2),
    case("hypot", np.hypot, (3, 4), (4,)),
    case("arctan2", np.arctan2, (3, 4), (4,), low=0.5),
    case("logaddexp2", np.logaddexp2, (3, 4), (4,)),
    case("tanh", lambda a: a.tanh(), (3, 2)),
    case("sigmoid", lambda a: a.sigmoid(), (5,)),
    choice("relu", lambda a: a.relu() * a, (6,)),
    choice("abs", lambda a: abs(a) * a, (6,)),
    choice("clip", lambda a: a.clip(-0.2, 0.2) * a, (8,)),
    choice("maximum", lambda a, b: tg.maximum(a * a, b + 0.017), (3, 4), (4,)),
    choice("minimum", lambda a, b: tg.minimum(a * a, b + 0.017), (4,), (3, 4)),
    case("where", lambda a, b: tg.where(MASK, a * a, b * b), (3, 4), (4,)),
    case("where/scalars", lambda a: tg.where(MASK, a, 0) * a, (3, 1)),
    case("erf", lambda a: a.erf(), (5,)),
    case("logaddexp", tg.logaddexp, (3, 4), (4,)),
    case("prod", np.prod, (3, 2)),
    case("prod/axes", lambda a: np.prod(a, (0, -1)) ** 2, (2, 3, 2)),
    case("prod/keepdims", lambda a: np.prod(a, 0, keepdims=True) * a, (3, 2)),
    case("prod/with zeros", lambda a: np.prod(a * np.int8([0, 1, 0, 1])), (4,)),
    case("cumprod", lambda a: np.cumprod(a, 0) ** 2, (5, 2)),
    case("cumprod/with zeros", lambda a: np.cumprod(a * np.int8([1, 0, 1, 0, 1])), (5,)),
    case("cumsum", lambda a: a.cumsum(0) ** 2, (3, 4)),
    case("cumsum/last axis", lambda a: np.cumsum(a, -1) ** 2, (2, 3)),
    case("cumsum/all", lambda a: a.cumsum() ** 2, (2, 3)),
    case("einsum/matrices", lambda a, b: np.einsum("ij,jk->ik", a, b), (2, 3), (3, 4)),
    case("einsum/implicit", lambda a, b: tg.einsum("ij,jk", a, b), (2, 3), (3, 4)),
    case("einsum/three", lambda a, b, c: tg.einsum("ij,j,jk->k", a, b, c), (2, 3), (3,), (3, 2)),
    case("einsum/summed alone", lambda a, b: tg.einsum("ij,k->k", a, b), (2, 3), (2,)),
    case("einsum/to nothing", lambda a: tg.einsum("ij->", a) ** 2, (2, 3)),
    case("einsum/transpose", lambda a: tg.einsum("ij->ji", a) ** 2, (2, 3)),
    case("einsum/trace", lambda a: tg.einsum("ii", a) ** 2, (3, 3)),
    case("einsum/diagonal", lambda a: tg.einsum("iji->ji", a) ** 2, (3, 2, 3)),
    case("einsum/ellipsis", lambda a, b: tg.einsum("...ij,jk", a, b), (2, 2, 3), (3, 2)),
    case("einsum/ellipses", lambda a, b: tg.einsum("...i,...i->...", a, b), (2, 1, 3), (4, 3)),
    case("einsum/of length 1", lambda a, b: tg.einsum("ij,ij->j", a, b), (2, 3), (1, 3)),
    case("einsum/of length 1, summed", lambda a, b: tg.einsum("j,j->", a, b), (1,), (3,)),
    case("einsum/itself", lambda a: tg.einsum("ij,ij->i", a, a), (2, 3)),
    case("sum", lambda a: a.sum() ** 2, (3, 4)),
    case("sum/axis", lambda a: a.sum(1) ** 2, (3, 4)),
    case("sum/axes", lambda a: a.sum((0, -1)) ** 2, (2, 3, 4)),
    case("sum/keepdims", lambda a: a.sum(-2, keepdims=True) * a, (3, 4)),
    case("mean/all", lambda a: a.mean() ** 2, (3, 4)),
    case("mean/keepdims", lambda a: a.mean(-1, keepdims=True) * a, (3, 4)),
    case("mean", lambda a: a.mean(0) ** 2, (3, 4)),
    case("mean/axes", lambda a: a.mean((0, 2)) ** 2, (2, 3, 4)),
    case("var", lambda a: a.var(1, ddof=1), (3, 4)),
    case("std", lambda a: a.std(0), (3, 4)),
    choice("max", lambda a: a.max() ** 2, (3, 4)),
    choice("max/axis", lambda a: a.max(1) ** 2, (3, 4)),
    choice("min/keepdims", lambda a: a.min(0, keepdims=True) * a, (3, 4)),
    choice("min/axes", lambda a: a.min((0, 1)) ** 2, (2, 3, 2)),
    case("broadcast_to", lambda a: a.broadcast_to(2, 3, 4) ** 2, (3, 1)),
    case("broadcast_to/scalar", lambda a: a.broadcast_to((2, 3)) ** 2, ()),
    case(
        "broadcast_to/large", lambda a: a.broadcast_to(5000, 2) ** 2, (2,), marks=pytest.mark.slow
    ),
    case("reshape", lambda a: a.reshape(4, -1) ** 2, (3, 4)),
    case("reshape/to scalar", lambda a: a.reshape(()) ** 2, (1, 1)),
    case("flatten", lambda a: a.flatten() ** 2, (3, 4)),
    case("transpose", lambda a: a.T @ a, (3, 4)),
    case("transpose/axes", lambda a: a.transpose(2, 0, 1) ** 2, (2, 3, 4)),
    case("swapaxes", lambda a: a.swapaxes(0, -1) ** 2, (2, 3, 4)),
    case("expand_dims", lambda a: a.expand_dims((0, -1)) ** 2, (3,)),
    case("squeeze", lambda a: a.squeeze(1) ** 2, (3, 1, 2)),
    case("astype", lambda a: a.astype(np.float64) ** 2, (3,)),
    case("identity", lambda a: apply(p.identity, a) * a, (3,)),
    case("concatenate", lambda a, b: np.concatenate([a, b * b, a]) ** 2, (2, 3), (1, 3)),
    case("concatenate/axis", lambda a, b: tg.concatenate([a, b], axis=-1) ** 2, (2, 3), (2, 1)),
    case("stack", lambda a, b: tg.stack([a, b], axis=1) ** 2, (3,), (3,)),
    case("concatenate/flat", lambda a, b: tg.concatenate([a, b], None) ** 2, (2, 3), (2,)),
    case("split", lambda a: tg.split(a, 2, axis=1)[1] ** 2, (2, 4)),
    case("split/at", lambda a: np.split(a, [1, 1, 3])[2] ** 2, (4, 2)),
    choice("sort", lambda a: tg.sort(a, 0) ** 2, (4, 2)),
    choice("sort/flat", lambda a: np.sort(a, None) ** 2, (2, 3)),
    case("take_along_axis", lambda a: tg.take_along_axis(a, [[2, 2, 0]], 1) ** 2, (3, 3)),
    case("norm", tg.norm, (2, 3)),
    case("norm/axis", lambda a: np.linalg.norm(a, axis=1, keepdims=True) * a, (2, 3)),
    case("norm/1", lambda a: np.linalg.norm(a, 1), (3,), low=0.5),
    case("norm/3", lambda a: tg.norm(a, 3, axis=0), (3, 2), low=0.5),
    choice("norm/inf", lambda a: tg.norm(a * a, np.inf), (5,)),
    case("norm/-inf", lambda a: tg.norm(a, -np.inf, axis=0), (3, 2), low=0.5),
    case("norm/fro", lambda a: np.linalg.norm(a, "fro"), (3, 2)),
    case("dot", np.dot, (2, 3), (3,)),
    case("outer", np.outer, (2,), (3,)),
    case("take", lambda a: np.take(a, [1, 1], axis=1) ** 2, (2, 3)),
    case("moveaxis", lambda a: np.moveaxis(a, 0, -1) ** 2, (2, 3, 4)),
    case("vstack", lambda a, b: np.vstack([a, b]) ** 2, (3,), (2, 3)),
    case("hstack", lambda a, b: np.hstack([a, b]) ** 2, (2, 1), (2, 3)),
    case("getitem/int", lambda a: a[1] ** 2, (3, 4)),
    case("getitem/negative", lambda a: a[-1, -2] ** 2, (3, 4)),
    case("getitem/slice", lambda a: a[1:, ::-2] ** 2, (3, 4)),
    case("getitem/None and Ellipsis", lambda a: a[..., None, 0] ** 2, (3, 4)),
    case("getitem/repeated rows", lambda a: a[ROWS] ** 2, (3, 4)),
    case("getitem/repeated pairs", lambda a: a[ROWS, [1, 3, 3, 0]] ** 2, (3, 4)),
    case("getitem/mixed", lambda a: a[1:, [0, 0, 2]] ** 2, (3, 4)),
    case("getitem/outer", lambda a: a[np.ix_([0, 2], [1, 1])] ** 2, (3, 4)),
    case("getitem/mask", lambda a: a[MASK] ** 2, (3, 4)),
    case("getitem/mask of an axis", lambda a: a[[True, False, True]] ** 2, (3, 4)),
    case("getitem/mask and integers", lambda a: a[MASK[:, 0], [3, 3]] ** 2, (3, 4)),
    case("getitem/Tensor", lambda a: a[tg.Tensor(ROWS)] ** 2, (3, 4)),
    case("getitem/list", lambda a: a[[0, 0]] ** 2, (3,)),
    case("getitem/0-d array", lambda a: a[np.array(1)] ** 2, (3, 4)),
    case("getitem/newaxis of scalar", lambda a: a[None] ** 2, ()),
    case(
        "scatter",
        lambda a: apply(p.scatter, a, tg.Tensor(ROWS), params=((ARRAY_SLOT,), (3, 2))) ** 2,
        (4, 2),
    ),
    case("empty", lambda a, b: (a * b).sum(0), (0, 3), (3,)),
    case("empty/matmul", lambda a, b: a @ b, (2, 0), (0, 3)),
]


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_derivatives_to_second_order_agree_with_differences(f, arguments):
    assert tg.gradcheck(f, *arguments, order=2)


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_float32_gradients_keep_dtype_and_shape_and_agree_with_float64(f, arguments):
    gradients = []
    for dtype in (np.float64, np.float32):
        tensors = [tg.Tensor(a, requires_grad=True, dtype=dtype) for a in arguments]
        y = f(*tensors)
        (y * y).sum().backward()
        gradients.append([t.grad for t in tensors])
    for double, single in zip(*gradients, strict=True):
        assert (single.dtype, single.shape) == (np.float32, double.shape)
        np.testing.assert_allclose(single, double, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize(("f", "arguments"), [c for c in CASES if c.id != "astype"])
def test_python_numbers_do_not_widen_float32(f, arguments):
    assert f(*[tg.Tensor(a, dtype=np.float32) for a in arguments]).dtype == np.float32


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_memory_order_and_strides_do_not_matter(f, arguments):
    def gradients_of(arrays):
        tensors = [tg.Tensor(a, requires_grad=True) for a in arrays]
        y = f(*tensors)
        weights = np.random.default_rng(1).normal(size=y.shape)
        (y * weights).sum().backward()
        return [t.grad for t in tensors]

    strided = [np.repeat(a, 2, axis=0)[::2] if a.ndim else a for a in arguments]
    fortran = [np.asfortranarray(a) for a in arguments]
    for other in (strided, fortran):
        for got, expected in zip(gradients_of(other), gradients_of(arguments), strict=True):
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_a_batch_of_cotangents_gives_the_rows_of_the_jacobian(f, arguments):
    argnums = tuple(range(len(arguments)))
    jacobians = tg.jacobian(f, argnums)(*arguments)
    y, pullback = tg.vjp(f, *arguments)
    for k, cotangent in enumerate(np.eye(y.size)):
        rows = pullback(cotangent.reshape(y.shape))
        for i, row in enumerate(rows if len(arguments) > 1 else (rows,)):
            expected = jacobians[i].reshape(y.size, *row.shape)[k]
            np.testing.assert_allclose(row.data, expected.data, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("f", "arguments"), CASES)
def test_second_derivatives_in_a_batch_agree_with_products(f, arguments):
    def g(x):
        y = f(x, *arguments[1:])
        return (y * np.cos(np.arange(y.size)).reshape(y.shape)).sum()

    x = arguments[0]
    h = tg.hessian(g)(x)
    assert h.shape == x.shape * 2
    v = np.random.default_rng(3).normal(size=x.shape)
    product = np.tensordot(h.data, v, x.ndim)
    np.testing.assert_allclose(product, tg.hvp(g, x, v).data, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(product, tg.jvp(tg.grad(g), [x], [v])[1].data, rtol=1e-9, atol=1e-11)


def test_every_primitive_with_a_derivative_has_a_line():
    made = set()
    for parameter in CASES:
        f, arguments = parameter.values
        y = f(*[tg.Tensor(a, requires_grad=True) for a in arguments])
        todo = [y]
        while todo:
            node = todo.pop()
            made |= {node.primitive.name} if node.primitive else set()
            todo.extend(node.inputs)
    assert {entry.name for entry in TABLE.values() if entry.differentiable} <= made


@pytest.mark.parametrize("entry", TABLE.values(), ids=list(TABLE))
def test_every_entry_is_complete(entry):
    assert entry.symbol
    assert callable(entry.value)
    assert all(rule is None or callable(rule) for rule in entry.rules)
    assert all(isinstance(name, str) for name in entry.params)
    if entry.latex is not None:
        assert len(entry.latex) <= 1 + len(entry.rules)


PARAMS = {
    "scalar_power": (3,),
    "root": (2,),
    "clip": (-0.5, 0.5),
    "astype": (np.dtype(np.float32),),
    "sum": (-1, False),
    "mean": (-1, True),
    "max": (-1, False),
    "min": (-1, True),
    "prod": (-1, False),
    "cumprod": (-1,),
    "cumsum": (-1,),
    "reshape": ((2, 2),),
    "transpose": ((0,),),
    "broadcast_to": ((3, 4),),
    "getitem": (np.array([1, 1, 3]), (ARRAY_SLOT,)),
    "scatter": (np.array([1, 1, 3, 0]), (ARRAY_SLOT,), (5,)),
    "concatenate": (-1,),
    "einsum": ("i,i->",),
}


def call_of(entry):
    """Inputs for a primitive, vectors of length 4 (for matmul matrices), and its parameters."""
    rng = np.random.default_rng(4)
    if entry is p.matmul:
        return [rng.normal(size=(2, 3)), rng.normal(size=(3, 4))], ()
    inputs = [rng.uniform(0.1, 1, 4) for _ in range(2 if entry.variadic else len(entry.rules))]
    if entry is p.arccosh:
        inputs[0] += 1
    if entry is p.where:
        inputs[0] = inputs[0] > 0.5
    return inputs, PARAMS.get(entry.name, ())


def names_of(entries):
    return {"argvalues": [e for e in TABLE.values() if entries(e)], "ids": lambda e: e.name}


@pytest.mark.parametrize("entry", **names_of(lambda e: e.differentiable and e.stacks))
def test_rules_said_to_take_a_stack_of_cotangents_do(entry):
    inputs, params = call_of(entry)
    y = entry.value(*inputs, *params)
    stack = np.random.default_rng(5).normal(size=(3, *y.shape))
    for rule in filter(None, entry.rules):
        found = rule(stack, y, *inputs, *params)
        for row, g in zip(found, stack, strict=True):
            np.testing.assert_array_equal(row, rule(g, y, *inputs, *params))


@pytest.mark.parametrize("entry", **names_of(lambda e: e.differentiable and e.elementwise))
def test_an_entry_said_to_be_elementwise_is(entry):
    inputs, params = call_of(entry)
    y = entry.value(*inputs, *params)
    g = np.random.default_rng(6).normal(size=y.shape)
    for k in range(y.size):
        each = [x[k] for x in inputs]
        assert entry.value(*each, *params) == y[k]
        for rule in filter(None, entry.rules):
            assert rule(g[k], y[k], *each, *params) == rule(g, y, *inputs, *params)[k]


@pytest.mark.parametrize("entry", **names_of(lambda e: e.differentiable))
def test_a_rule_takes_the_cotangent_the_value_and_then_the_arguments(entry):
    inputs, params = call_of(entry)
    for rule in entry.rules_for((*inputs, *params)):
        if rule is not None:
            assert list(inspect.signature(rule).parameters)[:2] == ["g", "y"]


# ── Ties, kinks and edges ─────────────────────────────────────────────────────────────────────────


def gradient(f, x, **dtype):
    t = tg.Tensor(np.asarray(x, float), requires_grad=True)
    f(t).sum().backward()
    return t.grad.tolist()


@pytest.mark.parametrize(
    ("name", "f", "x", "expected"),
    [
        ("max shares among ties", lambda t: t.max(), [1, 3, 3, 0], [0, 0.5, 0.5, 0]),
        ("max of equals", lambda t: t.max(), [2, 2, 2, 2], [0.25] * 4),
        ("max along an axis", lambda t: t.max(1), [[1, 1], [0, 1]], [[0.5, 0.5], [0, 1]]),
        ("min shares among ties", lambda t: t.min(), [1, 0, 0, 0], [0, 1 / 3, 1 / 3, 1 / 3]),
        ("maximum(a, a)", lambda t: tg.maximum(t, t), [1, 2], [1, 1]),
        ("maximum at a constant", lambda t: tg.maximum(t, 0), [-1, 0, 1], [0, 0.5, 1]),
        ("minimum at a constant", lambda t: np.minimum(t, 0), [-1, 0, 1], [1, 0.5, 0]),
        ("relu at 0", lambda t: t.relu(), [-1, 0, 1], [0, 0, 1]),
        ("abs at 0", abs, [-2, 0, 2], [-1, 0, 1]),
        ("clip at its ends", lambda t: t.clip(-1, 1), [-2, -1, 0, 1, 2], [0, 1, 1, 1, 0]),
        ("sqrt at 0", lambda t: t.sqrt(), [0, 4], [np.inf, 0.25]),
        ("log at 0", lambda t: t.log(), [0, 2], [np.inf, 0.5]),
        ("1/x at 0", lambda t: 1 / t, [0, 2], [-np.inf, -0.25]),
        ("x⁻¹ at 0", lambda t: t**-1, [0, 2], [-np.inf, -0.25]),
        ("x⁰ at 0", lambda t: t**0, [0, 2], [0, 0]),
        ("x² at 0", lambda t: t**2, [0, 2], [0, 4]),
        ("xᵇ at 0", lambda t: t ** np.array([0, 1, 2]), [0, 0, 0], [0, 1, 0]),
        ("aᵇ at a = 0, by b", lambda t: np.zeros(2) ** t, [1, 2], [0, 0]),
        ("aᵇ at a = 0, by negative and zero b", lambda t: np.zeros(2) ** t, [-1, 0], [-np.inf, 0]),
        ("x⁰ at infinity and nan", lambda t: t**0, [np.inf, -np.inf, np.nan], [0, 0, 0]),
        ("xᵇ at b = 0 and infinity", lambda t: t ** np.zeros(2), [np.inf, np.nan], [0, 0]),
        ("clip without an inside", lambda t: t.clip(2, 1), [1, 1.5, 2], [0, 0, 0]),
        ("clip with one bound", lambda t: t.clip(max=1), [0, 1, 2], [1, 1, 0]),
        ("norm at 0", tg.norm, [0, 0], [0, 0]),
        ("norm of order 3 at 0", lambda t: tg.norm(t, 3), [0, 0], [0, 0]),
        ("norm of order 1/2 with a 0", lambda t: tg.norm(t, 0.5), [0, 4], [0, 1]),
        ("norm of a row of 0", lambda t: tg.norm(t, axis=1), [[0, 0], [0, 4]], [[0, 0], [0, 1]]),
        ("std of equals", lambda t: t.std(), [2, 2, 2], [0, 0, 0]),
        ("std of a row of equals", lambda t: t.std(1), [[2, 2], [1, 3]], [[0, 0], [-0.5, 0.5]]),
        ("logaddexp of infinities", lambda t: tg.logaddexp(t, np.inf), [0, np.inf], [0, 0.5]),
        ("norm of order 0", lambda t: tg.norm(t, 0) + t.sum(), [0, 2], [1, 1]),
        ("sigmoid far out", lambda t: t.sigmoid(), [-1000, 1000], [0, 0]),
        ("the remedy of where's trap", lambda t: tg.where(t > 0, tg.where(t > 0, t, 1).log(), 0),
         [0, 2], [0, 0.5]),
    ],
)  # fmt: skip
def test_gradient_at_ties_kinks_and_edges(name, f, x, expected):
    assert gradient(f, x) == expected


@pytest.mark.parametrize("a", [0.5, 2.0, 1e100])
def test_the_mixed_derivative_of_a_power_at_b_0_is_1_over_a_in_either_order(a):
    def f(a, b):
        return a**b

    by_a_then_b = tg.grad(tg.grad(f, 0), 1)(a, 0.0).item()
    by_b_then_a = tg.grad(tg.grad(f, 1), 0)(a, 0.0).item()
    assert by_a_then_b == by_b_then_a == 1 / a
    hessian = tg.hessian(lambda v: v[0] ** v[1])([a, 0.0]).data
    np.testing.assert_allclose(hessian, [[0, 1 / a], [1 / a, np.log(a) ** 2]], rtol=1e-15)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (tg.norm, [0.0, 0.0]),
        (lambda t: tg.norm(t, 3), [0.0, 0.0]),
        (lambda t: t.std(), [1.0, 1.0]),
        (lambda t: t.std(ddof=1), [1.0, 1.0]),
    ],
)
def test_at_a_kink_the_slope_is_0_along_every_direction_and_the_second_derivative_is_nan(f, x):
    assert tg.grad(f)(x).data.tolist() == [0, 0]
    assert tg.jvp(f, [x], [[1.0, 2.0]])[1].item() == 0
    assert np.isnan(tg.hessian(f)(x).data).all()


REDUCTIONS_OF_A_NUMBER = ("sum", "mean", "var", "std", "max", "min", "cumsum", "argmax", "argmin")


@pytest.mark.parametrize("axis", [None, 0, -1, 1, (), (0,)])
@pytest.mark.parametrize("name", REDUCTIONS_OF_A_NUMBER)
def test_a_number_is_reduced_along_an_axis_as_numpy_does(name, axis):
    reduce = getattr(np, name)
    x = tg.Tensor(5.0, requires_grad=True)
    try:
        expected = reduce(np.float64(5), axis=axis)
    except (ValueError, TypeError) as error:
        with pytest.raises(TypeError if isinstance(error, TypeError) else ValueError):
            reduce(x, axis=axis)
        return
    y = reduce(x, axis=axis)
    assert y.shape == np.shape(expected)
    np.testing.assert_array_equal(y.data, expected)
    if y.requires_grad:
        y.sum().backward()
        assert x.grad == (name not in ("var", "std"))


@pytest.mark.parametrize(
    "parts",
    [(1.0, 2.0), (1.0, [2.0, 3.0], 4.0), ([1.0], 2.0), ([[1.0]], [[2.0]]), ([[1.0]], 2.0), (1.0,)],
)
@pytest.mark.parametrize("join", [np.hstack, np.vstack, np.stack, np.concatenate])
def test_numbers_and_arrays_are_joined_as_numpy_does(join, parts):
    tensors = [tg.Tensor(part, requires_grad=True) for part in parts]
    try:
        expected = join([np.array(part) for part in parts])
    except ValueError:
        with pytest.raises(ValueError):  # noqa: PT011  (whichever of them found it)
            join(tensors)
        return
    y = join(tensors)
    np.testing.assert_array_equal(y.data, expected)
    (y * y).sum().backward()
    for tensor in tensors:
        np.testing.assert_array_equal(tensor.grad, 2 * tensor.data)


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize(
    "indices",
    [1, -1, [0, 1], (0, 1), ((0, 1), (1, 1)), [True, False], True, (), [], np.array([[2], [0]])],
)
@pytest.mark.parametrize("x", [np.arange(3.0), np.arange(9.0).reshape(3, 3), np.array(7.0)])
def test_take_is_numpys(x, indices, axis):
    t = tg.Tensor(x, requires_grad=True)
    try:
        expected = np.take(x, indices, axis=axis)
    except IndexError:
        with pytest.raises(IndexError):
            np.take(t, indices, axis=axis)
        return
    y = np.take(t, indices, axis=axis)
    np.testing.assert_array_equal(y.data, expected)
    y.sum().backward()
    places = np.take(np.arange(x.size).reshape(x.shape), indices, axis=axis)
    counts = np.bincount(np.ravel(places).astype(int), minlength=x.size)
    np.testing.assert_array_equal(t.grad, counts.reshape(x.shape))


def test_take_refuses_what_is_no_index():
    with pytest.raises(TypeError, match="integer indices, got float64"):
        np.take(tg.Tensor([1.0, 2.0]), [0.5])


@pytest.mark.parametrize("n", [5_000, 80_000])
def test_halves_neither_overflow_in_reductions_nor_vanish_from_their_gradients(n):
    x = np.tile(np.float16([0, 300]), n // 2)
    for f, value, slopes in (
        (lambda t: t.mean(), 150, [1 / n, 1 / n]),
        (lambda t: t.std(), 150, [-1 / n, 1 / n]),
        (lambda t: t.max(), 300, [0, 2 / n]),
        (lambda t: tg.norm(t / 4096), 300 / 4096 * (n / 2) ** 0.5, [0, (2 / n) ** 0.5 / 4096]),
    ):
        t = tg.Tensor(x, requires_grad=True)
        y = f(t)
        y.backward()
        assert y.dtype == t.grad.dtype == np.float16
        np.testing.assert_allclose(y.data, value, rtol=1e-3)
        np.testing.assert_allclose(t.grad[:2], slopes, rtol=0.05, atol=1e-7)
    spread = tg.Tensor(x / np.float16(4)).var()
    assert (spread.item(), spread.dtype) == (np.float16(37.5**2), np.float16)


@pytest.mark.slow
@pytest.mark.parametrize("join", [tg.stack, np.hstack, tg.concatenate])
def test_joining_many_parts_takes_linear_time(join):
    def seconds():
        shape = (1,) if join is tg.concatenate else ()
        parts = [tg.Tensor(np.ones(shape), requires_grad=True) for _ in range(20_000)]
        start = time.perf_counter()
        join(parts).sum().backward()
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 1.5  # where n rules of n arguments take 8


def test_erf_of_integers_is_a_fraction():
    assert tg.Tensor([0, 1], dtype=int).erf().data.tolist() == [0, 0.8427007929497149]


def test_a_nan_stays_in_the_gradient_of_a_norm():
    assert np.isnan(tg.grad(tg.norm)([np.nan, 1.0]).data).all()


def test_means_of_nothing_of_integers_and_of_halves_that_would_overflow():
    assert np.isnan(tg.Tensor([]).mean().item())
    assert tg.Tensor(np.zeros((0, 2)), requires_grad=True).mean(0).shape == (2,)
    assert tg.Tensor([1, 2], dtype=int).mean().item() == 1.5
    half = tg.Tensor(np.full(10_000, 100, np.float16)).mean()
    assert (half.item(), half.dtype) == (100, np.float16)


def test_values_at_infinity_come_without_warnings():
    x = tg.Tensor([0.0, -1.0])
    assert x.log().data.tolist()[0] == -np.inf
    assert np.isnan(x.sqrt().data[1])
    assert (1 / x).data[0] == np.inf
    assert np.isnan((x / x).data[0])
    assert (x**-2).data[0] == np.inf


def test_sigmoid_neither_overflows_nor_loses_small_values():
    y = tg.Tensor([-1000.0, -40.0, 0.0, 40.0, 1000.0]).sigmoid().data
    np.testing.assert_allclose(y, [0, np.exp(-40), 0.5, 1, 1], rtol=1e-15)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
        lambda a, b: a == b,
        lambda a, b: a != b,
        lambda a, b: (a > b) & (a > 0),
        lambda a, b: (a > b) | (a > 0),
        lambda a, b: ~(a > b),
        lambda a, b: np.isfinite(a / b),
        lambda a, b: np.isnan(a / b),
        lambda a, b: np.sign(a - b),
        lambda a, b: (a - b).argmax(),
        lambda a, b: (a - b).argmin(0, keepdims=True),
    ],
)
def test_what_has_no_derivative_agrees_with_numpy_and_needs_no_gradient(f):
    a, b = np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 1.0])
    got = f(tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True))
    if "arg" in inspect.getsource(f):
        expected = (a - b).argmax() if got.ndim == 0 else (a - b).argmin(0, keepdims=True)
    else:
        with np.errstate(all="ignore"):
            expected = f(a, b)
    np.testing.assert_array_equal(got.data, expected)
    assert not got.requires_grad
