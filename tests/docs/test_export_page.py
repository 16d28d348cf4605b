"""The page on exports: its commands run in their order, and print what predict prints."""

import re
import shlex
import subprocess
import sys

import pytest
from doc_pages import DOCS, blocks, read

from tinygrad_ce import data
from tinygrad_ce.export.onnx_primitives import REFUSED

PAGE = read(DOCS / "export.md")
COMMANDS = [line[2:] for block in blocks(PAGE, "console") for line in block.splitlines()]


def call(line, folder):
    line, _, given = line.partition(" < ")
    program, *arguments = shlex.split(line)
    own = {"tinygrad-ce": [sys.executable, "-m", "tinygrad_ce"], "python": [sys.executable]}
    command = [*own.get(program, [program]), *arguments]
    with (folder / (given or "new.csv")).open() as rows:
        done = subprocess.run(
            command, cwd=folder, stdin=rows, check=False, capture_output=True, text=True
        )
    assert done.returncode == 0, (line, done.stderr)
    return done.stdout


@pytest.mark.slow
def test_the_commands_run_and_agree_with_predict(tmp_path):
    X, _, _ = data.iris()
    lines = [",".join(map(str, row)) for row in X[::7].tolist()]
    header = ",".join(data.feature_names("iris"))
    (tmp_path / "new.csv").write_text("\n".join([header, *lines]) + "\n")
    outputs = {line: call(line, tmp_path) for line in COMMANDS}
    assert len(outputs) == 7
    expected = call("tinygrad-ce predict run new.csv --proba", tmp_path)
    assert outputs["python flowers.py new.csv"] == expected
    by_c = outputs["./flowers < new.csv"].splitlines()
    assert [row.split(",")[0] for row in by_c] == [row.split(",")[0] for row in expected.split()]


def test_what_the_page_says_is_refused_is():
    row = next(line for line in PAGE.splitlines() if line.startswith("| `nextafter`"))
    named = set(re.findall(r"`(\w+)`", row.split("|")[1]))
    assert named <= {primitive.name for primitive in REFUSED}
