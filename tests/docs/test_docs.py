"""Every block of the README and of docs/ runs."""

import os
import re
import shlex
import subprocess
import sys

import pytest
from doc_pages import DOCS, ROOT, blocks, headings, prose, read, run
from mpi_process import mpirun

README = ROOT / "README.md"
PAGES = [README, *sorted(DOCS.glob("*.md"))]


# But those of the tutorial, whose file and order are in test_your_data.py.
RUN_HERE = [page for page in PAGES if page.name != "your_data.md"]


@pytest.mark.parametrize("page", RUN_HERE, ids=lambda page: page.name)
def test_python_blocks_run_from_top_to_bottom(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(blocks(read(page), "python"), page.name)


COMMANDS = [
    pytest.param(
        command,
        id=f"{page.name}: {command}",
        marks=[pytest.mark.slow] if command.startswith(("tinygrad-ce", "mpiexec")) else [],
    )
    for page in RUN_HERE
    for block in blocks(read(page), "bash")
    for line in block.splitlines()
    for command in line.split("  #")[0].split(" && ")
]


def declared_extras():
    return re.findall(r"^(\w+) = \[", read(ROOT / "pyproject.toml"), re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_shell_commands_run(command, tmp_path):
    program, *arguments = shlex.split(command)
    if program == "tinygrad-ce":
        started = [sys.executable, "-m", "tinygrad_ce", *arguments]
        subprocess.run(started, cwd=tmp_path, check=True, capture_output=True)
    elif program == "mpiexec":
        size, python, *started = arguments[1:]
        assert (arguments[0], python, started[:2]) == ("-n", "python", ["-m", "mpi4py"])
        done = mpirun(size, *started[2:], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    elif program == "pip":  # what it installs exists; .ci/run does install it
        assert arguments[0] == "install"
        extras = re.search(r"\[(.*)\]", arguments[-1])[1].split(",")
        assert set(extras) <= set(declared_extras())
    elif program in {"python", "sphinx-build", "bash"}:  # too long to run here, but it is there
        files = [a for a in arguments if a.endswith((".py", ".md")) or a in {"docs", ".ci/run"}]
        assert files
        assert all((ROOT / file).exists() for file in files)
    else:
        assert command in {"python3 -m venv .venv", ". .venv/bin/activate"} or program in {
            "pytest",
            "ruff",
            "mypy",
        }


@pytest.mark.parametrize(
    "work", ['pip install ".[all]" && tinygrad-ce demo', 'pip install -e ".[test]" && pytest']
)
def test_the_readme_has_its_two_commands_to_the_letter(work):
    lines = read(README).splitlines()
    assert f"python3 -m venv .venv && . .venv/bin/activate && {work}" in lines


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page):
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", prose(read(page)))
    local = [t for t in targets if not t.startswith(("http:", "https:"))]
    assert [t for t in local if not (page.parent / t).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_sections_lead_to_headings(page):
    slugs = headings(read(page))
    assert len(set(slugs)) == len(slugs)
    links = re.findall(r"\]\(([^):]*\.md)?#([^)]+)\)", read(page))
    targets = {link: headings(read(page.parent / link[0] if link[0] else page)) for link in links}
    assert [link for link in links if link[1] not in targets[link]] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_have_at_most_100_columns(page):
    code = False
    for line in read(page).splitlines():
        code ^= line.lstrip().startswith("```")
        table = line.lstrip().startswith("|")
        assert code or table or len(line) <= 100, line


def test_architecture_page_lists_every_module():
    page = read(DOCS / "architecture.md")
    package = ROOT / "tinygrad_ce"
    modules = {p.name for p in package.glob("[a-z]*.py")}
    packages = {p.parent.name + "/" for p in package.rglob("__init__.py")} - {"tinygrad_ce/"}
    inside = {
        p.name for folder in ("engine", "verify") for p in (package / folder).glob("[a-z]*.py")
    }
    missing = [name for name in modules | packages | inside if name not in page]
    assert missing == [], os.linesep.join(missing)
