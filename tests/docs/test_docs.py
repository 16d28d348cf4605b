"""Every block of the README and of docs/ runs."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


def blocks(page, language):
    return [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE)
        for indent, name, code in FENCE.findall(page.read_text(encoding="utf-8"))
        if name == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_blocks_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for i, code in enumerate(blocks(page, "python")):
        exec(compile(code, f"{page.name}, block {i}", "exec"), namespace)


COMMANDS = [
    pytest.param(command, id=f"{page.name}: {command}")
    for page in PAGES
    for block in blocks(page, "bash")
    for line in block.splitlines()
    for command in line.split(" && ")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_shell_commands_run(command, tmp_path):
    program, *arguments = shlex.split(command)
    if program == "tinygrad-ce":
        run = [sys.executable, "-m", "tinygrad_ce", *arguments]
        subprocess.run(run, cwd=tmp_path, check=True, capture_output=True)
    elif program == "pip":  # what it installs exists; .ci/run does install it
        assert arguments[0] == "install"
        extras = re.search(r"\[(.*)\]", arguments[-1])[1].split(",")
        declared = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras)
    else:
        assert program == "pytest"


def test_the_readme_has_its_two_commands_to_the_letter():
    lines = PAGES[0].read_text(encoding="utf-8").splitlines()
    assert 'pip install ".[all]" && tinygrad-ce demo' in lines
    assert 'pip install -e ".[test]" && pytest' in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    local = [t for t in targets if not t.startswith(("http:", "https:"))]
    assert [t for t in local if not (page.parent / t).exists()] == []


def test_the_house_lists_every_module():
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    modules = {p.name for p in (ROOT / "tinygrad_ce").glob("[a-z]*.py")}
    packages = {p.parent.name + "/" for p in (ROOT / "tinygrad_ce").glob("*/__init__.py")}
    missing = [name for name in modules | packages if name not in page]
    assert missing == [], os.linesep.join(missing)
