import ast
import inspect
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinygrad_ce import closed_form, functional, nn, train
from tinygrad_ce.cli import main
from tinygrad_ce.draw import Drawing
from tinygrad_ce.engine import primitives
from tinygrad_ce.verify import decimal_reference as reference

FILES = {"index.html", "loss.svg", "loss.dot", "weights.npz"}


def run(*arguments, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "tinygrad_ce", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, encoding="utf-8", **options
    )


def contents(folder):
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory but for a file that is in the way."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ── demo ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """What the demo with its defaults prints, and the folder where it ran."""
    folder = tmp_path_factory.mktemp("demo")
    return run("demo", cwd=folder), folder


def test_demo_writes_page_graph_and_weights_and_says_where(demo_run):
    done, folder = demo_run
    assert done.returncode == 0
    assert contents(folder) == {"tinygrad_ce_demo"} | {f"tinygrad_ce_demo/{f}" for f in FILES}
    for name in FILES:
        assert str(Path("tinygrad_ce_demo", name)) in done.stdout


def test_demo_prints_an_accuracy_and_a_progress_bar_with_loss_and_accuracy(demo_run):
    done, _ = demo_run
    assert float(re.search(r"test accuracy: ([\d.]+) \(\d+ of 75\)", done.stdout)[1]) >= 0.93
    assert re.search(r"150/150 .*loss [\d.]+, accuracy [\d.]+", done.stderr)


def test_demo_prints_every_gradient_before_and_after_and_none_disagrees(demo_run):
    done, _ = demo_run
    rows = [line for line in done.stdout.splitlines() if line.startswith("∂L/∂")]
    assert len(rows) == 14 + 14 + 1
    assert sum(row.startswith("∂L/∂z ") for row in rows) == 5
    assert all(re.split(r"  +", row)[3] == "yes" for row in rows)


def test_demo_prints_the_largest_difference_on_1000_random_logits(demo_run):
    done, _ = demo_run
    (row,) = (line for line in done.stdout.splitlines() if "1,000 sets" in line)
    assert 0 <= float(re.split(r"  +", row)[4]) <= 4e-16


def test_demo_weights_reload_into_a_model_of_the_same_accuracy(demo_run):
    done, folder = demo_run
    experiment = prepare("iris")
    weights = np.load(folder / "tinygrad_ce_demo" / "weights.npz")
    experiment.model.load_state_dict(dict(weights))
    share = train.accuracy(experiment.model, experiment.X_test, experiment.y_test)
    assert f"test accuracy: {share:.3f} " in done.stdout


def test_demo_weights_load_into_a_model_of_float32_too(demo_run):
    model = nn.MLP([4, 16, 3])
    model.load_state_dict(dict(np.load(demo_run[1] / "tinygrad_ce_demo" / "weights.npz")))


def test_demo_with_the_same_seed_is_the_same_to_the_byte(demo_run, tmp_path, capsys):
    _, folder = demo_run
    assert main(["demo", "--out", str(tmp_path / "again")]) == 0
    for name in FILES:
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (folder / "tinygrad_ce_demo" / name).read_bytes(), name


def test_demo_with_another_seed_is_another(demo_run, tmp_path, capsys):
    main(["demo", "--out", str(tmp_path / "other"), "--seed", "1"])
    other = (tmp_path / "other" / "weights.npz").read_bytes()
    assert other != (demo_run[1] / "tinygrad_ce_demo" / "weights.npz").read_bytes()


@pytest.mark.parametrize("seed", range(10))
def test_demo_reaches_93_percent_on_iris(seed):
    history = train_network(prepare("iris", seed=seed))
    assert history.test_accuracy[-1] >= 0.93


@pytest.mark.parametrize("seed", [0, 7])
def test_demo_reaches_95_percent_on_digits(seed):
    history = train_network(prepare("digits", seed=seed))
    assert history.test_accuracy[-1] >= 0.95


def test_demo_on_digits(here, capsys):
    arguments = ["demo", "--data", "digits", "--hidden", "8", "--epochs", "2", "--out", "new/deep"]
    assert main(arguments) == 0
    assert contents(here / "new" / "deep") == FILES
    assert "64 inputs, 8 tanh, 10 outputs" in capsys.readouterr().out


def test_demo_leaves_what_else_is_in_its_folder(here, capsys):
    assert main(["demo", "--epochs", "1", "--out", "."]) == 0
    assert contents(here) == FILES | {"file"}


def test_demo_without_a_renderer_completes_with_dot_alone(here, capsys, monkeypatch):
    def no_renderer(self):
        raise ImportError("pictures need Graphviz: pip install graphviz-of-some-kind")

    monkeypatch.setattr(Drawing, "svg", no_renderer)
    (here / "out").mkdir()
    (here / "out" / "loss.svg").write_text("of an earlier run")
    assert main(["demo", "--epochs", "1", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert contents(here / "out") == FILES - {"loss.svg"}
    assert "loss.svg" not in out
    assert "loss.svg" not in (here / "out" / "index.html").read_text(encoding="utf-8")
    assert err.strip().splitlines()[-1].endswith("pip install graphviz-of-some-kind")


def test_demo_without_matplotlib_says_how_to_get_it_before_training(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert 'pip install "tinygrad-ce[plot]"' in err
    assert contents(here) == {"file"}


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGINT on Windows")
def test_demo_that_is_interrupted_leaves_nothing_behind(tmp_path):
    command = [sys.executable, "-m", "tinygrad_ce", "demo", "--epochs", "100000000"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # A suite that runs in the background has interruptions ignored, and passes that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        while not contents(tmp_path):
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        try:
            _, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert err.decode().strip().splitlines()[-1] == "tinygrad-ce: interrupted"
    assert contents(tmp_path) == set()


def test_demo_that_fails_on_the_way_leaves_nothing_behind(here, capsys, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk is full")))
    assert main(["demo", "--epochs", "1", "--out", "new/deep"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "tinygrad-ce: error: disk is full"
    assert contents(here) == {"file"}


# ── train, graph, compare ─────────────────────────────────────────────────────────────────────────


def test_train_prints_the_accuracy_and_saves_weights(here, capsys):
    assert main(["train", "--save", "weights.npz", "--hidden", "5", "--seed", "3"]) == 0
    out, _ = capsys.readouterr()
    experiment = prepare("iris", hidden=5, seed=3)
    experiment.model.load_state_dict(dict(np.load("weights.npz")))
    share = train.accuracy(experiment.model, experiment.X_test, experiment.y_test)
    assert f"test accuracy: {share:.3f} " in out


def test_train_writes_nothing_unless_asked(here, capsys):
    assert main(["train", "--epochs", "1"]) == 0
    assert contents(here) == {"file"}


@pytest.mark.parametrize("name", ["g.dot", "g.svg", "g.png", "new/g.dot"])
def test_graph_draws_the_loss_of_a_network(here, capsys, name):
    assert main(["graph", "--out", name]) == 0
    assert capsys.readouterr().out.strip() == str(Path(name))
    assert (here / name).stat().st_size > 1000


def test_graph_of_given_logits_shows_them_and_nothing_else(here, capsys):
    assert main(["graph", "--logits", "2,1,0.1", "--target", "0", "--out", "g.dot"]) == 0
    dot = Path("g.dot").read_text(encoding="utf-8")
    assert "logits" in dot
    assert "MLP" not in dot


@pytest.mark.parametrize(("options", "name"), [([], "loss.html"), (["--out", "g.dot"], "g.dot")])
def test_graph_opens_the_page_or_the_file_that_was_asked_for(here, monkeypatch, options, name):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert main(["graph", "--logits", "2,1,0.1", "--target", "0", "--open", *options]) == 0
    assert opened == [(here / name).resolve().as_uri()]
    assert (here / name).is_file()


def test_graph_folds_scopes(here, capsys):
    sizes = []
    for depth in (["--depth", "1"], []):
        assert main(["graph", "--out", "g.dot", *depth]) == 0
        sizes.append(Path("g.dot").stat().st_size)
    assert sizes[0] < sizes[1]


def test_compare_shows_every_derivative_in_four_ways(capsys):
    out = compared("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    p, y = np.array([0.6590011389, 0.2424329707, 0.0985658904]), np.eye(3)[0]
    expected = {
        "∂L/∂p[{i}]": -y / p,
        "∂p[0]/∂z[{i}]": p[0] * (y - p),
        "∂L/∂z[{i}]": p - y,
        "∂²L/∂z[0]∂z[{i}]": p[0] * (y - p),
    }
    for name, values in expected.items():
        for i, value in enumerate(values):
            (line,) = (s for s in out.splitlines() if s.startswith(f"  {name.format(i=i)} "))
            assert [float(n) for n in line.split()[1:]] == pytest.approx([value] * 4, abs=1e-8)


def test_compare_shows_the_equations_and_the_rows_of_the_chain(capsys):
    out = compared("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    for equation in (
        "∂L/∂p_i = −1/p_t for i = t, 0 for i ≠ t",
        "∂p_i/∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
        "∂L/∂z_i = p_i − 1 for i = t, p_i for i ≠ t",
        "∂²L/∂z_i∂z_j = p_i (1 − p_i) for i = j, −p_i p_j for i ≠ j",
    ):
        assert equation in out.splitlines()
    names = {re.split(r"  +", line)[0] for line in out.splitlines()}
    assert names >= {"∂L/∂p", "∂p/∂z", "∂L/∂z", "∂²L/∂z²", "∂L/∂log s", "∂L/∂z of F.cross_entropy"}


def test_compare_shows_the_digits_that_floating_point_loses(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    out = compared("--logits", "0,40", "--target", "1", capsys=capsys)
    (line,) = (s for s in out.splitlines() if s.startswith("  ∂L/∂z[1]"))
    assert line.split()[1:] == ["0", "0", "0", "-4.2483542552915890e-18"]


@pytest.mark.parametrize("columns", ["20", "80", "100", "120", "300"])
@pytest.mark.parametrize("logits", ["2,1,0.1", "0,-700,700", "-1e300,-inf,1e300", "0,0,0,0"])
def test_compare_fits_the_terminal_and_aligns_its_columns(capsys, monkeypatch, columns, logits):
    monkeypatch.setenv("COLUMNS", columns)
    out = compared("--logits", logits, "--target", "1", capsys=capsys)
    assert max(map(len, out.splitlines())) <= min(max(int(columns), 80), 120)
    elements = [line for line in out.splitlines() if line.startswith("  ∂")]
    assert len({len(line) for line in elements}) == 1
    assert {len(line.split()) for line in elements} == {5}
    assert all(line == line.rstrip() for line in out.splitlines())


def test_compare_takes_negative_and_infinite_logits(capsys):
    out = compared("--logits", "-1,-inf,3e2", "--target", "1", capsys=capsys)
    assert "loss L = inf" in out
    (line,) = (s for s in out.splitlines() if s.startswith("  ∂L/∂z[1]"))
    assert [float(n) if n != "–" else n for n in line.split()[1:]] == [-1, -1, "–", -1]


@pytest.mark.parametrize("target", ["0", "1"])
def test_compare_takes_logits_as_far_apart_as_float64_goes(capsys, target):
    compared("--logits", "1e308,-1e308", "--target", target, capsys=capsys)


def test_compare_of_a_single_logit(capsys):
    assert "p = (1)" in compared("--logits", "3", "--target", "0", capsys=capsys)


def test_compare_of_many_logits_prints_no_values(capsys):
    logits = ",".join(map(str, range(100)))
    out = compared("--logits", logits, "--target", "99", capsys=capsys)
    assert "1 row of 100 logits" in out
    assert "∂L/∂z[0]" not in out


def test_compare_of_random_logits_depends_on_the_seed_alone(capsys):
    first, again, other = (compared("--seed", seed, capsys=capsys) for seed in "445")
    assert first == again != other
    assert "1,000 sets" in first


def test_compare_of_random_logits_has_as_many_as_asked_for_and_on_the_scale(capsys):
    one, large = (
        read_json("--classes", "7", "--scale", scale, capsys=capsys)["logits"]
        for scale in ("1", "1000")
    )
    assert np.shape(one) == (1, 7)
    assert np.array(large) == pytest.approx(1000 * np.array(one))


def compared(*arguments, capsys, status=0):
    assert main(["compare", *arguments]) == status
    out, err = capsys.readouterr()
    assert err == ""
    return out


# From a CSV file.


def test_compare_reads_rows_of_logits_from_a_csv_file(here, capsys):
    Path("z.csv").write_text("2,1,0.1,0\n\n-inf, 1e1 ,-2,1\n", encoding="utf-8")
    out = compared("--csv", "z.csv", capsys=capsys)
    assert "row 1: label t = 0, loss L = 0.41703" in out
    assert "row 2: label t = 1" in out
    assert "z = (-inf, 10, -2)" in out
    assert "(2, 3, 3)" in out
    assert "1,000 sets" not in out


def test_compare_skips_a_header_and_a_byte_order_mark(here, capsys):
    Path("z.csv").write_text("zero,one,label\r\n1,2,0\r\n", encoding="utf-8-sig")
    assert read_json("--csv", "z.csv", capsys=capsys)["logits"] == [[1, 2]]


def test_compare_of_a_csv_row_is_that_of_the_same_logits_typed(here, capsys):
    Path("z.csv").write_text("2,1,0.1,0", encoding="utf-8")
    typed = compared("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    assert compared("--csv", "z.csv", capsys=capsys) == typed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("a,b,label\n", "no rows"),
        ("1,2,0\n1,2,3,0\n", "line 2: expected 2 logits and a label as in the rows before"),
        ("1,2,0\n\n1,x,0\n", "line 3: expected a number or -inf as a logit, got 'x'"),
        ("1,nan,0\n", "line 1: expected a number or -inf"),
        ("1,inf,0\n", "line 1: expected a number or -inf"),
        ("-inf,-inf,0\n", "line 1: expected a logit that is finite, got '-inf,-inf'"),
        ("1,2,2\n", "line 1: target 2 is out of range for 2 logits"),
        ("1,2,-1\n", "line 1: target -1 is out of range"),
        ("1,2,0.0\n", "line 1: expected a label as whole number in the last column, got '0.0'"),
        ("1,2,0\n1\n", "line 2: expected logits and a label, got '1'"),
        ("1,2,\n", "line 1: expected a label"),
        ("a,b,c\nd,e,f\n", "line 2"),
    ],
)
def test_compare_names_file_and_line_of_what_is_wrong_in_a_csv_file(here, capsys, text, said):
    Path("z.csv").write_text(text, encoding="utf-8")
    assert main(["compare", "--csv", "z.csv"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "z.csv" in err
    assert said in err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"1,2,0\n\xff\xfe,1,0\n", "UTF-8"), (b'"' + b"1" * 200_000 + b'",0\n', "CSV")],
)
def test_compare_refuses_a_file_that_is_no_csv(here, capsys, content, said):
    Path("z.csv").write_bytes(content)
    assert main(["compare", "--csv", "z.csv"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_compare_refuses_more_than_can_be_compared_in_full(here, capsys):
    Path("z.csv").write_text(("0," * 100 + "0\n") * 101, encoding="utf-8")
    assert main(["compare", "--csv", "z.csv"]) == 2
    assert "101 rows of 100 logits have 1,010,000 second derivatives" in capsys.readouterr().err


# For machines.


def read_json(*arguments, capsys, status=0):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    out = compared("--json", *arguments, capsys=capsys, status=status)
    assert out.isascii()
    assert out.count("\n") == 1
    return json.loads(out, parse_constant=refuse)


COMPARISON = {
    "name": str,
    "shape": list,
    "exact": bool,
    "close": bool,
    "max_abs": (float, str),
    "max_rel": (float, str),
    "max_ulp": (float, str),
    "note": str,
    "worst": (dict, type(None)),
}


def check_comparison(found, more=()):
    assert found.keys() == COMPARISON.keys() | set(more)
    assert all(isinstance(found[key], types) for key, types in COMPARISON.items())
    assert found["worst"] is None or found["worst"].keys() == {"index", "actual", "expected"}
    for key in ("max_abs", "max_rel", "max_ulp"):
        float(found[key])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--logits", "2,1,0.1", "--target", "0"],
        ["--logits", "1,-inf,300", "--target", "1"],
        ["--logits", "5", "--target", "0"],
        ["--seed", "1"],
    ],
)
def test_json_has_the_documented_keys_and_types(capsys, arguments):
    found = read_json(*arguments, capsys=capsys)
    n, c = np.shape(found["logits"])
    assert np.shape(found["target"]) == np.shape(found["loss"]) == (n,)
    assert np.shape(found["probabilities"]) == (n, c)
    assert found["agree"] is True
    shapes = [(n, c), (n, c, c), (n, c), (n, c, c)]
    ways = ["autograd", "closed_form", "central_differences"]
    for derivative, shape in zip(found["derivatives"], shapes, strict=True):
        for way in [*ways, "reference"]:
            assert np.array(derivative[way], float).shape == shape
        assert all(isinstance(x, str) for x in np.ravel(derivative["reference"]))
        assert derivative["agree"] is True
        check_comparison(derivative["comparison"])
        assert list(derivative["errors"]) == ways
        for error in derivative["errors"].values():
            check_comparison(error)
        assert isinstance(derivative["formula"], str)
    for link in found["chain"]:
        check_comparison(link, more=["formula"])
    main(["compare", "--help"])
    text = capsys.readouterr().out
    for key in [*found, *found["derivatives"][0], *found["chain"][0]]:
        assert f'"{key}"' in text


def test_json_gives_numbers_to_the_last_bit(capsys):
    logits = [2.0, 1.0, 0.1]
    found = read_json("--logits", "2,1,0.1", "--target", "0", capsys=capsys)
    assert found["logits"] == [logits]
    assert found["probabilities"] == [closed_form.softmax(logits).tolist()]
    gradient = found["derivatives"][2]
    assert gradient["closed_form"] == [closed_form.cross_entropy_grad(logits, 0).tolist()]
    assert gradient["reference"] == [[str(x) for x in reference.cross_entropy_grad(logits, 0)]]


def test_json_has_strings_for_what_is_no_number(capsys):
    found = read_json("--logits", "0,-inf", "--target", "1", capsys=capsys)
    assert found["logits"] == [[0, "-inf"]]
    assert found["loss"] == ["inf"]
    of_p = found["derivatives"][0]
    assert float(of_p["reference"][0][1]) == float(of_p["autograd"][0][1]) == -np.inf
    assert of_p["central_differences"] == [["nan", "nan"]]


# What disagrees.


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("primitive", ["exp", "log", "subtract"])
def test_compare_has_status_1_if_a_rule_is_wrong(capsys, monkeypatch, primitive, more):
    entry = getattr(primitives, primitive)
    first, *others = entry.rules
    wrong = (lambda *a: first(*a) * (1 + 1e-9), *others)
    monkeypatch.setattr(entry, "rules", wrong)
    out = compared("--logits", "2,1,0.1", "--target", "0", *more, capsys=capsys, status=1)
    if more:
        assert json.loads(out)["agree"] is False
    else:
        assert "no     no" in out
        assert "worst at [0, " in out


def test_compare_has_status_1_if_both_autograd_and_closed_form_are_wrong(capsys, monkeypatch):
    # The same mistake twice is seen by the other two.
    entry, right = primitives.exp, closed_form.cross_entropy_grad
    (rule,) = entry.rules
    monkeypatch.setattr(entry, "rules", (lambda *a: 2 * rule(*a),))
    monkeypatch.setattr(
        closed_form,
        "cross_entropy_grad",
        lambda z, t, *a, **k: 2 * right(z, t, *a, **k) + np.eye(np.shape(z)[-1])[t],
    )
    found = read_json("--logits", "2,1,0.1", "--target", "0", capsys=capsys, status=1)
    gradient = found["derivatives"][2]
    assert gradient["comparison"]["close"]
    assert not gradient["agree"]
    assert gradient["errors"]["central_differences"]["close"]


# The proof.


@pytest.mark.parametrize("target", ["0", "2"])
def test_prove_prints_what_backprop_did_and_to_what_it_collapses(capsys, target):
    out = compared("--prove", "--logits", "2,1,0.1", "--target", target, capsys=capsys)
    assert out.count("Proved") == 2
    assert out.splitlines()[0].startswith("∂L/∂z = p − y")
    assert "diag(p) − p pᵀ" in out
    assert f"= p{'₁₂₃'[int(target)]} − 1" in out


def test_latex_prints_the_same_for_a_document(capsys):
    out = compared("--latex", "--logits", "2,1", "--target", "1", capsys=capsys)
    assert out.count("\\[\n\\begin{aligned}") == out.count("\\end{aligned}\n\\]") == 2
    assert out.count("{") == out.count("}")


def test_prove_takes_each_label_of_a_csv_file_once(here, capsys):
    Path("z.csv").write_text("1,2,0\n3,4,1\n5,6,0\n", encoding="utf-8")
    assert compared("--prove", "--csv", "z.csv", capsys=capsys).count("Proved") == 4


def test_prove_of_random_logits_has_as_many_as_asked_for(capsys):
    out = compared("--prove", "--classes", "2", capsys=capsys)
    assert "z₂" in out
    assert "z₃" not in out


def test_prove_has_status_1_if_a_rule_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr(primitives.exp, "rules", (lambda g, y, x: 2 * g * y,))
    out = compared("--prove", "--logits", "2,1", "--target", "0", capsys=capsys, status=1)
    assert "Proved" not in out


def test_prove_without_sympy_says_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    assert main(["compare", "--prove"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert 'pip install "tinygrad-ce[symbolic]"' in err


# ── compile ───────────────────────────────────────────────────────────────────────────────────────

# Train from the weights of the experiment on its batches, with nothing importable but NumPy.
USE_OF_STEP = """
import sys
sys.modules["tinygrad_ce"] = None
import numpy as np
from step import step
given = dict(np.load("given.npz"))
X, y, lr = given.pop("X"), given.pop("y"), float(given.pop("lr"))
values, losses = list(given.values()), []
for X_batch, y_batch in zip(X, y):
    n = len(values) // 2
    loss, *new = step(X_batch, y_batch, *values[:n], lr, *values[n:])
    values = new[:n] + new[2 * n:]
    losses.append(loss)
assert not [name for name in sys.modules if name.startswith("tinygrad_ce.")]
np.savez("got.npz", *losses, *values)
"""


@pytest.mark.parametrize(
    ("typed", "name", "hidden", "seed", "batch"),
    [
        ("compile -o step.py", "iris", 16, 0, 32),
        ("compile --data iris --hidden 7 --seed 3 --batch 10 --out step.py", "iris", 7, 3, 10),
        ("compile --data digits -o ./step.py", "digits", 64, 0, 32),
    ],
)
def test_the_step_that_compile_writes_is_the_eager_one(
    here, capsys, typed, name, hidden, seed, batch
):
    assert main(typed.split()) == 0
    out, err = capsys.readouterr()
    assert (out, err) == ("step.py\n", "")
    assert contents(here) == {"file", "step.py"}

    experiment = prepare(name, hidden, seed=seed)
    model, optimizer = experiment.model, experiment.optimizer
    rows = np.random.default_rng(0).integers(0, len(experiment.X_train), (20, batch))
    X, y = experiment.X_train[rows], experiment.y_train[rows]
    start = {f"p{i}": p.data for i, p in enumerate(model.parameters())}
    start |= {f"v{i}": v for i, v in enumerate(optimizer.velocity)}
    np.savez("given.npz", X=X, y=y, lr=optimizer.lr, **start)
    # -I: neither the folder nor the environment adds to the path, so it is named.
    script = f"import sys; sys.path.insert(0, {str(here)!r})\n" + USE_OF_STEP
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", script], cwd=here, check=True)

    expected = []
    for X_batch, y_batch in zip(X, y, strict=True):
        loss = functional.cross_entropy(model(X_batch), y_batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.data)
    expected += [p.data for p in model.parameters()] + optimizer.velocity
    got = list(np.load("got.npz").values())
    assert [a.tobytes() for a in got] == [np.asarray(b).tobytes() for b in expected]


def test_compile_prints_the_step_where_no_file_is_named(here, capsys):
    assert main(["compile"]) == 0
    printed, err = capsys.readouterr()
    assert err == ""
    assert contents(here) == {"file"}
    main(["compile", "-o", "step.py"])
    assert Path("step.py").read_text(encoding="utf-8") == printed


def test_the_docstring_of_a_compiled_step_says_what_it_takes_and_shows_how_to_call_it(here):
    main(["compile", "-o", "my_step.py", "--seed", "5", "--hidden", "9"])
    module = ast.parse(Path("my_step.py").read_text(encoding="utf-8"))
    (function,) = (n for n in module.body if getattr(n, "name", "") == "step")
    for line in ("X: float64 [32, 4]", "y: int64 [32]", "weight_1: float64 [4, 9]", "lr: a float"):
        assert line in ast.get_docstring(function).splitlines()
    example = re.search(r"^    .*", ast.get_docstring(module), re.MULTILINE | re.DOTALL)[0]
    script = inspect.cleandoc(example)
    assert "from my_step import step" in script
    save = "np.savez('begin.npz', weight_1, bias_1, weight_2, bias_2)"
    script = re.sub("^for", f"{save}\nfor", script, flags=re.MULTILINE)
    (here / "use.py").write_text(script + "\nassert 0.5 < loss < 2\n")
    subprocess.run([sys.executable, "use.py"], cwd=here, check=True)
    expected = prepare("iris", 9, seed=5).model.parameters()
    for got, parameter in zip(np.load("begin.npz").values(), expected, strict=True):
        np.testing.assert_array_equal(got, parameter.data)


def test_compile_that_fails_leaves_the_file_that_was_there(here, capsys, monkeypatch):
    Path("step.py").write_text("mine")
    monkeypatch.setattr(compile_command, "prepare", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["compile", "-o", "step.py"])
    assert contents(here) == {"file", "step.py"}
    assert Path("step.py").read_text() == "mine"


# ── Wrong use ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("", "COMMAND"),
        ("dome", "dome"),
        ("demo --frobnicate", "--frobnicate"),
        ("demo extra", "extra"),
        ("demo --data mnist", "'mnist' (choose from"),
        ("demo --hidden 0", "--hidden: expected a whole number from 1 to 10000, got '0'"),
        ("demo --hidden 1e9", "--hidden"),
        ("demo --hidden 1000000000", "--hidden"),
        ("demo --hidden", "--hidden: expected one argument"),
        ("demo --epochs -5", "--epochs: expected a whole number from 1 on, got '-5'"),
        ("demo --epochs 0", "--epochs"),
        ("demo --seed -1", "--seed: expected a whole number from 0 on, got '-1'"),
        ("demo --seed x", "--seed"),
        ("demo --out file", "cannot write to file: not a folder"),
        ("demo --out file/below", "not a folder"),
        ("demo --out=", "--out: expected a path"),
        ("train --save file/weights.npz", "cannot write to file: not a folder"),
        ("train --save .", "expected a file, got the folder '.'"),
        ("train --save new/", "expected a file, got the folder 'new/'"),
        ("train --save w.npz --data mnist", "mnist"),
        ("compile --data mnist", "'mnist' (choose from"),
        ("compile --data mnist -o step.py", "'mnist' (choose from"),
        ("compile --batch 0", "--batch: expected a whole number from 1 to 100000, got '0'"),
        ("compile --hidden 0 -o step.py", "--hidden"),
        ("compile -o file/step.py", "cannot write to file: not a folder"),
        ("compile -o new/", "expected a file, got the folder 'new/'"),
        ("compile -o .", "expected a file, got the folder '.'"),
        ("compile --epochs 3", "--epochs"),
        ("graph --out g.gif", ".dot, .svg, .png, .pdf"),
        ("graph --out new/g.gif", "g.gif"),
        ("graph --depth 0", "--depth"),
        ("graph --logits 1,2", "--logits needs --target"),
        ("graph --target 1", "--target needs --logits"),
        ("graph --logits 1,2 --target 0 --data iris", "--data and --logits"),
        ("compare --logits 1,x --target 0", "expected numbers with commas between them"),
        ("compare --logits nan,1 --target 0", "'nan,1'"),
        ("compare --logits inf,1 --target 0", "'inf,1'"),
        ("compare --logits -inf,-inf --target 0", "'-inf,-inf'"),
        ("compare --logits= --target 0", "''"),
        ("compare --logits 1,,2 --target 0", "'1,,2'"),
        ("compare --logits --target 0", "'--target'"),
        ("compare --logits", "--logits"),
        ("compare --logits 1,2 --target 2", "target 2 is out of range for 2 logits"),
        ("compare --logits 1,2 --target -1", "--target"),
        ("compare --logits 1,2 --target 0.5", "--target"),
        ("compare --logits 1,2 --target 0 --csv file", "--logits and --csv"),
        ("compare --csv nowhere.csv", "cannot read nowhere.csv: No such file"),
        ("compare --csv .", "cannot read ."),
        ("compare --csv file", "file: no rows of logits with a label"),
        ("compare --csv=", "--csv: expected a path"),
        ("compare --classes 0", "--classes: expected a whole number from 1 to 1000, got '0'"),
        ("compare --classes 1001", "--classes"),
        ("compare --scale 0", "--scale: expected a number above 0, got '0'"),
        ("compare --scale nan", "--scale"),
        ("compare --scale wide", "--scale: expected a number above 0, got 'wide'"),
        ("compare --scale inf", "--scale"),
        ("compare --logits 1,2 --target 0 --classes 2", "--classes is of random logits"),
        ("compare --csv file --scale 2", "--scale is of random logits"),
        ("compare --json --prove", "--prove: not allowed with argument --json"),
        ("compare --prove --classes 6", "a proof is of up to 5 logits, got 6"),
        ("compare --latex --logits 1,2,3,4,5,6 --target 0", "up to 5 logits"),
    ],
)
def test_wrong_use_is_one_line_and_status_2_and_leaves_nothing_behind(here, capsys, typed, said):
    assert main(typed.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"tinygrad-ce: error: .+\n", err)
    assert said in err
    assert contents(here) == {"file"}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system like /proc")
@pytest.mark.parametrize(
    "typed", ["demo --out /proc/x", "train --save /proc/x.npz", "compile -o /proc/x.py"]
)
def test_a_folder_that_cannot_be_written_is_found_before_training(capsys, typed):
    assert main(typed.split()) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "cannot write to /proc" in err


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_found_before_training(here, capsys):
    (here / "locked").mkdir(mode=0o500)
    assert main(["demo", "--out", "locked"]) == 2
    assert "cannot write to locked" in capsys.readouterr().err


def test_a_folder_in_the_place_of_a_file_is_found_before_training(here, capsys):
    (here / "out" / "index.html").mkdir(parents=True)
    assert main(["demo", "--out", "out"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "index.html: a folder, not a file" in err


def test_an_argument_with_a_line_break_is_still_one_line(capsys):
    assert main(["demo", "--data", "a\nb", "c\nd"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_training_that_fails_is_one_line_and_status_1(capsys, monkeypatch):
    def diverging(*_, **__):
        raise FloatingPointError("the loss is nan in epoch 1")

    monkeypatch.setattr(train_command, "train_network", diverging)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == "tinygrad-ce: error: the loss is nan in epoch 1\n"


@pytest.mark.parametrize(
    "typed", ["--help", "demo --help", "train -h", "compile -h", "graph -h", "compare -h"]
)
def test_help_names_the_command_and_is_no_error(capsys, typed):
    assert main(typed.split()) == 0
    out, err = capsys.readouterr()
    assert "usage: tinygrad-ce" in out
    assert err == ""


def test_help_names_the_defaults(capsys):
    main(["demo", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    for default in (
        "16 for iris, 64 for digits",
        "150 for iris, 30 for digits",
        "tinygrad_ce_demo",
    ):
        assert default in out


# ── The process ───────────────────────────────────────────────────────────────────────────────────


def test_wrong_use_ends_a_process_with_status_2_and_one_line():
    done = run("compare", "--logits", "1,2", "--target", "5")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_pipe_that_is_closed_early_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tinygrad_ce", "compare"]
    done = subprocess.run(command, check=False, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_main_returns_the_status_of_a_pipe_that_is_closed_and_leaves_nothing_to_complain(
    monkeypatch,
):
    read, write = os.pipe()
    os.close(read)
    with open(write, "w", encoding="utf-8") as out:  # which is flushed at the end
        monkeypatch.setattr(sys, "stdout", out)
        assert main(["compare"]) == 141


def test_main_returns_the_status_of_an_interruption(monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "train_network", interrupted)
    assert main(["train", "--epochs", "1"]) == 130
    assert capsys.readouterr().err == "tinygrad-ce: interrupted\n"


def test_python_m_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tinygrad_ce", "compare", "--logits", "2,1", "--target", "0"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tinygrad_ce", run_name="__main__")
    assert ended.value.code == 0
    assert "∂L/∂z" in capsys.readouterr().out


def test_a_terminal_without_greek_and_mathematics_gets_question_marks():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run("compare", "--logits", "2,1", "--target", "0", env=environment)
    assert done.returncode == 0
    assert "?L/?z" in done.stdout
