"""Derivatives as functions, nested, with closures, and the Hessian of cross-entropy."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce import functional as F

T = tg.Tensor
Z = np.array([2.0, 1.0, 0.1, -3.0])


def composed(z):
    """Cross-entropy with label 1, out of exp, sum, log and indexing."""
    return z.exp().sum().log() - z[1]


@pytest.mark.parametrize("f", [composed, lambda z: F.cross_entropy(z, 1)])
def test_the_hessian_of_cross_entropy_is_diag_p_minus_p_pt(f):
    expected = closed_form.cross_entropy_hessian(Z)
    for h in (tg.hessian(f)(Z), tg.jacobian(tg.grad(f))(Z)):
        np.testing.assert_allclose(h.data, expected, atol=3e-16, rtol=0)


def test_grad_of_grad_of_cross_entropy_is_a_row_of_the_hessian():
    row = tg.grad(lambda z: tg.grad(composed)(z)[2])(Z)
    np.testing.assert_allclose(row.data, closed_form.cross_entropy_hessian(Z)[2], atol=3e-16)


def test_hvp_is_the_hessian_times_a_vector():
    v = np.array([1.0, -2.0, 0.5, 3.0])
    expected = closed_form.cross_entropy_hessian(Z) @ v
    np.testing.assert_allclose(tg.hvp(composed, Z, v).data, expected, atol=1e-15)
    with pytest.raises(ValueError, match="shape of x"):
        tg.hvp(composed, Z, v[:2])


def test_derivatives_nest_to_any_order():
    f = lambda x: x**5  # noqa: E731
    expected = 2.0**5
    for order in range(6):
        assert f(T(2.0)).item() == expected
        f = tg.grad(f)
        expected = expected * (5 - order) / 2.0


def test_an_inner_derivative_does_not_confuse_its_variable_with_an_outer_one():
    # d/dx (x · d/dy (x + y)) = 1, not 2.
    assert tg.grad(lambda x: x * tg.grad(lambda y: x + y)(1.0))(1.0).item() == 1
    # The same tensor outside and inside: d/dx of d/dy (y·x) at y = x, which is x.
    assert tg.grad(lambda x: tg.grad(lambda y: y * x)(x))(3.0).item() == 1
    assert tg.grad(lambda x: tg.grad(lambda y: y * y * x)(x))(3.0).item() == 4 * 3


def test_closures_over_tensors_are_differentiated_from_outside():
    w = T(3.0, requires_grad=True)
    g = tg.grad(lambda x: w * w * x)(2.0)
    assert g.item() == 9
    g.backward()
    assert w.grad == 6


def test_a_tensor_that_requires_grad_can_be_the_argument():
    w = T([1.0, 2.0], requires_grad=True)
    g = tg.grad(lambda x: (x**3).sum())(w)
    assert g.data.tolist() == [3, 12]
    assert w.grad is None
    g.sum().backward()
    assert w.grad.tolist() == [6, 12]


def test_results_are_plain_where_nobody_outside_can_ask_for_more():
    g = tg.grad(lambda x: x**3)(2.0)
    assert (g.requires_grad, g.inputs) == (False, ())


def test_transforms_differentiate_inside_no_grad_and_record_nothing_outside_of_it():
    w = T(3.0, requires_grad=True)
    with tg.no_grad():
        g = tg.grad(lambda x: w * x * x)(2.0)
    assert g.item() == 12
    assert not g.requires_grad


def test_several_arguments():
    f = lambda a, b, c: (a * b).sum() + c  # noqa: E731
    a, b = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    ga, gb = tg.grad(f, (0, 1))([1.0, 2.0], b, 5.0)
    assert (ga.data.tolist(), gb.data.tolist()) == ([3, 4], [1, 2])
    assert tg.grad(f, 2)(a, b, 1.0).item() == 1
    assert tg.grad(f, -1)(a, b, 1.0).item() == 1
    value, gradient = tg.value_and_grad(f, 1)(a, b, 5.0)
    assert (value.item(), gradient.data.tolist()) == (16, [1, 2])


def test_arguments_that_are_not_numeric_are_passed_on():
    assert tg.grad(lambda x, name: x * len(name))(2.0, "abc").item() == 3
    assert tg.grad(lambda x, *, power: x**power)(2.0, power=3).item() == 12


def test_jacobian_has_the_shape_of_value_and_argument():
    j = tg.jacobian(lambda x: x.sum(0) * T([1.0, 2.0]))(np.ones((3, 2)))
    assert j.shape == (2, 3, 2)
    np.testing.assert_array_equal(j.data[1], [[0, 2]] * 3)
    scalar = tg.jacobian(lambda x: x * x)(3.0)
    assert (scalar.shape, scalar.item()) == ((), 6)
    empty = tg.jacobian(lambda x: x[:0])(np.ones(3))
    assert empty.shape == (0, 3)


def test_jacobian_of_softmax():
    j = tg.jacobian(F.softmax)(Z)
    np.testing.assert_allclose(j.data, closed_form.softmax_jacobian(Z), atol=1e-16)


def test_jacobian_in_parts_where_memory_is_short(monkeypatch):
    f = lambda x: F.softmax(x.reshape(3, 4)).reshape(-1)  # noqa: E731
    x = np.random.default_rng(0).normal(size=12)
    whole = tg.jacobian(f)(x)
    monkeypatch.setattr("tinygrad_ce.engine.transforms.MAX_BATCH", 60)
    np.testing.assert_array_equal(tg.jacobian(f)(x).data, whole.data)


def test_jvp_is_the_jacobian_times_the_tangents():
    rng = np.random.default_rng(0)
    a, b, va, vb = rng.normal(size=(4, 3))
    f = lambda a, b: F.softmax(a * b)  # noqa: E731
    ja, jb = tg.jacobian(f, (0, 1))(a, b)
    value, tangent = tg.jvp(f, [a, b], [va, vb])
    np.testing.assert_array_equal(value.data, f(T(a), T(b)).data)
    np.testing.assert_allclose(tangent.data, ja.data @ va + jb.data @ vb, atol=1e-15)
    assert not tangent.requires_grad


def test_jvp_nests_and_is_zero_where_nothing_depends():
    second = tg.grad(lambda x: tg.jvp(lambda z: z**3, [x], [1.0])[1])(2.0)
    assert second.item() == 12
    assert tg.jvp(lambda x: T([1.0, 2.0]), [3.0], [1.0])[1].data.tolist() == [0, 0]
    assert tg.jvp(lambda x: x, [3.0], [5.0])[1].item() == 5
    for tangents in ([], [np.ones(2)]):
        with pytest.raises(ValueError, match="tangent"):
            tg.jvp(lambda x: x, [3.0], tangents)


def test_hessian_over_several_arguments_is_in_blocks():
    h = tg.hessian(lambda a, b: a * a * b, (0, 1))(3.0, 5.0)
    assert [[block.item() for block in row] for row in h] == [[10, 6], [6, 0]]


def test_a_function_that_does_not_depend_on_its_argument_has_gradient_zero():
    assert tg.grad(lambda x: T(1.0))(2.0).item() == 0
    assert tg.hessian(lambda x: (3 * x).sum())(np.ones(2)).data.tolist() == [[0, 0], [0, 0]]


def test_vjp_can_be_pulled_back_again_and_again():
    y, pullback = tg.vjp(lambda a, b: a * b, [1.0, 2.0], [3.0, 4.0])
    assert y.data.tolist() == [3, 8]
    for _ in range(2):
        ga, gb = pullback([1.0, 1.0])
        assert (ga.data.tolist(), gb.data.tolist()) == ([3, 4], [1, 2])


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: tg.grad(lambda x: x)([1.0, 2.0]), ValueError, "one element"),
        (lambda: tg.grad(lambda x: 3.0)(1.0), TypeError, "must return a Tensor"),
        (lambda: tg.grad(lambda x: x, 1)(1.0), ValueError, "no argument 1"),
        (lambda: tg.grad(lambda x: x)("a"), TypeError, "must be"),
        (lambda: tg.grad(lambda x: x)(np.array([1])), TypeError, "floating point"),
        (lambda: tg.vjp(lambda x: x, [1.0])[1]([1.0, 2.0]), ValueError, "shape"),
    ],
)
def test_refuses_with_an_explanation(call, error, says):
    with pytest.raises(error, match=says):
        call()
