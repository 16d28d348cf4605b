"""Logits and labels for the command line: typed, read from a CSV file, or drawn at random."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
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
    logits, label = "logits, for instance 2,1,0.1", "with --logits: the label, counted from 0"
    parser.add_argument("--logits", type=_split_logits, metavar="Z,Z,...", help=logits)
    parser.add_argument("--target", type=whole_number(0), metavar="T", help=label)


def read_problem(arguments: argparse.Namespace) -> Problem:
    """Logits and labels by --logits and --target, --csv, or --seed, --classes and --scale."""
    typed = typed_logits(arguments)
    if typed and arguments.csv is not None:
        raise UsageError("--logits and --csv are two sources of logits: give one of them")
    for name in ("classes", "scale"):
        if (typed or arguments.csv is not None) and getattr(arguments, name) is not None:
            raise UsageError(f"--{name} is of random logits: leave --logits and --csv out")
    if typed:
        z, t = typed
        return Problem(z[None], t[None])
    if arguments.csv is not None:
        return read_csv(arguments.csv)
    n_classes, scale = arguments.classes or CLASSES, arguments.scale or SCALE
    rng = np.random.default_rng(arguments.seed)
    z = scale * rng.standard_normal((1, n_classes))
    return Problem(z, rng.integers(n_classes, size=1), random=True)


def typed_logits(arguments: argparse.Namespace) -> tuple[Array, Array] | None:
    """Logits (C,) and label () as they were typed; one without the other is an error."""
    logits, target = arguments.logits, arguments.target
    if (logits is None) != (target is None):
        given, missing = ("--target", "--logits")[:: 1 if logits is None else -1]
        raise UsageError(f"{given} needs {missing} as well")
    if logits is None:
        return None
    _check_label(target, len(logits))
    return np.array(logits), np.array(target)


def read_csv(path: Path) -> Problem:
    """Rows of logits with the label in the last column, without blank lines and a header.

    A UsageError says why the file cannot be read, or which line is wrong.
    """
    rows: list[tuple[list[float], int]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines, first = csv.reader(file), True
            for cells in lines:
                if not any(cell.strip() for cell in cells):
                    continue
                header = first and all(math.isnan(_parse_number(cell)) for cell in cells)
                first = False
                if not header:
                    rows.append(_parse_row(cells, len(rows[0][0]) if rows else None))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is not text in UTF-8") from error
    except csv.Error as error:
        raise UsageError(f"cannot read {path} as CSV: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path}, line {lines.line_num}: {error}") from error
    if not rows:
        raise UsageError(f"{path}: no rows of logits with a label in the last column")
    logits, labels = zip(*rows, strict=True)
    return Problem(np.array(logits), np.array(labels))


def _split_logits(text: str) -> list[float]:
    try:
        return _parse_logits(text.split(","))
    except ValueError as error:
        what = "numbers with commas between them, such as 2,1,0.1"
        raise argparse.ArgumentTypeError(f"expected {what}, got {text!r}") from error


def _parse_logits(cells: Sequence[str]) -> list[float]:
    """Logits from text: finite, or -inf, but not all of them."""
    logits = [_parse_number(cell) for cell in cells]
    for cell, z in zip(cells, logits, strict=True):
        if not z < math.inf:
            raise ValueError(f"expected a number or -inf as a logit, got {cell!r}")
    if not any(map(math.isfinite, logits)):
        raise ValueError(f"expected a logit that is finite, got {','.join(cells)!r}")
    return logits


def _check_label(label: int, n_classes: int) -> None:
    if not 0 <= label < n_classes:
        classes = "1 logit" if n_classes == 1 else f"{n_classes} logits"
        labels = f"labels run from 0 to {n_classes - 1}"
        raise UsageError(f"target {label} is out of range for {classes}: {labels}")


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
        expected = f"{n_classes} logits and a label as in the rows before"
        raise ValueError(f"expected {expected}, got {len(cells)} columns")
    return logits, label


def _parse_number(text: str) -> float:  # nan for what is none
    try:
        return float(text)
    except ValueError:
        return math.nan
