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

CLASSES, SCALE = 5, 2.0  # of random logits


class UsageError(Exception):
    """What was asked for cannot be done; the message says why."""


@dataclass(frozen=True)
class Problem:
    """Rows of logits (N, C), their labels (N,), and whether they were drawn at random."""

    logits: Array
    target: Array
    random: bool = False


def problem(arguments: argparse.Namespace) -> Problem:
    """What --logits and --target, --csv, or --seed, --classes and --scale ask for."""
    typed = given_logits(arguments)
    if typed and arguments.csv is not None:
        raise UsageError("--logits and --csv are two sources of logits: give one of them")
    if typed or arguments.csv is not None:
        for name in ("classes", "scale"):
            if getattr(arguments, name) is not None:
                raise UsageError(f"--{name} is of random logits: leave --logits and --csv out")
    if typed:
        z, t = logits_and_label(arguments)
        return Problem(z[None], t[None])
    if arguments.csv is not None:
        return read_csv(arguments.csv)
    n_classes = CLASSES if arguments.classes is None else arguments.classes
    scale = SCALE if arguments.scale is None else arguments.scale
    rng = np.random.default_rng(arguments.seed)
    z = scale * rng.standard_normal((1, n_classes))
    return Problem(z, rng.integers(n_classes, size=1), random=True)


def given_logits(arguments: argparse.Namespace) -> bool:
    """Whether --logits and --target were given; one without the other is an error."""
    if (arguments.logits is None) != (arguments.target is None):
        given, missing = ("--target", "--logits")[:: 1 if arguments.logits is None else -1]
        raise UsageError(f"{given} needs {missing} as well")
    return arguments.logits is not None


def logits_and_label(arguments: argparse.Namespace) -> tuple[Array, Array]:
    """Logits (C,) and label () as they were typed."""
    try:
        label = in_range(arguments.target, len(arguments.logits))
    except ValueError as error:
        raise UsageError(error) from error
    return np.array(arguments.logits), np.array(label)


def read_csv(path: Path) -> Problem:
    """Rows of logits with the label in the last column.

    Blank lines are skipped, and so is a header: a first line with no number in it.

    Raises
    ------
    UsageError
        The file cannot be read; or a row is wrong, and the message names file and line.
    """
    logits: list[list[float]] = []
    labels: list[int] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, cells in _lines(csv.reader(file)):
                try:
                    row, label = _row(cells)
                    if logits and len(row) != len(logits[0]):
                        raise ValueError(
                            f"expected {len(logits[0])} logits and a label as in the rows before, "
                            f"got {len(cells)} columns"
                        )
                except ValueError as error:
                    raise UsageError(f"{path}, line {line}: {error}") from error
                logits.append(row)
                labels.append(label)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"cannot read {path}: it is not text in UTF-8") from error
    except csv.Error as error:
        raise UsageError(f"cannot read {path} as CSV: {error}") from error
    if not logits:
        raise UsageError(f"{path}: no rows of logits with a label in the last column")
    return Problem(np.array(logits), np.array(labels))


def logits_from(cells: Sequence[str]) -> list[float]:
    """Logits from text: finite, or -inf, but not all of them.

    >>> logits_from(["2", "1", "-inf"])
    [2.0, 1.0, -inf]
    """
    logits = [_number(cell) for cell in cells]
    for cell, z in zip(cells, logits, strict=True):
        if math.isnan(z) or z == math.inf:
            raise ValueError(f"expected a number or -inf as a logit, got {cell!r}")
    if not any(map(math.isfinite, logits)):
        raise ValueError(f"expected a logit that is finite, got {','.join(cells)!r}")
    return logits


def in_range(label: int, n_classes: int) -> int:
    """The label, if it is one of so many classes."""
    if not 0 <= label < n_classes:
        classes = "1 logit" if n_classes == 1 else f"{n_classes} logits"
        raise ValueError(
            f"target {label} is out of range for {classes}: labels run from 0 to {n_classes - 1}"
        )
    return label


def _lines(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of the lines that hold something, without a header."""
    first = True
    for cells in rows:
        if any(cell.strip() for cell in cells):
            header = first and all(math.isnan(_number(cell)) for cell in cells)
            first = False
            if not header:
                yield rows.line_num, cells  # type: ignore[attr-defined]


def _row(cells: list[str]) -> tuple[list[float], int]:
    if len(cells) < 2:
        raise ValueError(f"expected logits and a label, got {','.join(cells)!r}")
    logits = logits_from(cells[:-1])
    try:
        label = int(cells[-1])
    except ValueError:
        raise ValueError(
            f"expected a label as whole number in the last column, got {cells[-1]!r}"
        ) from None
    return logits, in_range(label, len(logits))


def _number(text: str) -> float:
    """The number, or nan for what is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
