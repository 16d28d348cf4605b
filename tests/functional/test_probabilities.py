"""Softmax, its logarithms and one-hot rows."""

import tracemalloc

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce.engine import primitives as p

T = tg.Tensor
INF = np.inf


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax, F.logsumexp])
def test_derivatives_to_second_order(f):
    z = np.random.default_rng(0).normal(size=(3, 4))
    assert tg.gradcheck(f, z, order=2)
    assert tg.gradcheck(lambda z: f(z, 0), z, order=2)


def test_derivatives_by_the_complex_step_in_which_nothing_is_lost():
    z = np.random.default_rng(0).normal(size=(3, 4))
    for f in (F.softmax, F.log_softmax, F.logsumexp):
        assert tg.gradcheck(f, z, method="complex", rtol=1e-14)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_the_axis_can_be_any(axis):
    z = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_allclose(F.softmax(z, axis).sum(axis).data, 1)
    np.testing.assert_allclose(F.log_softmax(z, axis).exp().sum(axis).data, 1)
    np.testing.assert_allclose(
        F.logsumexp(z, axis).data, np.log(np.exp(z).sum(axis)), rtol=1e-14, atol=1e-15
    )
    assert F.logsumexp(z, axis, keepdims=True).shape == z.sum(axis, keepdims=True).shape


def test_softmax_and_its_logarithms_at_infinity():
    assert F.softmax([-INF, 0.0, 0.0]).data.tolist() == [0, 0.5, 0.5]
    assert F.logsumexp([-INF, -INF]).item() == -INF
    assert F.log_softmax([-INF, 0.0]).data.tolist() == [-INF, 0]
    assert F.log_softmax([0.0, 1e4]).data.tolist() == [-1e4, 0]


def test_a_common_constant_changes_nothing():
    z = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(F.softmax(z + 1024).data, F.softmax(z).data)


def test_one_hot():
    assert F.one_hot([[0, 2]], 3).data.tolist() == [[[1, 0, 0], [0, 0, 1]]]
    assert F.one_hot([], 3).shape == (0, 3)
    assert F.one_hot(1, 2, np.float32).dtype == np.float32
    for labels, error in (([3], IndexError), ([-1], IndexError), ([0.5], TypeError)):
        with pytest.raises(error):
            F.one_hot(labels, 3)


def test_each_opens_a_scope_of_its_name():
    z = T([1.0, 2.0], requires_grad=True)
    for f in (F.softmax, F.log_softmax, F.logsumexp):
        assert f(z).scope.path == f.__name__


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax, F.logsumexp])
def test_integers_are_refused(f):
    with pytest.raises(TypeError, match="floating point, got int64"):
        f(np.array([1, 2]))


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_row_without_a_possible_class_leaves_the_other_rows_alone(order):
    z = np.array([[-np.inf, -np.inf], [0.0, 0.0], [np.nan, 1.0], [-np.inf, 3.0]], order=order)
    np.testing.assert_allclose(F.logsumexp(z).data, [-np.inf, np.log(2), np.nan, 3.0])
    assert np.isneginf(F.logsumexp(z[0]).data)


def test_a_read_only_array_is_not_copied_to_find_its_largest_logits():
    z = np.random.default_rng(0).normal(size=(500, 200))
    lowest = float(np.finfo(z.dtype).min)
    expected, loss = z.max(1, keepdims=True), F.logsumexp(z).data
    logits = T(z, copy=False)
    tracemalloc.start()
    found = p.max_constant.value(logits._value, -1, lowest)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < z.nbytes / 10
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(F.logsumexp(logits).data, loss)


@pytest.mark.parametrize("n", [5_000, 70_000])
@pytest.mark.parametrize("axis", [0, 1])
def test_halves_are_computed_in_float32_and_rounded_at_the_end(n, axis):
    shape = (n, 2) if axis == 0 else (2, n)
    z = np.random.default_rng(0).normal(size=shape).astype(np.float16)
    g = np.random.default_rng(1).normal(size=shape)
    for f in (F.softmax, F.log_softmax, F.logsumexp):
        results, gradients = [], []
        for dtype in (np.float16, np.float64):
            x = T(z.astype(dtype), requires_grad=True)
            y = f(x, axis)
            y.backward((g if f is not F.logsumexp else g[0, :2]).astype(dtype))
            results.append(y.data)
            gradients.append(x.grad)
        assert results[0].dtype == gradients[0].dtype == np.float16
        np.testing.assert_allclose(results[0], results[1], rtol=2e-3, atol=1e-7)
        np.testing.assert_allclose(gradients[0], gradients[1], rtol=5e-3, atol=5e-3)
    sums = F.softmax(z, axis).data.astype(float).sum(axis)
    np.testing.assert_allclose(sums, 1, atol=2e-3)


@pytest.mark.parametrize(
    ("z", "value", "gradient"),
    [
        ([INF, 0.0, 5.0], INF, [1, 0, 0]),
        ([INF, 0.0, INF], INF, [0.5, 0, 0.5]),
        ([INF, -INF], INF, [1, 0]),
        ([-INF, -INF], -INF, [0.5, 0.5]),
        ([-INF, 0.0], 0, [0, 1]),
        ([np.nan, INF], np.nan, [np.nan, np.nan]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float16])
def test_logsumexp_at_infinity_is_the_limit_with_its_gradient(z, value, gradient, dtype):
    # A second row, which is as it would be alone; and logaddexp, of two, is the same.
    rows = np.array([z, [0.0] * len(z)], dtype)
    x = T(rows, requires_grad=True)
    with np.errstate(invalid="ignore"):
        y = F.logsumexp(x)
        y.sum().backward()
    np.testing.assert_array_equal(y.data[0], value)
    np.testing.assert_array_equal(x.grad[0], gradient)
    np.testing.assert_allclose(x.grad[1], 1 / len(z), rtol=1e-3)
    if len(z) == 2:
        a, b = (T(v, requires_grad=True) for v in np.array(z))
        with np.errstate(invalid="ignore"):
            pair = tg.logaddexp(a, b)
            pair.backward()
        np.testing.assert_array_equal(pair.data, value)
        np.testing.assert_array_equal([a.grad, b.grad], gradient)
