"""Metrics of a classifier: in evaluation mode, without a graph, block by block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import functional as F
from ..arguments import as_numbers, check_integer, check_kind
from ..engine.context import no_grad
from ..engine.tensor import Tensor
from ..functional.validation import check_range, validate_cross_entropy
from ..nn import Module
from .means import Array, Loss, total_weight
from .steps import Shards

BLOCK_ROWS = 4096  # that a model gets at a time: the rows may be larger than memory


def evaluate(
    model: Module, X: ArrayLike, y: ArrayLike, loss: Loss = F.cross_entropy
) -> tuple[float, float]:
    """Return the mean loss and the accuracy of a model in evaluation mode.

    Parameters
    ----------
    model, X, y
        Maps rows (n, ...) to logits (n, C); the rows, which may be memory-mapped and larger than
        memory; and integer labels (n,), or distributions over the classes (n, C).
    loss
        Maps logits and targets to the mean loss, or to the loss of each row. By default, the
        cross-entropy in nats.

    Raises
    ------
    ValueError, TypeError, IndexError
        No rows, or rows and labels that do not fit the model or each other.

    >>> from tinygrad_ce import nn
    >>> evaluate(nn.Tanh(), [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    (0.763..., 0.5)
    """
    return evaluate_rows(model, X, y, loss)


def evaluate_rows(
    model: Module,
    X: ArrayLike,
    y: ArrayLike,
    loss: Loss,
    rows: Array | None = None,
    shards: Shards | None = None,
) -> tuple[float, float]:
    """Evaluate some rows by their numbers, or all: no more of them than a block is copied."""
    y = as_numbers(y, "y", copy=None)
    if y.ndim == 0:
        raise ValueError(f"expected one label a row: y is a single number, {y}")
    array, y = _as_rows(X), y if rows is None else y[rows]

    def measure(block: slice) -> tuple[float, float, float, int]:
        """The sum of the losses of a block and of their weights, and how many labels are right."""
        logits, targets = _compute_logits(model, array, block, rows), y[block]
        mean = loss(logits, targets).mean().item()
        weight, n = total_weight(loss, targets), len(logits.data)
        total = mean * weight if weight else 0.0
        return total, weight, _compute_accuracy(targets, logits.data.argmax(-1)) * n, n

    blocks = _blocks(array, rows, 1 if shards is None else shards.n)
    with evaluating(model), no_grad():
        measures = [*map(measure, blocks)] if shards is None else shards.map(measure, blocks)
    total, weight, correct, n = map(sum, zip(*measures, strict=True))
    if y.shape[:1] != (n,):
        raise ValueError(f"expected one label a row: {n} rows, and y has shape {y.shape}")
    return total / weight if weight else math.nan, correct / n


def predict(model: Module, X: ArrayLike) -> NDArray[np.int64]:
    """Return the class with the largest logit of each row, by a model in evaluation mode.

    Parameters
    ----------
    model, X
        Maps rows (n, ...) to logits (n, C); and the rows. The result has shape (n,).

    >>> from tinygrad_ce import nn
    >>> predict(nn.Tanh(), [[1.0, 0.0], [0.0, 1.0]])
    array([0, 1])
    """
    array = _as_rows(X)
    with evaluating(model), no_grad():
        found = [_compute_logits(model, array, block).data.argmax(-1) for block in _blocks(array)]
    return np.concatenate(found).astype(np.int64)


def accuracy(model: Module, X: ArrayLike, y: ArrayLike) -> float:
    """Return the share of the rows for which a model in evaluation mode predicts the label.

    Parameters
    ----------
    model, X, y
        Maps rows (n, ...) to logits (n, C); the rows; and integer labels of shape (n,).

    Raises
    ------
    ValueError
        No rows, or not one label a row.

    >>> from tinygrad_ce import nn
    >>> accuracy(nn.Tanh(), [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    0.5
    """
    return _compute_accuracy(y, predict(model, X))


def confusion_matrix(
    y: ArrayLike, predicted: ArrayLike, n_classes: int | None = None
) -> NDArray[np.int64]:
    """Count the rows of each true and predicted class: integers (C, C), [true, predicted].

    Parameters
    ----------
    y, predicted
        Integer labels of shape (n,), from 0 to C - 1.
    n_classes
        C; by default just large enough for the labels.

    Raises
    ------
    TypeError, ValueError, IndexError
        Labels that are not integers, not one a row in both, or out of range.

    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2])
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    y = as_numbers(y, "y", copy=None)
    predicted = as_numbers(predicted, "predicted", copy=None)
    _check_pair(y, predicted)
    both = {"true": y, "predicted": predicted} if y.size else {}
    for name, labels in both.items():
        if labels.dtype.kind not in "iu":
            raise TypeError(f"labels are integers, but the {name} ones are {labels.dtype}")
    if n_classes is None:
        n = max([int(labels.max()) + 1 for labels in both.values()], default=0)
    else:
        n = check_integer("n_classes", n_classes, 1)
    for name, labels in both.items():
        check_range(labels, n, one=f"the {name} label")
    counts = np.zeros((n, n), np.int64)
    if y.size:
        np.add.at(counts, (y, predicted), 1)
    return counts


def check_set(model: Module, X: Array, y: Array, loss: Loss) -> None:
    """Raise what `evaluate` would, from two rows where they are enough: integers may be indices."""
    if X.dtype.kind != "f" or X.shape[:1] < (2,):
        evaluate(model, X, y, loss)
        return
    with evaluating(model), no_grad():
        logits = model(Tensor(X[:2])).data
    if loss is not F.cross_entropy:
        _check_lengths(X, y)
        evaluate(model, X[:2], y[:2], loss)
        return
    all_logits = np.broadcast_to(logits[:1], (len(X), *logits.shape[1:]))
    validate_cross_entropy(Tensor(all_logits, copy=False), y)
    _check_pair(class_of(y), all_logits[..., 0])


def class_of(y: Array) -> Array:
    """The labels, or the most probable class of each row of distributions."""
    return y.argmax(-1) if y.ndim == 2 and y.dtype.kind == "f" else y


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Set the model to evaluation mode, and afterwards each part to the mode that it was in."""
    check_kind("model", model, Module)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:  # a part may be in evaluation mode for good
            module.training = training


def _blocks(X: Array, rows: Array | None = None, parts: int = 1) -> list[slice]:
    """The rows in blocks, at least as many as parts where there are enough rows."""
    n = max(1, (len(X) if X.ndim else 1) if rows is None else len(rows))
    size = min(BLOCK_ROWS, -(-n // parts))
    return [slice(start, start + size) for start in range(0, n, size)]


def _compute_logits(model: Module, X: Array, block: slice, rows: Array | None = None) -> Tensor:
    if not X.ndim:
        return model(Tensor(X))
    return model(Tensor(X[block if rows is None else rows[block]]))


def _as_rows(X: ArrayLike) -> Array:
    return np.asarray(X.data) if isinstance(X, Tensor) else as_numbers(X, "X", copy=None)


def _compute_accuracy(y: ArrayLike, predicted: Array) -> float:
    y = class_of(as_numbers(y, "y", copy=None))
    _check_pair(y, predicted)
    if not y.size:
        raise ValueError("accuracy is a share of the rows, and there are none")
    return float(np.mean(y == predicted))


def _check_pair(y: Array, predicted: Array) -> None:
    if y.ndim != 1 or y.shape != predicted.shape:
        raise ValueError(
            f"expected one label and one prediction a row, both of shape (n,); "
            f"got {y.shape} and {predicted.shape}"
        )


def _check_lengths(X: Array, y: Array) -> None:
    if y.shape[:1] != X.shape[:1]:
        raise ValueError(f"expected one label a row: {len(X)} rows, and y has shape {y.shape}")
