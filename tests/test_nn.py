"""Layers and optimizers."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import data, nn, optim
from tinygrad_ce import functional as F

X = np.random.default_rng(0).normal(size=(5, 4))
Y = np.array([0, 1, 2, 1, 0])


def mlp(**options):
    return nn.MLP([4, 6, 3], rng=0, dtype=np.float64, **options)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_an_mlp_is_its_formula(activation):
    model = mlp(activation=activation)
    w1, b1, w2, b2 = (p.data for p in model.parameters())
    h = {
        "tanh": np.tanh,
        "relu": lambda x: np.maximum(x, 0),
        "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    }[activation](X @ w1 + b1)
    np.testing.assert_allclose(model(X).data, h @ w2 + b2, rtol=1e-14)


def test_the_gradient_of_every_parameter_agrees_with_differences():
    model = mlp()
    values = [p.data for p in model.parameters()]

    def loss(w1, b1, w2, b2):
        return F.cross_entropy((X @ w1 + b1).tanh() @ w2 + b2, Y)

    assert tg.gradcheck(loss, *values)
    F.cross_entropy(model(X), Y).backward()
    for p, g in zip(model.parameters(), tg.grad(loss, (0, 1, 2, 3))(*values), strict=True):
        np.testing.assert_array_equal(p.grad, g.data)


def test_parameters_are_float32_by_default_and_start_within_their_bound():
    layer = nn.Linear(16, 3, rng=0)
    assert (layer.weight.shape, layer.bias.shape) == ((16, 3), (3,))
    assert layer.weight.dtype == layer.bias.dtype == np.float32
    assert abs(layer.weight.data).max() <= 0.25
    assert nn.Linear(4, 3, bias=False).bias is None
    assert "bias=False" in repr(nn.Linear(4, 3, bias=False))


def test_the_same_seed_gives_the_same_weights_and_another_others():
    a, b, c = (nn.MLP([4, 5, 3], rng=seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(a[k], b[k]) for k in a)
    assert not np.array_equal(a["0.weight"], c["0.weight"])
    assert not np.array_equal(a["0.weight"][0, :3], a["2.weight"][0])


def test_names_of_parameters():
    assert [n for n, _ in mlp().named_parameters()] == [
        "0.weight", "0.bias", "2.weight", "2.bias",
    ]  # fmt: skip
    assert mlp().parameters()[0].name == "weight"


def test_a_shared_parameter_comes_once_and_stays_shared_in_copies():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(3, 3, rng=0)
            self.b = nn.Linear(3, 3, rng=1)
            self.b.weight = self.a.weight

    model = Tied()
    assert len(model.parameters()) == 3
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(mlp()))):
        assert copied.parameters()[0] is not model.parameters()[0]
    copied = copy.deepcopy(model)
    assert copied.a.weight is copied.b.weight


def test_state_round_trips():
    a, b = mlp(), nn.MLP([4, 6, 3], rng=1, dtype=np.float64)
    b.load_state_dict(a.state_dict())
    np.testing.assert_array_equal(a(X).data, b(X).data)
    a.state_dict()["0.weight"][:] = 0
    assert a.parameters()[0].data.any()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda s: s.pop("2.bias"), KeyError, "missing .*2.bias"),
        (lambda s: s.update(x=1), KeyError, "unknown .*x"),
        (lambda s: s.update({"2.bias": np.zeros(4)}), ValueError, "2.bias has shape"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, error, says):
    model = mlp()
    before = model.state_dict()
    state = {k: v + 1 for k, v in before.items()}
    change(state)
    with pytest.raises(error, match=says):
        model.load_state_dict(state)
    assert all(np.array_equal(v, before[k]) for k, v in model.state_dict().items())


def test_train_and_eval_reach_children():
    model = mlp()
    assert model.eval() is model
    assert not any(layer.training for layer in model.layers)
    assert model.train().layers[0].training


def test_each_layer_is_a_scope():
    assert mlp()(X).scope.path == "MLP/Linear"


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: nn.MLP([4]), ValueError, "at least"),
        (lambda: nn.MLP([4, 0, 3]), ValueError, "at least one"),
        (lambda: nn.MLP([4, 3], activation="softplus"), ValueError, "tanh, relu, sigmoid"),
        (lambda: nn.Module()(X), NotImplementedError, "forward"),
        (lambda: optim.SGD([], 0.1), ValueError, "at least one"),
        (lambda: optim.SGD([1.0], 0.1), TypeError, "float"),
        (lambda: optim.SGD([tg.Tensor(1.0)], 0.1), ValueError, "no parameter"),
        (lambda: optim.SGD(mlp().parameters() * 2, 0.1), ValueError, "no parameter|twice"),
        (lambda: optim.SGD(mlp().parameters(), -1), ValueError, "lr"),
        (lambda: optim.SGD(mlp().parameters(), 0.1, momentum=-1), ValueError, "momentum"),
        (lambda: optim.Adam(mlp().parameters(), betas=(1.0, 0.9)), ValueError, "betas"),
        (lambda: optim.Adam(mlp().parameters(), lr=float("nan")), ValueError, "lr"),
    ],
)
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()


# ── Optimizers ────────────────────────────────────────────────────────────────────────────────────


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


def test_the_learning_rate_can_change_between_steps():
    p = tg.Tensor(1.0, requires_grad=True)
    optimizer = optim.SGD([p], lr=0.5)
    optimizer.lr = 0.25
    p.grad = 1.0
    optimizer.step()
    assert p.item() == 0.75


def test_training_on_iris_lowers_the_loss_to_a_fraction():
    X, y, _ = data.iris()
    (X,) = data.standardise(X)
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
