"""Optimizers."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import data, nn, optim
from tinygrad_ce import functional as F


def sgd(p, gs, lr, momentum=0.0, weight_decay=0.0):
    """As PyTorch documents it."""
    buffer = None
    for g in gs:
        g = g + weight_decay * p
        if momentum:
            buffer = g if buffer is None else momentum * buffer + g
            g = buffer
        p = p - lr * g
    return p


def adam(p, gs, lr, weight_decay=0.0, decoupled=False, b1=0.9, b2=0.999, eps=1e-8):
    """Kingma and Ba's algorithm 1; with `decoupled`, Loshchilov and Hutter's algorithm 2."""
    m = v = 0.0
    for t, g in enumerate(gs, 1):
        if decoupled:
            p = p * (1 - lr * weight_decay)
        else:
            g = g + weight_decay * p
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
    return p


@pytest.mark.parametrize(
    ("make", "reference"),
    [
        (lambda ps: optim.SGD(ps, 0.1), lambda p, gs: sgd(p, gs, 0.1)),
        (lambda ps: optim.SGD(ps, 0.1, 0.9), lambda p, gs: sgd(p, gs, 0.1, 0.9)),
        (lambda ps: optim.SGD(ps, 0.1, 0.9, 0.3), lambda p, gs: sgd(p, gs, 0.1, 0.9, 0.3)),
        (lambda ps: optim.SGD(ps, 0.1, weight_decay=0.3), lambda p, gs: sgd(p, gs, 0.1, 0, 0.3)),
        (lambda ps: optim.Adam(ps, 0.1), lambda p, gs: adam(p, gs, 0.1)),
        (lambda ps: optim.Adam(ps, 0.1, weight_decay=0.3), lambda p, gs: adam(p, gs, 0.1, 0.3)),
        (
            lambda ps: optim.AdamW(ps, 0.1, weight_decay=0.3),
            lambda p, gs: adam(p, gs, 0.1, 0.3, decoupled=True),
        ),
    ],
)
def test_steps_follow_the_published_formula(make, reference):
    rng = np.random.default_rng(0)
    start, gs = rng.normal(size=(2, 3)), rng.normal(size=(5, 2, 3))
    p = tg.Tensor(start, requires_grad=True)
    optimizer = make([p])
    for g in gs:
        p.grad = g
        optimizer.step()
    np.testing.assert_allclose(p.data, reference(start, gs), rtol=1e-12)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_step_keeps_dtype_shape_and_old_arrays(kind, dtype):
    for start in (np.ones((2, 2)), np.float64(1)):
        p = tg.Tensor(start, requires_grad=True, dtype=dtype)
        optimizer = kind([p], lr=0.1)
        before, copied = p.data, p.data.copy()
        for _ in range(2):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
        assert (p.dtype, p.shape) == (dtype, copied.shape)
        np.testing.assert_array_equal(before, copied)
        assert (p.data != copied).all()


def test_a_parameter_without_a_gradient_stays():
    a, b = tg.Tensor(1.0, requires_grad=True), tg.Tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([a, b], lr=0.5)
    (a * a).backward()
    optimizer.step()
    assert (a.item(), b.item()) == (0, 1)
    optimizer.zero_grad()
    assert a.grad is None


def test_momentum_can_begin_between_steps():
    p = tg.Tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5)
    assert optimizer.velocity == []
    optimizer.momentum = 0.5
    for _ in range(2):
        p.grad = 1.0
        optimizer.step()
    assert p.item() == 1 - 0.5 - 0.5 * 1.5
    with pytest.raises(ValueError, match="momentum"):
        optimizer.momentum = -1


def test_the_learning_rate_can_change_between_steps():
    p = tg.Tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5)
    optimizer.lr = 0.25
    p.grad = 1.0
    optimizer.step()
    assert p.item() == 0.75


def test_training_on_iris_lowers_the_loss_to_a_fraction():
    X, y, _ = data.iris()
    X = data.Standardizer().fit(X).transform(X)
    model = nn.MLP([4, 16, 3], rng=0)
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(100):
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.06 < 0.9 < losses[0]


@pytest.mark.parametrize("number", [np.float64, np.float32, np.asarray])
@pytest.mark.parametrize("rule", [optim.SGD, optim.Adam, optim.AdamW])
def test_numbers_of_numpy_leave_float32_parameters_what_they_are(rule, number):
    p = tg.Tensor(np.ones(3, np.float32), requires_grad=True)
    optimizer = rule([p], lr=number(0.1), weight_decay=number(0.01))
    if rule is optim.SGD:
        optimizer.momentum = number(0.9)
    else:
        optimizer.betas, optimizer.eps = (number(0.9), number(0.99)), number(1e-6)
    for step in range(3):
        optimizer.lr = number(0.1) * (1 + np.cos(step))  # a schedule
        optimizer.zero_grad()
        (p * p).sum().backward()
        optimizer.step()
        assert (p.dtype, type(optimizer.lr)) == (np.float32, float)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: optim.SGD([], 0.1), ValueError, "at least one"),
        (lambda: optim.SGD([1.0], 0.1), TypeError, "1.0"),
        (lambda: optim.SGD([tg.Tensor(1.0)], 0.1), ValueError, "no parameter"),
        (
            lambda: optim.SGD(nn.Linear(4, 3).parameters() * 2, 0.1),
            ValueError,
            "no parameter|twice",
        ),
        (lambda: optim.SGD(nn.Linear(4, 3).parameters(), -1), ValueError, "lr"),
        (
            lambda: optim.SGD(nn.Linear(4, 3).parameters(), 0.1, momentum=-1),
            ValueError,
            "momentum",
        ),
        (
            lambda: optim.Adam(nn.Linear(4, 3).parameters(), betas=(1.0, 0.9)),
            ValueError,
            "betas",
        ),
        (lambda: optim.Adam(nn.Linear(4, 3).parameters(), lr=float("nan")), ValueError, "lr"),
    ],
)
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()
