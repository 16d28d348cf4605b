"""Modules: what is inside of one, and the layers besides those of test_layers.py."""

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import functional as F
from tinygrad_ce import nn, optim

X = np.random.default_rng(0).normal(size=(5, 4))
Y = np.array([0, 1, 2, 1, 0])


def mlp():
    return nn.MLP([4, 6, 3], rng=0, dtype=np.float64)


class Shared(nn.Module):
    def __init__(self):
        self.scale = tg.Tensor([2.0, 3.0], requires_grad=True)
        self.shift = tg.Tensor(1.0)
        self.layer = nn.Linear(4, 4, rng=0)
        self.layers = nn.ModuleList([self.layer, nn.Linear(4, 2, rng=1)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * self.scale + self.shift


def test_zero_grad_clears_the_gradients_compiled_too():
    model = mlp()
    F.cross_entropy(model(X), Y).backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())

    @tg.compile
    def step(x):
        model.zero_grad()
        F.cross_entropy(model(x), Y).backward()
        return model.parameters()[0].grad

    for _ in range(4):
        np.testing.assert_array_equal(step(X).data, step(X).data)


def test_children_and_modules_come_in_order_and_once():
    model = Shared()
    assert [*model.children()] == [model.layer, model.layers]
    assert [*model.modules()] == [model, model.layer, model.layers, model.layers[1]]
    assert [type(m).__name__ for m in mlp().modules()] == ["MLP", "Linear", "Tanh", "Linear"]


def test_apply_reaches_all_and_itself_at_last():
    model, seen = Shared(), []
    assert model.apply(seen.append) is model
    assert seen[-1] is model
    assert len(seen) == len({id(m) for m in seen}) == 4
    with pytest.raises(TypeError, match="function"):
        model.apply(3)


def test_the_repr_has_shapes_and_the_number_of_parameters():
    assert repr(Shared()) == (
        "Shared(scale [2], shift [], layer=Linear(4, 4), "
        "layers=ModuleList(0=Linear(4, 4), 1=Linear(4, 2)); 32 parameters)"
    )
    assert repr(nn.Tanh()) == "Tanh()"
    assert repr(nn.Linear(1, 1, bias=False)) == "Linear(1, 1, bias=False; 1 parameter)"
    assert repr(nn.LayerNorm((2, 3), bias=False, eps=0.1)) == (
        "LayerNorm((2, 3), eps=0.1, bias=False; 6 parameters)"
    )
    assert "1,040 parameters" in repr(nn.Linear(64, 16))


def test_a_module_list_is_a_sequence_that_grows():
    layers = nn.ModuleList(nn.Linear(2, 2, rng=i) for i in range(2))
    layers.append(nn.Tanh())
    assert len(layers) == 3
    assert [type(layer) for layer in layers] == [nn.Linear, nn.Linear, nn.Tanh]
    assert isinstance(layers[-1], nn.Tanh)
    assert [n for n, _ in layers.named_parameters()] == [
        "0.weight", "0.bias", "1.weight", "1.bias",
    ]  # fmt: skip
    with pytest.raises(TypeError, match="a part of a ModuleList"):
        layers.append(np.tanh)
    with pytest.raises(TypeError, match="a part of a ModuleList"):
        nn.ModuleList([3])
    with pytest.raises(NotImplementedError, match="forward"):
        layers(X)


def test_flatten_keeps_rows_also_of_none():
    assert nn.Flatten()(np.ones((2, 3, 4))).shape == (2, 12)
    assert nn.Flatten()(np.ones((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten()(np.ones(3)).shape == (3, 1)
    with pytest.raises(ValueError, match="single number"):
        nn.Flatten()(1.0)


def test_micrograds_sizes_are_those_of_a_list():
    a, b = nn.MLP(4, [6, 3], rng=0), nn.MLP([4, 6, 3], rng=0)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
    assert type(nn.MLP(4, [6, 3], activation="relu")[1]) is nn.ReLU
    assert type(nn.MLP((4, 6, 3), "relu")[1]) is nn.ReLU


# ── LayerNorm ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", [4, (4,), (3, 4)])
def test_layer_norm_is_its_formula(shape):
    x = np.random.default_rng(1).normal(2, 3, (5, 3, 4))
    layer = nn.LayerNorm(shape, dtype=np.float64)
    rng = np.random.default_rng(2)
    layer.weight.data, layer.bias.data = rng.normal(size=(2, *layer.weight.shape))
    axes = tuple(range(-layer.weight.ndim, 0))
    expected = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(
        layer(x).data, expected * layer.weight.data + layer.bias.data, rtol=1e-12, atol=1e-13
    )
    assert tg.gradcheck(layer, x[:2], order=2)
    np.testing.assert_array_equal(layer(x).data, layer.eval()(x).data)


def test_layer_norm_of_a_constant_row_is_its_bias():
    assert nn.LayerNorm(3)(np.full((2, 3), 7.0)).data.tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: nn.LayerNorm(()), ValueError, "at least one axis"),
        (lambda: nn.LayerNorm(0), ValueError, "length"),
        (lambda: nn.LayerNorm(2.5), TypeError, "length"),
        (lambda: nn.LayerNorm(3, eps=-1), ValueError, "eps"),
        (lambda: nn.LayerNorm(3)(X), ValueError, r"of shape \(3,\); got .* \(5, 4\)"),
        (lambda: nn.LayerNorm((5, 4))(X[0]), ValueError, r"\(5, 4\); got .* \(4,\)"),
    ],
)
def test_layer_norm_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()


class Deep(nn.Module):
    """All new layers in one model."""

    def __init__(self, dtype):
        linear = lambda i, o: nn.Linear(i, o, rng=i, dtype=dtype)  # noqa: E731
        self.blocks = nn.ModuleList([
            nn.Sequential(linear(12, 8), nn.LayerNorm(8, dtype=dtype), nn.GELU()),
            nn.Sequential(linear(8, 8), nn.SiLU(), linear(8, 8), nn.LeakyReLU(), nn.ELU()),
            nn.Sequential(linear(8, 6), nn.Softplus(), linear(6, 3), nn.LogSoftmax()),
        ])  # fmt: skip
        self.flatten = nn.Flatten()
        self.loss = nn.NLLLoss()

    def forward(self, x, y):
        x = self.flatten(x)
        for block in self.blocks:
            x = block(x)
        return self.loss(x, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_twenty_compiled_steps_of_the_layers_have_the_bits_of_the_eager_ones(dtype):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(16, 3, 4)).astype(dtype), rng.integers(0, 3, 16)

    def make():
        model = Deep(dtype)
        optimizer = optim.RMSprop(model.parameters(), lr=0.01)

        def step(X, Y):
            loss = model(X, Y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            return loss

        return model, step

    (a, eager), (b, step) = make(), make()
    compiled = tg.compile(step)
    for _ in range(20):
        np.testing.assert_array_equal(eager(X, Y).data, compiled(X, Y).data)
    for p, q in zip(a.parameters(), b.parameters(), strict=True):
        np.testing.assert_array_equal(p.data, q.data)
