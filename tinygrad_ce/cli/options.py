"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..atomic_files import check_path
from .experiment import CONFIGS

MAX_HIDDEN = 10_000

T = TypeVar("T")


class UsageError(ValueError):
    """What was asked for cannot be done; the message says why."""


def add_experiment(parser: argparse.ArgumentParser, epochs: bool = False) -> None:
    """Add --data, --hidden, --seed and, on demand, --epochs; see `experiment.prepare`."""
    add = parser.add_argument
    add("--data", choices=list(CONFIGS), default="iris", help="the data set (default: iris)")
    hidden = f"the number of hidden units (default: {defaults('hidden')})"
    add("--hidden", type=whole_number(1, MAX_HIDDEN), metavar="N", help=hidden)
    add_seed(parser, "of the split into training and test set, the weights and the order of rows")
    if epochs:
        passes = f"passes over the training set (default: {defaults('epochs')})"
        add("--epochs", type=whole_number(1), metavar="N", help=passes)


def add_seed(parser: argparse.ArgumentParser, what: str) -> None:
    words = f"seed {what} (default: 0)"
    parser.add_argument("--seed", type=whole_number(0), default=0, metavar="S", help=words)


def defaults(name: str) -> str:
    """The defaults of an option, for its help: 16 for iris, 64 for digits."""
    return ", ".join(f"{getattr(config, name)} for {data}" for data, config in CONFIGS.items())


def _type(convert: Callable[[str], T], fits: Callable[[T], bool], what: str) -> Callable[[str], T]:
    """The type of an argument, for argparse: what can be converted and fits."""

    def parse(text: str) -> T:
        try:
            if fits(value := convert(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}")

    return parse


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    what = f"a whole number from {least}" + (" on" if most is None else f" to {most}")
    return _type(int, lambda n: least <= n and (most is None or n <= most), what)


def number(least: float, most: float = math.inf) -> Callable[[str], float]:
    what = f"a number from {least:g}" + (" on" if most == math.inf else f" to {most:g}")
    return _type(float, lambda x: least <= x <= most and x < math.inf, what)


positive_number = _type(float, lambda x: 0 < x < math.inf, "a number above 0")


def any_path(text: str) -> Path:
    try:
        if text.strip():
            return check_path(text)
    except ValueError:  # a null character, or a lone surrogate
        pass
    raise argparse.ArgumentTypeError(f"expected a path, got {text!r}")


def file_path(text: str) -> Path:
    path = any_path(text)
    if text[-1] in (os.sep, os.altsep) or path.name in ("", ".."):
        raise argparse.ArgumentTypeError(f"expected a file, got the folder {text!r}")
    return path
