"""Steps in C: after a thousand, every bit is that of eager steps, and nothing has fallen back."""

import warnings

import numpy as np
import pytest
from bits import assert_same_bits

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "Adam": lambda p: optim.Adam(p, lr=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.01),
}


def mlp(dtype):
    model = nn.MLP([5, 8, 3], rng=0, dtype=dtype)
    return model, lambda X, y: F.cross_entropy(model(X), y)


def normed(dtype):
    model = nn.Sequential(
        nn.Linear(5, 8, rng=0, dtype=dtype), nn.BatchNorm1d(8, dtype=dtype), nn.ReLU(),
        nn.Dropout(0.25, rng=1), nn.Linear(8, 3, rng=2, dtype=dtype),
    )  # fmt: skip
    return model, lambda X, y: F.cross_entropy(model(X), y)


def gated(dtype):
    model = nn.Linear(5, 3, rng=0, dtype=dtype)
    return model, lambda X, y: ((model(X).sigmoid() ** 3 - y.reshape(-1, 1)) ** 2).mean()


class Characters(nn.Module):
    """Three characters as vectors, side by side, and a network of them."""

    def __init__(self, dtype):
        self.embedding = nn.Embedding(7, 4, rng=0, dtype=dtype)
        self.mlp = nn.MLP([12, 9, 3], rng=1, dtype=dtype)

    def forward(self, X):
        return self.mlp(self.embedding(X).reshape(len(X), -1))


def characters(dtype):
    model = Characters(dtype)
    return model, lambda X, y: F.cross_entropy(model(X), y)


def trained(make, kind, dtype, steps, **options):
    """What there is after some steps: all parameters, gradients, state and losses."""
    model, loss_of = make(dtype)
    optimizer = OPTIMIZERS[kind](model.parameters())

    def step(X, y):
        loss = loss_of(X, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    run = tg.compile(step, **options) if options else step
    rng = np.random.default_rng(0)
    losses = []
    for _ in range(steps):
        X = rng.integers(0, 7, (6, 3)) if make is characters else rng.normal(size=(6, 5))
        X = tg.Tensor(X if make is characters else X.astype(dtype))
        losses.append(run(X, rng.integers(0, 3, 6))._value)
    state = [getattr(optimizer, name) for name in optimizer.per_parameter_state]
    tensors = [t for _, t in model._named_tensors()]
    found = [t._value for t in tensors], [t._grad for t in tensors], state, losses
    return found, run


def same_after(make, kind, dtype, steps):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        found, run = trained(make, kind, dtype, steps, backend="c")
    assert "PyMODINIT_FUNC" in run.source
    assert_same_bits(found, trained(make, kind, dtype, steps)[0])


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_few_steps(kind):
    same_after(mlp, kind, np.float32, 5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("make", [mlp, normed, characters, gated])
def test_a_thousand_steps(make, kind, dtype):
    same_after(make, kind, dtype, 1000)


def test_half_precision_and_integers_are_left_to_numpy():
    def f(x, n):
        return (x * x).sum(), (n * 3).sum(), np.tanh(x).mean()

    compiled = tg.compile(f, backend="c")
    x, n = np.linspace(-1, 1, 12, dtype=np.float16).reshape(3, 4), np.arange(5, dtype=np.int32)
    for _ in range(3):
        assert_same_bits(compiled(x, n), f(tg.Tensor(x), tg.Tensor(n)))


@pytest.mark.parametrize("shape", [(1, 3), (3, 1), (2, 40), (200, 3), (2, 3, 4)])
def test_sums_of_negative_zeros_have_the_sign_that_numpy_gives_them(shape):
    def f(x):
        sums = [x.sum(axis) for axis in range(x.ndim)]
        return [*sums, x.sum(), x.mean(-1, keepdims=True)]

    x = np.full(shape, -0.0, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert_same_bits(tg.compile(f, backend="c")(x), f(tg.Tensor(x)))


def test_a_number_can_be_an_array_of_one_element():
    def f(x):
        one = (x * 2).sum().reshape(1)
        return np.exp(one), one.reshape(1, 1).sum(0), (x * one).sum(0), one.max()

    x = np.linspace(-1, 1, 12).reshape(3, 4)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        assert_same_bits(tg.compile(f, backend="c")(x), f(tg.Tensor(x)))


@pytest.mark.parametrize("code", [c for c in np.typecodes["All"] if np.dtype(c) == np.int64])
def test_labels_may_be_of_each_type_that_has_these_integers(code):
    """NumPy has long and long long, which are one dtype where both have 64 bits."""

    def f(logits, y, k):
        return F.cross_entropy(logits, y), logits * k

    compiled = tg.compile(f, backend="c")
    logits = np.linspace(-1, 1, 12).reshape(4, 3)
    y, k = np.array([0, 2, 1, 0]), np.float64(3)
    for labels, factor in ((y, k), (y.astype(code), np.int64(3).astype(code))):
        given = logits, labels, factor
        assert_same_bits(compiled(*given), f(*map(tg.Tensor, given)))
