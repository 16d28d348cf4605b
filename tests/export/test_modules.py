"""A network as NumPy, C and ONNX: each run by itself, beside what the network predicts here."""

import csv
import io
import shutil
import subprocess
import sys

import numpy as np
import pytest
from bits import assert_same_bits
from hostile_names import hostile_names
from onnx_runtime import session

import tinygrad_ce as tg
from tinygrad_ce import data, nn
from tinygrad_ce import functional as F
from tinygrad_ce.export.modules import c_file, c_string, numpy_module
from tinygrad_ce.export.onnx_prediction import dumps_prediction

STRICT = ["-std=c99", "-Wall", "-Wextra", "-Werror"]
# Rows with texts, numbers that are names, missing cells, quotes, spaces and a column of one value.
TABLE = '''\
size, color ,"code, old",constant,flag,kind
5.1,white,01,2,yes,a
6.3,"light, ""blue""",1,2,no,b
NA,white,7,2,,b
4.0, ?? é ,01,2,yes,a
7.25,,7,2,NA,"c, d"
-1e-2,white,,2,no,"c, d"
'''
MISSING = ("mean", "category")


def network(n_in, n_out, dtype=np.float32, layers=(nn.ReLU,)):
    model = nn.Sequential(nn.Linear(n_in, 8, rng=0, dtype=dtype), *[layer() for layer in layers],
                          nn.Dropout(0.5), nn.Linear(8, n_out, rng=1, dtype=dtype))  # fmt: skip
    rng = np.random.default_rng(2)
    model(rng.normal(size=(50, n_in)).astype(dtype))
    return model


def checkpoint_of(folder, text=TABLE, missing="mean", categories=("code, old",), **options):
    """A network that knows the columns of a table and how to standardize them."""
    path = folder / "table.csv"
    path.write_text(text, encoding="utf-8")
    table = data.read_csv(path, target="kind", missing=missing, categories=categories)
    model = network(table.X.shape[1], len(table.class_names), **options)
    standardizer = data.Standardizer().fit(table.X)
    return nn.Checkpoint(model, encoder=table.encoder, standardizer=standardizer), path


def run_python(source, folder, path):
    """A module in an interpreter that cannot import this package."""
    (folder / "model.py").write_text(source, encoding="utf-8")
    hidden = folder / "tinygrad_ce"
    hidden.mkdir(exist_ok=True)
    (hidden / "__init__.py").write_text("raise ImportError('this package is not to be had')")
    command = [sys.executable, "-W", "error", "model.py", str(path)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, encoding="utf-8",
                          check=False)  # fmt: skip


def run_c(source, folder, path):
    (folder / "model.c").write_text(source, encoding="utf-8")
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "these tests need a C compiler"
    subprocess.run([compiler, *STRICT, "model.c", "-lm", "-o", "model"], cwd=folder, check=True)
    with path.open("rb") as rows:
        return subprocess.run([str(folder / "model")], stdin=rows, capture_output=True, text=True,
                              encoding="utf-8", check=False)  # fmt: skip


def run_onnx(content, path):
    """The outputs for the rows of a file, whose cells become those of the inputs."""
    runner = session(content)
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{k.strip(): v.strip() for k, v in row.items()} for row in csv.DictReader(file)]
    given = {}
    for node in runner.get_inputs():
        cells = [row[node.name] for row in rows]
        texts = node.type == "tensor(string)"
        numbers = [np.nan if cell in ("", "NA") else float(cell) for cell in cells if not texts]
        given[node.name] = np.array(cells, object) if texts else np.array(numbers)
    return dict(zip(["probabilities", "prediction"], runner.run(None, given), strict=True))


def parsed(text):
    header, *rows = csv.reader(io.StringIO(text))
    numbers = np.array([[float(x) for x in row[1:]] for row in rows])
    return header, [row[0] for row in rows], numbers


def assert_predicts(checkpoint, path, result, within=2e-6):
    assert result.returncode == 0, result.stderr
    header, classes, probabilities = parsed(result.stdout)
    assert header == ["prediction", *(f"p_{name}" for name in checkpoint.class_names)]
    assert classes == checkpoint.predict(path).tolist()
    np.testing.assert_allclose(probabilities, checkpoint.predict_proba(path), 0, within)


# ── Each by its own runtime ───────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("missing", MISSING)
def test_texts_and_missing_cells_are_treated_as_here(missing, dtype, tmp_path):
    checkpoint, path = checkpoint_of(tmp_path, missing=missing, dtype=dtype)
    assert_predicts(checkpoint, path, run_python(numpy_module(checkpoint), tmp_path, path))
    assert_predicts(checkpoint, path, run_c(c_file(checkpoint), tmp_path, path))
    found = run_onnx(dumps_prediction(checkpoint), path)
    expected = checkpoint.predict_proba(path)
    within = 1e-6 if dtype == np.float32 else 1e-14
    assert found["probabilities"].dtype == expected.dtype
    np.testing.assert_allclose(found["probabilities"], expected, 0, within)
    assert found["prediction"].tolist() == checkpoint.predict(path).tolist()


@pytest.mark.parametrize("missing", MISSING)
def test_the_module_of_numpy_computes_the_same_bits_for_any_number_of_rows(missing, tmp_path):
    checkpoint, path = checkpoint_of(tmp_path, missing=missing)
    namespace = {"__name__": "model"}
    exec(numpy_module(checkpoint), namespace)
    X = checkpoint.encoder.encode(path)
    for n in (1, 5, 40):
        rows = np.resize(X, (n, X.shape[1])) + np.arange(n)[:, None]
        with tg.no_grad():
            expected = F.softmax(checkpoint.model.eval()(checkpoint.prepare(rows))).data
        (found,) = namespace["probabilities"](rows)
        assert_same_bits(found, expected)
    np.testing.assert_array_equal(namespace["encode"]([]), np.zeros((0, X.shape[1])))
    cells = [5, "white", 1, 2.0, "yes"], [None, None, "", float("nan"), "NA"]
    names = ["size", "color", "code, old", "constant", "flag"]
    rows = [dict(zip(names, row, strict=True)) for row in cells]
    if missing == "mean":
        np.testing.assert_array_equal(namespace["encode"](rows), checkpoint.encoder.encode(rows))
        assert namespace["predict"](rows) == checkpoint.predict(rows).tolist()


LAYERS = {
    "tanh": (nn.Tanh,),
    "sigmoid": (nn.Sigmoid,),
    "GELU": (nn.GELU,),
    "GELU tanh": (lambda: nn.GELU("tanh"),),
    "ELU": (nn.ELU, nn.SiLU),
    "leaky": (nn.LeakyReLU, nn.Softplus),
    "batch norm": (lambda: nn.BatchNorm1d(8), nn.Tanh),
    "layer norm": (lambda: nn.LayerNorm(8), nn.LogSoftmax),
    "many": (lambda: nn.MLP([8, 1, 8], "relu", rng=0), nn.Flatten, nn.Softmax),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_networks_of_each_kind_agree(name, tmp_path):
    checkpoint, path = checkpoint_of(tmp_path, layers=LAYERS[name])
    assert_predicts(checkpoint, path, run_python(numpy_module(checkpoint), tmp_path, path))
    assert_predicts(checkpoint, path, run_c(c_file(checkpoint), tmp_path, path))
    found = run_onnx(dumps_prediction(checkpoint), path)["probabilities"]
    np.testing.assert_allclose(found, checkpoint.predict_proba(path), 0, 1e-6)


@pytest.mark.slow
def test_names_are_data(tmp_path):
    texts = [
        name.encode("utf-8", "replace").decode()
        for name in hostile_names(300)
        if name and name.strip() == name and len(name) < 100 and not {*"\r\0"} & {*name}
    ]
    texts = [*dict.fromkeys(texts)]
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["number", *texts[:20], "kind"])
    for i, text in enumerate(texts):
        writer.writerow([i, *[f"{text}!"] * 20, ["a", 'b "," ??/ \\'][i % 2]])
    checkpoint, path = checkpoint_of(tmp_path, out.getvalue(), categories=())
    assert_predicts(checkpoint, path, run_python(numpy_module(checkpoint), tmp_path, path))
    assert_predicts(checkpoint, path, run_c(c_file(checkpoint), tmp_path, path))


# ── What is wrong with a row ──────────────────────────────────────────────────────────────────────

WRONG = {
    "an unknown category": ("5.1,green,01,2,yes", "green"),
    "no number": ("wide,white,01,2,yes", "wide"),
    "a number that Python knows": ("1_0,white,01,2,yes", "1_0"),
    "an infinite number": ("1e999,white,01,2,yes", "1e999"),
    "nan": ("nan,white,01,2,yes", "nan"),
    "a cell too few": ("5.1,white,01,2", "cells"),
    "a cell too many": ("5.1,white,01,2,yes,a", "cells"),
}


@pytest.mark.slow
def test_a_row_that_is_wrong_is_one_line_on_stderr_and_status_2(tmp_path, capsys, monkeypatch):
    checkpoint, path = checkpoint_of(tmp_path)
    assert run_c(c_file(checkpoint), tmp_path, path).returncode == 0
    namespace = {"__name__": "model"}
    exec(numpy_module(checkpoint), namespace)
    monkeypatch.setattr(sys, "argv", ["model.py", str(path)])
    for name, (row, message) in WRONG.items():
        path.write_text(f'size,color,"code, old",constant,flag\n5.1,white,01,2,yes\n{row}\n')
        assert namespace["main"]() == 2, name
        with path.open("rb") as rows:
            by_c = subprocess.run(
                [str(tmp_path / "model")], stdin=rows, text=True, capture_output=True, check=False
            )
        assert by_c.returncode == 2, name
        for shown in (capsys.readouterr().err, by_c.stderr):
            assert message in shown, name
            assert shown.count("\n") == 1, name


def test_a_row_that_is_wrong_has_nan_in_onnx(tmp_path):
    checkpoint, path = checkpoint_of(tmp_path)
    lines = path.read_text(encoding="utf-8").split("\n")
    path.write_text("\n".join([*lines[:3], "5.1,green,01,2,yes,a", *lines[3:]]), encoding="utf-8")
    found = run_onnx(dumps_prediction(checkpoint), path)
    assert np.isnan(found["probabilities"]).any(1).tolist() == [False, False, True, *[False] * 4]
    assert found["prediction"][2] == ""


@pytest.mark.slow
def test_a_missing_cell_that_is_refused_here_is_refused_there(tmp_path):
    text = "size,color,kind\n1,red,a\n2,blue,b\n"
    checkpoint, path = checkpoint_of(tmp_path, text, missing="refuse", categories=())
    path.write_text("size,color\n1,\n")
    result = run_python(numpy_module(checkpoint), tmp_path, path)
    assert (result.returncode, result.stderr) == (2, "row 0, column 'color': the cell is missing\n")
    path.write_text("size,color\n,red\n1,red\n")
    found = run_onnx(dumps_prediction(checkpoint), path)["probabilities"]
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


# ── What cannot be exported ───────────────────────────────────────────────────────────────────────


class Sorts(nn.Module):
    def forward(self, x):
        return x.take(x.argsort(-1)[0], axis=-1)


class ReadsValues(nn.Module):
    def forward(self, x):
        return x * float(x.sum().item() > 0)


@pytest.mark.parametrize(
    ("layer", "write", "error", "message"),
    [
        (Sorts, c_file, ValueError, "no C without NumPy for argsort"),
        (ReadsValues, c_file, RuntimeError, "was read while the step is recorded"),
        (ReadsValues, numpy_module, RuntimeError, "was read while the step is recorded"),
        (ReadsValues, dumps_prediction, RuntimeError, "was read while the step is recorded"),
    ],
)
def test_a_layer_that_an_export_cannot_carry_is_refused(layer, write, error, message, tmp_path):
    checkpoint, _ = checkpoint_of(tmp_path)
    checkpoint.model.layers = (*checkpoint.model.layers, layer())
    with pytest.raises(error, match=message):
        write(checkpoint)


@pytest.mark.parametrize("write", [c_file, numpy_module, dumps_prediction])
def test_a_checkpoint_without_columns_is_refused(write):
    with pytest.raises(ValueError, match="no encoder"):
        write(nn.Checkpoint(nn.Linear(2, 2)))
    with pytest.raises(TypeError, match="checkpoint"):
        write(nn.Linear(2, 2))


def test_a_text_of_c_has_no_trigraph_and_no_byte_that_is_no_character():
    assert c_string('??/"\\\n') == '"\\077\\077/\\"\\134\\012"'
