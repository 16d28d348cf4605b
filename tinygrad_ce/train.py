"""Training a classifier: the loop and the metrics.

`fit` is the ordinary training loop, written to be read and copied: forward, loss, backward, step.

>>> from tinygrad_ce import data, nn, optim
>>> X, y, names = data.iris()
>>> X_train, X_test, y_train, y_test = data.train_test_split(X, y, test_size=0.5)
>>> standardizer = data.Standardizer().fit(X_train)
>>> X_train, X_test = standardizer.transform(X_train), standardizer.transform(X_test)
>>> model = nn.MLP([4, 16, 3], rng=0)
>>> optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
>>> history = fit(model, optimizer, X_train, y_train, epochs=20, batch_size=32, rng=0)
>>> accuracy(model, X_test, y_test) > 0.9
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import functional as F
from .arguments import as_numbers, check_flag, check_generator, check_integer, check_kind
from .data import minibatches
from .engine.context import no_grad
from .engine.tensor import Tensor
from .functional.validation import check_range, validate_cross_entropy
from .nn import Module, Rng
from .optim import Optimizer

__all__ = ["History", "fit", "evaluate", "predict", "accuracy", "confusion_matrix"]


def __dir__() -> list[str]:
    return __all__


Array = NDArray[Any]


@dataclass
class History:
    """Losses and accuracies: one number an epoch, measured at its end.

    The losses are the mean cross-entropy in nats. Without a test set, its lists are empty.
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)

    def add(self, training: tuple[float, float], test: tuple[float, float] | None = None) -> None:
        """Append (loss, accuracy) of the training set, and of the test set if there is one."""
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
    """Train a classifier: minimize the cross-entropy of its logits by minibatches.

    Parameters
    ----------
    model, optimizer
        Maps rows (n, ...) to logits (n, C), and is left in training mode; and what holds its
        parameters.
    X, y
        The training set: rows of shape (n, ...), and integer labels of shape (n,).
    epochs, batch_size
        The number of passes over the training set, and of rows in a minibatch; the last one has
        what is left.
    rng
        A Generator or a seed for the order of the rows, which are shuffled in each epoch.
    X_test, y_test
        A test set to evaluate after each epoch; give both or none.
    progress
        Whether to show a progress bar with loss and accuracy on stderr, if tqdm is installed.

    Returns
    -------
    History
        Losses and accuracies after each epoch.

    Raises
    ------
    ValueError, TypeError, IndexError
        The arguments do not fit together, such as labels that are out of range for the logits.
        Raised before the model has changed.
    FloatingPointError
        The loss has become nan or infinite; no step is taken from there.

    >>> from tinygrad_ce import nn, optim
    >>> model = nn.Linear(1, 2, rng=0)
    >>> optimizer = optim.SGD(model.parameters(), lr=1.0)
    >>> X, y = np.array([[-2.0], [-1.0], [1.0], [2.0]]), np.array([0, 0, 1, 1])
    >>> fit(model, optimizer, X, y, epochs=3, batch_size=2, rng=0).accuracy
    [1.0, 1.0, 1.0]
    """
    X, y = as_numbers(X, "X", copy=None), as_numbers(y, "y", copy=None)
    test_set = _as_test_set(X_test, y_test)
    epochs = check_integer("epochs", epochs, 1)
    check_kind("model", model, Module)
    check_kind("optimizer", optimizer, Optimizer)
    check_integer("batch_size", batch_size, 1)
    check_flag("progress", progress)
    if X.shape[:1] == (0,):
        raise ValueError("the training set has no rows: training needs at least one")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError("the optimizer holds none of the model's parameters: nothing would change")
    _check_set(model, X, y)
    if test_set:
        _check_set(model, *test_set)

    rng = check_generator(rng)
    history = History()
    with _progress_bar(epochs, progress) as show_progress:
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
            show_progress(history)
    return history


def evaluate(model: Module, X: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Return the mean cross-entropy, in nats, and the accuracy of a model in evaluation mode.

    Parameters
    ----------
    model, X, y
        Maps rows (n, ...) to logits (n, C); the rows; and integer labels of shape (n,).

    Raises
    ------
    ValueError, TypeError, IndexError
        No rows, or rows and labels that do not fit the model or each other.

    >>> from tinygrad_ce import nn
    >>> evaluate(nn.Tanh(), [[1.0, 0.0], [0.0, 1.0]], [0, 0])
    (0.763..., 0.5)
    """
    logits = _compute_logits(model, X)
    with no_grad():
        loss = F.cross_entropy(logits, y).item()
    return loss, _compute_accuracy(y, logits.data.argmax(-1))


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
    predicted: NDArray[np.int64] = _compute_logits(model, X).data.argmax(-1).astype(np.int64)
    return predicted


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


def _compute_accuracy(y: ArrayLike, predicted: Array) -> float:
    y = as_numbers(y, "y", copy=None)
    _check_pair(y, predicted)
    if not y.size:
        raise ValueError("accuracy is a share of the rows, and there are none")
    return float(np.mean(y == predicted))


def _compute_logits(model: Module, X: ArrayLike) -> Tensor:
    check_kind("model", model, Module)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with no_grad():
            return model(X if isinstance(X, Tensor) else Tensor(as_numbers(X, "X", copy=None)))
    finally:
        for module, training in modes:  # a part may be in evaluation mode for good
            module.training = training


def _check_set(model: Module, X: Array, y: Array) -> None:
    """Raise what `evaluate` would, from two rows where they are enough: integers may be indices."""
    if X.dtype.kind != "f" or X.shape[:1] < (2,):
        evaluate(model, X, y)
        return
    logits = _compute_logits(model, X[:2]).data
    all_logits = np.broadcast_to(logits[:1], (len(X), *logits.shape[1:]))
    validate_cross_entropy(Tensor(all_logits, copy=False), y)
    _check_pair(y, all_logits.argmax(-1))


def _check_pair(y: Array, predicted: Array) -> None:
    if y.ndim != 1 or y.shape != predicted.shape:
        raise ValueError(
            f"expected one label and one prediction a row, both of shape (n,); "
            f"got {y.shape} and {predicted.shape}"
        )


def _as_test_set(X: ArrayLike | None, y: ArrayLike | None) -> tuple[Array, Array] | None:
    if X is None and y is None:
        return None
    if X is None or y is None:
        given, missing = ("y_test", "X_test") if X is None else ("X_test", "y_test")
        raise ValueError(f"{given} is given without {missing}: a test set needs both")
    return as_numbers(X, "X_test", copy=None), as_numbers(y, "y_test", copy=None)


def _check_finite(loss: float, epoch: int, optimizer: Optimizer) -> None:
    if not math.isfinite(loss):
        rates = " and ".join(f"{group.lr:g}" for group in optimizer.param_groups)
        raise FloatingPointError(
            f"the loss is {loss} in epoch {epoch + 1}: lower the learning rate "
            f"(now {rates}), or look for nan and inf in the training set"
        )


@contextmanager
def _progress_bar(epochs: int, wanted: bool) -> Iterator[Callable[[History], Any]]:
    try:
        tqdm = import_module("tqdm").tqdm if wanted else None
    except ImportError:
        tqdm = None
    if tqdm is None:
        yield lambda history: None
        return
    with tqdm(total=epochs, desc="training", unit="epoch", dynamic_ncols=True) as bar:

        def show(history: History) -> None:
            metrics = f"loss {history.loss[-1]:.4f}, accuracy {history.accuracy[-1]:.3f}"
            if history.test_accuracy:
                metrics += f", test {history.test_accuracy[-1]:.3f}"
            bar.set_postfix_str(metrics, refresh=False)
            bar.update()

        yield show
