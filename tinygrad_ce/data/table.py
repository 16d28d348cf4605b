"""Tables: a CSV file or a DataFrame as X and y, and what it takes to treat new rows alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import check_choice, check_kind
from ..atomic_files import check_path
from .columns import POLICIES, Column, find_codes, learn_column, sort_texts, to_texts
from .sources import SelectedRows, Source, open_source

MAX_SHARE = 0.5  # of the rows that numbers in a target can be classes of


@dataclass(frozen=True)
class Encoder:
    """What was learned of a table: its columns and classes. Makes X of new rows.

    Attributes
    ----------
    columns
        A `NumberColumn` or a `CategoryColumn` for each column of features.
    target
        The name of the column with the classes.
    class_names
        The classes: y holds indices into them.
    missing
        What happens to missing cells: "refuse", "mean", "drop" or "category", see `read_csv`.
    """

    columns: tuple[Column, ...]
    target: str
    class_names: tuple[str, ...]
    missing: str = "refuse"

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns of X."""
        return tuple(name for column in self.columns for name in column.feature_names)

    def encode(self, rows: Any) -> NDArray[np.float64]:
        """Return X of rows, of shape (n, number of feature names).

        Parameters
        ----------
        rows
            The path of a CSV file, a DataFrame, a dict of columns, a list of dicts, or rows of
            cells in the order of the columns. Columns are found by name; others are left alone.

        Raises
        ------
        ValueError, TypeError
            A column or a cell is missing, a category is unknown, a number is none; with its place.
        """
        return self._encode(self._open(rows))

    def table(self, rows: Any) -> Table:
        """Return X and y of rows that have the target too, such as a test set in another file.

        With missing="drop", rows with a missing cell are left out.

        Parameters
        ----------
        rows
            As for `encode`, with a column for the target.

        Raises
        ------
        ValueError, TypeError
            As `encode`, or a class is missing or unknown.
        """
        source = self._open(rows)
        source = _without_missing(source, [c.name for c in self.columns], self.missing)
        return Table(self._encode(source), self._encode_target(source), self)

    def _open(self, rows: Any) -> Source:
        texts = {c.name for c in self.columns if hasattr(c, "categories")} | {self.target}
        return open_source(rows, texts, [column.name for column in self.columns])

    def _encode(self, source: Source) -> NDArray[np.float64]:
        blocks = [
            column.encode(source.column(column.name), _cell_error(source, column.name))
            for column in self.columns
        ]
        return np.concatenate(blocks, axis=1)

    def _encode_target(self, source: Source) -> NDArray[np.int64]:
        texts = _target_texts(source, self.target)
        codes = find_codes(texts, self.class_names)
        if (codes < 0).any():
            row = int((codes < 0).argmax())
            classes = ", ".join(map(repr, self.class_names[:8]))
            raise source.error(
                row, self.target, f"{str(texts[row])!r} is none of the classes {classes}"
            )
        return codes


@dataclass(frozen=True, repr=False)
class Table:
    """Rows that were read: X and y, and the encoder that treats new rows alike.

    Attributes
    ----------
    X
        (n, d) float64: numbers, and a column of 0 and 1 for each category of a text column.
    y
        (n,) int64, the classes as indices into `class_names`.
    encoder
        The columns and classes.
    """

    X: NDArray[np.float64]
    y: NDArray[np.int64]
    encoder: Encoder

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The names of the columns of X."""
        return self.encoder.feature_names

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes."""
        return self.encoder.class_names

    def encode(self, rows: Any) -> NDArray[np.float64]:
        """Return X of new rows; see `Encoder.encode`."""
        return self.encoder.encode(rows)

    def __repr__(self) -> str:
        rows, features = self.X.shape
        return f"<Table of {rows:,} rows, {features:,} features, {len(self.class_names):,} classes>"


def read_csv(
    path: str | Path,
    *,
    target: str,
    missing: str = "refuse",
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Table:
    """Read a CSV file, strictly: what is wrong is an error with line, column and cell.

    The file is in UTF-8, has a header with a different name for each column, and commas between
    the cells, of which those with a comma, a quote or a new line are in quotes. It can be
    compressed by gzip. A column is of numbers or of texts; texts become categories, each a column
    of 0 and 1. Spaces around a cell do not belong to it.

    Parameters
    ----------
    path
        The file; "-" for stdin.
    target
        The name of the column with the classes, which are texts: 01 and 1 are two classes, and so
        are NA and N/A.
    missing
        What a missing cell of a feature, which is empty or NA, means. "refuse" raises. "mean" puts
        the mean of the column in X there, which of categories is the share of each. "drop" leaves
        the row out. "category" makes it a category of its own; of a number, a further column says
        where it was missing, and the mean is put there.
    categories
        Columns to take as categories although they look like numbers, such as postal codes.
    ignore
        Columns to leave out, such as names and row numbers.

    Returns
    -------
    Table
        With `X`, `y`, `feature_names`, `class_names`, and `encode(rows)` for new rows.

    Raises
    ------
    ValueError
        The file is not as described above, has no such column, or fewer than two classes.
    OSError
        It cannot be read.

    >>> from pathlib import Path
    >>> path = Path(getfixture("tmp_path")) / "flowers.csv"
    >>> _ = path.write_text("length,color,species\\n5.1,white,a\\n6.3,blue,b\\n5.8,white,b\\n")
    >>> table = read_csv(path, target="species")
    >>> table.feature_names, table.class_names
    (('length', 'color=blue', 'color=white'), ('a', 'b'))
    >>> table.X.tolist(), table.y.tolist()
    ([[5.1, 0.0, 1.0], [6.3, 1.0, 0.0], [5.8, 0.0, 1.0]], [0, 1, 1])
    >>> table.encode([{"length": 4.9, "color": "blue"}])
    array([[4.9, 1. , 0. ]])
    """
    path = check_path(path)
    check_kind("target", target, str, "the name of a column")
    return as_table(path, target, missing=missing, categories=categories, ignore=ignore)


def as_table(
    rows: Any,
    target: Any,
    *,
    missing: str = "refuse",
    categories: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Table:
    """Make a table of a DataFrame, or of whatever else holds rows.

    Parameters
    ----------
    rows
        A DataFrame of pandas or polars, a dict of columns, a list of dicts, an array or whatever
        becomes one, rows of cells, or the path of a CSV file, or such a file that is open. Columns
        without names are x0, x1, ...
    target
        The name of the column with the classes, or the classes themselves, one a row.
    missing, categories, ignore
        As in `read_csv`. Missing are None, nan and what pandas has for them, "" and "NA".

    Returns
    -------
    Table
        As `read_csv` returns it.

    Raises
    ------
    ValueError, TypeError
        As `read_csv`; rows are counted from 0.

    >>> table = as_table({"length": [5.1, 6.3, None]}, ["a", "b", "b"], missing="mean")
    >>> table.X.ravel().tolist()
    [5.1, 6.3, 5.699999999999999]
    """
    check_choice("missing", missing, POLICIES)
    named = isinstance(target, str)
    source = open_source(rows, {*categories, target} if named else categories)
    if not named:
        target = _add_target(source, target)
    for name in (target, *categories, *ignore):
        source.column(name)
    names = [name for name in source.columns if name not in {target, *ignore}]
    if not names:
        raise ValueError(f"{source.label}no columns of features beside the target {target!r}")
    class_names = _learn_classes(source, target)
    kept = _without_missing(source, names, missing)
    columns = tuple(
        learn_column(name, kept.column(name), missing, name in categories, _cell_error(kept, name))
        for name in names
    )
    if kept is not source:
        class_names = _learn_classes(kept, target)
    encoder = Encoder(columns, target, class_names, missing)
    return Table(encoder._encode(kept), encoder._encode_target(kept), encoder)


def _add_target(source: Source, labels: Any) -> str:
    """Put labels beside the columns, and return the name of their column."""
    name = str(getattr(labels, "name", None) or "target")
    while name in source.columns:
        name += "_"
    cells = open_source({name: labels}).column(name)
    if len(cells.values) != source.n_rows:
        raise ValueError(f"{source.n_rows} rows, and {len(cells.values)} labels in the target")
    source.columns[name] = cells
    return name


def _learn_classes(source: Source, target: str) -> tuple[str, ...]:
    texts = _target_texts(source, target)
    if not len(texts):
        raise ValueError(f"{source.label}no rows")
    classes = sort_texts(texts)
    if len(classes) < 2:
        raise ValueError(
            f"{source.label}column {target!r} has one class, {classes[0]!r}: expected two or more"
        )
    if len(classes) > max(20, MAX_SHARE * len(texts)):
        raise ValueError(
            f"{source.label}column {target!r} has {len(classes):,} different values in "
            f"{len(texts):,} rows: these are no classes, and regression is not offered"
        )
    return classes


def _target_texts(source: Source, target: str) -> NDArray[Any]:
    """The classes as texts; none is missing, and NA is a class."""
    cells = source.column(target)
    texts = cells.values if not cells.are_numbers else to_texts(cells)
    empty = texts == ""
    if empty.any():
        raise source.error(int(empty.argmax()), target, "no class: each row needs one")
    return texts


def _without_missing(source: Source, names: Sequence[str], missing: str) -> Source:
    """The rows that are complete, if such are wanted; places are those in all rows."""
    incomplete = np.zeros(source.n_rows, bool)
    if missing == "drop":
        for name in names:
            incomplete |= source.column(name).missing
    if not incomplete.any():
        return source
    if incomplete.all():
        raise ValueError(f"{source.label}each row has a missing cell: none is left")
    return SelectedRows(source, ~incomplete)


def _cell_error(source: Source, name: str) -> Any:
    return lambda row, message: source.error(row, name, message)
