"""tinygrad-ce export: each format, by the runtime that it is for."""

import importlib.util
import json
import sys

import numpy as np
import pytest
import safetensors.numpy
from cli_process import contents
from onnx_runtime import run as run_onnx

from tinygrad_ce import data, nn
from tinygrad_ce.cli import main

FORMATS = {
    "onnx": "model.onnx",
    "numpy": "model.py",
    "c": "model.c",
    "torch": "model.pt",
    "safetensors": "weights.safetensors",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short training on iris."""
    folder = tmp_path_factory.mktemp("export") / "run"
    options = ["--epochs", "3", "--hidden", "8", "--activation", "tanh", "--backend", "eager"]
    assert main(["train", "iris", "--out", str(folder), *options]) == 0
    return folder


@pytest.fixture
def X():
    return data.iris()[0].astype(np.float64)


def export(run, kind, path, capsys):
    capsys.readouterr()
    assert main(["export", str(run), "--to", kind, "-o", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    return path


def test_onnx_runtime_predicts_from_raw_columns(run, X, tmp_path, capsys):
    path = export(run, "onnx", tmp_path / "model.onnx", capsys)
    found = run_onnx(path, *X.T)
    checkpoint = nn.load(run / "model.safetensors")
    np.testing.assert_allclose(found["probabilities"], checkpoint.predict_proba(X), 0, 1e-6)
    assert found["prediction"].tolist() == checkpoint.predict(X).tolist()


def test_a_module_of_python_predicts_with_numpy_alone(run, X, tmp_path, capsys):
    path = export(run, "numpy", tmp_path / "flowers.py", capsys)
    spec = importlib.util.spec_from_file_location("flowers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkpoint = nn.load(run / "model.safetensors")
    np.testing.assert_allclose(module.predict_proba(X.tolist()), checkpoint.predict_proba(X), 1e-6)
    assert module.predict(X.tolist()) == checkpoint.predict(X).tolist()
    assert module.CLASSES == ["setosa", "versicolor", "virginica"]


@pytest.mark.torch
def test_pytorch_loads_the_state_dict(run, X, tmp_path, capsys):
    import torch

    path = export(run, "torch", tmp_path / "model.pt", capsys)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    model.load_state_dict(torch.load(path, weights_only=True))
    checkpoint = nn.load(run / "model.safetensors")
    rows = checkpoint.inputs(X)
    with torch.no_grad():
        found = model(torch.from_numpy(rows)).softmax(-1).numpy()
    np.testing.assert_allclose(found, checkpoint.predict_proba(X), 0, 1e-6)


def test_safetensors_loads_the_arrays_and_says_what_the_columns_are(run, tmp_path, capsys):
    path = export(run, "safetensors", tmp_path / "weights.safetensors", capsys)
    checkpoint = nn.load(run / "model.safetensors")
    arrays = safetensors.numpy.load_file(path)
    for name, array in checkpoint.model.state_dict().items():
        np.testing.assert_array_equal(arrays[name], array)
    assert arrays.keys() == checkpoint.model.state_dict().keys()
    with safetensors.safe_open(path, "numpy") as file:
        texts = {name: json.loads(text) for name, text in file.metadata().items()}
    assert texts["classes"] == ["setosa", "versicolor", "virginica"]
    assert texts["columns"] == [*checkpoint.encoder.feature_names]
    np.testing.assert_array_equal(texts["mean"], checkpoint.standardizer.mean)
    np.testing.assert_array_equal(texts["std"], checkpoint.standardizer.std)


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=[pytest.mark.torch] * (k == "torch")) for k in FORMATS]
)
def test_without_a_name_the_file_is_in_the_run_and_the_run_stays_as_it_is(kind, run, capsys):
    before = {name: (run / name).read_bytes() for name in contents(run)}
    capsys.readouterr()
    assert main(["export", str(run), "--to", kind]) == 0
    path = run / FORMATS[kind]
    assert capsys.readouterr().out == f"{path}\n"
    assert contents(run) == {*before, FORMATS[kind]}
    path.unlink()
    assert {name: (run / name).read_bytes() for name in contents(run)} == before


class Odd(nn.Module):
    def forward(self, x):
        return x * float(x.sum().item() > 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{none}", "--to", "onnx"], "is no run"),
        (["{run}", "--to", "pdf"], "invalid choice: 'pdf'"),
        (["{run}"], "--to"),
        (["{run}", "--to", "safetensors", "-o", "{run}/model.safetensors"], "is a file of the run"),
        (["{run}", "--to", "c", "-o", "{run}/../run/checkpoint.safetensors"], "is a file of the"),
        (["{run}", "--to", "c", "-o", "{run}"], "a folder, not a file"),
        (["{half}", "--to", "onnx", "-o", "{out}"], "at Sequential/Halves: float16"),
        (["{half}", "--to", "c", "-o", "{out}"], "no C without NumPy for"),
        (["{odd}", "--to", "numpy", "-o", "{out}"], "was read while the step is recorded"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_status_2(
    arguments, message, run, tmp_path, capsys, monkeypatch
):
    places = {"run": run, "none": tmp_path, "out": tmp_path / "out", "half": run, "odd": run}
    layer = {"{half}": Halves, "{odd}": Odd}.get(arguments[0])
    if layer is not None:  # which the class of checkpoints does not know
        loaded = nn.load(run / "model.safetensors")
        loaded.model.layers = (*loaded.model.layers, layer())
        monkeypatch.setattr(nn, "load", lambda path: loaded)
    capsys.readouterr()
    assert main(["export", *(a.format(**places) for a in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert contents(tmp_path) == set()


class Halves(nn.Module):
    def forward(self, x):
        return x.astype(np.float16) * 2


@pytest.mark.parametrize(
    ("kind", "module", "extra"),
    [("onnx", "onnx", "tinygrad-ce[onnx]"), ("torch", "torch", "pip install torch")],
)
def test_a_missing_package_is_named(kind, module, extra, run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    capsys.readouterr()
    assert main(["export", str(run), "--to", kind, "-o", str(tmp_path / "x")]) == 2
    assert extra in capsys.readouterr().err
    assert contents(tmp_path) == set()
