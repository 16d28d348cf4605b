"""Models and training steps in ONNX Runtime, beside what they are here."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from hostile_names import hostile_names
from onnx_runtime import run, session

import tinygrad_ce as tg
from tinygrad_ce import data, nn, optim
from tinygrad_ce import functional as F
from tinygrad_ce.compiler import RecordingError
from tinygrad_ce.export.onnx_files import dumps

WITHIN = {np.float32: 1e-6, np.float64: 1e-14}
WITHIN_STEPS = {np.float32: 1e-6, np.float64: 1e-13}
DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


def assert_within(found, expected, within):
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    scale = max(1, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(found / scale, expected / scale, 0, within)


# ── Models ────────────────────────────────────────────────────────────────────────────────────────


class Gated(nn.Module):
    """Two inputs, two outputs, and a reshape that depends on the size of the batch."""

    def __init__(self, dtype):
        self.embedding = nn.Embedding(7, 4, rng=0, dtype=dtype)
        self.gate = nn.Linear(4, 4, rng=1, dtype=dtype)

    def forward(self, rows, tokens):
        vectors = self.embedding(tokens) * self.gate(rows).sigmoid().reshape(len(rows), 1, 4)
        return {"vectors": vectors, "total": vectors.sum((1, 2)), "mean": vectors.mean(0)}


def model_with(layer, dtype):
    return nn.Sequential(nn.Linear(4, 6, rng=0, dtype=dtype), layer, nn.Linear(6, 3, rng=1))


LAYERS = {
    "Linear": lambda d: nn.Linear(6, 6, bias=False, rng=2, dtype=d),
    "BatchNorm1d": lambda d: nn.BatchNorm1d(6, dtype=d),
    "LayerNorm": lambda d: nn.LayerNorm(6, dtype=d),
    "Dropout": lambda d: nn.Dropout(0.5),
    "Flatten": lambda d: nn.Flatten(),
    "Tanh": lambda d: nn.Tanh(),
    "ReLU": lambda d: nn.ReLU(),
    "LeakyReLU": lambda d: nn.LeakyReLU(0.1),
    "ELU": lambda d: nn.ELU(),
    "GELU": lambda d: nn.GELU(),
    "GELU tanh": lambda d: nn.GELU("tanh"),
    "SiLU": lambda d: nn.SiLU(),
    "Softplus": lambda d: nn.Softplus(2.0),
    "Sigmoid": lambda d: nn.Sigmoid(),
    "Softmax": lambda d: nn.Softmax(),
    "LogSoftmax": lambda d: nn.LogSoftmax(),
    "Sequential": lambda d: nn.Sequential(nn.Tanh(), nn.ReLU()),
    "MLP": lambda d: nn.MLP([6, 5, 6], "relu", rng=0, dtype=d),
}


def trained(model, dtype):
    """The model with running averages and parameters that are not those of the beginning."""
    rng = np.random.default_rng(5)
    model(rng.normal(2, 3, (20, 4)).astype(dtype))
    for parameter in model.parameters():
        parameter.data = parameter.data + rng.normal(0, 0.1, parameter.shape).astype(dtype)
    return model


def test_each_layer_of_nn_has_a_line():
    modules = {x for x in map(nn.__dict__.get, nn.__all__) if isinstance(x, type)}
    layers = {x.__name__ for x in modules if issubclass(x, nn.Module) and "Loss" not in x.__name__}
    known = {name.split()[0] for name in LAYERS}
    assert layers - known == {"Module", "ModuleList", "Embedding"}  # the last is in another test


@DTYPES
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_agree_for_batches_of_any_size(layer, dtype):
    first, last = nn.Linear(4, 6, rng=0, dtype=dtype), nn.Linear(6, 3, rng=1, dtype=dtype)
    model = trained(nn.Sequential(first, LAYERS[layer](dtype), last), dtype)
    runner = session(dumps(model, np.ones((2, 4), dtype)))
    assert [(x.name, x.shape) for x in runner.get_inputs()] == [("x", ["N", 4])]
    model.eval()
    for n in (1, 2, 13, 100):
        x = np.random.default_rng(n).normal(size=(n, 4)).astype(dtype)
        assert_within(run(runner, x)["output"], model(x).data, WITHIN[dtype])


@DTYPES
def test_embeddings_several_inputs_and_several_outputs_agree(dtype):
    model = Gated(dtype)
    rng = np.random.default_rng(0)
    rows, tokens = np.ones((2, 4), dtype), np.zeros((2, 3), np.int64)
    runner = session(dumps(model, (rows, tokens)))
    assert [x.name for x in runner.get_inputs()] == ["rows", "tokens"]
    assert [x.shape for x in runner.get_outputs()] == [["N", 3, 4], ["N"], [3, 4]]
    for n in (1, 5, 40):
        given = rng.normal(size=(n, 4)).astype(dtype), rng.integers(0, 7, (n, 3))
        found = run(runner, *given)
        for name, expected in model(*given).items():
            assert_within(found[name], expected.data, WITHIN[dtype])


def test_the_attention_of_the_examples_is_exported_for_batches_of_any_size():
    path = Path(__file__).parents[2] / "examples/name_attention.py"
    spec = importlib.util.spec_from_file_location("name_attention", path)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    model = example.Writer()
    tokens, _ = example.encode(["emma", "noah", "mia"])
    runner = session(dumps(model, tokens[:1]))
    for n in (1, 2, 3):
        assert_within(run(runner, tokens[:n])["output"], model(tokens[:n]).data, 1e-6)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.uint32])
def test_tokens_of_any_integer_dtype_are_taken(dtype):
    model = nn.Embedding(7, 3, rng=0)
    tokens = np.array([[1, 6], [0, 2]], dtype)
    found = run(dumps(model, tokens), tokens)["output"]
    np.testing.assert_array_equal(found, model(tokens).data)


def test_a_function_of_tensors_is_a_model_and_a_tensor_an_example():
    content = dumps(lambda x: F.softmax(x @ x.T), tg.Tensor(np.eye(3)), fixed_batch=True)
    x = np.random.default_rng(0).normal(size=(3, 3))
    assert_within(run(content, x)["output"], F.softmax(x @ x.T).data, 1e-14)


def test_the_parameters_have_the_names_of_the_state_dict():
    model = nn.MLP([4, 5, 3], rng=0)
    file = onnx.load_from_string(dumps(model, np.ones((1, 4), np.float32)))
    arrays = {x.name: onnx.numpy_helper.to_array(x) for x in file.graph.initializer}
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(arrays[name], array)
    assert any(node.name == "MLP/Linear/MatMul" for node in file.graph.node)
    onnx.checker.check_model(file, full_check=True)


def test_the_file_appears_as_a_whole_and_the_model_stays_as_it_is(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(0.5).eval(), nn.BatchNorm1d(3))
    before = model.state_dict()
    tg.onnx.export(model, tmp_path / "model.onnx", np.ones((1, 4), np.float32))
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    onnx.checker.check_model(str(tmp_path / "model.onnx"), full_check=True)
    assert [m.training for m in model.modules()] == [True, True, False, True]
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("name", hostile_names(120))
def test_names_are_data(name):
    p = tg.Tensor(np.ones(3), requires_grad=True, name=name)

    @tg.scope(name)
    def model(x):
        y = x * p
        y.name = name
        return {name: y, "other": y.sum()}

    found = run(dumps(model, np.ones(3), fixed_batch=True), np.arange(3.0))
    assert [x.sum() for x in found.values()] == [3, 3]


# ── What is refused ───────────────────────────────────────────────────────────────────────────────


class ReadsValues(nn.Module):
    def forward(self, x):
        return x * 2 if x.sum().item() > 0 else x


class DependsOddly(nn.Module):
    def forward(self, x):
        return x / len(x) ** 2


class BranchesOnTheSize(nn.Module):
    def forward(self, x):
        return x * 2 if len(x) > 15 else x


class CountsCalls(nn.Module):
    def __init__(self):
        self.calls = tg.Tensor(0.0)

    def forward(self, x):
        self.calls.data = self.calls + 1
        return x * self.calls


class Halves(nn.Module):
    def forward(self, x):
        return x.astype(np.float16) * 2


class Noise(nn.Module):
    def __init__(self):
        self.rng = np.random.default_rng(0)

    def forward(self, x):
        return x + tg.sample(self.rng.normal, size=3)


class DrawsBesideSample(nn.Module):
    def forward(self, x):
        return x + np.random.default_rng().normal()


@pytest.mark.parametrize("fixed_batch", [False, True])
def test_a_model_that_does_something_else_each_time_is_refused(fixed_batch):
    with pytest.raises(RecordingError, match="recorded twice, and did not compute the same"):
        dumps(DrawsBesideSample(), np.ones((2, 3)), fixed_batch)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (ReadsValues(), RecordingError, "was read while the step is recorded"),
        (DependsOddly(), ValueError, "depends on the size of the batch"),
        (BranchesOnTheSize(), ValueError, "computes other things for batches of other sizes"),
        (CountsCalls(), ValueError, "changes its state"),
        (Halves(), ValueError, "at Halves: float16"),
        (Noise(), RecordingError, "draws random numbers in Noise"),
        (lambda x: x.data, RecordingError, "was read while the step is recorded"),
        (lambda x: 3.0, TypeError, "returned no Tensor"),
        (lambda x: x.astype(np.longdouble), ValueError, "longdouble|float128"),
        (lambda x: np.linalg.inv(x.T @ x + np.eye(3)), ValueError, "the primitive inv: ONNX"),
        (3, TypeError, "a model"),
    ],
)
def test_what_an_export_cannot_carry_is_refused_before_anything_is_written(
    model, error, message, tmp_path
):
    (tmp_path / "old.onnx").write_bytes(b"old")
    with pytest.raises(error, match=message):
        tg.onnx.export(model, tmp_path / "old.onnx", np.ones((3, 3)))
    assert (tmp_path / "old.onnx").read_bytes() == b"old"
    assert len([*tmp_path.iterdir()]) == 1


def test_a_model_that_depends_on_the_size_in_an_unusual_way_is_exported_for_that_size():
    x = np.arange(6.0).reshape(2, 3)
    assert_within(run(dumps(DependsOddly(), x, fixed_batch=True), x)["output"], x / 4, 1e-15)


def test_halves_are_refused_as_parameters_too():
    with pytest.raises(ValueError, match="float16"):
        dumps(nn.Linear(3, 3, dtype=np.float16), np.ones((2, 3), np.float16))


def test_an_example_without_rows_and_a_path_that_is_none_are_refused(tmp_path):
    with pytest.raises(ValueError, match="the example has no rows"):
        dumps(nn.Linear(4, 3), np.ones((0, 4), np.float32))
    with pytest.raises(TypeError, match="the path of a file"):
        tg.onnx.export(nn.Linear(4, 3), 3, np.ones((1, 4), np.float32))
    with pytest.raises(OSError, match="a folder"):
        tg.onnx.export(nn.Linear(4, 3), tmp_path, np.ones((1, 4), np.float32))


def test_without_onnx_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r'pip install "tinygrad-ce\[onnx\]"'):
        tg.onnx.export(nn.Linear(4, 3), tmp_path / "x.onnx", np.ones((1, 4), np.float32))
    assert [*tmp_path.iterdir()] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement",
    [
        "import tinygrad_ce as tg; module = tg.onnx",
        "from tinygrad_ce import onnx as module",
        "import tinygrad_ce.onnx; module = tinygrad_ce.onnx",
        "import onnx; import tinygrad_ce.onnx as module; assert module is not onnx",
    ],
)
def test_the_module_is_found_in_each_way(statement, tmp_path):
    code = f"{statement}\nfrom tinygrad_ce import nn\nimport numpy as np\n"
    code += f"module.export(nn.Linear(4, 3), {str(tmp_path / 'x.onnx')!r}, np.ones((1, 4), 'f4'))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert (tmp_path / "x.onnx").exists()


# ── Training steps ────────────────────────────────────────────────────────────────────────────────

OPTIMIZERS = {
    "SGD": lambda params: optim.SGD(params, lr=0.1),
    "momentum": lambda params: optim.SGD(params, lr=0.02, momentum=0.9, weight_decay=0.01),
    "Nesterov": lambda params: optim.SGD(params, lr=0.02, momentum=0.9, nesterov=True),
    "Adam": lambda params: optim.Adam(params, lr=0.01),
    "AdamW": lambda params: optim.AdamW(params, lr=0.01),
    "RMSprop": lambda params: optim.RMSprop(params, lr=0.001),
}


def step_of(model, optimizer, loss=F.cross_entropy):
    def step(X, y):
        value = loss(model(X), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return {"loss": value}

    return step


def names_of_parameters(state):
    return [name for name in state if name.startswith(("weight", "bias"))]


@DTYPES
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_200_steps_agree_with_those_made_here(name, dtype, tmp_path):
    X, y, _ = data.iris()
    X = data.Standardizer().fit(X).transform(X).astype(dtype)
    model = nn.MLP([4, 16, 3], rng=0, dtype=dtype)
    optimizer = OPTIMIZERS[name](model.parameters())
    step = step_of(model, optimizer)
    state = tg.onnx.export_step(step, tmp_path / "step.onnx", X[:32], y[:32])
    runner = session(tmp_path / "step.onnx")
    rng = np.random.default_rng(0)
    for _ in range(200):
        rows = rng.integers(0, len(X), rng.choice([1, 7, 32]))
        found = run(runner, X[rows], y[rows], **state)
        assert_within(found["loss"], step(X[rows], y[rows])["loss"].data, WITHIN_STEPS[dtype])
        state |= {name: found[f"new_{name}"] for name in state if f"new_{name}" in found}
    for name, parameter in zip(names_of_parameters(state), model.parameters(), strict=True):
        assert_within(state[name], parameter.data, 5 * WITHIN_STEPS[dtype])
        assert_within(found[f"grad_{name}"], parameter.grad, WITHIN_STEPS[dtype])


def test_the_defaults_of_a_step_are_its_state_and_the_learning_rate_is_an_input(tmp_path):
    model = nn.MLP([4, 3], rng=0)
    step = step_of(model, optim.SGD(model.parameters(), lr=0.1))
    X, y = np.ones((2, 4), np.float32), np.array([0, 1])
    before = model.state_dict()
    state = tg.onnx.export_step(step, tmp_path / "step.onnx", X, y)
    assert [*state] == ["weight", "bias", "lr"]
    np.testing.assert_array_equal(model[0].weight.data, before["0.weight"])
    assert model[0].weight.grad is None
    default, slow = (
        run(tmp_path / "step.onnx", X, y, **more) for more in ({}, {"lr": np.array(0.01)})
    )
    np.testing.assert_array_equal(default["grad_weight"], slow["grad_weight"])
    steps = [before["0.weight"] - found["new_weight"] for found in (default, slow)]
    np.testing.assert_allclose(steps[0], 10 * steps[1], rtol=1e-4, atol=1e-6)


LOSSES = {
    "cross_entropy": (F.cross_entropy, "labels"),
    "weights": (lambda z, y: F.cross_entropy(z, y, weight=[1.0, 2.0, 0.5]), "labels"),
    "smoothing": (lambda z, y: F.cross_entropy(z, y, label_smoothing=0.1), "labels"),
    "ignored": (lambda z, y: F.cross_entropy(z, y, ignore_index=1), "labels"),
    "sum": (lambda z, y: F.cross_entropy(z, y, reduction="sum"), "labels"),
    "nll": (lambda z, y: F.nll_loss(F.log_softmax(z), y), "labels"),
    "mse": (F.mse_loss, "rows"),
    "l1": (F.l1_loss, "rows"),
    "huber": (F.huber_loss, "rows"),
    "bce": (F.binary_cross_entropy_with_logits, "rows"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_steps_with_each_loss_agree_for_batches_of_any_size(name, tmp_path):
    loss, kind = LOSSES[name]
    rng = np.random.default_rng(1)

    def batch(n):
        y = rng.integers(0, 3, n) if kind == "labels" else rng.uniform(0, 1, (n, 3))
        return rng.normal(size=(n, 4)), y

    model = nn.MLP([4, 5, 3], rng=0, dtype=np.float64)
    step = step_of(model, optim.Adam(model.parameters(), lr=0.01), loss)
    state = tg.onnx.export_step(step, tmp_path / "step.onnx", *batch(4))
    runner = session(tmp_path / "step.onnx")
    for n in (4, 9, 2):
        X, y = batch(n)
        found = run(runner, X, y, **state)
        assert_within(found["loss"], step(X, y)["loss"].data, 1e-13)
        for key, parameter in zip(names_of_parameters(state), model.parameters(), strict=True):
            assert_within(found[f"grad_{key}"], parameter.grad, 1e-13)
        state |= {key: found[f"new_{key}"] for key in state if f"new_{key}" in found}


def test_a_step_that_clips_gradients_is_exported_for_batches_of_any_size(tmp_path):
    vectors = nn.Embedding(7, 4, rng=0, dtype=np.float64)
    model = nn.Sequential(vectors, nn.LayerNorm(4, dtype=np.float64), nn.Linear(4, 5, rng=1))
    optimizer = optim.AdamW(model.parameters(), lr=0.01)

    def step(tokens, y):
        loss = F.cross_entropy(model(tokens), y, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        norm = optim.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        return {"loss": loss, "norm": norm}

    rng = np.random.default_rng(0)

    def batch(n):  # a label for each place of each row
        return rng.integers(0, 7, (n, 3)), rng.integers(-1, 5, (n, 3))

    state = tg.onnx.export_step(step, tmp_path / "step.onnx", *batch(4))
    runner = session(tmp_path / "step.onnx")
    for n in (4, 9, 1):
        given = batch(n)
        found = run(runner, *given, **state)
        for name, expected in step(*given).items():
            assert_within(found[name], np.asarray(expected.data), 1e-6)
        state |= {key: found[f"new_{key}"] for key in state if f"new_{key}" in found}


def test_a_step_with_batch_norm_is_exported_for_the_size_of_its_batch(tmp_path):
    model = nn.Sequential(nn.Linear(4, 5, rng=0), nn.BatchNorm1d(5), nn.Linear(5, 3, rng=1))
    step = step_of(model, optim.SGD(model.parameters(), lr=0.1))
    X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    y = np.arange(8) % 3
    with pytest.raises(ValueError, match="a constant that depends on the size"):
        tg.onnx.export_step(step, tmp_path / "step.onnx", X, y)
    state = tg.onnx.export_step(step, tmp_path / "step.onnx", X, y, fixed_batch=True)
    found = run(tmp_path / "step.onnx", X, y, **state)
    assert_within(found["loss"], step(X, y)["loss"].data, 1e-6)
    assert_within(found["new_running_var"], model[1].running_var.data, 1e-6)
    assert_within(found["new_running_mean"], model[1].running_mean.data, 1e-6)


def test_a_step_that_draws_or_assigns_what_is_no_array_is_refused(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Dropout(0.5, rng=0))
    step = step_of(model, optim.SGD(model.parameters(), lr=0.1))
    X, y = np.ones((2, 4), np.float32), np.array([0, 1])
    with pytest.raises(RecordingError, match="draws random numbers in Sequential/Dropout"):
        tg.onnx.export_step(step, tmp_path / "step.onnx", X, y)

    def switches(x):
        model.training = False
        return x * 2

    with pytest.raises(ValueError, match=r"assigns .*training"):
        tg.onnx.export_step(switches, tmp_path / "step.onnx", X)
    assert [*tmp_path.iterdir()] == []


def test_gradients_that_add_up_are_read_and_left(tmp_path):
    p = tg.Tensor([1.0, 2.0], requires_grad=True, name="p")
    p.grad = np.array([10.0, 20.0])

    def step(x):
        loss = (p * x).sum()
        loss.backward()
        return loss

    state = tg.onnx.export_step(step, tmp_path / "step.onnx", np.ones(2), fixed_batch=True)
    assert [*state] == ["grad_p"]
    found = run(tmp_path / "step.onnx", np.array([1.0, 3.0]), **state)
    np.testing.assert_array_equal(found["new_grad_p"], [11, 23])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_network_of_an_estimator_is_exported():
    from tinygrad_ce.sklearn import MLPClassifier

    X, y, _ = data.iris()
    classifier = MLPClassifier((8,), max_iter=5, dropout=0.1, random_state=0).fit(X, y)
    logits = run(dumps(classifier.model_, X[:1]), X)["output"]
    np.testing.assert_allclose(F.softmax(logits).data, classifier.predict_proba(X), 0, 1e-6)
