"""Activations."""

import math

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn


def test_gelu_is_x_times_the_normal_distribution_function():
    x = np.linspace(-6, 6, 121)
    exact = np.array([v * (1 + math.erf(v / math.sqrt(2))) / 2 for v in x])
    np.testing.assert_allclose(F.gelu(x).data, exact, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(F.gelu(x, "tanh").data, exact, rtol=0, atol=5e-4)
    assert F.gelu(x.astype(np.float32)).dtype == np.float32
    for approximate in ("none", "tanh"):
        assert tg.gradcheck(lambda x, a=approximate: F.gelu(x, a), x[::10], order=2)
    with pytest.raises(ValueError, match="none, tanh"):
        F.gelu(x, "erf")


def test_gelu_opens_a_scope_of_its_name():
    assert F.gelu(tg.Tensor([1.0, 2.0])).scope.path == "gelu"


def test_integers_are_refused():
    with pytest.raises(TypeError, match="floating point, got int64"):
        F.gelu(np.array([1, 2]))


X = np.array([-800.0, -30.0, -2.0, -1.0, -1e-9, 0.0, 1e-9, 0.5, 3.0, 30.0, 800.0])
FORMULAS = {
    "relu": lambda x: max(x, 0),
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0,
    "silu": lambda x: x / (1 + math.exp(-x)) if x > -700 else 0,
    "softplus": lambda x: x + math.log1p(math.exp(-x)) if x > 0 else math.log1p(math.exp(x)),
    "leaky_relu": lambda x: x if x > 0 else 0.01 * x,
    "elu": lambda x: x if x > 0 else math.expm1(x),
}
LAYERS = {
    "relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "silu": nn.SiLU,
    "softplus": nn.Softplus, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU, "gelu": nn.GELU,
    "softmax": nn.Softmax, "log_softmax": nn.LogSoftmax,
}  # fmt: skip


@pytest.mark.parametrize("name", FORMULAS)
def test_activations_are_their_formulas_and_never_overflow(name):
    f = getattr(F, name)
    x = tg.Tensor(X, requires_grad=True)
    y = f(x)
    np.testing.assert_allclose(y.data, [FORMULAS[name](v) for v in X], rtol=1e-15, atol=1e-300)
    y.backward(np.ones(len(X)))
    assert np.isfinite(x.grad).all()
    assert f(X.astype(np.float32)).dtype == np.float32
    assert f(X.astype(np.float16)).dtype == np.float16
    smooth = X[(abs(X) > 1e-3) & (abs(X) < 100)]
    assert tg.gradcheck(f, smooth, order=2)
    assert y.scope.path == name
    with pytest.raises(TypeError, match=f"arguments of {name} are floating point"):
        f(np.array([1, 2]))


@pytest.mark.torch
@pytest.mark.parametrize("name", [*FORMULAS, "gelu"])
def test_activations_agree_with_pytorch_at_0_too(name):
    torch = pytest.importorskip("torch")
    x, u = tg.Tensor(X[1:-2], requires_grad=True), torch.tensor(X[1:-2], requires_grad=True)
    weights = np.random.default_rng(0).normal(size=len(X) - 3)
    y, z = getattr(F, name)(x), getattr(torch.nn.functional, name)(u)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-13, atol=1e-300)
    y.backward(weights)
    z.backward(torch.tensor(weights))
    np.testing.assert_allclose(x.grad, u.grad.numpy(), rtol=1e-12, atol=1e-17)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_the_functions(name):
    layer = LAYERS[name]()
    np.testing.assert_array_equal(layer(X).data, getattr(F, name)(X).data)
    assert layer.parameters() == []


@pytest.mark.parametrize(
    ("layer", "function", "text"),
    [
        (nn.GELU("tanh"), lambda x: F.gelu(x, "tanh"), "GELU(approximate='tanh')"),
        (nn.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2), "LeakyReLU(0.2)"),
        (nn.ELU(2.0), lambda x: F.elu(x, 2.0), "ELU(2.0)"),
        (nn.Softplus(3.0), lambda x: F.softplus(x, 3.0), "Softplus(3.0)"),
        (nn.Softmax(0), lambda x: F.softmax(x, 0), "Softmax(axis=0)"),
        (nn.LogSoftmax(0), lambda x: F.log_softmax(x, 0), "LogSoftmax(axis=0)"),
    ],
)
def test_layers_have_the_options_of_the_functions(layer, function, text):
    np.testing.assert_array_equal(layer(X).data, function(X).data)
    assert repr(layer) == text


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: nn.GELU("erf"), ValueError, "none, tanh"),
        (lambda: nn.LeakyReLU("0.1"), TypeError, "negative_slope"),
        (lambda: nn.Softplus(-1), ValueError, "beta"),
        (lambda: F.softplus(X, 0), ValueError, "beta"),
        (lambda: F.elu(X, None), TypeError, "alpha"),
        (lambda: nn.Softmax(0.5), TypeError, "axis"),
    ],
)
def test_options_are_refused_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()
