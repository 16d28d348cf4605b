"""What a trained network does with a row of a table: the columns, and one function of numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import check_kind
from ..compiler.ir import Program
from ..compiler.outside_state import RecordingError
from ..compiler.passes import simplify
from ..data import Standardizer
from ..engine.context import scope
from ..engine.tensor import Tensor
from ..functional import softmax
from ..nn import Checkpoint, Module
from .recorded import SIZES, Length, Recorded, constant_of, evaluating, record_for_any_batch


@dataclass(frozen=True)
class Column:
    """A column of a table, and the numbers that a cell becomes.

    Attributes
    ----------
    name
        Its name.
    categories
        The texts that it knows, or None for a column of numbers.
    width
        How many numbers a cell becomes: one for each category, or the number itself; and a last one
        where what is missing has one of its own.
    missing
        The numbers that a missing cell becomes, or None where it is refused.
    """

    name: str
    categories: tuple[str, ...] | None
    width: int
    missing: tuple[float, ...] | None


@dataclass
class Prediction:
    """A network with its treatment of data, to be exported.

    Attributes
    ----------
    columns, class_names
        What goes in, and what comes out.
    model
        The network.
    standardizer
        What rows of numbers go through first, or None.
    """

    columns: tuple[Column, ...]
    class_names: tuple[str, ...]
    model: Module
    standardizer: Standardizer | None

    @property
    def n_features(self) -> int:
        """How many numbers the network gets for a row."""
        return sum(column.width for column in self.columns)

    @property
    def example(self) -> Any:
        """A row of numbers as they are before standardization."""
        return np.zeros((1, self.n_features))

    @property
    def names(self) -> dict[int, str]:
        """The names of the network's Tensors in its state dict, by id."""
        return {id(tensor): name for name, tensor in self.model._named_tensors()}

    def record(self, dtype: Any = None, fixed: bool = False) -> Recorded:
        """Record the probabilities (N, C) of rows of numbers (N, d), float64, in a dtype."""
        with evaluating(self.model):
            return record_for_any_batch(self.function(dtype), (self.example,), fixed)

    def function(self, dtype: Any = None) -> Callable[[Any], dict[str, Tensor]]:
        """Return the function that is recorded, which does what `Checkpoint.predict_proba` does."""
        model, parameters = self.model, self.model.parameters()
        standardize = _standardize(self.standardizer)

        def probabilities(X: Any) -> dict[str, Tensor]:
            rows = standardize(X)
            rows = rows.astype(parameters[0].dtype) if parameters else rows
            found = softmax(model(rows))
            return {"probabilities": found if dtype is None else found.astype(dtype)}

        return probabilities


def prediction_of(checkpoint: Checkpoint) -> Prediction:
    """Return what a checkpoint predicts with.

    Raises
    ------
    ValueError
        It does not know the columns of a table.
    """
    encoder = check_kind("checkpoint", checkpoint, Checkpoint).encoder
    if encoder is None:
        raise ValueError(
            "the checkpoint has no encoder, and does not know columns and classes: save it with "
            "one, nn.save(path, model, encoder=table.encoder)"
        )
    columns = tuple(map(_column, encoder.columns))
    return Prediction(columns, encoder.class_names, checkpoint.model, checkpoint.standardizer)


def _standardize(standardizer: Standardizer | None) -> Callable[[Any], Any]:
    """What `Standardizer.transform` does, on Tensors."""
    if standardizer is None or standardizer.mean is None or standardizer.std is None:
        return lambda X: X
    constant = standardizer.std == 0
    mean = Tensor(standardizer.mean, name="mean")
    std = Tensor(np.where(constant, 1, standardizer.std), name="std")

    @scope("standardize")
    def standardize(X: Any) -> Any:
        rows = (X - mean) / std
        return np.where(constant, 0, rows) if constant.any() else rows

    return standardize


def _column(column: Any) -> Column:
    width = len(column.feature_names)
    if hasattr(column, "categories"):
        missing = column.shares
        if column.has_indicator:
            missing = (0.0,) * (width - 1) + (1.0,)
        return Column(column.name, column.categories, width, missing)
    missing = None if column.mean is None else (column.mean, 1.0)[:width]
    return Column(column.name, None, width, missing)


# ── Programs of constants and one argument ────────────────────────────────────────────────────────


class Rows(int):
    """The length of a batch: a number while a program is made, and len(X) where it is written."""

    def __repr__(self) -> str:
        return "len(X)"

    __str__ = __repr__


def program_of_constants(recorded: Recorded, names: dict[int, str]) -> Program:
    """Return a program in which parameters are constants, simplified.

    Parameters
    ----------
    recorded
        What to compute; the length of the batch may depend on it in shapes.
    names
        What Tensors are called, by id.
    """
    for op in recorded.program.ops:
        op.shape, op.params = _with_rows(op.shape), _with_rows(op.params)
        content = constant_of(op)
        if op.state is not None:
            path = names.get(id(op.state.owner), op.name)
            op.name = f"layer_{path}" if path and path[0].isdigit() else path
            content = op.state.content if content is None else content
        if content is not None and not isinstance(content, np.ndarray | np.generic | int | float):
            raise RecordingError("the network computes with a number that depends on the batch")
        if content is not None:
            op.data, op.state = content, None
    program, needed = recorded.program, recorded.needed
    program.ops = [op for op in program.ops if op in needed or op in program.arguments]
    return simplify(program, for_numpy=False)


def _with_rows(value: Any) -> Any:
    """Shapes and parameters with Rows in place of the length of the batch."""
    if isinstance(value, tuple):
        return tuple(map(_with_rows, value))
    if isinstance(value, slice):
        return slice(*map(_with_rows, (value.start, value.stop, value.step)))
    if isinstance(value, Length):
        if value != Length(1):
            raise RecordingError(f"the network has an array of the length {value}")
        return Rows(SIZES[0])
    return value
