import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tinygrad_ce import demo, nn, primitives, train
from tinygrad_ce.cli import main
from tinygrad_ce.draw import Drawing

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


def test_demo_prints_the_largest_difference_on_1000_random_sets(demo_run):
    done, _ = demo_run
    (row,) = (line for line in done.stdout.splitlines() if "1,000 sets" in line)
    assert 0 <= float(re.split(r"  +", row)[4]) <= 4e-16


def test_demo_weights_reload_into_a_model_of_the_same_accuracy(demo_run):
    done, folder = demo_run
    experiment = demo.prepare("iris")
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
    history = demo.train_network(demo.prepare("iris", seed=seed))
    assert history.test_accuracy[-1] >= 0.93


@pytest.mark.parametrize("seed", [0, 7])
def test_demo_reaches_95_percent_on_digits(seed):
    history = demo.train_network(demo.prepare("digits", seed=seed))
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
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not contents(tmp_path):
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert err.decode().strip().splitlines()[-1] == "tinygrad-ce: interrupted"
    assert contents(tmp_path) == set()


def test_demo_that_fails_on_the_way_leaves_nothing_behind(here, capsys, monkeypatch):
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk is full")))
    assert main(["demo", "--epochs", "1", "--out", "new/deep"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "tinygrad-ce: error: disk is full"
    assert contents(here) == {"file"}


# ── train, graph, compare ─────────────────────────────────────────────────────────────────────────


def test_train_prints_the_accuracy_and_saves_weights(here, capsys):
    assert main(["train", "--save", "weights.npz", "--hidden", "5", "--seed", "3"]) == 0
    out, _ = capsys.readouterr()
    experiment = demo.prepare("iris", hidden=5, seed=3)
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


def test_graph_folds_scopes(here, capsys):
    sizes = []
    for depth in (["--depth", "1"], []):
        assert main(["graph", "--out", "g.dot", *depth]) == 0
        sizes.append(Path("g.dot").stat().st_size)
    assert sizes[0] < sizes[1]


def test_compare_shows_the_numbers_of_given_logits(capsys):
    assert main(["compare", "--logits", "2,1,0.1", "--target", "0"]) == 0
    out, _ = capsys.readouterr()
    (found,) = (line for line in out.splitlines() if "autograd" in line)
    assert [float(n) for n in found.split()[2:]] == pytest.approx(
        [-0.340999, 0.242433, 0.0985659], rel=1e-5
    )
    assert "∂²L/∂z²" in out


def test_compare_takes_negative_and_infinite_logits(capsys):
    assert main(["compare", "--logits", "-1,-inf,3e2", "--target", "1"]) == 0
    assert "loss L = inf" in capsys.readouterr().out


def test_compare_takes_logits_as_far_apart_as_float64_goes(capsys):
    assert main(["compare", "--logits", "1e308,-1e308", "--target", "0"]) == 0


def test_compare_of_many_logits_prints_the_table_alone(capsys):
    assert main(["compare", "--logits", ",".join(map(str, range(100))), "--target", "99"]) == 0
    assert "softmax(z)" not in capsys.readouterr().out


def test_compare_of_random_logits_depends_on_the_seed_alone(capsys):
    printed = []
    for seed in ("4", "4", "5"):
        assert main(["compare", "--seed", seed]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] != printed[2]
    assert "1,000 sets" in printed[0]


def test_compare_has_status_1_if_a_row_disagrees(capsys, monkeypatch):
    monkeypatch.setattr(primitives.exp, "rules", (lambda g, y, x: g * y * (1 + 1e-9),))
    assert main(["compare", "--logits", "2,1,0.1", "--target", "0"]) == 1
    assert "no     no" in capsys.readouterr().out


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
@pytest.mark.parametrize("typed", ["demo --out /proc/x", "train --save /proc/x.npz"])
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

    monkeypatch.setattr(demo, "train_network", diverging)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == "tinygrad-ce: error: the loss is nan in epoch 1\n"


@pytest.mark.parametrize("typed", ["--help", "demo --help", "train -h", "graph -h", "compare -h"])
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


def test_a_terminal_without_greek_and_mathematics_gets_question_marks():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run("compare", "--logits", "2,1", "--target", "0", env=environment)
    assert done.returncode == 0
    assert "?L/?z" in done.stdout
