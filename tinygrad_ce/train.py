"""Training a classifier: the loop, and what to measure.

`fit` is the ordinary training loop, written to be read and copied: forward, loss, backward, step.

>>> from tinygrad_ce import data, nn, optim
>>> X, y, names = data.iris()
>>> X_train, X_test, y_train, y_test = data.train_test_split(X, y, test_size=0.5)
>>> X_train, X_test = data.standardize(X_train, X_test)
>>> model = nn.MLP([4, 16, 3], rng=0)
>>> optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
>>> history = fit(model, optimizer, X_train, y_train, epochs=20, batch_size=32, rng=0)
>>> accuracy(model, X_test, y_test) > 0.9
True
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import functional as F
from .data import minibatches
from .engine.context import no_grad
from .engine.tensor import Tensor
from .nn import Module, Rng
from .optim import Optimizer

Array = NDArray[Any]


@dataclass
class History:
    """How a training went: one number an epoch, measured at the end of the epoch.

    Attributes
    ----------
    loss, accuracy
        The mean cross-entropy, and the share of rows classified right, of the training set.
    test_loss, test_accuracy
        The same of the test set; empty without one.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)

    def add(self, training: tuple[float, float], test: tuple[float, float] | None = None) -> None:
        """One more epoch: loss and accuracy of the training set, and of the test set if any."""
        self.loss.append(training[0])
        self.accuracy.append(training[1])
        if test is not None:
            self.test_loss.append(test[0])
            self.test_accuracy.append(test[1])


def fit(
    model: Module,
    optimizer: Optimizer,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    batch_size: int,
    rng: Rng,
    X_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    progress: bool = False,
) -> History:
    """Train a classifier by minibatches, to make the cross-entropy of its logits small.

    Parameters
    ----------
    model
        Maps rows (n, ...) to logits (n, C). It is left in training mode.
    optimizer
        Holds the model's parameters.
    X, y
        The training set: rows of shape (n, ...), and integer labels of shape (n,).
    epochs
        How often to go through the training set, at least once.
    batch_size
        The rows of a minibatch.
    rng
        A Generator or a seed for the order of the rows, which is another one in each epoch.
    X_test, y_test
        A test set to be measured along the way; give both or none.
    progress
        Show a progress bar with loss and accuracy on stderr, if tqdm is installed.

    Raises
    ------
    ValueError, TypeError, IndexError
        The arguments do not fit together, such as labels that are out of range for the logits.
        Raised before the model has changed.
    FloatingPointError
        The loss has become nan or infinite; no step is taken from there.
    """
    X, y = np.asarray(X), np.asarray(y)
    test_set = _checked_test_set(X_test, y_test)
    _check_count("epochs", epochs)
    _check_count("batch_size", batch_size)
    if X.shape[:1] == (0,):
        raise ValueError("the training set has no rows: training needs at least one")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError("the optimizer holds none of the model's parameters: nothing would change")
    # Whatever does not fit together shows here, while nothing has changed.
    evaluate(model, X, y)
    if test_set:
        evaluate(model, *test_set)

    rng = np.random.default_rng(rng)
    history = History()
    with _progress_bar(epochs, progress) as bar:
        for epoch in range(epochs):
            model.train()
            for X_batch, y_batch in minibatches(X, y, batch_size, rng):
                loss = F.cross_entropy(model(Tensor(X_batch)), y_batch)
                _check_finite(loss.item(), epoch, optimizer)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            history.add(evaluate(model, X, y), evaluate(model, *test_set) if test_set else None)
            _check_finite(history.loss[-1], epoch, optimizer)
            bar.show(history)
    return history


# ── Measures ──────────────────────────────────────────────────────────────────────────────────────


def evaluate(model: Module, X: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """The mean cross-entropy and the accuracy of a model on rows X (n, ...) with labels y (n,)."""
    with no_grad(), _evaluation_mode(model):
        logits = model(_rows(X))
        loss = F.cross_entropy(logits, y).item()
    return loss, _share_equal(y, logits.data.argmax(-1))


def predict(model: Module, X: ArrayLike) -> NDArray[np.int64]:
    """The class with the largest logit for each row of X (n, ...), of shape (n,)."""
    with no_grad(), _evaluation_mode(model):
        logits = model(_rows(X)).data
    predicted: NDArray[np.int64] = logits.argmax(-1).astype(np.int64)
    return predicted


def accuracy(model: Module, X: ArrayLike, y: ArrayLike) -> float:
    """The share of the rows X (n, ...) for which the model predicts the label y (n,).

    Raises
    ------
    ValueError
        No rows, or not one label a row.
    """
    return _share_equal(y, predict(model, X))


def confusion_matrix(
    y: ArrayLike, predicted: ArrayLike, n_classes: int | None = None
) -> NDArray[np.int64]:
    """How many rows of each class were taken for which: counts of shape (C, C), [true, predicted].

    Parameters
    ----------
    y, predicted
        Integer labels of shape (n,), from 0 to C - 1.
    n_classes
        C; by default just large enough for the labels.

    Raises
    ------
    TypeError
        Labels that are not integers.
    ValueError
        y and predicted differ in shape, or are not one label a row.
    IndexError
        A label is out of range.

    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2])
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    y, predicted = np.asarray(y), np.asarray(predicted)
    _check_pair(y, predicted)
    n = max(y.max(initial=-1), predicted.max(initial=-1)) + 1 if n_classes is None else n_classes
    for name, labels in (("y", y), ("predicted", predicted)):
        if labels.size and labels.dtype.kind not in "iu":
            raise TypeError(f"labels are integers, but {name} holds {labels.dtype}")
        if labels.size and not 0 <= labels.min() <= labels.max() < n:
            row = int(np.flatnonzero((labels < 0) | (labels >= n))[0])
            raise IndexError(
                f"label {labels[row]} at row {row} of {name} is out of range for {n} classes: "
                f"labels run from 0 to {n - 1}"
            )
    counts = np.zeros((n, n), np.int64)
    if y.size:
        np.add.at(counts, (y, predicted), 1)
    return counts


def _share_equal(y: ArrayLike, predicted: Array) -> float:
    y = np.asarray(y)
    _check_pair(y, predicted)
    if not y.size:
        raise ValueError("accuracy is a share of the rows, and there are none")
    return float(np.mean(y == predicted))


@contextmanager
def _evaluation_mode(model: Module) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _rows(X: ArrayLike) -> Tensor:
    return X if isinstance(X, Tensor) else Tensor(np.asarray(X))


# ── What fit accepts ──────────────────────────────────────────────────────────────────────────────


def _check_count(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} is a whole number, got {value!r}")
    if value < 1:
        raise ValueError(f"{name} is at least 1, got {value}")


def _check_pair(y: Array, predicted: Array) -> None:
    if y.ndim != 1 or y.shape != predicted.shape:
        raise ValueError(
            f"expected one label and one prediction a row, both of shape (n,); "
            f"got {y.shape} and {predicted.shape}"
        )


def _checked_test_set(X: ArrayLike | None, y: ArrayLike | None) -> tuple[Array, Array] | None:
    if X is None and y is None:
        return None
    if X is None or y is None:
        given, missing = ("y_test", "X_test") if X is None else ("X_test", "y_test")
        raise ValueError(f"{given} is given without {missing}: a test set needs both")
    return np.asarray(X), np.asarray(y)


def _check_finite(loss: float, epoch: int, optimizer: Optimizer) -> None:
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} in epoch {epoch + 1}: lower the learning rate "
            f"(now {optimizer.lr:g}), or look for nan and inf in the training set"
        )


# ── Progress ──────────────────────────────────────────────────────────────────────────────────────


class _ProgressBar:
    """tqdm's bar, or nothing."""

    def __init__(self, bar: Any = None) -> None:
        self._bar = bar

    def show(self, history: History) -> None:
        """One more epoch is done."""
        if self._bar is None:
            return
        measures = f"loss {history.loss[-1]:.4f}, accuracy {history.accuracy[-1]:.3f}"
        if history.test_accuracy:
            measures += f", test {history.test_accuracy[-1]:.3f}"
        self._bar.set_postfix_str(measures, refresh=False)
        self._bar.update()


@contextmanager
def _progress_bar(epochs: int, wanted: bool) -> Iterator[_ProgressBar]:
    if not wanted:
        yield _ProgressBar()
        return
    try:
        from tqdm import tqdm
    except ImportError:
        yield _ProgressBar()
        return
    with tqdm(total=epochs, desc="training", unit="epoch", dynamic_ncols=True) as bar:
        yield _ProgressBar(bar)
