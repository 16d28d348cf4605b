"""Layers."""

import copy
import pickle

import numpy as np
import pytest

import tinygrad_ce as tg
from tinygrad_ce import closed_form, nn
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


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_dropout_drops_and_scales_and_passes_the_gradient_where_it_keeps(dtype):
    layer = nn.Dropout(0.25, rng=0)
    x = tg.Tensor(np.full((100, 100), 3, dtype), requires_grad=True)
    y = layer(x)
    assert y.dtype == dtype
    kept = y.data != 0
    np.testing.assert_array_equal(y.data[kept], dtype(3) * dtype(1 / 0.75))
    assert kept.mean() == pytest.approx(0.75, abs=0.02)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(x.grad, np.where(kept, dtype(1 / 0.75), 0).astype(dtype))
    assert not np.array_equal(layer(x).data, y.data)


def test_dropout_in_evaluation_returns_its_input_and_draws_nothing():
    layer = nn.Dropout(0.5, rng=0).eval()
    before = layer.rng.bit_generator.state
    x = tg.Tensor([1.0, 2.0])
    assert layer(x) is x
    assert layer.rng.bit_generator.state == before


def test_dropout_of_all_and_of_none():
    x = np.random.default_rng(0).normal(size=(50, 50))
    np.testing.assert_array_equal(nn.Dropout(1, rng=0)(x).data, 0)
    np.testing.assert_array_equal(nn.Dropout(0, rng=0)(x).data, x)


def test_dropout_shares_a_generator_and_takes_a_seed():
    rng = np.random.default_rng(1)
    assert nn.Dropout(rng=rng).rng is rng
    a, b = (nn.Dropout(rng=1)(np.ones(50)).data for _ in range(2))
    np.testing.assert_array_equal(a, b)
    assert repr(nn.Dropout(0.1)) == "Dropout(0.1)"


def test_what_dropout_refuses():
    for p in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            nn.Dropout(p)
        with pytest.raises(ValueError, match="between 0 and 1"):
            F.dropout([1.0], p, rng=np.random.default_rng(0))
    with pytest.raises(TypeError, match="Generator, got 0"):
        F.dropout([1.0], rng=0)
    with pytest.raises(TypeError, match="arguments of dropout are floating point"):
        F.dropout(np.array([1, 2]), rng=np.random.default_rng(0))


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


# ── What a module holds ───────────────────────────────────────────────────────────────────────────


class Held(nn.Module):
    """Modules and Tensors as they can be held, and a scratch value."""

    def __init__(self):
        super().__init__()
        self.blocks = [nn.Linear(2, 2, rng=0), nn.Sequential(nn.Linear(2, 2, rng=1), nn.Tanh())]
        self.heads = {"left": nn.Linear(2, 1, bias=False, rng=2)}
        self.scales = (tg.Tensor([1.0], requires_grad=True), 3, "no tensor")
        self.offset = tg.Tensor([0.5])

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        self.hidden = x
        return self.heads["left"](x) * self.scales[0] + self.offset


def test_modules_and_tensors_in_lists_tuples_and_dicts_are_found():
    model = Held()
    names = [
        "scales.0", "blocks.0.weight", "blocks.0.bias",
        "blocks.1.0.weight", "blocks.1.0.bias", "heads.left.weight",
    ]  # fmt: skip
    assert [name for name, _ in model.named_parameters()] == names
    assert model.state_dict().keys() == {*names, "offset"}
    assert model.scales[0].name == "scales.0"
    assert [name for name, _ in model.named_children()] == ["blocks.0", "blocks.1", "heads.left"]
    model.eval()
    assert not model.blocks[1][0].training
    assert not model.heads["left"].training


def test_what_was_computed_is_neither_parameter_nor_state():
    model = Held()
    before = model.state_dict().keys()
    model(np.ones((1, 2))).sum().backward()
    assert model.hidden.requires_grad
    assert model.state_dict().keys() == before
    assert all(p.grad is not None for p in model.parameters())


def test_state_of_nested_modules_round_trips():
    a, b = Held(), Held()
    for p in a.parameters():
        p.data = p.data + 1
    a.offset.data = [7.0]
    b.load_state_dict(a.state_dict())
    for name, value in b.state_dict().items():
        np.testing.assert_array_equal(value, a.state_dict()[name])


def test_a_module_need_not_call_the_constructor_of_its_base():
    class Bare(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(2, 3)

        def forward(self, x, *, scale):
            return self.layer(x) * scale

    assert Bare().training
    assert Bare()(np.ones((1, 2)), scale=2).scope.path == "Bare"
    assert not Bare().eval().layer.training
    bare = Bare()
    bare.training = False
    assert bare.layer.training


def test_reprs_say_how_to_make_it():
    assert repr(mlp()) == "MLP(0=Linear(4, 6), 1=Tanh(), 2=Linear(6, 3); 51 parameters)"
    assert repr(nn.BatchNorm1d(3)) == "BatchNorm1d(3; 6 parameters)"
    assert repr(nn.BatchNorm1d(3, eps=0.1, momentum=0.5)) == (
        "BatchNorm1d(3, eps=0.1, momentum=0.5; 6 parameters)"
    )
    assert repr(nn.Embedding(27, 10)) == "Embedding(27, 10; 270 parameters)"
    assert repr(Held()).startswith(
        "Held(scales.0 [1], offset [1], blocks.0=Linear(2, 2), blocks.1=Sequential(0=Linear(2, 2)"
    )


def test_a_sequential_is_a_sequence_of_modules():
    model = mlp()
    assert len(model) == 3
    assert model[1] is model.layers[1]
    assert [*model] == [*model.layers]
    for wrong in ([nn.Tanh()], np.tanh, nn.Tanh):
        with pytest.raises(TypeError, match="made of Modules, got"):
            nn.Sequential(wrong)


# ── Batch normalization ───────────────────────────────────────────────────────────────────────────


def batch_norm(**options):
    layer = nn.BatchNorm1d(4, dtype=np.float64, **options)
    layer.weight.data = np.array([1.0, 2.0, -1.0, 0.5])
    layer.bias.data = np.array([0.0, 1.0, 2.0, -1.0])
    return layer


def test_a_batch_is_normalized_with_its_biased_variance():
    layer = batch_norm()
    y = layer(X)
    expected = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)
    np.testing.assert_allclose(y.data, expected * layer.weight.data + layer.bias.data, rtol=1e-13)


def test_running_averages_take_the_unbiased_variance():
    layer = batch_norm(momentum=0.25)
    mean, var = np.zeros(4), np.ones(4)
    for batch in (X, 2 * X + 1):
        layer(batch)
        mean = 0.75 * mean + 0.25 * batch.mean(0)
        var = 0.75 * var + 0.25 * batch.var(0, ddof=1)
    np.testing.assert_allclose(layer.running_mean.data, mean, rtol=1e-14)
    np.testing.assert_allclose(layer.running_var.data, var, rtol=1e-14)


def test_evaluation_takes_the_running_averages_and_leaves_them():
    layer = batch_norm()
    layer(X)
    state = layer.state_dict()
    layer.eval()
    for rows in (X, X[:1], X[:0]):
        expected = (rows - state["running_mean"]) / np.sqrt(state["running_var"] + 1e-5)
        np.testing.assert_allclose(
            layer(rows).data, expected * state["weight"] + state["bias"], rtol=1e-13
        )
    assert all(np.array_equal(v, state[k]) for k, v in layer.state_dict().items())


def test_running_averages_are_state_but_no_parameters():
    layer = nn.BatchNorm1d(4)
    assert [name for name, _ in layer.named_parameters()] == ["weight", "bias"]
    assert [*layer.state_dict()] == ["weight", "bias", "running_mean", "running_var"]
    other = nn.BatchNorm1d(4)
    other(X.astype(np.float32))
    layer.load_state_dict(other.state_dict())
    np.testing.assert_array_equal(layer.running_var.data, other.running_var.data)
    assert {v.dtype for v in layer.state_dict().values()} == {np.dtype(np.float32)}


def test_the_gradient_of_batch_normalization_is_the_closed_form():
    dout = np.random.default_rng(1).normal(size=X.shape)
    for training in (True, False):
        layer = batch_norm().train(training)
        assert tg.gradcheck(layer, X, order=2)
    layer, x = batch_norm(), tg.Tensor(X, requires_grad=True)
    layer(x).backward(dout)
    closed = closed_form.batch_norm_grad(dout, X, layer.weight.data, ddof=0)
    np.testing.assert_allclose(x.grad, closed, rtol=0, atol=1e-14)
    x_hat = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-5)
    np.testing.assert_allclose(layer.weight.grad, (dout * x_hat).sum(0), rtol=1e-12)
    np.testing.assert_allclose(layer.bias.grad, dout.sum(0), rtol=1e-12)


def test_a_constant_feature_is_not_divided_by_0():
    x = tg.Tensor(np.full((3, 1), 5.0), requires_grad=True)
    y = nn.BatchNorm1d(1)(x)
    y.sum().backward()
    assert not y.data.any()
    assert np.isfinite(x.grad).all()


def test_a_batch_of_another_dtype_leaves_the_state_its_own():
    layer = nn.BatchNorm1d(4)
    assert layer(X).dtype == np.float64
    assert layer.running_mean.dtype == layer.running_var.dtype == np.float32


@pytest.mark.slow
def test_batch_normalization_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    ours, theirs = batch_norm(momentum=0.3), torch.nn.BatchNorm1d(4, momentum=0.3).double()
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.weight.data.copy()))
        theirs.bias.copy_(torch.tensor(ours.bias.data.copy()))
    dout = np.random.default_rng(1).normal(size=X.shape)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        x, x_theirs = tg.Tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
        y, y_theirs = ours(x), theirs(x_theirs)
        y.backward(dout)
        y_theirs.backward(torch.tensor(dout))
        np.testing.assert_allclose(y.data, y_theirs.detach().numpy(), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(x.grad, x_theirs.grad.numpy(), rtol=1e-10, atol=1e-13)
    for name, value in ours.state_dict().items():
        np.testing.assert_allclose(value, theirs.state_dict()[name].numpy(), rtol=1e-13)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_rows_are_refused_in_training_and_change_nothing(n):
    layer = batch_norm()
    with pytest.raises(ValueError, match=f"a batch of {n} has no variance.*at least 2 rows"):
        layer(X[:n])
    assert not layer.running_mean.data.any()


# ── Embedding ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 2), (0, 4)])
def test_an_embedding_is_rows_of_its_weight(shape, dtype):
    layer = nn.Embedding(5, 2, rng=0)
    tokens = np.random.default_rng(0).integers(0, 5, shape).astype(dtype)
    vectors = layer(tokens)
    np.testing.assert_array_equal(vectors.data, layer.weight.data[tokens])
    assert vectors.shape == (*shape, 2)
    if tokens.size:
        np.testing.assert_array_equal(layer(tokens.tolist()).data, vectors.data)


def test_tokens_that_come_twice_add_up_in_the_gradient():
    layer = nn.Embedding(4, 2, rng=0)
    layer([[0, 2], [2, 2]]).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [3, 3], [0, 0]]
    assert layer.weight.dtype == np.float32


def test_the_vectors_start_standard_normal():
    weight = nn.Embedding(200, 50, rng=0).weight.data
    assert abs(weight.mean()) < 0.03
    assert abs(weight.std() - 1) < 0.03


@pytest.mark.parametrize(
    ("tokens", "error", "says"),
    [
        ([0, 5], IndexError, "index 5 at row 1 is out of range for 5 tokens: indices run from 0"),
        ([[0, 1], [-1, 0]], IndexError, r"index -1 at row \(1, 0\)"),
        (7, IndexError, "index 7 is out of range"),
        ([0.0], TypeError, "indices are integers from 0 to 4, got float64"),
        ([True], TypeError, "got bool"),
        (tg.Tensor([0.0]), TypeError, "got float64"),
    ],
)
def test_indices_out_of_range_are_refused(tokens, error, says):
    with pytest.raises(error, match=says):
        nn.Embedding(5, 2)(tokens)


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: nn.MLP([4]), ValueError, "at least"),
        (lambda: nn.MLP([4, 0, 3]), ValueError, "at least 1"),
        (lambda: nn.MLP([4, 3], activation="softplus"), ValueError, "tanh, relu, sigmoid"),
        (lambda: nn.Module()(X), NotImplementedError, "forward"),
        (lambda: nn.BatchNorm1d(0), ValueError, "at least 1"),
        (lambda: nn.BatchNorm1d(4, eps=-1), ValueError, "eps"),
        (lambda: nn.BatchNorm1d(4, momentum=1.5), ValueError, "momentum"),
        (lambda: nn.BatchNorm1d(3)(X), ValueError, r"\(N, 3\), got \(5, 4\)"),
        (lambda: nn.BatchNorm1d(4)(X[0]), ValueError, r"\(N, 4\), got \(4,\)"),
        (lambda: nn.Embedding(0, 2), ValueError, "at least 1"),
        (lambda: nn.Embedding(2, 0), ValueError, "at least 1"),
    ],
)
def test_refuses_with_an_explanation(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_numbers_of_numpy_leave_the_dtype_of_a_batch_alone():
    x = tg.Tensor(np.ones((4, 3), np.float32))
    assert nn.BatchNorm1d(3, eps=np.float64(1e-5), momentum=np.float64(0.1))(x).dtype == np.float32
    assert nn.Dropout(np.float64(0.5), rng=0)(x).dtype == np.float32
