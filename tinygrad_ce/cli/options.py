"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path

from .experiment import CONFIGS

MAX_HIDDEN = 10_000


class UsageError(ValueError):
    """What was asked for cannot be done; the message says why."""


def add_experiment(parser: argparse.ArgumentParser, epochs: bool = False) -> None:
    """Add --data, --hidden, --seed and, on demand, --epochs; see `experiment.prepare`."""
    parser.add_argument(
        "--data", choices=list(CONFIGS), default="iris", help="the data set (default: iris)"
    )
    hidden = f"the number of hidden units (default: {defaults('hidden')})"
    parser.add_argument("--hidden", type=whole_number(1, MAX_HIDDEN), metavar="N", help=hidden)
    add_seed(parser, "of the split into training and test set, the weights and the order of rows")
    if epochs:
        passes = f"passes over the training set (default: {defaults('epochs')})"
        parser.add_argument("--epochs", type=whole_number(1), metavar="N", help=passes)


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    parser.add_argument(
        "--seed", type=whole_number(0), default=0, metavar="S", help=f"seed {what} (default: 0)"
    )


def defaults(name: str) -> str:
    """The defaults of an option, for its help: 16 for iris, 64 for digits."""
    return ", ".join(f"{getattr(config, name)} for {data}" for data, config in CONFIGS.items())


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """The type of an option whose value is a whole number in a range."""
    expected = f"a whole number from {least}" + (" on" if most is None else f" to {most}")

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least or (most is not None and number > most):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return number

    return parse


def positive_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number


def any_path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"expected a path, got {text!r}")
    return Path(text)


def file_path(text: str) -> Path:
    path = any_path(text)
    if text[-1] in (os.sep, os.altsep) or path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    return path
