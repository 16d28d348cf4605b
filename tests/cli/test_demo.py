import os
import re
import signal
import subprocess
import sys
import time
import webbrowser
from pathlib import Path

import numpy as np
import pytest
from cli_process import contents, run

from tinygrad_ce import nn, train
from tinygrad_ce.cli import main
from tinygrad_ce.cli.experiment import prepare, train_network
from tinygrad_ce.draw import Drawing

FILES = {"index.html", "backprop.html", "loss.svg", "loss.dot", "weights.npz"}


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory):
    """What the demo with its defaults prints, and the folder where it ran."""
    folder = tmp_path_factory.mktemp("demo")
    return run("demo", cwd=folder), folder


@pytest.mark.slow
def test_demo_writes_page_graph_and_weights_and_says_where(demo_run):
    done, folder = demo_run
    assert done.returncode == 0
    assert contents(folder) == {"tinygrad_ce_demo"} | {f"tinygrad_ce_demo/{f}" for f in FILES}
    for name in FILES:
        assert str(Path("tinygrad_ce_demo", name)) in done.stdout


@pytest.mark.slow
def test_demo_prints_an_accuracy_and_a_progress_bar_with_loss_and_accuracy(demo_run):
    done, _ = demo_run
    assert float(re.search(r"test accuracy: ([\d.]+) \(\d+ of 75\)", done.stdout)[1]) >= 0.93
    assert re.search(r"150/150 .*loss [\d.]+, accuracy [\d.]+", done.stderr)


@pytest.mark.slow
def test_demo_prints_every_gradient_before_and_after_and_none_disagrees(demo_run):
    done, _ = demo_run
    rows = [line for line in done.stdout.splitlines() if line.startswith("∂L/∂")]
    assert len(rows) == 14 + 14 + 1
    assert sum(row.startswith("∂L/∂z ") for row in rows) == 5
    assert all(re.split(r"  +", row)[3] == "yes" for row in rows)


@pytest.mark.slow
def test_demo_prints_the_largest_difference_on_1000_random_logits(demo_run):
    done, _ = demo_run
    (row,) = (line for line in done.stdout.splitlines() if "1,000 sets" in line)
    assert 0 <= float(re.split(r"  +", row)[4]) <= 4e-16


@pytest.mark.slow
def test_demo_weights_reload_into_a_model_of_the_same_accuracy(demo_run):
    done, folder = demo_run
    experiment = prepare("iris")
    weights = np.load(folder / "tinygrad_ce_demo" / "weights.npz")
    experiment.model.load_state_dict(dict(weights))
    share = train.accuracy(experiment.model, experiment.X_test, experiment.y_test)
    assert f"test accuracy: {share:.3f} " in done.stdout


@pytest.mark.slow
def test_demo_weights_load_into_a_model_of_float32_too(demo_run):
    model = nn.MLP([4, 16, 3])
    model.load_state_dict(dict(np.load(demo_run[1] / "tinygrad_ce_demo" / "weights.npz")))


@pytest.mark.slow
def test_demo_with_the_same_seed_is_the_same_to_the_byte(demo_run, tmp_path, capsys):
    _, folder = demo_run
    assert main(["demo", "--out", str(tmp_path / "again")]) == 0
    for name in FILES:
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (folder / "tinygrad_ce_demo" / name).read_bytes(), name


@pytest.mark.slow
def test_demo_with_another_seed_is_another(demo_run, tmp_path, capsys):
    main(["demo", "--out", str(tmp_path / "other"), "--seed", "1"])
    other = (tmp_path / "other" / "weights.npz").read_bytes()
    assert other != (demo_run[1] / "tinygrad_ce_demo" / "weights.npz").read_bytes()


@pytest.mark.parametrize("seed", range(10))
def test_demo_reaches_93_percent_on_iris(seed):
    history = train_network(prepare("iris", seed=seed))
    assert history.test_accuracy[-1] >= 0.93


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 7])
def test_demo_reaches_95_percent_on_digits(seed):
    history = train_network(prepare("digits", seed=seed))
    assert history.test_accuracy[-1] >= 0.95


def test_demo_on_digits(here, capsys):
    arguments = ["demo", "--data", "digits", "--hidden", "8", "--epochs", "2", "--out", "new/deep"]
    assert main(arguments) == 0
    assert contents(here / "new" / "deep") == FILES
    assert "64 inputs, 8 tanh, 10 outputs" in capsys.readouterr().out


@pytest.mark.slow
def test_demo_ends_with_a_link_to_the_page_that_steps_through_backprop(demo_run):
    done, folder = demo_run
    link = done.stdout.splitlines()[-1].split()[-1]
    page = folder / "tinygrad_ce_demo" / "backprop.html"
    assert link == f"{page.resolve().as_uri()}#why"


def test_demo_opens_its_page_where_it_is_asked_to(here, capsys, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert main(["demo", "--epochs", "1"]) == 0
    assert opened == []
    assert main(["demo", "--epochs", "1", "--open"]) == 0
    assert opened == [(here / "tinygrad_ce_demo" / "index.html").as_uri()]


def test_demo_leaves_what_else_is_in_its_folder(here, capsys):
    assert main(["demo", "--epochs", "1", "--out", "."]) == 0
    assert contents(here) == FILES | {"file"}


def test_demo_without_a_renderer_completes_with_dot_alone(here, capsys, monkeypatch):
    def no_renderer(self, width):
        raise ImportError("pictures need Graphviz: pip install graphviz-of-some-kind")

    monkeypatch.setattr(Drawing, "svg", no_renderer)
    (here / "out").mkdir()
    for name in ("loss.svg", "backprop.html"):
        (here / "out" / name).write_text("of an earlier run")
    assert main(["demo", "--epochs", "1", "--out", "out"]) == 0
    out, err = capsys.readouterr()
    assert contents(here / "out") == FILES - {"loss.svg", "backprop.html"}
    page = (here / "out" / "index.html").read_text(encoding="utf-8")
    for name in ("loss.svg", "backprop.html"):
        assert name not in out
        assert name not in page
    assert err.strip().splitlines()[-1].endswith("pip install graphviz-of-some-kind")


def test_demo_without_matplotlib_says_how_to_get_it_before_training(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["demo"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert 'pip install "tinygrad-ce[plot]"' in err
    assert contents(here) == {"file"}


@pytest.mark.slow
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
