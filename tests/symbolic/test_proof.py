"""The proof: what backprop finds simplifies to the closed form, and nothing else does."""

import itertools
import subprocess
import sys

import numpy as np
import pytest
import sympy
from symbols import named, numbers

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import symbolic
from tinygrad_ce.engine import primitives as p
from tinygrad_ce.symbolic import expressions, prove, prove_equal, recording

T = tg.Tensor


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
        assert proof.actual.shape == proof.expected.shape == (n_classes,) * (1 + (of == "hessian"))


@pytest.mark.slow
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
    assert all(m in e.free_symbols for e in proof.actual)
    assert not any(m in e.free_symbols for e in proof.expected)


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


def test_text_shows_the_derivation_and_the_closed_form_in_p():
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
    in_p = r"= p_{3} - 1 \\" if of == "gradient" else r"= p_{3} - p_{3}^{2} \\"
    assert in_p in latex
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
    (p.sum_, (lambda g, y, x, axis, keepdims: 2 * p._sum_vjp(g, y, x, axis, keepdims),), naive),
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
    wrong = proof.expected.copy()
    wrong[0] -= 1
    checked = prove_equal(proof.actual, wrong)
    assert not checked.holds
    assert list(checked.difference) == [1, 0, 0]
    assert str(checked).endswith("Not proved. What is left of the difference:\n    actual₁ = 1")


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
    with pytest.raises(ValueError, match=r"actual has shape \(2,\), expected has shape \(\)"):
        prove_equal([1, 1], 1)


def test_what_cannot_be_proved_is_refused():
    with pytest.raises(ValueError, match="of is one of gradient, hessian, got 'jacobian'"):
        prove(3, of="jacobian")
    with pytest.raises(ValueError, match="n_classes is 0: expected at least 1"):
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


@pytest.mark.slow
def test_the_module_is_imported_without_sympy():
    code = "import sys, tinygrad_ce.symbolic; sys.exit('sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert symbolic.__doc__
