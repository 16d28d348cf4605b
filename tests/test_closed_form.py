"""The closed forms: against differences, against one another, and against autograd."""

import itertools

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import closed_form
from tinygrad_ce import functional as F

INF, NAN = np.inf, np.nan


def difference(f, z, h=1e-5):
    """∂f/∂z by central differences, the axes of z in front."""
    moved = np.eye(z.size).reshape(z.size, *z.shape) * h
    slopes = np.array([(f(z + d) - f(z - d)) / (2 * h) for d in moved])
    return slopes.reshape(z.shape + slopes.shape[1:])


def test_against_differences():
    z, t = np.random.default_rng(0).normal(size=5), 2
    for closed, f in (
        (closed_form.cross_entropy_grad(z, t), lambda z: closed_form.cross_entropy(z, t)),
        (closed_form.softmax_jacobian(z), closed_form.softmax),
        (closed_form.cross_entropy_hessian(z), lambda z: closed_form.cross_entropy_grad(z, t)),
    ):
        np.testing.assert_allclose(closed, difference(f, z), atol=1e-10)


def test_the_gradient_is_computed_as_the_textbook_writes_it_and_not_as_backprop_does():
    rng = np.random.default_rng(0)
    z, t = 3 * rng.normal(size=(200, 5)), rng.integers(5, size=200)
    textbook = closed_form.softmax(z) - np.eye(5)[t]
    np.testing.assert_array_equal(closed_form.cross_entropy_grad(z, t, "sum"), textbook)
    np.testing.assert_array_equal(closed_form.cross_entropy_grad(z, t), textbook / 200)
    logits = tg.Tensor(z, requires_grad=True)
    F.cross_entropy(logits, t, reduction="sum").backward()
    # The two ways agree, but for a rounding.
    assert 0 < abs(logits.grad - textbook).max() <= 2.3e-16


TARGETS = {
    "labels": np.array([0, 3, 1]),
    "distributions": np.array([[0.0, 1, 0, 0], [0.1, 0.2, 0.3, 0.4], [2, 0, 1, 0.5]]),
}
OPTIONS = [
    {"weight": w, "ignore_index": i, "label_smoothing": e, "reduction": r}
    for w, i, e, r in itertools.product(
        (None, [0.5, 2.0, 1.0, 0.25]), (None, 3), (0.0, 0.1), ("mean", "sum")
    )
]


@pytest.mark.parametrize("kind", TARGETS)
def test_the_gradient_with_every_combination_of_options_against_differences(kind):
    z, y = np.random.default_rng(0).normal(size=(3, 4)), TARGETS[kind]
    for options in OPTIONS:
        if kind == "distributions" and options["ignore_index"] is not None:
            continue
        expected = difference(lambda z, o=options: closed_form.cross_entropy(z, y, **o), z)
        got = closed_form.cross_entropy_grad(z, y, **options)
        np.testing.assert_allclose(got, expected, atol=1e-9)


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_chain_of_the_article(kind, reduction):
    """∂L/∂z is ∂L/∂p times ∂p/∂z."""
    z, y = np.random.default_rng(0).normal(size=(3, 4)), TARGETS[kind]
    p = closed_form.softmax(z)
    g = closed_form.nll_grad(p, y, reduction)
    if kind == "labels":
        share = 1 / 3 if reduction == "mean" else 1
        np.testing.assert_allclose(g, -share * np.eye(4)[y] / p)
    chained = [row @ closed_form.softmax_jacobian(logits) for row, logits in zip(g, z, strict=True)]
    expected = closed_form.cross_entropy_grad(z, y, reduction)
    np.testing.assert_allclose(chained, expected, atol=1e-15)


def test_jacobian_in_both_cases():
    p = closed_form.softmax([2.0, 1.0, 0.1])
    jacobian = closed_form.softmax_jacobian([2.0, 1.0, 0.1])
    np.testing.assert_allclose(np.diag(jacobian), p * (1 - p), rtol=1e-15)
    for i, j in itertools.permutations(range(3), 2):
        assert jacobian[i, j] == -p[i] * p[j]
    np.testing.assert_array_equal(closed_form.cross_entropy_hessian([2.0, 1.0, 0.1]), jacobian)


def test_nll_grad_where_a_probability_is_0():
    assert closed_form.nll_grad([0.0, 1.0], 0).tolist() == [-INF, 0]
    assert closed_form.nll_grad([0.0, 1.0], 1).tolist() == [0, -1]
    assert closed_form.nll_grad([0.0, 1.0], [0.0, 0.5]).tolist() == [0, -0.5]


def test_extreme_logits():
    for logits, target, loss, gradient in (
        ([1e4, -1e4], 1, 20000, [1, -1]),
        ([-INF, 0.0, 0.0], 1, np.log(2), [0, -0.5, 0.5]),
        ([-INF, 0.0], 0, INF, [-1, 1]),
        ([-INF, 0.0, 0.0], [0.0, 0.5, 0.5], np.log(2), [0, 0, 0]),
        ([3.0], 0, 0, [0]),
    ):
        assert closed_form.cross_entropy(logits, target) == loss
        np.testing.assert_array_equal(closed_form.cross_entropy_grad(logits, target), gradient)


def test_empty_ignored_and_many_dimensional_batches():
    assert np.isnan(closed_form.cross_entropy(np.zeros((0, 3)), np.zeros(0, int)))
    assert closed_form.cross_entropy(np.zeros((0, 3)), np.zeros(0, int), "sum") == 0
    z = np.array([[NAN, 0.0], [1.0, 2.0]])
    for reduction, n in (("mean", 1), ("sum", 1)):
        options = {"reduction": reduction, "ignore_index": -1}
        alone = closed_form.cross_entropy(z[1:], [0], reduction) / n
        assert closed_form.cross_entropy(z, [-1, 0], **options) == alone
        assert not closed_form.cross_entropy_grad(z, [-1, 0], **options)[0].any()
    assert np.isnan(closed_form.cross_entropy(z, [-1, -1], ignore_index=-1))
    assert not closed_form.cross_entropy_grad(z, [-1, -1], ignore_index=-1).any()
    deep = np.random.default_rng(0).normal(size=(2, 3, 4))
    t = np.array([[0, 1, 2], [3, 0, 1]])
    each = closed_form.cross_entropy(deep, t, "none")
    assert each.shape == (2, 3)
    np.testing.assert_array_equal(
        each.ravel(), closed_form.cross_entropy(deep.reshape(6, 4), t.ravel(), "none")
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dtypes_are_those_of_functional(dtype):
    rng = np.random.default_rng(0)
    z, y, w = (rng.random(shape).astype(dtype) for shape in ((5, 4), (5, 4), (4,)))
    eps = np.finfo(dtype).eps
    for target, weight in ((y, w), (np.arange(5) % 4, w), (np.arange(5) % 4, None)):
        loss = closed_form.cross_entropy(z, target, weight=weight)
        expected = F.cross_entropy(z, target, weight=weight)
        assert loss.dtype == expected.dtype == dtype
        np.testing.assert_allclose(loss, expected.data, rtol=2 * eps)
        assert closed_form.cross_entropy_grad(z, target, weight=weight).dtype == dtype
    assert closed_form.softmax(z).dtype == closed_form.nll_grad(z, y).dtype == dtype
    np.testing.assert_allclose(closed_form.softmax(z), F.softmax(z).data, rtol=4 * eps)


def test_float16_does_not_overflow_inside():
    z = np.zeros((70_000, 2), np.float16)
    z[:, 0] = 20
    assert closed_form.cross_entropy(z, np.ones(len(z), int)) == 20


def test_the_arguments_are_left_alone():
    z, y = np.zeros((2, 3)), np.ones((2, 3))
    closed_form.cross_entropy_grad(z, [0, 1])
    closed_form.cross_entropy_grad(z, y, label_smoothing=0.1)
    closed_form.cross_entropy(np.array([[-INF, 0, 0]] * 2), y)
    assert not z.any()
    assert (y == 1).all()


@pytest.mark.parametrize(
    ("logits", "target", "error"),
    [
        (np.zeros((2, 3)), [0], ValueError),
        (np.zeros((2, 3)), [[0], [1]], ValueError),
        (np.zeros((2, 3)), np.zeros((1, 3)), ValueError),
        (1.0, 0, ValueError),
        (np.zeros((2, 3)), [0, 3], IndexError),
        (np.zeros((2, 3)), [0, -1], IndexError),
        (np.zeros((2, 3)), [0.0, 1.0], TypeError),
        (np.zeros((2, 3)), [True, False], TypeError),
    ],
)
def test_refuses_targets_that_do_not_fit(logits, target, error):
    for f in (
        closed_form.cross_entropy, closed_form.cross_entropy_grad, closed_form.nll_grad,
    ):  # fmt: skip
        with pytest.raises(error):
            f(logits, target)


def test_refuses_unknown_reductions_and_wrong_shapes():
    for f in (closed_form.cross_entropy, closed_form.cross_entropy_grad, closed_form.nll_grad):
        with pytest.raises(ValueError, match="mean, sum, none, got 'avg'"):
            f(np.ones(3), 0, "avg")
    with pytest.raises(ValueError, match="3 classes need as many weights"):
        closed_form.cross_entropy(np.zeros(3), 0, weight=[1.0])
    for f in (closed_form.softmax_jacobian, closed_form.cross_entropy_hessian):
        with pytest.raises(ValueError, match="one row"):
            f(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="same shape"):
        closed_form.batch_norm_grad(np.zeros((2, 3)), np.zeros((3, 2)), np.ones(3))


# ── Batch normalization ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("eps", [1e-5, 0.1])
def test_batch_norm_against_autograd(ddof, eps):
    """Written as in the lecture: with n - 1, and epsilon inside the power."""
    rng = np.random.default_rng(0)
    dout, gamma = rng.normal(size=(32, 64)), rng.normal(size=(1, 64))
    x = tg.Tensor(3 + 2 * rng.normal(size=(32, 64)), requires_grad=True)
    centered = x - x.mean(0, keepdims=True)
    var = (centered * centered).sum(0, keepdims=True) / (32 - ddof)
    ((gamma * centered * (var + eps) ** -0.5) * dout).sum().backward()
    closed = closed_form.batch_norm_grad(dout, x.data, gamma, eps, ddof)
    np.testing.assert_allclose(closed, x.grad, rtol=0, atol=2e-15)
    flat = closed_form.batch_norm_grad(dout, x.data, gamma[0], eps, ddof)
    np.testing.assert_array_equal(flat, closed)


def test_batch_norm_against_differences():
    rng = np.random.default_rng(0)
    dout, x, gamma = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.normal(size=3)

    def loss(x):
        y = gamma * (x - x.mean(0)) * (x.var(0, ddof=1) + 1e-5) ** -0.5
        return (y * dout).sum()

    got = closed_form.batch_norm_grad(dout, x, gamma)
    np.testing.assert_allclose(got, difference(loss, x), atol=1e-8)
    single = closed_form.batch_norm_grad(*(a.astype(np.float32) for a in (dout, x, gamma)))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, got, atol=1e-5)
