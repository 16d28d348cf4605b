"""tinygrad-ce train in shards and under mpiexec: the same files, and one line if it goes wrong."""

import json
import sys

import pytest
from cli_process import contents
from mpi_process import mpirun

from tinygrad_ce.cli import main

pytest.importorskip("safetensors")

TRAIN = ["train", "iris", "--epochs", "6", "--batch", "24", "--dropout", "0.2"]
TRAIN += ["--class-weight", "balanced", "--early-stopping", "2", "--schedule", "one-cycle"]


def files(folder):
    """The contents of the files in a folder, by name."""
    return {name: (folder / name).read_bytes() for name in contents(folder)}


def train_by_mpi(size, folder, *arguments):
    return mpirun(size, "-m", "tinygrad_ce", *arguments, cwd=folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The files of a training in one process, without MPI."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert main([*TRAIN, "--shards", "8", "--out", str(folder)]) == 0
    return files(folder)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 4])
def test_any_number_of_processes_writes_the_same_files(tmp_path, whole, size):
    done = train_by_mpi(size, tmp_path, *TRAIN, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("predict with: tinygrad-ce predict run NEW.csv") == 1
    assert (f"3 classes, {size} processes" in done.stderr) == (size > 1)
    assert files(tmp_path / "run") == whole


def test_a_training_in_shards_goes_on_to_the_same_end(tmp_path, monkeypatch, whole):
    monkeypatch.chdir(tmp_path)
    assert main([*TRAIN, "--shards", "8", "--out", "run"]) == 0
    assert main(["train", "--resume", "run"]) == 0
    assert files(tmp_path / "run") == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    "size, arguments, said",
    [
        (3, TRAIN, "3 processes do not fit 8 shards, which are computed by 1, 2, 4 or 8"),
        (2, ["train", "--epoch"], "unrecognized arguments: --epoch; did you mean --epochs?"),
    ],
)
def test_what_is_wrong_is_one_line_of_all_processes(tmp_path, size, arguments, said):
    done = train_by_mpi(size, tmp_path, *arguments, "--out", "run")
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("tinygrad-ce: ")]
    assert said in line
    assert "Traceback" not in done.stderr
    assert not contents(tmp_path)


@pytest.mark.parametrize(
    "options, said",
    [
        (["--shards", "6"], "the number of shards is a power of two, such as 8: got 6"),
        (["--shards", "8", "--batch", "4"], "a batch of 4 rows cannot be cut into 8 shards"),
        (["--shards", "0"], "expected a whole number"),
    ],
)
def test_shards_that_do_not_fit_are_refused(tmp_path, capsys, options, said):
    assert main(["train", "iris", *options, "--out", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not contents(tmp_path)


def test_a_launch_without_mpi4py_is_refused(tmp_path, monkeypatch, capsys):
    for name, value in {"PMI_SIZE": "2", "PMI_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)
    assert main(["train", "iris", "--out", str(tmp_path / "run")]) == 2
    assert 'pip install "tinygrad-ce[mpi]"' in capsys.readouterr().err
    assert not contents(tmp_path)


def test_a_run_that_was_begun_without_shards_goes_on_in_one_process_only(tmp_path, monkeypatch):
    from tinygrad_ce.cli.options import UsageError
    from tinygrad_ce.cli.run_folder import Run
    from tinygrad_ce.cli.training_run import train_run

    run = Run(tmp_path / "run")
    assert main(["train", "iris", "--epochs", "2", "--out", str(run.folder)]) == 0
    settings = json.loads((run.folder / "run.json").read_text())["settings"]
    before = files(run.folder)
    with pytest.raises(UsageError, match="begun without shards, and goes on in one process only"):
        train_run(run, settings, True, type("Two", (), {"size": 2, "rank": 0}))
    assert files(run.folder) == before
