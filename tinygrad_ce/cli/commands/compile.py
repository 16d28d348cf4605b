"""``tinygrad-ce compile``."""

from __future__ import annotations

import argparse
from pathlib import Path

from ...atomic_files import ensure_writable, write_file
from ..experiment import prepare
from ..options import add_experiment, defaults, file_path, whole_number

MAX_BATCH = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_experiment(parser)
    rows = f"the number of rows that the function takes (default: {defaults('batch_size')})"
    parser.add_argument("--batch", type=whole_number(1, MAX_BATCH), metavar="N", help=rows)
    parser.add_argument(
        "-o", "--out", type=file_path, metavar="FILE.py", help="write a file (default: print it)"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the training step of a network as a NumPy function, to a file or to stdout.

    The module needs NumPy alone; its docstring shows how to call it.
    """
    path: Path | None = arguments.out
    if path is None:
        print(_step_module(arguments, "step"), end="")
        return 0
    with ensure_writable([path]):
        name = path.stem if path.stem.isidentifier() else "step"
        write_file(path, _step_module(arguments, name).encode())
    print(path)
    return 0


def _step_module(arguments: argparse.Namespace, name: str) -> str:
    from ..step_module import step_module

    experiment = prepare(arguments.data, arguments.hidden, seed=arguments.seed)
    return step_module(experiment, arguments.batch, name)
