"""The command in a process of its own, and what is in a folder afterwards."""

import subprocess
import sys
from pathlib import Path


def run(*arguments, **options):
    """The command in a process of its own."""
    command = [sys.executable, "-m", "tinygrad_ce", *map(str, arguments)]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, encoding="utf-8", **options
    )


def contents(folder):
    """The paths of all files and folders in a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*")}
