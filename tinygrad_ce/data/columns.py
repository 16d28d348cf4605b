"""Columns: what was learned of each, so that new rows are treated alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..arguments import shown

Array: TypeAlias = NDArray[Any]
# What to raise for a cell: the number of its row, and what is wrong with it.
CellError: TypeAlias = Callable[[int, str], Exception]

POLICIES = ("refuse", "mean", "drop", "category")
MISSING_TEXTS = ("", "NA")
MAX_CATEGORIES = 1_000  # each becomes a column: a text with more is a name or a number, no category

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_CHARACTERS = frozenset("0123456789+-.eE")


@dataclass(frozen=True)
class Cells:
    """The cells of a column: float64 or text (n,), and which of them are missing."""

    values: Array
    missing: NDArray[np.bool_]

    @property
    def are_numbers(self) -> bool:
        return self.values.dtype.kind == "f"

    def take(self, rows: NDArray[np.bool_]) -> Cells:
        return Cells(self.values[rows], self.missing[rows])


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Attributes
    ----------
    name
        Its name in the file or DataFrame.
    mean
        What a missing cell becomes, or None where one is refused.
    has_indicator
        Whether a further column says 1 where the cell was missing.
    """

    name: str
    mean: float | None = None
    has_indicator: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of its columns in X."""
        return (self.name, f"{self.name}=NA") if self.has_indicator else (self.name,)

    def encode(self, cells: Cells, error: CellError) -> Array:
        """Return its columns in X, (n, 1) or (n, 2) float64."""
        values = to_numbers(cells, error).copy()
        if cells.missing.any():
            if self.mean is None:
                raise error(int(cells.missing.argmax()), _REFUSED)
            values[cells.missing] = self.mean
        columns = [values, cells.missing] if self.has_indicator else [values]
        return np.stack(columns, axis=1).astype(np.float64)


@dataclass(frozen=True)
class CategoryColumn:
    """A column of texts, one-hot: a column of X for each category.

    Attributes
    ----------
    name
        Its name in the file or DataFrame.
    categories
        The texts, in the order of the columns.
    shares
        What a missing cell becomes: the share of each category, which is the mean of its column.
        Or None where a missing cell is refused or a category of its own.
    has_indicator
        Whether a missing cell is a category of its own, in a last column.
    """

    name: str
    categories: tuple[str, ...]
    shares: tuple[float, ...] | None = None
    has_indicator: bool = False

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of its columns in X, such as "island=Biscoe"."""
        last = ("NA",) if self.has_indicator else ()
        return tuple(f"{self.name}={category}" for category in (*self.categories, *last))

    def encode(self, cells: Cells, error: CellError) -> Array:
        """Return its columns in X, (n, number of categories) float64."""
        values = to_texts(cells)
        codes = find_codes(values, self.categories)
        unknown = (codes < 0) & ~cells.missing
        if unknown.any():
            row = int(unknown.argmax())
            raise error(
                row, f"{str(values[row])!r} is none of the categories {_some(self.categories)}"
            )
        one_hot = np.zeros((len(codes), len(self.categories) + self.has_indicator))
        one_hot[np.arange(len(codes)), codes] = 1  # of a missing cell, in the last column
        if cells.missing.any() and not self.has_indicator:
            if self.shares is None:
                raise error(int(cells.missing.argmax()), _REFUSED)
            one_hot[cells.missing] = self.shares
        return one_hot


Column: TypeAlias = NumberColumn | CategoryColumn

_REFUSED = (
    'the cell is missing (empty or NA): fill it in, or read the table with missing="mean", "drop" '
    'or "category"'
)


def learn_column(
    name: str, cells: Cells, missing: str, as_category: bool, error: CellError
) -> Column:
    """Decide what a column is, numbers or categories, and what is remembered of it."""
    present = ~cells.missing
    if not present.any():
        raise error(0, f"all cells of column {name!r} are missing: leave the column out (ignore)")
    some_missing = missing in ("mean", "category") and bool(cells.missing.any())
    has_indicator = missing == "category" and some_missing
    if not as_category and _is_numeric(cells, error):
        numbers = to_numbers(cells, error)[present]
        fill = float(numbers.mean()) if missing == "mean" or has_indicator else None
        return NumberColumn(name, fill, has_indicator)
    texts, counts = np.unique(to_texts(cells)[present], return_counts=True)
    if len(texts) > MAX_CATEGORIES:
        raise error(
            0,
            f"column {name!r} has {len(texts):,} different texts, and each would become a column: "
            "leave it out (ignore), or group them",
        )
    shares = tuple((counts / counts.sum()).tolist()) if missing == "mean" else None
    return CategoryColumn(name, tuple(texts.tolist()), shares, has_indicator)


def find_codes(values: Array, known: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the index of each text in `known`, and -1 for one that is not there."""
    code = {text: i for i, text in enumerate(known)}
    found, inverse = np.unique(values, return_inverse=True)
    codes = np.array([code.get(text, -1) for text in found.tolist()], np.int64)
    return codes[inverse] if len(codes) else np.zeros(0, np.int64)


def to_numbers(cells: Cells, error: CellError) -> Array:
    """Return cells as finite float64, with 0 where they are missing, or raise at the first bad one.

    A number has digits, a sign, a point and an exponent: no 1_000, no 0x10, no nan.
    """
    if cells.are_numbers:
        values = np.where(cells.missing, 0, cells.values)
    else:
        texts = np.where(cells.missing, "0", cells.values).tolist()
        if not _CHARACTERS.issuperset("".join(texts)) or not all(map(_NUMBER.fullmatch, texts)):
            bad = next(row for row, text in enumerate(texts) if not _NUMBER.fullmatch(text))
            raise error(bad, f"expected a number, got {shown(texts[bad])}")
        values = np.array([*map(float, texts)])
    finite = np.isfinite(values)
    if not finite.all():
        row = int(finite.argmin())
        raise error(row, f"expected a finite number, got {cells.values[row]}")
    return values


def to_texts(cells: Cells) -> Array:
    """Return cells as texts, with "" where they are missing: 3.0 as "3", as an integer has it."""
    if not cells.are_numbers:
        return np.where(cells.missing, "", cells.values)
    numbers = np.where(cells.missing, 0, cells.values).tolist()
    texts = [str(int(x)) if np.isfinite(x) and x == int(x) else repr(x) for x in numbers]
    return np.where(cells.missing, "", np.array(texts, dtype=str))


def sort_texts(texts: Array) -> tuple[str, ...]:
    """Return the different texts: by value if all are numbers, else by letters."""
    found: list[str] = np.unique(texts).tolist()
    if all(map(_NUMBER.fullmatch, found)):
        found.sort(key=lambda text: (float(text), text))
    return tuple(found)


def _is_numeric(cells: Cells, error: CellError) -> bool:
    """Whether all cells are numbers, or none is; a mixture raises at the first of the rarer kind.

    What spells nan or inf counts as a number, and is refused as one.
    """
    if cells.are_numbers:
        return True
    texts = cells.values.tolist()
    present = ~cells.missing
    looks = np.array([bool(_NUMBER.fullmatch(t) or _NOT_FINITE.fullmatch(t)) for t in texts])
    count, n = int((looks & present).sum()), int(present.sum())
    if 0 < count < n:
        numeric = 2 * count >= n
        row = int(((looks != numeric) & present).argmax())
        expected, other = ("a number", count) if numeric else ("no number", n - count)
        raise error(
            row,
            f"expected {expected}, as in {other:,} other cells of the column, got "
            f"{shown(texts[row])}; where numbers are names, read the column as one of categories",
        )
    return count > 0


def _some(texts: tuple[str, ...]) -> str:
    shown_texts = ", ".join(map(repr, texts[:8]))
    return shown_texts + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")
