"""Initializations: bounds, moments, orthogonality, and what is refused."""

import math

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import nn
from tinygrad_ce.nn import init

SHAPE = (300, 200)  # n_in, n_out


def weight(dtype=np.float64, shape=SHAPE):
    return tg.Tensor(np.zeros(shape), requires_grad=True, dtype=dtype)


UNIFORM = {
    "uniform": (lambda w: init.uniform_(w, -0.5, 0.25, rng=0), -0.5, 0.25),
    "xavier": (lambda w: init.xavier_uniform_(w, 2.0, rng=0), None, 2 * math.sqrt(6 / 500)),
    "kaiming": (lambda w: init.kaiming_uniform_(w, rng=0), None, math.sqrt(6 / 300)),
    "kaiming out": (
        lambda w: init.kaiming_uniform_(w, mode="fan_out", nonlinearity="tanh", rng=0),
        None, 5 / 3 * math.sqrt(3 / 200),
    ),
    "leaky": (lambda w: init.kaiming_uniform_(w, 1.0, rng=0), None, math.sqrt(3 / 300)),
}  # fmt: skip
NORMAL = {
    "normal": (lambda w: init.normal_(w, 1.0, 0.5, rng=0), 1, 0.5),
    "xavier": (lambda w: init.xavier_normal_(w, rng=0), 0, math.sqrt(2 / 500)),
    "kaiming": (
        lambda w: init.kaiming_normal_(w, nonlinearity="relu", rng=0), 0, math.sqrt(2 / 300),
    ),
    "fan out": (
        lambda w: init.kaiming_normal_(w, mode="fan_out", nonlinearity="linear", rng=0),
        0, math.sqrt(1 / 200),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_draws_fill_their_bounds(name, dtype):
    fill, low, high = UNIFORM[name]
    low = -high if low is None else low
    w = weight(dtype)
    assert fill(w) is w
    assert w.dtype == dtype
    assert w.requires_grad
    assert low <= w.data.min() < low + 0.01 * (high - low)
    assert high - 0.01 * (high - low) < w.data.max() <= high
    np.testing.assert_allclose(w.data.mean(), (low + high) / 2, atol=0.01 * (high - low))


@pytest.mark.parametrize("name", NORMAL)
def test_normal_draws_have_their_moments(name):
    fill, mean, std = NORMAL[name]
    w = fill(weight())
    np.testing.assert_allclose(w.data.mean(), mean, atol=0.02 * std)
    np.testing.assert_allclose(w.data.std(), std, rtol=0.02)


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (1, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    w = init.orthogonal_(weight(shape=shape), 2.0, rng=0).data
    small = w.T @ w if shape[0] >= shape[1] else w @ w.T
    np.testing.assert_allclose(small, 4 * np.eye(min(shape)), atol=1e-12)


def test_orthogonal_matrices_are_equally_likely():
    """Of the first element of a random rotation in the plane, both signs are as frequent."""
    rng = np.random.default_rng(0)
    first = [init.orthogonal_(weight(shape=(2, 2)), rng=rng).data[0, 0] for _ in range(400)]
    assert 150 < np.sum(np.array(first) > 0) < 250


@pytest.mark.torch
@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"])
def test_gains_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)


def test_a_generator_goes_on_and_a_seed_begins_again():
    rng = np.random.default_rng(0)
    a, b = (init.normal_(weight(shape=(3, 3)), rng=rng).data for _ in range(2))
    assert (a != b).all()
    c, d = (init.normal_(weight(shape=(3, 3)), rng=7).data for _ in range(2))
    assert (c == d).all()


def test_models_are_initialized_by_apply():
    def fill(layer):
        if isinstance(layer, nn.Linear):
            init.constant_(layer.weight, 0.5)
            init.constant_(layer.bias, 0)

    model = nn.MLP([4, 6, 3], rng=0).apply(fill)
    assert {p.data.min() for p in model.parameters()} == {0, 0.5}


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: init.normal_(np.zeros(3), rng=0), TypeError, "Tensor"),
        (lambda: init.normal_(weight() * 2, rng=0), RuntimeError, "only a leaf"),
        (lambda: init.normal_(weight(), std=-1, rng=0), ValueError, "std"),
        (lambda: init.uniform_(weight(), 1, 0, rng=0), ValueError, "at most b"),
        (lambda: init.uniform_(weight()), TypeError, "rng"),
        (lambda: init.xavier_uniform_(weight(shape=3), rng=0), ValueError, r"\(3,\)"),
        (lambda: init.kaiming_normal_(weight(), mode="in", rng=0), ValueError, "fan_in, fan_out"),
        (lambda: init.kaiming_normal_(weight(), nonlinearity="swish", rng=0), ValueError, "tanh"),
        (lambda: init.orthogonal_(weight(shape=(2, 2, 2)), rng=0), ValueError, "fans"),
        (lambda: init.constant_(weight(), "0"), TypeError, "value"),
        (lambda: init.normal_(weight(), rng="seed"), TypeError, "rng"),
    ],
)
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()
