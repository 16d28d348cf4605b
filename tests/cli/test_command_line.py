"""Wrong use, help, and the process, for all commands."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from cli_process import contents, run

from tinygrad_ce.cli import main
from tinygrad_ce.cli.commands import train as train_command

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
        ("train", "train needs --out RUN, as in: tinygrad-ce train flowers.csv"),
        ("train iris", "train needs --out RUN"),
        ("train rows.csv --out run", "train needs --target COLUMN"),
        ("train iris --target species --out run", "--target is of a CSV file"),
        ("train nowhere.csv --target y --out run", "nowhere.csv"),
        ("train iris --out file", "cannot write to file: not a folder"),
        ("train iris --out run --log m.txt", "--log ends in .csv or .jsonl, got m.txt"),
        ("train iris --out run --log new/", "expected a file, got the folder 'new/'"),
        ("train iris --out run --hidden 4,x", "--hidden: expected a whole number"),
        ("train iris --out run --dropout 1", "--dropout: expected a number from 0 to 0.95, got"),
        ("train iris --out run --validation 2", "--validation: expected a number from 0 to 0.9"),
        ("train iris --out run --ephocs 3", "--ephocs 3; did you mean --epochs?"),
        ("train --resume nowhere", "nowhere is no run: it has no run.json"),
        ("train --resume nowhere --seed 0", "as the training began: leave out --seed"),
        ("predict nowhere new.csv", "nowhere is no run"),
        ("predict nowhere", "NEW.csv"),
        ("evaluate nowhere new.csv", "nowhere is no run"),
        ("report nowhere", "nowhere is no run"),
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
    "typed", ["demo --out /proc/x", "train iris --out /proc/x", "compile -o /proc/x.py"]
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


MALFORMED = [
    "", "  ", "abc", "nan", "-1", "0x10", "1e400", ",", "1,,2", "1,2;3", "None", "[1,2]", "-" * 100,
    "1" * 5000, "\x1b[31m", "\u202e", "\ud800", "\0",
]  # fmt: skip
OPTIONS = {
    "compare": "--logits --target --csv --classes --scale --seed",
    "graph": "--logits --target --data --hidden --seed --depth",
    "compile": "--data --hidden --seed --batch",
    "train iris": "--hidden --seed --epochs --batch-size",
    "demo": "--data --hidden --seed --epochs",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_a_malformed_option_is_one_line_and_status_2(here, capsys, command):
    for option in OPTIONS[command].split():
        for value in MALFORMED:
            assert main([*command.split(), option, value]) == 2, (option, value)
            said = capsys.readouterr().err
            assert said.startswith("tinygrad-ce: error: ")
            assert said.endswith("\n")
            assert said[:-1].isprintable(), (option, value)


def test_a_training_that_fails_is_one_line_and_status_1(tmp_path, capsys, monkeypatch):
    def diverging(*_, **__):
        raise FloatingPointError("the loss is nan in epoch 1")

    monkeypatch.setattr(train_command, "train_run", diverging)
    assert main(["train", "iris", "--out", str(tmp_path / "run")]) == 1
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


@pytest.mark.slow
def test_wrong_use_ends_a_process_with_status_2_and_one_line():
    done = run("compare", "--logits", "1,2", "--target", "5")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


@pytest.mark.slow
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


def test_main_returns_the_status_of_an_interruption(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(train_command, "train_run", interrupted)
    assert main(["train", "iris", "--out", str(tmp_path / "run")]) == 130
    assert capsys.readouterr().err == "tinygrad-ce: interrupted\n"


def test_python_m_is_the_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tinygrad_ce", "compare", "--logits", "2,1", "--target", "0"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tinygrad_ce", run_name="__main__")
    assert ended.value.code == 0
    assert "∂L/∂z" in capsys.readouterr().out


@pytest.mark.slow
def test_a_terminal_without_greek_and_mathematics_gets_question_marks():
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = run("compare", "--logits", "2,1", "--target", "0", env=environment)
    assert done.returncode == 0
    assert "?L/?z" in done.stdout


@pytest.mark.slow
def test_the_command_line_loads_what_a_command_needs_and_no_more():
    script = "import sys; from tinygrad_ce.cli import main; main(['--help']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, encoding="utf-8"
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "tinygrad_ce.cli.commands.demo" in loaded
    heavy = {f"tinygrad_ce.{name}" for name in ("draw", "compiler", "symbolic", "cli.report")}
    assert not loaded & (heavy | {"matplotlib", "sympy", "graphviz", "tqdm"})
