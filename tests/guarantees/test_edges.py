"""Edges that the table of primitives leaves to a guarantee."""

import numpy as np
import pytest
from attacks import V

import tinygrad_ce as tg
from tinygrad_ce.engine.primitives import Primitive
from tinygrad_ce.engine.tensor import apply

T = tg.Tensor


def test_the_second_derivative_of_a_power_is_finite_at_base_and_exponent_0():
    def f(a):
        return (a ** np.array([0.0, 0.0, 1.0, 2.0])).sum()

    assert tg.grad(f)(np.zeros(4)).data.tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(tg.hessian(f)(np.zeros(4)).data, np.diag([0.0, 0.0, 0.0, 2.0]))


def test_ties_keep_their_order_when_sorted_however_many_they_are():
    x = np.random.default_rng(0).integers(0, 5, 2000).astype(float)
    order = np.argsort(x, kind="stable")
    np.testing.assert_array_equal(np.argsort(T(x)).data, order)
    t = T(x, requires_grad=True)
    tg.sort(t).backward(np.arange(2000.0))
    np.testing.assert_array_equal(t.grad[order], np.arange(2000.0))


@pytest.mark.parametrize("dtype", [int, bool, np.uint8])
def test_no_gradient_flows_through_integers_and_booleans(dtype):
    x = T([1.0, 2.0], requires_grad=True)
    y = x.astype(dtype)
    assert not y.requires_grad
    (x * y).sum().backward()
    assert x.grad.tolist() == y.data.astype(float).tolist()


def test_the_gradient_flows_to_the_tangents_and_cotangents_of_a_transform():
    assert tg.grad(lambda v: tg.jvp(lambda x: x**3, [2.0], [v])[1])(1.0).item() == 12
    assert tg.grad(lambda v: tg.hvp(lambda x: (x**3).sum(), V, v).sum())(V).data.tolist() == [6, 12]
    assert tg.grad(lambda u: tg.vjp(lambda x: x * x, V)[1](u).sum())(V).data.tolist() == [2, 4]
    u = T(V, requires_grad=True)
    tg.vjp(lambda x: x * x, V)[1](u).sum().backward()
    assert u.grad.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("j,j->", [(1,), (3,)]),
        ("ij,ij->i", [(2, 1), (2, 3)]),
        ("ij,ij->j", [(1, 3), (2, 1)]),
        ("ij,jk->ik", [(2, 1), (3, 2)]),
        ("...j,...j->...", [(1, 3), (2, 1)]),
        ("i,i,i->", [(1,), (3,), (1,)]),
    ],
)
def test_einsum_broadcasts_lengths_of_1_as_numpy_does(subscripts, shapes):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in shapes]
    y = tg.einsum(subscripts, *arrays)
    np.testing.assert_allclose(y.data, np.einsum(subscripts, *arrays), rtol=1e-14)
    assert tg.gradcheck(lambda *xs: tg.einsum(subscripts, *xs), *arrays, order=2)


@pytest.mark.parametrize("axes", [(0, 2), (1, 5), (-3, 0), (0, -1, 3)])
def test_transpose_refuses_axes_that_are_not_there(axes):
    x = T(np.ones((2, 3)))
    with pytest.raises((ValueError, IndexError), match=r"axis|axes"):
        x.transpose(*axes)
    with pytest.raises((ValueError, IndexError), match=r"axis|axes"):
        np.transpose(x, axes)


def test_stacks_and_joins_take_python_numbers_as_numpy_does():
    w = T(3.0, requires_grad=True)
    tg.stack([w, 1.0, w * w]).backward([1.0, 2.0, 3.0])
    assert w.grad == 1 + 3 * 6
    assert tg.stack([1, 2.5]).data.tolist() == [1, 2.5]
    assert tg.concatenate([1.0, T([2.0, 3.0])], None).data.tolist() == [1, 2, 3]


@pytest.mark.parametrize("reduction", ["sum", "mean", "max", "min", "var", "std"])
@pytest.mark.parametrize("axis", [None, 0, -1, ()])
def test_reductions_of_a_single_number_are_those_of_numpy(reduction, axis):
    x = np.float64(3.0)
    t = T(x, requires_grad=True)
    try:
        expected = getattr(np, reduction)(x, axis=axis)
    except np.exceptions.AxisError:  # of NumPy's, some know an axis 0 of a number, and some do not
        with pytest.raises((ValueError, IndexError)):
            getattr(t, reduction)(axis)
    else:
        y = getattr(t, reduction)(axis)
        assert (y.shape, y.item()) == ((), expected)


@pytest.mark.parametrize("ord", [None, 1, 1.5, 2, 3, np.inf])
def test_the_norm_has_slope_0_at_0_and_hides_no_nan(ord):
    x = T(np.zeros(3), requires_grad=True)
    tg.norm(x, ord).backward()
    assert x.grad.tolist() == [0, 0, 0]
    x = T([np.nan, 1.0, 2.0], requires_grad=True)
    y = tg.norm(x, ord)
    y.backward()
    assert np.isnan(y.item())
    assert np.isnan(x.grad[0])


@pytest.mark.parametrize("dtype", [">f8", "<f4", ">f4", ">f2", np.float16])
def test_compare_counts_units_in_the_last_place_in_any_byte_order(dtype):
    one = np.ones(2, dtype)
    other = one.copy()
    other[1] += np.finfo(np.dtype(dtype)).eps
    c = tg.compare(other, one)
    assert (c.exact, c.close, c.max_ulp) == (False, True, 1)


@pytest.mark.parametrize("factor", [1 + 1e-5, 1 - 1e-5])
def test_central_differences_see_an_error_of_a_hundred_thousandth(factor):
    wrong = Primitive("wrong", "w", np.exp, lambda g, y, x: g * y * factor)
    assert tg.gradcheck(lambda x: x.exp() * 1000, [0.5, 2.0], method="central")
    with pytest.raises(tg.GradcheckError, match="central differences"):
        tg.gradcheck(lambda x: apply(wrong, x) * 1000, [0.5, 2.0], method="central")
