"""``tinygrad-ce report``."""

from __future__ import annotations

import argparse
import webbrowser
from pathlib import Path

from ...atomic_files import ensure_writable, write_file
from ..options import any_path, file_path
from ..run_folder import Run

EXAMPLES = """\
examples:
  tinygrad-ce report run
  tinygrad-ce report run --open
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EXAMPLES
    parser.add_argument("run_folder", type=any_path, metavar="RUN", help="what train has made")
    out = "the page (default: report.html in the folder)"
    parser.add_argument("-o", "--out", type=file_path, metavar="FILE.html", help=out)
    parser.add_argument("--open", action="store_true", help="show it in the browser")


def run(arguments: argparse.Namespace) -> int:
    """Make a page of a training: what it has learned, what of, and how its gradient arises.

    Curves, confusion matrix, calibration, importance of the columns, the graph of a loss, and its
    gradients against the closed form.
    """
    from ..report.run_page import render_run

    folder = Run(arguments.run_folder)
    path: Path = arguments.out or folder.folder / "report.html"
    with ensure_writable([path]):
        write_file(path, render_run(folder).encode())
    print(path)
    if arguments.open:
        webbrowser.open(path.resolve().as_uri())
    return 0
