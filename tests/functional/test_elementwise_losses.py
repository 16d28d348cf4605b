"""Losses of two arrays, and nll_loss: definitions, edges, options, and compiled steps."""

import itertools
import math
import warnings

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        import torch.nn.functional as TF
except ImportError:
    torch = None

T = tg.Tensor
INF = np.inf
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, 4, 3))
P, Q = RNG.uniform(0.05, 0.95, (2, 4, 3))
LOG_P = np.log(RNG.dirichlet(np.ones(3), 4))
D = RNG.dirichlet(np.ones(3), 4)
W = RNG.uniform(0.5, 2, 3)
LABELS = np.array([0, 2, 1, 2])

# Name, arrays of which the first gets a gradient, options; what is not an option of PyTorch's is
# an array there.
CASES = [
    ("mse_loss", (X, Y), {}),
    ("l1_loss", (X, Y), {}),
    ("huber_loss", (X, Y), {}),
    ("huber_loss", (X, Y), {"delta": 0.3}),
    ("binary_cross_entropy", (P, Q), {}),
    ("binary_cross_entropy", (P, (Q > 0.5) * 1.0), {"weight": W}),
    ("binary_cross_entropy_with_logits", (X, Q), {}),
    ("binary_cross_entropy_with_logits", (X * 20, (Q > 0.5) * 1.0), {}),
    ("binary_cross_entropy_with_logits", (X, Q), {"weight": W, "pos_weight": W[::-1].copy()}),
    ("kl_div", (LOG_P, D), {}),
    ("kl_div", (LOG_P, np.log(D)), {"log_target": True}),
    ("nll_loss", (LOG_P, LABELS), {}),
    ("nll_loss", (LOG_P, LABELS), {"weight": W}),
    ("nll_loss", (LOG_P, LABELS), {"weight": W, "ignore_index": 2}),
]
REDUCTIONS = ("mean", "sum", "none")
EVERY = list(itertools.product(CASES, REDUCTIONS))


def name_of(value):
    return value if isinstance(value, str) else f"{value[0]} {sorted(value[2])}"


@pytest.mark.torch
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(("case", "reduction"), EVERY, ids=name_of)
def test_value_and_gradient_agree_with_pytorch(case, reduction, dtype):
    name, arrays, options = case
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in arrays]
    options = {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    theirs = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    x, u = T(arrays[0], requires_grad=True), torch.tensor(arrays[0], requires_grad=True)
    y = getattr(F, name)(x, arrays[1], reduction=reduction, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of kl_div's mean
        z = getattr(TF, name)(u, torch.tensor(arrays[1]), reduction=reduction, **theirs)
    assert (y.dtype, y.shape) == (dtype, tuple(z.shape))
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=rtol, atol=rtol / 10)
    cotangent = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
    y.backward(cotangent)
    z.backward(torch.tensor(cotangent))
    np.testing.assert_allclose(x.grad, u.grad.numpy(), rtol=rtol, atol=rtol / 10)


@pytest.mark.parametrize(("case", "reduction"), EVERY, ids=name_of)
def test_gradients_are_those_of_differences_to_second_order(case, reduction):
    name, (x, y), options = case
    f = lambda x: getattr(F, name)(x, y, reduction=reduction, **options)  # noqa: E731
    assert tg.gradcheck(f, x, order=2)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] != "nll_loss"], ids=name_of)
def test_the_target_gets_its_gradient_too(case):
    name, (x, y), options = case
    y = np.clip(y, 0.05, 0.95) if name.startswith("binary") else y
    assert tg.gradcheck(lambda y: getattr(F, name)(x, y, **options), y)


LAYERS = {
    "mse_loss": nn.MSELoss, "l1_loss": nn.L1Loss, "huber_loss": nn.HuberLoss,
    "binary_cross_entropy": nn.BCELoss, "kl_div": nn.KLDivLoss, "nll_loss": nn.NLLLoss,
    "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss, "cross_entropy": nn.CrossEntropyLoss,
}  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(
    "case",
    [*CASES, ("cross_entropy", (X, LABELS), {"weight": W, "label_smoothing": 0.1})],
    ids=name_of,
)
def test_layers_are_the_functions_with_their_options(case, reduction):
    name, arrays, options = case
    layer = LAYERS[name](reduction=reduction, **options)
    expected = getattr(F, name)(*arrays, reduction=reduction, **options)
    np.testing.assert_array_equal(layer(*arrays).data, expected.data)
    weights = [k for k in options if "weight" in k]
    assert sorted(layer.state_dict()) == sorted(weights)
    assert layer.parameters() == []


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_twenty_compiled_steps_have_the_bits_of_the_eager_ones(case):
    name, (x, target), options = case

    def make():
        w = T(x, requires_grad=True)
        optimizer = optim.SGD([w], lr=0.01)

        def step(t):
            squeeze = w.sigmoid() if name == "binary_cross_entropy" else w
            loss = getattr(F, name)(squeeze, t, **options)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return w, step

    (w, eager), (v, step) = make(), make()
    compiled = tg.compile(step)
    for _ in range(20):
        np.testing.assert_array_equal(eager(T(target)).data, compiled(target).data)
        np.testing.assert_array_equal(w.data, v.data)


def test_definitions_by_hand():
    assert F.mse_loss(T([1.0, 5.0]), [2.0, 2.0]).item() == 5
    assert F.l1_loss(T([1.0, 5.0]), [2.0, 2.0], reduction="sum").item() == 4
    assert F.huber_loss(T([1.0, 5.0]), [2.0, 2.0], delta=2.0, reduction="none").data.tolist() == [
        0.5, 4.0,
    ]  # fmt: skip
    assert F.binary_cross_entropy(T(0.25), 1.0).item() == pytest.approx(-math.log(0.25))
    assert F.kl_div(T(np.log([0.5, 0.5])), [0.25, 0.75], reduction="sum").item() == pytest.approx(
        0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    )
    z = RNG.normal(size=(4, 3))
    a, b = F.nll_loss(F.log_softmax(z), LABELS), F.cross_entropy(z, LABELS)
    assert a.item() == pytest.approx(b.item(), rel=1e-14)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_logits_may_be_as_large_as_they_like(dtype):
    big = float(np.finfo(dtype).max)
    z = T(np.array([big, -big, INF, -INF, INF, -INF], dtype), requires_grad=True)
    y = np.array([1, 0, 1, 0, 0, 1], dtype)
    losses = F.binary_cross_entropy_with_logits(z, y, reduction="none")
    assert losses.dtype == dtype
    assert losses.data.tolist() == [0, 0, 0, 0, INF, INF]
    losses[:4].sum().backward()
    assert z.grad.tolist() == [0] * 6


def test_small_losses_of_logits_keep_their_digits():
    z = T([50.0, -50.0], requires_grad=True)
    losses = F.binary_cross_entropy_with_logits(z, [1.0, 0.0], reduction="none")
    losses.sum().backward()
    np.testing.assert_allclose(losses.data, math.exp(-50), rtol=1e-14)
    np.testing.assert_allclose(z.grad, [-math.exp(-50), math.exp(-50)], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_certain_and_wrong_probability_has_a_finite_loss_and_gradient(dtype):
    p = T(np.array([0.0, 1.0, 1e-30], dtype), requires_grad=True)
    losses = F.binary_cross_entropy(p, np.array([1, 0, 1], dtype), reduction="none")
    np.testing.assert_allclose(losses.data, [100, 100, 30 * math.log(10)], rtol=1e-6)
    losses.sum().backward()
    np.testing.assert_allclose(p.grad, [-1e12, 1e12, -1e12], rtol=1e-6)


def test_a_certain_and_right_probability_has_no_loss():
    p = T([0.0, 1.0], requires_grad=True)
    loss = F.binary_cross_entropy(p, [0.0, 1.0])
    loss.backward()
    assert loss.item() == 0
    np.testing.assert_allclose(p.grad, [0.5, -0.5])


def test_where_the_target_is_0_the_divergence_adds_0():
    x = T([-1.0, -1.0, -INF], requires_grad=True)
    loss = F.kl_div(x, [1.0, 0.0, 0.0], reduction="sum")
    loss.backward()
    assert loss.item() == 1
    assert x.grad.tolist() == [-1, 0, 0]
    logged = F.kl_div(x, np.array([0.0, -INF, -INF]), reduction="sum", log_target=True)
    assert logged.item() == 1


def test_huge_errors_do_not_overflow_in_huber():
    x = T([1e300, -INF], requires_grad=True)
    losses = F.huber_loss(x, [0.0, 0.0], delta=0.5, reduction="none")
    losses.sum().backward()
    assert losses.data.tolist() == [5e299, INF]
    assert x.grad.tolist() == [0.5, -0.5]


def test_kinks_have_the_slopes_of_pytorch():
    x = T([0.0, 1.0, -1.0], requires_grad=True)
    F.l1_loss(x, np.zeros(3), reduction="sum").backward()
    assert x.grad.tolist() == [0, 1, -1]
    x.grad = None
    F.huber_loss(x, np.zeros(3), reduction="sum").backward()
    assert x.grad.tolist() == [0, 1, -1]


def test_ignored_rows_may_hold_nan_and_add_nothing():
    z = np.array([[np.nan, 1.0], [-0.5, -1.0]])
    loss = F.nll_loss(T(z, requires_grad=True), [-100, 1], ignore_index=-100)
    assert loss.item() == 1


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", sorted(LAYERS.keys() - {"nll_loss", "cross_entropy"}))
def test_empty_batches_and_single_numbers(name, reduction):
    f = getattr(F, name)
    with np.errstate(invalid="ignore"):
        empty = f(T(np.zeros((0, 3))), np.zeros((0, 3)), reduction=reduction)
    assert empty.shape == ((0, 3) if reduction == "none" else ())
    assert reduction == "none" or (empty.item() == 0 if reduction == "sum" else empty.item() != 0)
    assert f(T(0.5), 0.5, reduction=reduction).shape == ()


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: F.mse_loss(X, Y[0]), ValueError, "never broadcasts"),
        (lambda: F.mse_loss(X[:, :1], Y), ValueError, r"\(4, 1\) and targets of shape \(4, 3\)"),
        (lambda: F.l1_loss(X, np.ones((4, 3), int)), TypeError, "targets of l1_loss .*int64"),
        (lambda: F.mse_loss(X, Y, reduction="max"), ValueError, "mean, sum, none"),
        (lambda: F.huber_loss(X, Y, delta=0), ValueError, "delta"),
        (lambda: F.huber_loss(X, Y, delta=-1), ValueError, "delta"),
        (lambda: F.binary_cross_entropy(X, Q), ValueError, "with_logits is the one that takes"),
        (lambda: F.binary_cross_entropy(P, Q + 1), ValueError, "target .* not between 0 and 1"),
        (lambda: F.binary_cross_entropy_with_logits(X, Q - 1), ValueError, "labels 0 and 1"),
        (lambda: F.binary_cross_entropy_with_logits(X, Q, weight=np.ones((2, 4, 3))), ValueError,
         "too large"),
        (lambda: F.binary_cross_entropy_with_logits(X, Q, pos_weight=np.ones(2)), ValueError,
         "shape"),
        (lambda: F.kl_div(LOG_P, D, reduction="batch"), ValueError, "batchmean"),
        (lambda: F.kl_div(0.5, 0.5, reduction="batchmean"), ValueError, "batch"),
        (lambda: F.kl_div(LOG_P, D, log_target=1), TypeError, "log_target"),
        (lambda: F.nll_loss(LOG_P, D), TypeError, "labels"),
        (lambda: F.nll_loss(LOG_P, [0, 1, 2, 3]), IndexError, "out of range for 3 classes"),
    ],
)  # fmt: skip
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()


# ── A softmax where logits are expected ───────────────────────────────────────────────────────────

MISTAKES = {
    "softmax": F.softmax,
    "layer": nn.Softmax(),
    "by hand": lambda z: z.exp() / z.exp().sum(-1, keepdims=True),
    "array": lambda z: F.softmax(z).data,
    "no gradient": lambda z: F.softmax(z.detach()),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", MISTAKES)
def test_cross_entropy_warns_of_rows_that_are_a_softmax(make, dtype):
    z = T(X.astype(dtype), requires_grad=True)
    with pytest.warns(UserWarning, match="softmax already") as warned:
        F.cross_entropy(MISTAKES[make](z), LABELS)
    assert warned[0].filename == __file__


def test_a_loop_warns_once():
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        for _ in range(5):
            F.cross_entropy(F.softmax(T(X, requires_grad=True)), LABELS)
    assert len(warned) == 1


@pytest.mark.parametrize(
    "logits", [X, X / 2, np.zeros((4, 3)), np.eye(3)[LABELS], np.abs(X), np.full((4, 1), 1.0),
               np.concatenate([F.softmax(X[:1]).data, X[1:]])]
)  # fmt: skip
def test_what_is_no_softmax_passes(logits):
    labels = LABELS % logits.shape[-1]
    F.cross_entropy(T(logits, requires_grad=True), labels)
    F.cross_entropy(T(logits, requires_grad=True) / 1.0, labels)
