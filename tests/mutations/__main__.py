"""Mutations: does the suite notice when the package is wrong?

    python tests/mutations [-k PART OF A NAME] [--jobs 2] [--list]

Each mutation is one small mistake in one place: a sign, a copy that is forgotten, an axis that is
ignored. The script makes it in a copy of the package, and runs the tests that lie near it, then
the others. It ends with status 1 if a mutation survives, and with 2 if one is stale: its definition
or its pattern is no longer there.
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT / "tests")

from mutations import compiler, distributed, engine, functional, nn, verify  # noqa: E402
from mutations.mutation import Mutation, StaleError  # noqa: E402

MUTATIONS: list[Mutation] = [
    *engine.MUTATIONS,
    *functional.MUTATIONS,
    *nn.MUTATIONS,
    *verify.MUTATIONS,
    *compiler.MUTATIONS,
    *distributed.MUTATIONS,
]
TIMEOUT = 240  # seconds, after which a mutation that makes a test run for ever counts as noticed

# Taken on all mutations: quick, and together they see everything that is mutated here.
TESTS = ["engine", "functional", "nn", "optim", "verify", "guarantees"]
# Not worth their time here.
LEFT_OUT = ["million", "20000", "thousand_random_sets", "twenty_processes", "page"]


def copy_of_project(directory: Path) -> Path:
    """Copy the package and its tests alone, so that what is imported can only be the copy.

    The modules are written from their syntax trees, as they are once they have been mutated: a test
    that minds their layout fails without a mutation, and is left out.
    """
    directory.mkdir(parents=True)
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for name in ("tinygrad_ce", "tests"):
        shutil.copytree(ROOT / name, directory / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", directory)
    for path in (directory / "tinygrad_ce").rglob("*.py"):
        path.write_text(ast.unparse(ast.parse(path.read_text("utf-8"))), "utf-8")
    return directory


RUN = """
import sys
import tinygrad_ce
if not tinygrad_ce.__file__.startswith(sys.argv[1]):
    sys.exit(f"tests would run on {tinygrad_ce.__file__}")
import pytest
sys.exit(pytest.main(sys.argv[2:]))
"""


def run_tests(copy: Path, files: list[str], *options: str) -> tuple[int, str]:
    """Run pytest on the copy: its exit status, and what it printed. 1 is a test that failed."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    environment.pop("RANDOM_GRAPHS", None)
    command = [
        sys.executable, "-c", RUN, str(copy),
        "-q", "-n", "0", "-p", "no:cacheprovider", "--no-header", "--tb=line",
        "-k", " and ".join(f"not {name}" for name in LEFT_OUT),
        *options, *(f"tests/{file}" for file in files),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            cwd=copy,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        return 1, "took too long"
    return done.returncode, done.stdout + done.stderr


def failures(output: str) -> list[str]:
    """The tests that failed, from what pytest printed."""
    return [
        line.split(" - ")[0].split(" ", 1)[1].removeprefix("tests/")
        for line in output.splitlines()
        if line.startswith(("FAILED ", "ERROR "))
    ]


def attempt(mutation: Mutation, copy: Path, failing: list[str]) -> str | None:
    """Make the mistake, and return which test has noticed, or None."""
    path = copy / "tinygrad_ce" / mutation.file
    original = path.read_text("utf-8")
    path.write_text(mutation.make(original), "utf-8")
    # A file that cannot be imported has to be ignored; a test is deselected.
    left_out = [("--deselect" if "::" in name else "--ignore", name) for name in failing]
    options = ["-x", *(f"{option}=tests/{name}" for option, name in left_out)]
    try:
        near = list(dict.fromkeys(mutation.near))
        for files in (near, [file for file in TESTS if file not in near]):
            status, output = run_tests(copy, files, *options)
            if status == 1 or (status in (2, 4) and "Error" in output):
                return (failures(output) or output.strip().splitlines() or ["no output"])[-1]
            if status not in (0, 5):  # 5: no test is left
                raise SystemExit(f"{mutation}: pytest ended with {status}:\n{output}")
        return None
    finally:
        path.write_text(original, "utf-8")


def stale() -> list[str]:
    """What is wrong with the mutations that cannot be made."""
    problems = []
    for mutation in MUTATIONS:
        path = ROOT / "tinygrad_ce" / mutation.file
        try:
            mutation.make(path.read_text("utf-8"))
        except (StaleError, FileNotFoundError) as error:
            problems.append(str(error))
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-k", metavar="TEXT", default="", help="only those with TEXT in the name")
    parser.add_argument("--jobs", type=int, default=2, help="how many at the same time")
    parser.add_argument("--list", action="store_true", help="only list them")
    options = parser.parse_args()
    if problems := stale():
        print("These are stale:", *problems, sep="\n  ")
        return 2
    chosen = [m for m in MUTATIONS if options.k in str(m)]
    if options.list:
        print(*chosen, sep="\n")
        return 0
    begin = time.time()
    with tempfile.TemporaryDirectory() as temporary:
        copies: Queue[Path] = Queue()
        for i in range(options.jobs):
            copies.put(copy_of_project(Path(temporary).resolve() / str(i)))
        copy = copies.get()
        near = [test for mutation in chosen for test in mutation.near]
        _, output = run_tests(copy, list(dict.fromkeys([*near, *TESTS])))
        copies.put(copy)
        failing = failures(output)
        if failing:
            print("These fail without a mutation, and are left out:", *failing, sep="\n  ")
        elif " passed" not in output:
            print(output)
            return 2

        def work(mutation: Mutation) -> str | None:
            copy = copies.get()
            try:
                killer = attempt(mutation, copy, failing)
            finally:
                copies.put(copy)
            print(f"killed   {mutation}    {killer}" if killer else f"SURVIVED {mutation}")
            sys.stdout.flush()
            return killer

        with ThreadPoolExecutor(options.jobs) as pool:
            killers = list(pool.map(work, chosen))
    survivors = [m for m, killer in zip(chosen, killers, strict=True) if not killer]
    minutes = (time.time() - begin) / 60
    print(f"\n{len(chosen) - len(survivors)} of {len(chosen)} killed in {minutes:.1f} minutes")
    if survivors:
        print("survivors:", *survivors, sep="\n  ")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
