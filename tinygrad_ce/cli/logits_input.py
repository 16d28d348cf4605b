"""Logits and labels for the command line: typed, read from a CSV file, or drawn at random."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..engine.array_types import Array
from .options import UsageError, whole_number

CLASSES, SCALE = 5, 2.0  # of random logits


@dataclass(frozen=True)
class Problem:
    """Rows of logits (N, C), their labels (N,), and whether they were drawn at random."""

    logits: Array
    target: Array
    random: bool = False


def add_logits(parser: argparse.ArgumentParser) -> None:
    """Add --logits and --target."""
    parser.add_argument(
        "--logits", type=_split_logits, metavar="Z,Z,...", help="logits, for instance 2,1,0.1"
    )
    label = "with --logits: the label, counted from 0"
    parser.add_argument("--target", type=whole_number(0), metavar="T", help=label)


def read_problem(arguments: argparse.Namespace) -> Problem:
    """Logits and labels by --logits and --target, --csv, or --seed, --classes and --scale."""
    typed = given_logits(arguments)
    if typed and arguments.csv is not None:
        raise UsageError("--logits and --csv are two sources of logits: give one of them")
    for name in ("classes", "scale"):
        if (typed or arguments.csv is not None) and getattr(arguments, name) is not None:
            raise UsageError(f"--{name} is of random logits: leave --logits and --csv out")
    if typed:
        z, t = typed_logits(arguments)
        return Problem(z[None], t[None])
    if arguments.csv is not None:
        return read_csv(arguments.csv)
    n_classes, scale = arguments.classes or CLASSES, arguments.scale or SCALE
    rng = np.random.default_rng(arguments.seed)
    z = scale * rng.standard_normal((1, n_classes))
    return Problem(z, rng.integers(n_classes, size=1), random=True)


def given_logits(arguments: argparse.Namespace) -> bool:
    """Whether --logits and --target were given; one without the other is an error."""
    if (arguments.logits is None) != (arguments.target is None):
        given, missing = ("--target", "--logits")[:: 1 if arguments.logits is None else -1]
        raise UsageError(f"{given} needs {missing} as well")
    return arguments.logits is not None


def typed_logits(arguments: argparse.Namespace) -> tuple[Array, Array]:
    """Logits (C,) and label () as they were typed."""
    _check_label(arguments.target, len(arguments.logits))
    return np.array(arguments.logits), np.array(arguments.target)


def read_csv(path: Path) -> Problem:
    """Rows of logits with the label in the last column, without blank lines and a header.

    A UsageError says why the file cannot be read, or which line is wrong.
    """
    rows: list[list[float]] = []
    labels: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, cells in _lines(csv.reader(file)):
                try:
                    row, label = _parse_row(cells, len(rows[0]) if rows else None)
                except ValueError as error:
                    raise UsageError(f"{path}, line {line}: {error}") from error
                rows.append(row)
                labels.append(label)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is not text in UTF-8") from error
    except csv.Error as error:
        raise UsageError(f"cannot read {path} as CSV: {error}") from error
    if not rows:
        raise UsageError(f"{path}: no rows of logits with a label in the last column")
    return Problem(np.array(rows), np.array(labels))


def _split_logits(text: str) -> list[float]:
    try:
        return _parse_logits(text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected numbers with commas between them, such as 2,1,0.1, got {text!r}"
        ) from error


def _parse_logits(cells: Sequence[str]) -> list[float]:
    """Logits from text: finite, or -inf, but not all of them."""
    logits = [_parse_number(cell) for cell in cells]
    for cell, z in zip(cells, logits, strict=True):
        if math.isnan(z) or z == math.inf:
            raise ValueError(f"expected a number or -inf as a logit, got {cell!r}")
    if not any(map(math.isfinite, logits)):
        raise ValueError(f"expected a logit that is finite, got {','.join(cells)!r}")
    return logits


def _check_label(label: int, n_classes: int) -> None:
    if not 0 <= label < n_classes:
        classes = "1 logit" if n_classes == 1 else f"{n_classes} logits"
        raise UsageError(
            f"target {label} is out of range for {classes}: labels run from 0 to {n_classes - 1}"
        )


def _lines(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of the lines that hold something, without a header."""
    first = True
    for cells in rows:
        if any(cell.strip() for cell in cells):
            header = first and all(math.isnan(_parse_number(cell)) for cell in cells)
            first = False
            if not header:
                yield rows.line_num, cells  # type: ignore[attr-defined]


def _parse_row(cells: list[str], n_classes: int | None) -> tuple[list[float], int]:
    *numbers, last = cells
    if not numbers:
        raise ValueError(f"expected logits and a label, got {last!r}")
    logits = _parse_logits(numbers)
    try:
        label = int(last)
    except ValueError:
        reason = f"expected a label as whole number in the last column, got {last!r}"
        raise ValueError(reason) from None
    _check_label(label, len(logits))
    if n_classes not in (None, len(logits)):
        raise ValueError(
            f"expected {n_classes} logits and a label as in the rows before, "
            f"got {len(cells)} columns"
        )
    return logits, label


def _parse_number(text: str) -> float:  # nan for what is none
    try:
        return float(text)
    except ValueError:
        return math.nan
