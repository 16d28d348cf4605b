"""Expressions read from graphs have the values of the engine, at whatever numbers."""

import numpy as np
import pytest
import sympy
from symbols import named, numbers

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.kernels import ARRAY_SLOT
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply
from tinygrad_ce.symbolic import expressions, recording

T = tg.Tensor
TABLE = {entry for entry in vars(p).values() if isinstance(entry, Primitive)}
WITHOUT_EXPRESSION = {p.argmax, p.argmin, p.argsort}


def case(name, f, *shapes, low=-2.0, high=2.0):
    return pytest.param(f, shapes, low, high, id=name)


MASK = np.array([[True, False], [False, True]])
ROWS = T(np.array([2, 0, 2]))  # a place that is named twice


def chosen_by_comparisons(a, b):
    """Each comparison, and each way to combine them."""
    masks = [a < b, a <= b, a > b, a >= b, a == b, a != b]
    masks += [(a < b) & (a > 0), (a < b) | (a > 0), ~(a < b)]
    return sum(tg.where(mask, 2**i, 0) * a for i, mask in enumerate(masks))


CASES = [
    case("add", lambda a, b: a + b, (2, 2), (2,)),
    case("subtract", lambda a, b: a - b, (2, 1), (2,)),
    case("multiply", lambda a, b: a * b * a, (2, 2), ()),
    case("divide", lambda a, b: a / b, (2, 2), (2,), low=0.5),
    case("negative", lambda a: -a * a, (2,)),
    case("remainder", lambda a, b: a % b * a + (a // b) * b, (2,), (2,), low=1.1, high=1.9),
    case("float_power", np.float_power, (2, 2), (2,), low=0.5),
    case("scalar_power/3", lambda a: a**3, (2,)),
    case("scalar_power/0", lambda a: a**0 * a, (2,)),
    case("scalar_power/0.5", lambda a: a**0.5, (2,), low=0.5),
    case("scalar_power/-1.5", lambda a: a**-1.5, (), low=0.5),
    case("power", lambda a, b: a**b, (2, 2), (2,), low=0.5),
    case("matmul", lambda a, b: a @ b, (2, 3), (3, 2)),
    case("matmul/vectors", lambda a, b: a @ b, (3,), (3,)),
    case("exp", lambda a: a.exp(), (2,)),
    case("expm1", lambda a: a.expm1(), (2,)),
    case("log", lambda a: a.log(), (2,), low=0.5),
    case("log1p", lambda a: a.log1p(), (2,), low=-0.5),
    case("sqrt", lambda a: a.sqrt(), (2,), low=0.5),
    case("sin", lambda a: a.sin(), (2,)),
    case("cos", lambda a: a.cos(), (2,)),
    case("erf", lambda a: a.erf(), (2,)),
    case("gelu", F.gelu, (2,)),
    case("gelu/tanh", lambda a: F.gelu(a, "tanh"), (2,)),
    case("tanh", lambda a: a.tanh(), (2,)),
    case("sigmoid", lambda a: a.sigmoid(), (2,)),
    case("logaddexp", tg.logaddexp, (2, 2), (2,)),
    case("relu", lambda a: a.relu() * a, (4,)),
    case("abs", lambda a: abs(a) * a, (4,)),
    case("sign", lambda a: np.sign(a) * a, (4,)),
    case("clip", lambda a: a.clip(-0.5, 0.5) * a, (4,)),
    case("clip/from below", lambda a: a.clip(-0.5) * a, (4,)),
    case("clip/from above", lambda a: a.clip(max=0.5) * a, (4,)),
    case("maximum", tg.maximum, (2, 2), (2,)),
    case("minimum", lambda a, b: tg.minimum(a * b, b), (2, 2), (2,)),
    case("where", lambda a, b: tg.where(MASK, a, b) * a, (2, 2), (2,)),
    case("comparisons", chosen_by_comparisons, (3,), (3,)),
    case("finite", lambda a: tg.where(np.isfinite(a) & ~np.isnan(a), a, 0), (2,)),
    case("sum", lambda a: a.sum() ** 2, (2, 2)),
    case("sum/axis", lambda a: a.sum(1, keepdims=True) * a, (2, 2)),
    case("mean", lambda a: a.mean() * a, (3,)),
    case("mean/axes", lambda a: a.mean((0, 2)) ** 2, (2, 2, 2)),
    case("std", lambda a: a.std(0), (3, 2)),
    case("max", lambda a: a.max() ** 2, (2, 2)),
    case("max/axis", lambda a: a.max(1, keepdims=True) * a, (2, 2)),
    case("min/axes", lambda a: a.min((0, 1)) ** 2, (2, 2, 2)),
    *(
        case(f, getattr(np, f), (2,), low=0.1, high=0.9)
        for f in (
            "exp2", "log2", "log10", "cbrt", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh",
            "arcsinh", "arctanh",
        )
    ),
    case("arccosh", np.arccosh, (2,), low=1.2),
    *(case(f, getattr(np, f), (2,), (2,), low=0.2) for f in ("hypot", "arctan2", "logaddexp2")),
    case("prod", lambda a: np.prod(a, 1) ** 2, (2, 3)),
    case("cumprod", lambda a: np.cumprod(a) ** 2, (3,)),
    case("cumsum", lambda a: a.cumsum(0) * a, (3, 2)),
    case("einsum", lambda a, b: tg.einsum("ij,jk->ik", a, b), (2, 2), (2, 2)),
    case("einsum/three", lambda a, b, c: tg.einsum("ij,j,jk->k", a, b, c), (2, 2), (2,), (2, 2)),
    case("einsum/summed alone", lambda a, b: tg.einsum("ij,k->k", a, b), (2, 2), (2,)),
    case("broadcast_to", lambda a: a.broadcast_to(2, 3, 2) ** 2, (3, 1)),
    case("broadcast_to/scalar", lambda a: a.broadcast_to(2, 2) ** 2, ()),
    case("reshape", lambda a: a.reshape(3, -1) @ a, (2, 3)),
    case("reshape/to scalar", lambda a: a.reshape(()) ** 2, (1, 1)),
    case("transpose", lambda a: a.transpose(2, 0, 1) ** 2, (2, 1, 3)),
    case("astype", lambda a: (a > 0).astype(float) * a, (4,)),
    case("astype/to bool", lambda a: tg.where((a > 0).astype(bool), a, 0), (4,)),
    case("identity", lambda a: apply(p.identity, a) * a, (2,)),
    case("stop_gradient", lambda a: a.detach() * a, (2,)),
    case("copy", lambda a: T(a) * a, (2,)),
    case("concatenate", lambda a, b: np.concatenate([a, b * b, a]) ** 2, (1, 2), (2, 2)),
    case("stack", lambda a, b: tg.stack([a, b], axis=1) ** 2, (2,), (2,)),
    case("getitem", lambda a: a[1, ::-1] * a[-1], (2, 3)),
    case("getitem/one", lambda a: a[1] ** 2, (3,)),
    case("getitem/new axis", lambda a: a[..., None, 0] ** 2, (2, 3)),
    case("getitem/repeated", lambda a: a[[0, 2, 2], [1, 0, 0]] ** 2, (3, 2)),
    case("getitem/mask", lambda a: a[MASK] ** 2, (2, 2)),
    case("getitem/of scalar", lambda a: a[None] ** 2, ()),
    case("getitem/Tensor", lambda a: a[T(np.array([1, 1]))] ** 2, (2,)),
    case("scatter", lambda a: apply(p.scatter, a, ROWS, params=((ARRAY_SLOT,), (3, 2))), (3, 2)),
    case("softmax", F.softmax, (2, 3)),
    case("log_softmax", F.log_softmax, (3,)),
    case("logsumexp", lambda a: F.logsumexp(a, axis=0, keepdims=True) * a, (3, 2)),
    case("cross_entropy", lambda a: F.cross_entropy(a, [2, 0]), (2, 3)),
    case("cross_entropy/distributions", F.cross_entropy, (2, 3), (2, 3), low=0.1),
    case("cross_entropy/smoothed", lambda a: F.cross_entropy(a, 1, label_smoothing=0.1), (3,)),
    case("margin", lambda a: F.margin_cross_entropy(a, 1), (3,)),
    case("empty", lambda a, b: (a * b).sum(0) + (a.T @ a).sum(), (0, 2), (2,)),
]  # fmt: skip


def recorded(f, arrays):
    """f of arrays, and the gradients of its weighted sum: what is zero by symmetry is not then."""
    tensors = [T(a, requires_grad=True) for a in arrays]
    with recording():
        y = f(*tensors)
        weights = np.arange(1.0, y.size + 1).reshape(y.shape)
        gradients = tg.gradients(y, tensors, cotangent=T(weights), create_graph=True)
    return tensors, [y, *gradients]


@pytest.mark.parametrize(("f", "shapes", "low", "high"), CASES)
def test_expressions_have_the_values_of_the_engine_also_at_other_numbers(f, shapes, low, high):
    rng = np.random.default_rng(3)
    tensors, outputs = recorded(f, [rng.uniform(low, high, shape) for shape in shapes])
    symbols = dict(zip(tensors, "abc", strict=False))
    found = [expressions(output, symbols) for output in outputs]
    for _ in range(2):
        arrays = [rng.uniform(low, high, shape) for shape in shapes]
        values = {}
        for name, array in zip("abc", arrays, strict=False):
            values |= named(name, array)
        for read, output in zip(found, recorded(f, arrays)[1], strict=True):
            assert np.shape(read) == output.shape
            np.testing.assert_allclose(numbers(read, values), output.data, rtol=1e-12, atol=1e-12)


def test_each_primitive_is_read_by_a_case_here_or_has_no_expression():
    rng = np.random.default_rng(3)
    seen = set()
    for f, shapes, low, high in (c.values for c in CASES):
        _, outputs = recorded(f, [rng.uniform(low, high, shape) for shape in shapes])
        seen |= {node.primitive for node in topological_order(*outputs)}
    assert TABLE - seen == WITHOUT_EXPRESSION


def test_a_scalar_is_an_expression_and_a_vector_an_array_of_its_shape():
    x = T([[1.0, 2.0]], requires_grad=True)
    assert isinstance(expressions(x.sum(), {x: "x"}), sympy.Expr)
    read = expressions(x * 2, {x: "x"})
    assert (type(read), read.shape, read.dtype) == (np.ndarray, (1, 2), object)


def test_symbols_can_be_given_as_an_array():
    z = T([1.0, 2.0], requires_grad=True)
    a, b = sympy.symbols("a b", positive=True)
    assert expressions(z.sum(), {z: [a, b]}) == a + b
    assert expressions(z[0], {z: np.array([a, b])}) == a
    assert expressions(z[0] * z[0], {z: sympy.Array([a, b])}) == a * a


def test_a_tensor_on_the_way_can_have_a_symbol():
    x = T([1.0, 2.0], requires_grad=True)
    s = x.exp().sum()
    assert expressions(s.log() + s, {s: "s"}) == sympy.parse_expr(
        "log(s) + s", {"s": sympy.Symbol("s", real=True)}
    )


@pytest.mark.parametrize(
    ("number", "exact"),
    [
        (2, "2"),
        (0.1, "1/10"),
        (-1 / 3, "-1/3"),
        (2 / 7, "2/7"),
        (1e-15, "1/10**15"),
        (2.0**-60, "1/2**60"),
        (np.pi, "pi"),
        (np.sqrt(2), "sqrt(2)"),
        (np.inf, "oo"),
        (np.float32(0.1), "1/10"),
        (np.array([True, False]), "[True, False]"),
    ],
)
def test_numbers_are_exact_where_they_can_be(number, exact):
    assert np.all(expressions(T(number), {}) == sympy.sympify(exact))


def test_a_mean_divides_by_a_whole_number():
    x = T([1.0, 2.0, 4.0], requires_grad=True)
    (gradient,) = tg.gradients(x.mean(), [x], create_graph=True)
    assert list(expressions(gradient, {x: "x"})) == [sympy.Rational(1, 3)] * 3


def test_without_recording_a_choice_is_the_one_that_was_made():
    x = T([-1.0, 2.0], requires_grad=True)
    (slope,) = tg.gradients(x.relu().sum(), [x], create_graph=True)
    assert list(expressions(slope, {x: "x"})) == [0, 1]


def test_recording_changes_no_gradient():
    z = T([1.0, 3.0, 2.0], requires_grad=True)
    plain = tg.gradients(F.margin_cross_entropy(z, 0), [z])
    with recording():
        (inside,) = tg.gradients(F.margin_cross_entropy(z, 0), [z], create_graph=True)
    np.testing.assert_array_equal(inside.data, plain[0])


def test_recording_refuses_what_the_graph_would_not_show():
    x = T([1.0, 2.0], requires_grad=True)
    with recording():
        y = x.sum()
        for read in (y.item, lambda: float(y), lambda: bool(y > 1), lambda: y.data):
            with pytest.raises(
                RuntimeError, match=r"sum result .* read inside of recording|greater"
            ):
                read()
    assert y.item() == 3


@pytest.mark.parametrize(
    "use",
    [
        lambda x, y: setattr(x, "data", np.ones(2)),
        lambda x, y: x.grad,
        lambda x, y: setattr(x, "grad", None),
        lambda x, y: y.backward(),
        lambda x, y: tg.sample(np.random.default_rng(0).random, 3),
        lambda x, y: tg.optim.SGD([x], lr=0.1).step(),
        lambda x, y: tg.optim.SGD([x], lr=0.1).zero_grad(),
    ],
    ids=["assign", "grad", "set grad", "backward", "sample", "step", "zero_grad"],
)
def test_recording_refuses_what_is_more_than_values_and_gradients(use):
    x = T([1.0, 2.0], requires_grad=True)
    with recording():
        y = x.sum()
        with pytest.raises(RuntimeError, match="computing values and gradients"):
            use(x, y)
    assert x.grad is None
    assert y.item() == 3


def test_an_index_that_depends_on_symbols_is_refused():
    x = T([1.0, 2.0], requires_grad=True)
    with recording():
        y = x[x > 1]
    with pytest.raises(TypeError, match=r"getitem cannot be read .* its index depends on symbols"):
        expressions(y, {x: "x"})


@pytest.mark.parametrize("method", ["argmax", "argmin"])
def test_a_primitive_without_expression_is_named(method):
    x = T([1.0, 2.0], requires_grad=True)
    with recording():
        place = getattr(x, method)()
    with pytest.raises(TypeError, match=f"the primitive {method} cannot be read"):
        expressions(place, {x: "x"})


def test_sorting_while_recording_is_refused_by_name():
    x = T([1.0, 2.0], requires_grad=True)
    with recording():
        y = tg.sort(x)
    with pytest.raises(TypeError, match="the primitive argsort cannot be read"):
        expressions(y, {x: "x"})


def test_rounding_to_an_integer_is_refused():
    x = T([1.5], requires_grad=True)
    with recording():
        y = x.astype(int)
    with pytest.raises(TypeError, match="the primitive astype cannot be read"):
        expressions(y, {x: "x"})


def test_a_users_primitive_is_read_if_its_value_is_written_in_operators():
    cube = Primitive("cube", "x³", lambda x: x * x * x, lambda g, y, x: 3 * g * x * x)
    root = Primitive("cbrt", "∛", np.cbrt, lambda g, y, x: g / (3 * y * y))
    x = T([2.0, 3.0], requires_grad=True)
    symbol = sympy.Symbol("x_1", real=True)
    assert expressions(apply(cube, x), {x: "x"})[0] == symbol**3
    with pytest.raises(
        TypeError, match=r"the primitive cbrt cannot be read .* symbol can stand for"
    ):
        expressions(apply(root, x), {x: "x"})
    y = apply(root, x)
    assert expressions(y.sum(), {y: [symbol, symbol]}) == 2 * symbol


def test_a_value_that_means_something_else_for_expressions_is_refused():
    first = Primitive("first", "", lambda x: x if x.dtype == float else x[:1], None)
    x = T([1.0, 2.0], requires_grad=True)
    with recording():
        y = apply(first, x)
    with pytest.raises(TypeError, match=r"its value has another shape, \(1,\)"):
        expressions(y, {x: "x"})


def test_wrong_symbols_are_refused():
    x = T([1.0, 2.0], requires_grad=True, name="x")
    with pytest.raises(ValueError, match=r"tensor 'x' needs symbols of its shape \(2,\), got .*3"):
        expressions(x, {x: sympy.symbols("a b c")})
    with pytest.raises(TypeError, match="stand for Tensors, got str"):
        expressions(x, {"x": "x"})


def test_a_freed_graph_is_refused():
    x = T(1.0, requires_grad=True)
    y = x * x
    y.backward()
    with pytest.raises(tg.FreedGraphError):
        expressions(y, {x: "x"})


def test_a_chain_of_thousands_of_nodes_is_read_without_recursion():
    x, a = T(1.0, requires_grad=True), T(2.0, requires_grad=True)
    y = x
    for _ in range(3000):
        y = a - y
    assert expressions(y, {x: "x", a: "a"}) == sympy.Symbol("x", real=True)


@pytest.mark.slow
def test_an_expression_too_deep_for_sympy_says_what_to_do():
    x = T(1.0, requires_grad=True)
    y, middle = x, None
    for i in range(2000):
        y = y.sin()
        middle = y if i == 1990 else middle
    with pytest.raises(ValueError, match="nested too deeply for SymPy: give a tensor on the way"):
        expressions(y, {x: "x"})
    assert expressions(y, {middle: "s"}).free_symbols == {sympy.Symbol("s", real=True)}
