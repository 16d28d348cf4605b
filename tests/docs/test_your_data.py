"""The tutorial from a CSV file to predictions, run as it is written, from top to bottom."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib.resources import files

import pytest
from doc_pages import DOCS, ROOT, blocks, examples, read, run

pytest.importorskip("palmerpenguins")
pytest.importorskip("safetensors")

PAGE = read(DOCS / "your_data.md")
BASH = [line for block in blocks(PAGE, "bash") for line in block.splitlines()]
CONSOLE = re.compile(r"^\$ (tinygrad-ce .*)$", re.MULTILINE)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the penguins, and some of them as new rows without their species."""
    penguins = files("palmerpenguins") / "data" / "penguins.csv"
    shutil.copy(str(penguins), tmp_path / "penguins.csv")
    rows = (tmp_path / "penguins.csv").read_text().splitlines()
    new = [row.partition(",")[2] for row in [rows[0], *rows[1:300:50]]]
    (tmp_path / "new.csv").write_text("\n".join(new) + "\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(line, folder):
    program, *arguments = shlex.split(line)
    assert program == "tinygrad-ce"
    command = [sys.executable, "-m", "tinygrad_ce", *arguments]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def test_the_file_begins_as_the_page_shows(folder):
    shown = blocks(PAGE, "text")[0]
    assert (folder / "penguins.csv").read_text().startswith(shown)


def test_the_blocks_of_python_run_and_print_what_is_shown(folder):
    pairs = examples(PAGE)
    _, outputs = run([code for code, _ in pairs], "your_data.md")
    shown = [text for _, text in pairs if text]
    assert len(shown) >= 2
    for (_, text), output in zip(pairs, outputs, strict=True):
        assert not text or output == text


@pytest.mark.slow
def test_the_commands_run_in_their_order(folder):
    assert len(BASH) >= 5
    for line in BASH:
        done = call(line, folder)
        assert done.returncode == 0, (line, done.stderr)
    predicted = (folder / "predictions.csv").read_text().splitlines()
    assert predicted[0] == "prediction,p_Adelie,p_Chinstrap,p_Gentoo"
    assert [line.split(",")[0] for line in predicted[1:]] == [
        *("Adelie", "Adelie", "Adelie", "Adelie", "Gentoo", "Gentoo")
    ]
    assert (folder / "run" / "report.html").exists()


@pytest.mark.slow
def test_what_the_console_shows_is_what_the_command_says(folder):
    for block in blocks(PAGE, "console"):
        command, _, shown = block.partition("\n")
        done = call(command.removeprefix("$ "), folder)
        assert done.returncode == 2
        assert done.stderr.split() == shown.split()
        assert not (folder / "run").exists()


@pytest.mark.slow
def test_the_readmes_commands_for_ones_own_file_run(folder):
    commands = CONSOLE.findall(read(ROOT / "README.md"))
    names = [shlex.split(command)[1] for command in commands]
    assert names == ["train", "predict", "play"]  # play serves until it is ended
    commands = commands[: names.index("play")]
    for command in commands:
        done = call(command, folder)
        assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("prediction\nAdelie\n")
