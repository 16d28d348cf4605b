"""Softmax and cross-entropy: against the closed form, and where logits are extreme."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce import functional as F

T = tg.Tensor
INF = np.inf


def loss_and_gradient(logits, target, **options):
    z = T(logits, requires_grad=True)
    loss = F.cross_entropy(z, target, **options)
    loss.sum().backward()
    return loss.data, z.grad


def test_nobody_put_softmax_minus_one_hot_in():
    z = T([2.0, 1.0, 0.1], requires_grad=True)
    loss = z.exp().sum().log() - z[0]
    loss.backward()
    p = np.exp(z.data) / np.exp(z.data).sum()
    np.testing.assert_allclose(z.grad, p - [1, 0, 0], atol=2e-16)


def test_gradient_equals_the_closed_form_on_a_thousand_random_sets():
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(1000):
        n, c = rng.integers(1, 5), rng.integers(2, 1001)
        z = rng.normal(size=(n, c)) * 10 ** rng.uniform(-3, 4)
        t = rng.integers(0, c, n)
        _, g = loss_and_gradient(z, t, reduction="sum")
        worst = max(worst, np.abs(g - closed_form.cross_entropy_grad(z, t, "sum")).max())
    assert worst <= 4e-16


shapes = hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5)
floats = st.floats(-1e4, 1e4, width=16)


@settings(max_examples=200)
@given(
    hnp.arrays(st.sampled_from([np.float32, np.float64]), shapes, elements=floats),
    st.sampled_from(F.REDUCTIONS),
    st.data(),
)
def test_any_shape_dtype_and_reduction_agrees_with_the_closed_form(z, reduction, data):
    classes = z.shape[-1]
    t = data.draw(hnp.arrays(np.int64, z.shape[:-1], elements=st.integers(0, classes - 1)))
    loss, g = loss_and_gradient(z, t, reduction=reduction)
    rows, labels = z.reshape(-1, classes), t.reshape(-1)
    expected = closed_form.cross_entropy(rows, labels, reduction)
    eps = np.finfo(z.dtype).eps
    assert (loss.dtype, g.dtype) == (z.dtype, z.dtype)
    np.testing.assert_allclose(loss.reshape(np.shape(expected)), expected, rtol=8 * eps, atol=0)
    np.testing.assert_allclose(
        g.reshape(rows.shape),
        closed_form.cross_entropy_grad(rows, labels, reduction),
        rtol=0,
        atol=4 * eps,
    )
    assert loss.shape == (z.shape[:-1] if reduction == "none" else ())


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_the_class_axis_can_be_any(axis):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(2, 3, 4))
    classes = z.shape[axis]
    last = np.moveaxis(z, axis, -1)
    t = rng.integers(0, classes, last.shape[:-1])
    loss, g = loss_and_gradient(z, t, axis=axis, reduction="none")
    expected, g_last = loss_and_gradient(last, t, reduction="none")
    np.testing.assert_array_equal(loss, expected)
    np.testing.assert_array_equal(g, np.moveaxis(g_last, -1, axis))
    np.testing.assert_allclose(F.softmax(z, axis).sum(axis).data, 1)
    np.testing.assert_allclose(F.log_softmax(z, axis).exp().sum(axis).data, 1)
    np.testing.assert_allclose(
        F.logsumexp(z, axis).data, np.log(np.exp(z).sum(axis)), rtol=1e-14, atol=1e-15
    )
    assert F.logsumexp(z, axis, keepdims=True).shape == z.sum(axis, keepdims=True).shape


@pytest.mark.parametrize("f", [F.softmax, F.log_softmax, F.logsumexp])
def test_derivatives_to_second_order(f):
    z = np.random.default_rng(0).normal(size=(3, 4))
    assert tg.gradcheck(f, z, order=2)
    assert tg.gradcheck(lambda z: f(z, 0), z, order=2)


@pytest.mark.parametrize("reduction", F.REDUCTIONS)
def test_cross_entropy_to_second_order(reduction):
    z = np.random.default_rng(0).normal(size=(3, 4))
    assert tg.gradcheck(lambda z: F.cross_entropy(z, [0, 3, 1], reduction=reduction), z, order=2)


@pytest.mark.parametrize(
    ("logits", "target", "loss", "gradient"),
    [
        ([1e4, -1e4], 0, 0, [0, 0]),
        ([1e4, -1e4], 1, 20000, [1, -1]),
        ([-INF, 0.0, 0.0], 1, np.log(2), [0, -0.5, 0.5]),
        ([-INF, 0.0], 0, INF, [-1, 1]),
        ([3.0], 0, 0, [0]),
        ([0.0, 1e308], 1, 0, [0, 0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_extreme_logits(logits, target, loss, gradient, dtype):
    if dtype == np.float32 and 1e308 in logits:
        logits = [0.0, 1e38]
    got, g = loss_and_gradient(np.array(logits, dtype), target)
    assert got == dtype(loss)
    np.testing.assert_array_equal(g, np.array(gradient, dtype))


@pytest.mark.parametrize(("reduction", "loss"), [("mean", np.nan), ("sum", 0.0), ("none", [])])
def test_an_empty_batch(reduction, loss):
    got, g = loss_and_gradient(np.zeros((0, 3)), np.zeros(0, int), reduction=reduction)
    np.testing.assert_array_equal(got, loss)
    assert g.shape == (0, 3)


def test_softmax_and_its_logarithms_at_infinity():
    assert F.softmax([-INF, 0.0, 0.0]).data.tolist() == [0, 0.5, 0.5]
    assert F.logsumexp([-INF, -INF]).item() == -INF
    assert F.log_softmax([-INF, 0.0]).data.tolist() == [-INF, 0]
    assert F.log_softmax([0.0, 1e4]).data.tolist() == [-1e4, 0]


def test_a_common_constant_changes_nothing():
    z = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(F.softmax(z + 1024).data, F.softmax(z).data)


@pytest.mark.parametrize(
    ("logits", "target", "options", "error", "says"),
    [
        (np.zeros((20, 3)), [0] * 12 + [7] + [0] * 7, {}, IndexError,
         "target 7 at row 12 is out of range for 3 classes"),
        (np.zeros((2, 3)), [0, -1], {}, IndexError, "target -1 at row 1"),
        (np.zeros(3), 3, {}, IndexError, "target 3 is out of range"),
        (np.zeros((2, 2, 3)), [[0, 1], [4, 0]], {}, IndexError, r"target 4 at row \(1, 0\)"),
        (np.zeros((2, 3)), [0.0, 1.0], {}, TypeError, "integers from 0 to 2, got float64"),
        (np.zeros((2, 3)), [True, False], {}, TypeError, "got bool"),
        (np.zeros((2, 3)), [0, 1, 2], {}, ValueError, r"target of shape \(2,\); got \(3,\)"),
        (np.zeros((2, 3)), [[0], [1]], {}, ValueError, r"got \(2, 1\)"),
        (np.zeros((2, 3)), 0, {}, ValueError, r"got \(\)"),
        (np.zeros((2, 3), int), [0, 1], {}, TypeError, "floating point, got int64"),
        (np.float64(1), 0, {}, ValueError, "class axis"),
        (np.zeros((2, 0)), [0, 0], {}, IndexError, "0 classes"),
        (np.zeros((2, 3)), [0, 1], {"reduction": "avg"}, ValueError, "mean, sum, none"),
        (np.zeros((2, 3)), [0, 1], {"axis": 2}, ValueError, "axis 2"),
    ],
)  # fmt: skip
def test_wrong_use_is_refused_with_the_row_and_the_value(logits, target, options, error, says):
    with pytest.raises(error, match=says):
        F.cross_entropy(logits, target, **options)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint64])
def test_labels_of_any_integer_dtype(dtype):
    loss = F.cross_entropy(np.zeros((2, 3)), np.array([0, 2], dtype))
    assert loss.item() == pytest.approx(np.log(3))
    with pytest.raises(IndexError):
        F.cross_entropy(np.zeros((2, 3)), np.array([0, 127], dtype))


def test_labels_can_be_a_tensor_and_change_afterwards():
    labels = np.array([0, 1])
    z = T(np.zeros((2, 2)), requires_grad=True)
    loss = F.cross_entropy(z, labels)
    labels[:] = 0
    loss.backward()
    assert z.grad.tolist() == [[-0.25, 0.25], [0.25, -0.25]]
    assert F.cross_entropy(z, T([0, 1], dtype=int)).item() == loss.item()


def test_one_hot():
    assert F.one_hot([[0, 2]], 3).data.tolist() == [[[1, 0, 0], [0, 0, 1]]]
    with pytest.raises(IndexError):
        F.one_hot([3], 3)


def test_each_opens_a_scope_of_its_name():
    z = T([1.0, 2.0], requires_grad=True)
    assert F.softmax(z).scope.path == "softmax"
    assert F.cross_entropy(z, 0).scope.path == "cross_entropy"


# ── The closed forms themselves ───────────────────────────────────────────────────────────────────


def test_the_closed_forms_against_differences():
    rng = np.random.default_rng(0)
    z, t, h = rng.normal(size=5), 2, 1e-5

    def difference(f):
        return np.array([(f(z + h * e) - f(z - h * e)) / (2 * h) for e in np.eye(5)])

    gradient = closed_form.cross_entropy_grad(z, t)
    np.testing.assert_allclose(
        gradient, difference(lambda z: closed_form.cross_entropy(z, t)), atol=1e-10
    )
    np.testing.assert_allclose(
        closed_form.softmax_jacobian(z), difference(closed_form.softmax), atol=1e-10
    )
    np.testing.assert_allclose(
        closed_form.cross_entropy_hessian(z),
        difference(lambda z: closed_form.cross_entropy_grad(z, t)),
        atol=1e-10,
    )


def test_the_closed_form_leaves_its_arguments_alone():
    z = np.zeros((2, 3))
    closed_form.cross_entropy_grad(z, [0, 1])
    assert not z.any()


@pytest.mark.parametrize(
    ("logits", "target", "error"),
    [
        (np.zeros((2, 3)), [0], ValueError),
        (np.zeros((2, 3)), [0, 3], IndexError),
        (np.zeros((2, 3)), [0, -1], IndexError),
        (np.zeros((2, 3)), [0.0, 1.0], TypeError),
    ],
)
def test_the_closed_form_refuses_labels_that_do_not_fit(logits, target, error):
    for f in (closed_form.cross_entropy, closed_form.cross_entropy_grad):
        with pytest.raises(error):
            f(logits, target)
    with pytest.raises(ValueError, match="reduction"):
        closed_form.cross_entropy(np.zeros(3), 0, "avg")
    with pytest.raises(ValueError, match="one row"):
        closed_form.softmax_jacobian(np.zeros((2, 3)))
