"""Optimizers."""

import copy
import pickle

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


def nesterov(p, gs, lr, momentum):
    """Sutskever and others, as PyTorch writes it."""
    v = 0.0
    for g in gs:
        v = momentum * v + g
        p = p - lr * (g + momentum * v)
    return p


def amsgrad(p, gs, lr, b1=0.9, b2=0.5, eps=1e-8):
    """Reddi and others' algorithm 2, with the corrections of Adam, as PyTorch has them."""
    m = v = largest = 0.0
    for t, g in enumerate(gs, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        largest = np.maximum(largest, v)
        p = p - lr * (m / (1 - b1**t)) / (np.sqrt(largest / (1 - b2**t)) + eps)
    return p


def rmsprop(p, gs, lr, alpha, eps, momentum, centered):
    """Graves's, as PyTorch documents it."""
    m = v = b = 0.0
    for g in gs:
        v, m = alpha * v + (1 - alpha) * g**2, alpha * m + (1 - alpha) * g
        b = momentum * b + g / (np.sqrt(v - m**2 if centered else v) + eps)
        p = p - lr * b
    return p


def adagrad(p, gs, lr, decay, start):
    """Duchi and others', as PyTorch documents it."""
    total = start
    for t, g in enumerate(gs):
        total = total + g**2
        p = p - lr / (1 + t * decay) * g / (np.sqrt(total) + 1e-10)
    return p


@pytest.mark.parametrize(
    ("make", "reference"),
    [
        (
            lambda ps: optim.SGD(ps, 0.1, 0.9, nesterov=True),
            lambda p, gs: nesterov(p, gs, 0.1, 0.9),
        ),
        (
            lambda ps: optim.Adam(ps, 0.1, (0.9, 0.5), amsgrad=True),
            lambda p, gs: amsgrad(p, gs, 0.1),
        ),
        (
            lambda ps: optim.RMSprop(ps, 0.1, 0.9, 1e-3, momentum=0.5, centered=True),
            lambda p, gs: rmsprop(p, gs, 0.1, 0.9, 1e-3, 0.5, True),
        ),
        (
            lambda ps: optim.RMSprop(ps, 0.1, 0.9, 1e-3),
            lambda p, gs: rmsprop(p, gs, 0.1, 0.9, 1e-3, 0, False),
        ),
        (
            lambda ps: optim.Adagrad(ps, 0.1, 0.5, initial_accumulator_value=0.25),
            lambda p, gs: adagrad(p, gs, 0.1, 0.5, 0.25),
        ),
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


def training(make, dtype=np.float64):
    model = nn.MLP([4, 6, 3], rng=0, dtype=dtype)
    optimizer = make(model.parameters())
    X, y = np.random.default_rng(1).normal(size=(16, 4)), np.arange(16) % 3

    def step(X, y):
        loss = F.cross_entropy(model(X), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return model.parameters(), optimizer, step, (X.astype(dtype), y)


RULES = {
    "nesterov": lambda ps: optim.SGD(ps, 0.1, 0.9, 0.01, nesterov=True),
    "amsgrad": lambda ps: optim.Adam(ps, 0.1, amsgrad=True),
    "AdamW amsgrad": lambda ps: optim.AdamW(ps, 0.1, amsgrad=True),
    "RMSprop": lambda ps: optim.RMSprop(ps, 0.01),
    "RMSprop centered": lambda ps: optim.RMSprop(ps, 0.01, momentum=0.9, centered=True),
    "Adagrad": lambda ps: optim.Adagrad(ps, 0.1, lr_decay=0.01, weight_decay=0.01),
    "groups": lambda ps: optim.SGD(
        [{"params": ps[:1]}, {"params": ps[1:], "lr": 0.01, "momentum": 0.5}], lr=0.1
    ),
    "groups of two kinds": lambda ps: optim.ParameterGroups(
        [optim.SGD(ps[:2], 0.1), optim.Adam(ps[2:], 0.01)]
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rule", RULES)
def test_twenty_compiled_steps_have_the_bits_of_the_eager_ones(rule, dtype):
    ps, _, step, batch = training(RULES[rule], dtype)
    qs, _, other, _ = training(RULES[rule], dtype)
    compiled = tg.compile(other)
    for _ in range(20):
        np.testing.assert_array_equal(step(*batch).data, compiled(*batch).data)
    for p, q in zip(ps, qs, strict=True):
        np.testing.assert_array_equal(p.data, q.data)
        assert p.dtype == dtype
    assert len(compiled._reasons) == 1


ALL = RULES | {
    "SGD": lambda ps: optim.SGD(ps, 0.1, 0.9),
    "plain SGD": lambda ps: optim.SGD(ps, 0.1),
    "Adam": lambda ps: optim.Adam(ps, 0.1),
}


@pytest.mark.parametrize("saved_as", [np.float32, np.float64])
@pytest.mark.parametrize("rule", ALL)
def test_a_restored_optimizer_goes_on_and_keeps_the_dtype(rule, saved_as):
    ps, saved, step, batch = training(ALL[rule], saved_as)
    for _ in range(5):
        step(*batch)
    state, values = saved.state_dict(), [p.data.copy() for p in ps]
    qs, restored, again, _ = training(ALL[rule], np.float32)
    for q, value in zip(qs, values, strict=True):
        q.data = value.astype(np.float32)
    restored.load_state_dict(state)
    for group in restored.param_groups:
        for name in group.per_parameter_state:
            for entry in getattr(group, name):
                assert isinstance(entry, int) or entry.dtype == np.float32
    for _ in range(3):
        losses = step(*batch).item(), again(*batch).item()
        assert losses[0] == losses[1] if saved_as == np.float32 else True
        np.testing.assert_allclose(*losses, rtol=1e-4)
    assert {q.dtype for q in qs} == {np.dtype(np.float32)}


def test_a_state_is_a_copy():
    _, optimizer, step, batch = training(ALL["Adam"])
    step(*batch)
    state = optimizer.state_dict()
    before = [m.copy() for m in optimizer.m]
    for m in state["m"]:
        m[:] = 7
    optimizer.load_state_dict(optimizer.state_dict())
    for m, expected in zip(optimizer.m, before, strict=True):
        np.testing.assert_array_equal(m, expected)


@pytest.mark.parametrize(
    ("rule", "change", "error", "says"),
    [
        ("Adam", lambda s: s.pop("m"), KeyError, "missing .*'m'"),
        ("Adam", lambda s: s.update(velocity=[]), KeyError, "unknown .*velocity"),
        ("Adam", lambda s: s["m"].pop(), ValueError, "3 entries of m for 4 parameters"),
        ("Adam", lambda s: s["v"].insert(0, s["v"].pop()), ValueError, r"v\[0\] .*shape"),
        ("Adam", lambda s: s.update(lr=-1.0), ValueError, "lr"),
        ("Adam", lambda s: s.update(betas=(0.5, 2)), ValueError, "betas"),
        ("Adam", lambda s: s.update(t=[0.5] * 4), TypeError, "t is"),
        ("groups", lambda s: s["param_groups"].pop(), ValueError, "1 groups, and there are 2"),
        ("groups", lambda s: s.pop("param_groups"), KeyError, "param_groups"),
        ("groups", lambda s: s["param_groups"][1].update(lr="x"), TypeError, "lr"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(rule, change, error, says):
    _, optimizer, step, batch = training(ALL[rule])
    step(*batch)
    before, wrong = repr(optimizer.state_dict()), optimizer.state_dict()
    change(wrong)
    with pytest.raises(error, match=says):
        optimizer.load_state_dict(wrong)
    assert repr(optimizer.state_dict()) == before
    with pytest.raises(TypeError, match="dict"):
        optimizer.load_state_dict([])


def test_groups_have_settings_of_their_own_and_are_updated_at_once():
    a, b = (tg.Tensor(1.0, requires_grad=True) for _ in range(2))
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5, "momentum": 0.5}], lr=0.25)
    assert isinstance(optimizer, optim.ParameterGroups)
    assert optimizer.params == [a, b]
    (a + b).backward()
    optimizer.step()
    optimizer.step()
    assert (a.item(), b.item()) == (0.5, 1 - 0.5 - 0.75)
    optimizer.zero_grad()
    assert a.grad is b.grad is None
    assert "2 parameters of 2 numbers, gradients cleared" in repr(optimizer)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_of_groups_are_groups(copied):
    _, optimizer, step, batch = training(ALL["groups"])
    step(*batch)
    other = copied(optimizer)
    assert repr(other) == repr(optimizer)
    assert other.params[0] is not optimizer.params[0]
    assert other.params[0] is other.param_groups[0].params[0]


def test_groups_say_where_their_settings_are():
    _, optimizer, *_ = training(ALL["groups"])
    with pytest.raises(AttributeError, match=r"group\.lr"):
        _ = optimizer.lr
    with pytest.raises(AttributeError, match=r"group\.lr"):
        optimizer.lr = 0.1
    with pytest.raises(TypeError, match=r"write group\.lr"):
        optimizer.param_groups[0]["lr"] = 0.1
    with pytest.raises(TypeError, match=r"write group\.lr"):
        optimizer.param_groups[0]["lr"]


def test_a_forgotten_zero_grad_is_seen_in_the_repr():
    p = tg.Tensor([1.0, 2.0], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.9)
    seen = "SGD(lr=0.1, momentum=0.9; 1 parameter of 2 numbers, "
    assert repr(optimizer) == seen + "gradients cleared)"
    for end in ("gradients not cleared)", "gradients of 2 steps without zero_grad())"):
        (p * p).sum().backward()
        optimizer.step()
        assert repr(optimizer) == seen + end
    optimizer.zero_grad()
    assert repr(optimizer) == seen + "gradients cleared)"


def parameters(n=2):
    return [tg.Tensor([1.0, 2.0], requires_grad=True) for _ in range(n)]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: optim.SGD(parameters(), 0.1, nesterov=True), ValueError, "momentum above 0"),
        (lambda: optim.SGD(parameters(), 0.1, 0.9, nesterov=1), TypeError, "nesterov"),
        (lambda: optim.Adam(parameters(), amsgrad="yes"), TypeError, "amsgrad"),
        (lambda: optim.RMSprop(parameters(), alpha=1.5), ValueError, "alpha"),
        (lambda: optim.RMSprop(parameters(), eps=-1), ValueError, "eps"),
        (lambda: optim.Adagrad(parameters(), lr_decay=-1), ValueError, "lr_decay"),
        (lambda: optim.SGD([{"lr": 0.1}], 0.1), ValueError, "has params"),
        (lambda: optim.SGD([{"params": parameters(), "rate": 1}], 0.1), ValueError, "rate"),
        (lambda: optim.SGD([{"params": parameters()}]), TypeError, "lr"),
        (lambda: optim.SGD([{"params": parameters()}, parameters()[0]], 0.1), TypeError, "a group"),
        (lambda: optim.SGD([{"params": [p := parameters()[0]]}, {"params": [p]}], 0.1), ValueError,
         "given twice"),
        (lambda: optim.ParameterGroups([]), ValueError, "at least one parameter"),
        (lambda: optim.ParameterGroups(parameters()), TypeError, "a group"),
    ],
)  # fmt: skip
def test_new_rules_and_groups_refuse_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()
