"""Sources of rows: CSV files, DataFrames, dicts and arrays, all as named columns of cells.

A CSV file is parsed by NumPy, which is fast and says little of what is wrong. Where that fails, or
a cell is quoted, the csv module parses it, and finds the place.
"""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from ..arguments import shown
from .columns import _NUMBER, MISSING_TEXTS, Cells

WIDTH = 24  # characters of a text cell that NumPy reads; longer ones are left to the csv module


class Source:
    """Named columns of cells, and where a cell is.

    Attributes
    ----------
    columns
        The cells of each column, by its name.
    n_rows
        The number of rows.
    """

    def __init__(self, columns: dict[str, Cells], label: str = "") -> None:
        self.columns = columns
        self.label = label
        self.n_rows = len(next(iter(columns.values())).values) if columns else 0

    def place(self, row: int, name: str) -> str:
        """Return where a cell is, for a message."""
        return f"row {row}, column {name!r}"

    def error(self, row: int, name: str, message: str) -> ValueError:
        """Return the error for a cell, with its place."""
        return ValueError(f"{self.label}{self.place(row, name)}: {message}")

    def column(self, name: str) -> Cells:
        """Return the cells of a column, or raise a ValueError that lists the columns."""
        if name not in self.columns:
            names = ", ".join(map(repr, self.columns))
            raise ValueError(f"{self.label}no column {name!r}: there are {names}")
        return self.columns[name]


class SelectedRows(Source):
    """Some rows of a source; their places are those that they have there."""

    def __init__(self, source: Source, selected: NDArray[np.bool_]) -> None:
        columns = {name: cells.take(selected) for name, cells in source.columns.items()}
        super().__init__(columns, source.label)
        self.source = source
        self.rows = np.flatnonzero(selected)

    def place(self, row: int, name: str) -> str:
        """Return where a cell is in the source."""
        return self.source.place(int(self.rows[row]), name)


def open_source(
    rows: Any, texts: Collection[str] = (), names: Sequence[str] | None = None
) -> Source:
    """Make named columns of whatever holds rows.

    Parameters
    ----------
    rows
        The path of a CSV file ("-" for stdin), a file that is open for reading text, a DataFrame, a
        dict of columns, a list of dicts, or rows of cells.
    texts
        Columns whose cells are texts, whatever they look like: 01 and 1 differ.
    names
        The names of the columns, where the rows have none.
    """
    if isinstance(rows, str | Path):
        return CsvSource(str(rows), _read_text(rows), texts)
    if isinstance(rows, io.TextIOBase):
        return CsvSource(str(getattr(rows, "name", "text")), rows.read(), texts)
    columns = _columns_of(rows, names)
    repeated = [name for name in columns[0] if columns[0].count(name) > 1]
    if repeated:
        raise ValueError(f"column {repeated[0]!r} is there twice: rename one of them")
    cells = {n: _as_cells(n, c) for n, c in zip(*columns, strict=True)}
    lengths = {name: len(column.values) for name, column in cells.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns differ in length: {lengths}")
    return Source(cells)


# ── CSV ───────────────────────────────────────────────────────────────────────────────────────────


class CsvSource(Source):
    """The columns of a CSV file, with the line of each cell."""

    def __init__(self, path: str, text: str, texts: Collection[str] = ()) -> None:
        self.text = text
        self.label = f"{path}, " if path != "-" else "stdin, "
        columns = self._read_fast(texts) or self._read_strictly()
        super().__init__(columns, self.label)

    def place(self, row: int, name: str) -> str:
        """Return line and column of a cell."""
        reader = _Reader(self.text, self.label)
        for _ in range(row + 1):
            cells = next(reader)
        before = cells[: reader.names.index(name)]
        return f"line {reader.start + sum(c.count(chr(10)) for c in before)}, column {name!r}"

    def column(self, name: str) -> Cells:
        """Return the cells of a column, or raise a ValueError that lists the columns."""
        values = [other for other in self.columns if _NUMBER.fullmatch(other)]
        if name not in self.columns and values:
            raise ValueError(
                f"{self.label}line 1: no column {name!r}, but {', '.join(self.columns)}: expected "
                "a header with the names of the columns"
            )
        return super().column(name)

    def _read_fast(self, texts: Collection[str]) -> dict[str, Cells] | None:
        """Read columns by NumPy, with the kinds of the first row; None if that is not enough."""
        if '"' in self.text or "\0" in self.text:
            return None
        reader = _Reader(self.text, self.label)
        first = next(reader, None)
        if first is None:
            return None  # which the strict reader says better
        numeric = [
            bool(_NUMBER.fullmatch(cell.strip())) and name not in texts
            for name, cell in zip(reader.names, first, strict=True)
        ]
        kinds = np.dtype([(f"f{i}", "f8" if n else f"U{WIDTH}") for i, n in enumerate(numeric)])
        lines = io.StringIO(self.text)
        for _ in range(reader.start - 1):
            next(lines)
        try:
            rows = np.loadtxt(lines, kinds, comments=None, delimiter=",", ndmin=1)
        except ValueError:
            return None
        columns = {}
        for i, name in enumerate(reader.names):
            values = np.ascontiguousarray(rows[f"f{i}"])
            if not numeric[i]:
                if np.char.str_len(values).max() == WIDTH:
                    return None
                columns[name] = _text_cells(np.char.strip(values))
            elif np.isfinite(values).all():
                columns[name] = Cells(values, np.zeros(len(values), bool))
            else:
                return None
        return columns

    def _read_strictly(self) -> dict[str, Cells]:
        reader = _Reader(self.text, self.label)
        rows = [[cell.strip() for cell in cells] for cells in reader]
        if not rows:
            raise ValueError(f"{self.label}line 1: a header, and no rows below it")
        columns = zip(*rows, strict=True)
        return {
            name: _text_cells(np.array(cells, dtype=str))
            for name, cells in zip(reader.names, columns, strict=True)
        }


class _Reader:
    """The rows of a CSV text, each with as many cells as the header has names.

    Attributes
    ----------
    names
        The names in the header.
    start
        The line on which the row begins that was returned last.
    """

    def __init__(self, text: str, label: str) -> None:
        self.label = label
        self.rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        self.start = 0
        header = self._next_row()
        if header is None:
            self._fail("the file is empty: expected a header with the names of the columns")
        self.names = [name.strip() for name in header]
        self._check_header()

    def __iter__(self) -> _Reader:
        return self

    def __next__(self) -> list[str]:
        row = self._next_row()
        if row is None:
            raise StopIteration
        n, wanted = len(row), len(self.names)
        if n < wanted:
            missing = ", ".join(map(repr, self.names[n:]))
            self._fail(f"{n} cells where the header has {wanted}: no cell for {missing}")
        if n > wanted:
            surplus = ", ".join(map(repr, row[wanted:]))
            self._fail(
                f"{n} cells where the header has {wanted} columns, up to {self.names[-1]!r}: "
                f"surplus {surplus}; a cell with a comma in it needs quotes"
            )
        return row

    def _next_row(self) -> list[str] | None:
        while True:
            self.start = self.rows.line_num + 1
            try:
                row = next(self.rows)
            except StopIteration:
                return None
            except csv.Error as error:
                self._fail(f"{error}, in the row that begins here")
            if len(row) > 1 or (row and row[0].strip()):
                return row

    def _check_header(self) -> None:
        names = self.names
        if len(names) == 1:
            others = [c for c in (";", "\t", "|") if c in names[0]]
            hint = f": it seems to be separated by {others[0]!r}; save it with commas" * bool(
                others
            )
            self._fail(
                f"a single column, {shown(names[0])}, where features and a target are "
                f"expected{hint}"
            )
        for i, name in enumerate(names):
            if not name:
                self._fail(
                    f"column {i + 1} has no name: name it, or, if a DataFrame wrote its index, "
                    "save it with index=False"
                )
            if name in names[:i]:
                first = names.index(name) + 1
                self._fail(f"columns {first} and {i + 1} have one name, {name!r}: rename one")

    def _fail(self, message: str) -> NoReturn:
        raise ValueError(f"{self.label}line {max(self.start, 1)}: {message}")


def _read_text(path: str | Path) -> str:
    """The text of a file, unzipped, with \n for each end of a line."""
    raw = sys.stdin.buffer.read() if str(path) == "-" else Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: a damaged gzip file, {error}") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path}, line {line}: byte {raw[error.start]:#04x} is no text in UTF-8: save the file "
            "in UTF-8"
        ) from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


# ── DataFrames, dicts and arrays ──────────────────────────────────────────────────────────────────


def _columns_of(rows: Any, names: Sequence[str] | None) -> tuple[list[str], list[Any]]:
    """The names of columns, and their cells."""
    if isinstance(rows, Mapping):
        return [*map(str, rows)], [*rows.values()]
    if hasattr(rows, "columns") and hasattr(rows, "__getitem__"):  # pandas, polars
        return [*map(str, rows.columns)], [rows[name] for name in rows.columns]
    if isinstance(rows, Iterable) and not hasattr(rows, "__array__"):
        rows = [*rows]
        if rows and all(isinstance(row, Mapping) for row in rows):
            return _columns_of_dicts(rows)
        if not all(isinstance(row, Sequence) and not isinstance(row, str) for row in rows):
            raise TypeError(f"expected rows of cells, got {shown(rows)}")
        width = len(names) if names is not None else len(rows[0]) if rows else 0
        for i, row in enumerate(rows):
            if len(row) != width:
                raise ValueError(f"row {i} has {len(row)} cells, expected {width}")
        array = np.empty((len(rows), width), object)
        for i, row in enumerate(rows):
            array[i] = row
    else:
        array = np.asarray(rows)
    if array.ndim != 2:
        raise ValueError(
            f"expected rows and columns, got an array of shape {array.shape}: a single row is a "
            "list of one row"
        )
    if names is None:
        names = [f"x{i}" for i in range(array.shape[1])]
    if len(names) != array.shape[1]:
        raise ValueError(f"expected {len(names)} columns, {', '.join(names)}; got {array.shape[1]}")
    return [*names], [*array.T]


def _columns_of_dicts(rows: list[Mapping[str, Any]]) -> tuple[list[str], list[Any]]:
    names = list(rows[0])
    for i, row in enumerate(rows):
        if row.keys() != rows[0].keys():
            differing = ", ".join(sorted(map(repr, row.keys() ^ rows[0].keys())))
            raise ValueError(f"row {i} has other columns than row 0: {differing}")
    return [*map(str, names)], [[row[name] for row in rows] for name in names]


def _as_cells(name: str, column: Any) -> Cells:
    if isinstance(column, list | tuple):
        values = np.empty(len(column), object)
        values[:] = column
    else:
        values = np.asarray(column)
    if values.ndim != 1:
        raise ValueError(f"column {name!r} has shape {values.shape}: expected one cell a row")
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        return Cells(numbers, np.isnan(numbers))
    if values.dtype.kind in "UT":
        return _text_cells(np.char.strip(values.astype(str)))
    if values.dtype.kind != "O":
        raise TypeError(
            f"column {name!r} holds {values.dtype}: expected numbers or texts; convert it first"
        )
    cells = [None if _is_missing(cell) else cell for cell in values.tolist()]
    for row, cell in enumerate(cells):
        if not isinstance(cell, str | int | float | np.number | np.bool_ | None):
            raise TypeError(
                f"row {row}, column {name!r}: expected a number or a text, got {shown(cell)}"
            )
    if any(isinstance(cell, str) for cell in cells):
        texts = ["" if cell is None else str(cell).strip() for cell in cells]
        return _text_cells(np.array(texts, dtype=str))
    missing = np.array([cell is None for cell in cells], bool)
    return Cells(np.array([0 if cell is None else cell for cell in cells], np.float64), missing)


def _is_missing(cell: Any) -> bool:
    """Whether a cell is None, nan, or what pandas has in place of them."""
    if cell is None or type(cell).__name__ in {"NAType", "NaTType"}:
        return True
    return isinstance(cell, float | np.floating) and bool(np.isnan(cell))


def _text_cells(values: Any) -> Cells:
    return Cells(values, np.isin(values, MISSING_TEXTS))
