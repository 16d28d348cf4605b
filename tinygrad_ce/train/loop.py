"""The training loop: epochs of minibatches, with all that happens between them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import functional as F
from ..arguments import (
    as_numbers,
    check_callable,
    check_choice,
    check_flag,
    check_generator,
    check_integer,
    check_kind,
    check_real,
)
from ..data import minibatches, train_test_split
from ..nn import Module, Rng
from ..optim import Optimizer
from .history import History
from .means import Array, Loss
from .metrics import check_set, class_of, evaluate_rows
from .steps import Shards, Step, check_finite
from .stopping import EarlyStopping, deferred_interrupt
from .training import Scheduler, Training


def fit(
    model: Module,
    optimizer: Optimizer,
    X: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int,
    batch_size: int,
    rng: Rng,
    shuffle: bool = True,
    X_test: ArrayLike | None = None,
    y_test: ArrayLike | None = None,
    validation: float | None = None,
    loss: Loss = F.cross_entropy,
    sample_weight: ArrayLike | None = None,
    class_weight: str | ArrayLike | Mapping[int, float] | None = None,
    max_norm: float | None = None,
    scheduler: Scheduler | None = None,
    schedule_each: str = "epoch",
    early_stopping: EarlyStopping | None = None,
    callbacks: Iterable[Callable[[Training], Any]] = (),
    history: History | None = None,
    evaluate_training: bool = True,
    compile: bool | str | None = None,
    progress: bool = False,
    shards: Shards | None = None,
) -> History:
    """Train a classifier by minibatches.

    Parameters
    ----------
    model, optimizer
        Maps rows (n, ...) to logits (n, C), and is left in training mode; and what holds its
        parameters.
    X, y
        The training set: rows of shape (n, ...), and integer labels of shape (n,) or distributions
        over the classes (n, C). Memory-mapped rows are read batch by batch.
    epochs, batch_size
        The number of passes over the training set, those in `history` among them; and the number
        of rows in a minibatch, of which the last one has what is left.
    rng
        A Generator or a seed for the order of the rows.
    shuffle
        Whether to shuffle the rows in each epoch.
    X_test, y_test
        A test set to evaluate after each epoch; give both or none.
    validation
        In place of a test set, a share of the training set, between 0 and 1: rows that are
        evaluated in place of trained on. It is stratified, and the same at each call.
    loss
        Maps logits (n, C) and y to the mean loss, or to the loss of each row (n,), which is needed
        for weights. By default, the cross-entropy in nats.
    sample_weight
        A weight for each row, of shape (n,), at least 0. The loss of a batch is the weighted mean.
    class_weight
        A weight for each class, of shape (C,), or a dict that has them by label; "balanced" gives
        each class the same share in all. Multiplied with `sample_weight`.
    max_norm
        Scale the gradients of a batch down to this norm, if theirs is larger.
    scheduler, schedule_each
        Its method `step` is called after each "epoch" or each "batch"; with the loss of the test
        set, or else of the training set, if it takes an argument.
    early_stopping
        Ends the training once the test set or the validation rows improve no more, and goes back to
        the best epoch.
    callbacks
        Functions of a `Training`, called at the end of each epoch. They can end it (`stop`) and
        save it (`save`).
    history
        Of an earlier call, or from a checkpoint: goes on behind its last epoch.
    evaluate_training
        Whether to run the model over the whole training set after each epoch. If not, the loss is
        the mean over the batches as they were trained on, and there is no accuracy.
    compile
        Whether to compile the step (see `tg.compile`), "numpy" or "c" for a backend; None where
        that pays: for batches of a shape that comes often, if the step can be compiled. A shorter
        last batch of an epoch is compiled only if it comes often, too. The bits are the same.
    progress
        Whether to show a progress bar with loss and accuracy on stderr, if tqdm is installed.
    shards
        A `distributed.Shards`: batches are computed in so many parts, by all processes. Each of
        them calls `fit` with the same arguments, and calls its own callbacks; where one process
        stops, all do.

    Returns
    -------
    History
        Losses and accuracies after each epoch; and in `stopped` why it has ended early, if it has.

    Raises
    ------
    ValueError, TypeError, IndexError
        The arguments do not fit together, such as labels that are out of range for the logits.
        Raised before the model has changed.
    FloatingPointError
        The loss has become nan or infinite; the model is as it was before that batch.

    Notes
    -----
    Ctrl-C ends the training after the epoch, and keeps what has been learned; a second one raises
    KeyboardInterrupt at once.

    A training goes on bit for bit where a checkpoint was saved, by `Training.save` in a callback:

        run = nn.load(path)
        fit(run.model, run.optimizer, X, y, rng=run.rng, history=run.history, ...)

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
    batch_size = check_integer("batch_size", batch_size, 1)
    check_flag("progress", progress)
    check_flag("shuffle", shuffle)
    check_flag("evaluate_training", evaluate_training)
    check_callable("loss", loss)
    check_choice("schedule_each", schedule_each, ("epoch", "batch"))
    if max_norm is not None:
        check_real("max_norm", max_norm, 0)
    if early_stopping is not None:
        check_kind("early_stopping", early_stopping, EarlyStopping)
    if shards is not None:
        check_kind("shards", shards, Shards, "a distributed.Shards")
    if X.shape[:1] == (0,):
        raise ValueError("the training set has no rows: training needs at least one")
    if not {id(p) for p in optimizer.params} & {id(p) for p in model.parameters()}:
        raise ValueError("the optimizer holds none of the model's parameters: nothing would change")
    check_set(model, X, y, loss)
    if test_set:
        check_set(model, *test_set, loss)
    weight = _compute_weights(y, sample_weight, class_weight)
    rows = np.arange(len(X))
    if validation is not None:
        if test_set:
            raise ValueError("validation takes rows of the training set where there is no test set")
        rows, held, _, _ = train_test_split(rows, class_of(y), validation)
        rows.sort()
        test_set = X[held], y[held]

    rng = check_generator(rng)
    history = check_kind("history", History() if history is None else history, History)
    history.stopped = None
    training = Training(model, optimizer, history, rng, epochs, scheduler, early_stopping)
    make_step = Step if shards is None else shards.make_step
    step = make_step(training, loss, max_norm, compile)
    step.expect(len(rows), batch_size, epochs - len(history))
    if shards is not None:
        shards.check_replicas(optimizer.params, rng)
        progress = progress and shards.rank == 0
    with _progress_bar(history, epochs, progress) as show, deferred_interrupt() as interruption:
        while len(history) < epochs and history.stopped is None:
            if early_stopping is not None and early_stopping.exhausted:
                history.stopped = f"no better than after epoch {early_stopping.best_epoch}"
                break
            lr = optimizer.param_groups[0].lr
            model.train()
            total = 0.0
            for batch, _ in minibatches(rows, rows, batch_size, rng if shuffle else None):
                if weight is not None and not weight[batch].any():
                    continue  # there is no mean of rows without a weight
                total += step(X, y, weight, batch) * len(batch)
                if scheduler is not None and schedule_each == "batch":
                    scheduler.step()
            if evaluate_training:
                some = rows if len(rows) < len(X) else None
                measures: Any = evaluate_rows(model, X, y, loss, some, shards)
            else:
                measures = total / len(rows), None
            check_finite(measures[0], training)
            test = evaluate_rows(model, *test_set, loss, None, shards) if test_set else None
            history.add(measures, test, lr)
            if scheduler is not None and schedule_each == "epoch":
                _step_schedule(scheduler, history)
            if early_stopping is not None:
                early_stopping.update(history, model)
            if shards is not None:
                shards.check_replicas(optimizer.params, rng)
            training.stopped = _agree("interrupted" if interruption.requested else None, shards)
            for callback in callbacks:
                callback(training)
            training.stopped = _agree(training.stopped, shards)
            show(history)
            history.stopped = training.stopped
    if early_stopping is not None:
        early_stopping.restore(model)
    return history


def _agree(stopped: str | None, shards: Shards | None) -> str | None:
    """The reason to stop here, if any process has one."""
    reasons = [stopped] if shards is None else shards.gather(stopped)
    return next(filter(None, reasons), None)


def _compute_weights(y: Array, sample_weight: Any, class_weight: Any) -> Array | None:
    """The weight of each row, or None if all have the same."""
    weight = None
    if sample_weight is not None:
        weight = as_numbers(sample_weight, "sample_weight", np.float64)
        if weight.shape != y.shape[:1]:
            raise ValueError(
                f"sample_weight has shape {weight.shape}: expected one weight a row, {y.shape[:1]}"
            )
        _check_weights("sample_weight", weight)
    if class_weight is not None:
        of_class = _weight_of_class(class_of(y), class_weight)[class_of(y)]
        weight = of_class if weight is None else weight * of_class
    if weight is not None and not weight.any():
        raise ValueError("all weights are 0: nothing would be learned")
    return weight


def _weight_of_class(labels: Array, class_weight: Any) -> Array:
    counts = np.bincount(labels)
    if isinstance(class_weight, str):
        check_choice("class_weight", class_weight, ("balanced",))
        return len(labels) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    if isinstance(class_weight, Mapping):
        class_weight = [class_weight.get(label, 1.0) for label in range(len(counts))]
    weights = as_numbers(class_weight, "class_weight", np.float64)
    if weights.ndim != 1 or len(weights) < len(counts):
        raise ValueError(
            f"class_weight has shape {weights.shape}: expected a weight for each class, "
            f"of which the labels have {len(counts)}"
        )
    _check_weights("class_weight", weights)
    return weights


def _check_weights(name: str, weights: Array) -> None:
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        i = int(bad.argmax())
        raise ValueError(f"{name}[{i}] is {weights[i]}: expected a finite number of at least 0")


def _step_schedule(scheduler: Scheduler, history: History) -> None:
    """Step a schedule, with the measure that it looks at if it takes one."""
    parameters = inspect.signature(scheduler.step).parameters.values()
    takes_one = any(
        p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        for p in parameters
    )
    if takes_one:
        scheduler.step((history.test_loss or history.loss)[-1])
    else:
        scheduler.step()


def _as_test_set(X: ArrayLike | None, y: ArrayLike | None) -> tuple[Array, Array] | None:
    if X is None and y is None:
        return None
    if X is None or y is None:
        given, missing = ("y_test", "X_test") if X is None else ("X_test", "y_test")
        raise ValueError(f"{given} is given without {missing}: a test set needs both")
    return as_numbers(X, "X_test", copy=None), as_numbers(y, "y_test", copy=None)


@contextmanager
def _progress_bar(
    history: History, epochs: int, wanted: bool
) -> Iterator[Callable[[History], Any]]:
    try:
        tqdm = import_module("tqdm").tqdm if wanted else None
    except ImportError:
        tqdm = None
    if tqdm is None:
        yield lambda history: None
        return
    options = {"desc": "training", "unit": "epoch", "dynamic_ncols": True}
    with tqdm(total=epochs, initial=len(history), **options) as bar:

        def show(history: History) -> None:
            metrics = f"loss {history.loss[-1]:.4f}"
            if history.accuracy:
                metrics += f", accuracy {history.accuracy[-1]:.3f}"
            if history.test_accuracy:
                metrics += f", test {history.test_accuracy[-1]:.3f}"
            bar.set_postfix_str(metrics, refresh=False)
            bar.update()

        yield show
