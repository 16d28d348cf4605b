"""The proof: expressions read from graphs have the engine's values, and collapse as claimed."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import sympy

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import symbolic
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.engine.graph import topological_order
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply
from tinygrad_ce.symbolic import expressions, prove, prove_equal, recording

T = tg.Tensor
TABLE = {entry for entry in vars(p).values() if isinstance(entry, Primitive)}
WITHOUT_EXPRESSION = {p.argmax, p.argmin, p.argsort}


def numbers(found, values):
    """Expressions evaluated for numbers in the place of symbols."""
    known = {
        sympy.Symbol(name, real=True): sympy.Float(value, 20) for name, value in values.items()
    }
    evaluated = [e.xreplace(known) for e in np.ravel(np.asarray(found, object))]
    evaluated = [bool(e) if e.is_Boolean else float(e.evalf(20)) for e in evaluated]
    return np.reshape(evaluated, np.shape(found))


def named(name, array):
    """The numbers of an array by the names of the symbols of its elements."""
    if array.size == 1:
        return {name: array.item()}
    return {
        "_".join([name, *(str(i + 1) for i in place)]): array[place]
        for place in np.ndindex(array.shape)
    }


# ── Expressions ───────────────────────────────────────────────────────────────────────────────────


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
    case("power/3", lambda a: a**3, (2,)),
    case("power/0", lambda a: a**0 * a, (2,)),
    case("power/0.5", lambda a: a**0.5, (2,), low=0.5),
    case("power/-1.5", lambda a: a**-1.5, (), low=0.5),
    case("pow", lambda a, b: a**b, (2, 2), (2,), low=0.5),
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
    case("clip/from above", lambda a: a.clip(hi=0.5) * a, (4,)),
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
    case("cumsum", lambda a: a.cumsum(0) * a, (3, 2)),
    case("einsum", lambda a, b: tg.einsum("ij,jk->ik", a, b), (2, 2), (2, 2)),
    case("einsum/three", lambda a, b, c: tg.einsum("ij,j,jk->k", a, b, c), (2, 2), (2,), (2, 2)),
    case("einsum/summed alone", lambda a, b: tg.einsum("ij,k->k", a, b), (2, 2), (2,)),
    case("broadcast_to", lambda a: a.broadcast_to(2, 3, 2) ** 2, (3, 1)),
    case("broadcast_to/scalar", lambda a: a.broadcast_to(2, 2) ** 2, ()),
    case("reshape", lambda a: a.reshape(3, -1) @ a, (2, 3)),
    case("reshape/to scalar", lambda a: a.reshape(()) ** 2, (1, 1)),
    case("transpose", lambda a: a.transpose(2, 0, 1) ** 2, (2, 1, 3)),
    case("cast", lambda a: (a > 0).astype(float) * a, (4,)),
    case("cast/to bool", lambda a: tg.where((a > 0).astype(bool), a, 0), (4,)),
    case("alias", lambda a: apply(p.identity, a) * a, (2,)),
    case("stop", lambda a: a.detach() * a, (2,)),
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
    case("scatter", lambda a: apply(p.scatter, a, ROWS, params=((p.ARRAY_SLOT,), (3, 2))), (3, 2)),
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
        with pytest.raises(RuntimeError, match="computing values and gradients"):
            y.backward()
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
    with pytest.raises(TypeError, match="the primitive cast cannot be read"):
        expressions(y, {x: "x"})


def test_a_users_primitive_is_read_if_its_value_is_written_in_operators():
    cube = Primitive("cube", "x³", "x^3", lambda x: x * x * x, (lambda g, y, x: 3 * g * x * x, ""))
    root = Primitive("cbrt", "∛", "", np.cbrt, (lambda g, y, x: g / (3 * y * y), ""))
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
    first = Primitive("first", "", "", lambda x: x if x.dtype == float else x[:1], None)
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


def test_an_expression_too_deep_for_sympy_says_what_to_do():
    x = T(1.0, requires_grad=True)
    y, middle = x, None
    for i in range(2000):
        y = y.sin()
        middle = y if i == 1990 else middle
    with pytest.raises(ValueError, match="nested too deeply for SymPy: give a tensor on the way"):
        expressions(y, {x: "x"})
    assert expressions(y, {middle: "s"}).free_symbols == {sympy.Symbol("s", real=True)}


# ── Proofs ────────────────────────────────────────────────────────────────────────────────────────


def naive(z, t):
    return -F.softmax(z)[t].log()


def spelled_out(z, t):
    return z.exp().sum().log() - z[t]


def of_a_batch(z, t):
    return F.cross_entropy(z.reshape(1, -1), [t])


LOSSES = [
    F.cross_entropy,
    naive,
    spelled_out,
    F.naive_cross_entropy,
    F.shifted_cross_entropy,
    F.margin_cross_entropy,
    of_a_batch,
]


@pytest.mark.parametrize("of", ["gradient", "hessian"])
@pytest.mark.parametrize("n_classes", [1, 2, 3])
@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.__name__)
def test_what_backprop_finds_is_the_closed_form_for_each_label(loss, n_classes, of):
    for target in range(n_classes):
        proof = prove(n_classes, target, of, loss)
        assert proof.holds
        assert not any(proof.difference.flat)
        assert proof.found.shape == proof.closed.shape == (n_classes,) * (1 + (of == "hessian"))


@pytest.mark.parametrize("of", ["gradient", "hessian"])
@pytest.mark.parametrize("n_classes", [4, 5])
def test_the_proof_for_more_classes_holds_for_each_label_and_is_written_out(n_classes, of):
    for target in range(n_classes):
        proof = prove(n_classes, target, of)
        assert proof.holds
        assert str(proof)
        assert proof.latex()


def test_the_maximum_is_a_symbol_so_that_its_value_does_not_matter():
    m = sympy.Symbol("m", real=True)
    proof = prove(3)
    assert all(m in e.free_symbols for e in proof.found)
    assert not any(m in e.free_symbols for e in proof.closed)


def test_steps_hold_what_backprop_computed_at_each_node():
    """Each value and gradient, evaluated, is the one that the engine computes at these numbers."""
    logits, target = np.array([0.3, -1.2, 0.7]), 1
    z = T(logits, requires_grad=True)
    e = z.exp()
    s = e.sum()
    log_s, z_t = s.log(), z[target]
    loss = log_s - z_t
    nodes = [z, e, s, log_s, z_t, loss]
    steps = prove(3, target, loss=spelled_out).steps
    values = named("z", logits)
    assert [step.primitive for step in steps] == ["", "exp", "sum", "log", "getitem", "subtract"]
    for step, node, gradient in zip(steps, nodes, tg.gradients(loss, nodes), strict=True):
        np.testing.assert_allclose(numbers(step.value, values), node.data, rtol=1e-15)
        np.testing.assert_allclose(numbers(step.gradient, values), gradient, rtol=1e-14)


def test_formulas_of_steps_put_into_one_another_give_the_values():
    for of in ("gradient", "hessian"):
        proof = prove(2, 0, of)
        known = {}
        for step in proof.steps:
            put_in = [e.xreplace(known) for e in step.formula.flat]
            if step.backprop is None:  # held constant
                continue
            assert put_in == list(step.value.flat)
            names = [step.name] if step.value.size == 1 else named(step.name, step.value)
            symbols = [sympy.Symbol(name, real=True) for name in names]
            known |= dict(zip(symbols, step.value.flat, strict=True))
        for step in proof.steps:
            if step.backprop is not None:
                assert [e.xreplace(known) for e in step.backprop.flat] == list(step.gradient.flat)


def test_names_of_tensors_are_used_in_the_derivation():
    def loss(z, t):
        counts = z.exp()
        counts.name = "counts"
        total = counts.sum()
        total.name = "not a name"
        return total.log() - z[t]

    names = [step.name for step in prove(2, loss=loss).steps]
    assert names == ["z", "counts", "a", "b", "c", "L"]


def test_many_nodes_have_distinct_names():
    def loss(z, t):
        for _ in range(60):
            z = z + 0
        return F.cross_entropy(z, t)

    proof = prove(2, loss=loss)
    names = [step.name for step in proof.steps]
    assert proof.holds
    assert len(names) > 60
    assert len(set(names)) == len(names)


def test_text_shows_the_chain_and_the_line_to_which_it_collapses():
    lines = [line.strip() for line in str(prove(3, 1)).splitlines()]
    assert lines[0] == "∂L/∂z = p − y, with p = softmax(z) and y = (0, 1, 0)"
    for line in (
        "∂L/∂a = (b₁/c, b₂/c − 1, b₃/c)",
        "c = exp(z₁ − m) + exp(z₂ − m) + exp(z₃ − m)",
        "∂L/∂z₂ = exp(z₂ − m)/c − 1 = p₂ − 1",
        "∂L/∂z₃ = exp(z₃ − m)/c = p₃",
    ):
        assert line in lines
    assert lines[-1] == "Proved: the difference simplifies to 0."
    hessian = str(prove(3, 1, "hessian"))
    assert "∂²L/∂z₂∂z₂ = (1/c − exp(z₂ − m)/c²)·exp(z₂ − m) = p₂ − p₂²\n" in hessian
    assert "∂²L/∂z₁∂z₂ = −exp(z₁ − m)·exp(z₂ − m)/c² = −p₁·p₂\n" in hessian


@pytest.mark.parametrize("of", ["gradient", "hessian"])
def test_text_of_cross_entropy_fits_a_terminal(of):
    assert max(map(len, str(prove(4, 2, of)).splitlines())) <= 120


@pytest.mark.parametrize("of", ["gradient", "hessian"])
@pytest.mark.parametrize("loss", [naive, spelled_out])
def test_latex_is_balanced_and_says_the_same(loss, of):
    latex = prove(3, 2, of, loss).latex()
    assert latex.startswith("\\begin{aligned}\n")
    assert latex.endswith("\n\\end{aligned}")
    for opening, closing in [("{", "}"), (r"\left(", r"\right)"), (r"\begin", r"\end")]:
        assert latex.count(opening) == latex.count(closing)
    assert all(line.count("&") for line in latex.splitlines()[1:-1])
    collapsed = r"= p_{3} - 1 \\" if of == "gradient" else r"= p_{3} - p_{3}^{2} \\"
    assert collapsed in latex
    assert latex.isascii()


def test_notebooks_show_latex():
    proof = prove(2)
    assert proof._repr_latex_() == f"$$\n{proof.latex()}\n$$"
    assert repr(proof) == "Proof(of='gradient', target=0, holds=True)"


# ── What is not so is not proved ──────────────────────────────────────────────────────────────────

NOT_CROSS_ENTROPY = {
    "twice": lambda z, t: 2 * F.cross_entropy(z, t),
    "another label": lambda z, t: F.cross_entropy(z, (t + 1) % 3),
    "smoothed": lambda z, t: F.cross_entropy(z, t, label_smoothing=0.1),
    "a sum for a logarithm": lambda z, t: z.exp().sum() - z[t],
    "almost": lambda z, t: F.cross_entropy(z, t) + z[0] * 1e-9,
    "linear": lambda z, t: z[t] - z[0],
    "the same at the numbers tried": lambda z, t: F.cross_entropy(z, t) + (z - 1).relu().sum(),
    "constant": lambda z, t: z.detach().sum() + 0 * z.sum(),
}


@pytest.mark.parametrize("loss", NOT_CROSS_ENTROPY.values(), ids=NOT_CROSS_ENTROPY)
def test_another_loss_is_not_proved_and_the_difference_is_shown(loss):
    proof = prove(3, 1, loss=loss)
    assert not proof.holds
    assert "≠" in str(proof)
    assert "Not proved. What is left of the difference:\n    ∂L/∂z" in str(proof)
    assert r"\ne" in proof.latex()


def test_another_second_derivative_is_not_proved():
    assert not prove(2, of="hessian", loss=lambda z, t: F.cross_entropy(z, t) * 2).holds
    assert not prove(2, of="hessian", loss=lambda z, t: z[0] - z[1]).holds
    linear = prove(2, of="hessian", loss=lambda z, t: F.cross_entropy(z, t) + z[0])
    assert linear.holds


WRONG_RULES = [
    (p.exp, (lambda g, y, x: g * x,), F.cross_entropy),
    (p.log, (lambda g, y, x: g * x,), F.cross_entropy),
    (p.log, (lambda g, y, x: -g / x,), F.cross_entropy),
    (p.sum_, (lambda g, y, x, axis, keepdims: 2 * p._spread(g, y, x, axis, keepdims),), naive),
    (p.divide, (lambda g, y, a, b: g / b, lambda g, y, a, b: g * y / b), naive),
]


@pytest.mark.parametrize(("primitive", "rules", "loss"), WRONG_RULES)
@pytest.mark.parametrize("of", ["gradient", "hessian"])
def test_a_wrong_rule_is_found(primitive, rules, loss, of, monkeypatch):
    monkeypatch.setattr(primitive, "rules", rules)
    proof = prove(3, 1, of, loss)
    assert not proof.holds
    assert any(proof.difference.flat)
    monkeypatch.undo()
    assert prove(3, 1, of, loss).holds


def test_a_wrong_sign_that_second_derivatives_cannot_see_is_found_in_the_gradient(monkeypatch):
    monkeypatch.setattr(p.subtract, "rules", (lambda g, y, a, b: g, lambda g, y, a, b: g))
    assert list(prove(3, 1).difference) == [0, 2, 0]
    assert prove(3, 1, "hessian").holds


def test_a_wrong_value_is_found(monkeypatch):
    """The reader takes what a primitive means from its value, where that can be read."""
    monkeypatch.setattr(p.mean, "value", p.sum_.value)
    assert not prove(2, loss=lambda z, t: F.cross_entropy(z, t) + (z * z).mean() - z.sum()).holds


def test_a_wrong_closed_form_is_not_proved():
    proof = prove(3, 1)
    wrong = proof.closed.copy()
    wrong[0] -= 1
    checked = prove_equal(proof.found, wrong)
    assert not checked.holds
    assert list(checked.difference) == [1, 0, 0]
    assert str(checked).endswith("Not proved. What is left of the difference:\n    found₁ = 1")


def test_the_difference_is_the_true_one():
    proof = prove(3, 0, loss=lambda z, t: F.cross_entropy(z, t) + (z * z).sum() / 2)
    z = sympy.symbols("z_1:4", real=True)
    assert list(proof.difference) == list(z)


# ── A user's own graph and closed form ────────────────────────────────────────────────────────────


def test_the_gradient_of_a_mean_over_rows():
    z = T(np.zeros((2, 3)), requires_grad=True)
    with recording():
        loss = F.cross_entropy(z, [2, 0])
        (gradient,) = tg.gradients(loss, [z], create_graph=True)
    e = np.vectorize(sympy.exp)(np.array(sympy.symbols("z_1:3_1:4", real=True)).reshape(2, 3))
    closed = (e / e.sum(1, keepdims=True) - np.eye(3, dtype=int)[[2, 0]]) / 2
    assert prove_equal(expressions(gradient, {z: "z"}), closed).holds
    assert not prove_equal(expressions(gradient, {z: "z"}), closed * 2).holds


def test_the_three_ways_to_write_the_loss_are_one_function():
    readings = []
    for loss in (naive, F.cross_entropy, F.margin_cross_entropy, spelled_out):
        z = T([0.2, 0.1, 0.3], requires_grad=True)
        with recording():
            value = loss(z, 1)
        readings.append(expressions(value, {z: "z"}))
    for one, another in itertools.pairwise(readings):
        assert prove_equal(one, another).holds


@pytest.mark.parametrize(
    ("f", "closed"),
    [
        (lambda x: x.tanh(), "1 / cosh(x)**2"),
        (lambda x: x.tanh(), "1 - tanh(x)**2"),
        (lambda x: x.sigmoid(), "exp(x) / (1 + exp(x))**2"),
        (lambda x: (x.exp() + 1).log(), "1 / (1 + exp(-x))"),
        (lambda x: tg.logaddexp(x, 2 * x), "(1 + 2 * exp(x)) / (1 + exp(x))"),
        (lambda x: x.relu(), "Piecewise((1, x > 0), (0, True))"),
        (lambda x: x.erf(), "2 / sqrt(pi) * exp(-x**2)"),
        (lambda x: x.sin() * x.cos(), "cos(2 * x)"),
        (lambda x: (x / 2).exp() ** 2, "exp(x)"),
        (lambda x: x.exp().exp(), "exp(x + exp(x))"),
    ],
)
def test_derivatives_of_the_calculus_book(f, closed):
    x = T(0.7, requires_grad=True)
    with recording():
        (slope,) = tg.gradients(f(x), [x], create_graph=True)
    found = expressions(slope, {x: "x"})
    expected = sympy.parse_expr(closed)
    assert prove_equal(found, expected).holds
    assert not prove_equal(found, expected + sympy.exp(sympy.Symbol("x")) / 1000).holds


def test_symbols_of_one_name_are_one_symbol():
    assert prove_equal(sympy.Symbol("x", real=True) ** 2, sympy.Symbol("x") ** 2).holds


def test_unequal_shapes_are_refused_and_not_broadcast():
    with pytest.raises(ValueError, match=r"found has shape \(2,\), closed has shape \(\)"):
        prove_equal([1, 1], 1)


def test_what_cannot_be_proved_is_refused():
    with pytest.raises(ValueError, match="of is gradient or hessian, got 'jacobian'"):
        prove(3, of="jacobian")
    with pytest.raises(ValueError, match="n_classes is 1 or more, got 0"):
        prove(0)
    for target in (-1, 3):
        with pytest.raises(IndexError, match=f"target {target} is out of range for 3 classes"):
            prove(3, target)
    with pytest.raises(TypeError, match="a loss returns a Tensor, got float"):
        prove(3, loss=lambda z, t: 0.0)
    with pytest.raises(RuntimeError, match="has 3 elements"):
        prove(3, loss=lambda z, t: z)


# ── SymPy is an extra ─────────────────────────────────────────────────────────────────────────────


def test_without_sympy_an_import_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    x = T([1.0, 2.0])
    for use in (lambda: prove(2), lambda: expressions(x, {x: "x"}), lambda: prove_equal(1, 1)):
        with pytest.raises(ImportError, match=r'pip install "tinygrad-ce\[symbolic\]"'):
            use()


def test_the_module_is_imported_without_sympy():
    code = "import sys, tinygrad_ce.symbolic; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert symbolic.__doc__
