"""The work of ``tinygrad-ce train``: from settings to a network, and on from a checkpoint."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .. import data, distributed, nn, optim, train
from ..atomic_files import write_files
from ..functional import cross_entropy
from .event_file import EventFile
from .options import UsageError
from .run_folder import CHECKPOINT, MODEL, Run, fingerprint, log_text, read_table, split

SAVE_EVERY = 1.0  # seconds at least between two checkpoints: a kill loses no more than that

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}
OPTIMIZERS = {"adam": optim.Adam, "adamw": optim.AdamW, "sgd": optim.SGD}
SCHEDULES = ("constant", "cosine", "one-cycle")


@dataclass
class Job:
    """What each process of a training needs to know."""

    settings: Mapping[str, Any]
    checkpoint: nn.Checkpoint
    X: Any
    y: Any
    training_rows: Any
    held_out: Any


def train_run(run: Run, settings: Mapping[str, Any], resumed: bool, comm: Any) -> dict[str, Any]:
    """Train as the settings say, from the last checkpoint if resumed, and return what came out.

    With several processes, the first one reads and writes, and the others are in `help_training`.
    """
    source = settings["data"]
    if resumed and settings["fingerprint"] != fingerprint(source):
        raise UsageError(f"{source} has changed since {run.folder} was trained on it")
    table = read_table(source, settings)
    training_rows, held_out = split(table, settings)
    _check_shards(settings, comm.size, len(training_rows))
    if not resumed:
        for name in (CHECKPOINT, MODEL):  # of another training
            (run.folder / name).unlink(missing_ok=True)
        run.write_settings(settings)
    checkpoint = run.load_checkpoint() if resumed else None
    if checkpoint is None:
        checkpoint = _start(table, training_rows, settings)
    X, y = checkpoint.prepare(table.X), table.y
    summary = f"{len(training_rows):,} rows to train on, {len(held_out):,} to validate, "
    summary += f"{X.shape[1]} features, {len(table.class_names)} classes"
    if comm.size > 1:
        summary += f", {comm.size} processes"
    print(f"{source}: {summary}", file=sys.stderr)
    print(checkpoint.model, file=sys.stderr)
    writer = _Writer(run, settings, checkpoint)
    job = Job(settings, checkpoint, X, y, training_rows, held_out)
    comm.bcast(job)  # which returns a copy
    history = _fit(job, comm, [writer])
    writer.write(history)
    result = _result(checkpoint, history)
    interrupted = history.stopped == "interrupted"
    if not interrupted:
        parts = {"encoder": checkpoint.encoder, "standardizer": checkpoint.standardizer}
        nn.save(run.folder / MODEL, checkpoint.model.eval(), history=history, **parts)
    run.write_settings(settings, None if interrupted else result)
    return result


def help_training(comm: Any) -> None:
    """Take part in the training that the first process has begun, silently."""
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        _fit(comm.bcast(None), comm, [])


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is an error of its own
def _fit(
    job: Job, comm: Any, callbacks: Iterable[Callable[[train.Training], Any]]
) -> train.History:
    settings, checkpoint, X, y = job.settings, job.checkpoint, job.X, job.y
    rows, held_out = job.training_rows, job.held_out
    tests = {"X_test": X[held_out], "y_test": y[held_out]} if len(held_out) else {}
    n_shards = settings.get("shards")
    return train.fit(
        checkpoint.model,
        checkpoint.optimizer,
        X[rows],
        y[rows],
        epochs=settings["epochs"],
        batch_size=settings["batch"],
        rng=checkpoint.rng,
        loss=_loss(settings),
        class_weight=settings["class_weight"],
        max_norm=settings["max_norm"],
        scheduler=checkpoint.scheduler,
        schedule_each="batch" if settings["schedule"] == "one-cycle" else "epoch",
        early_stopping=checkpoint.early_stopping,
        callbacks=callbacks,
        history=checkpoint.history,
        compile={"auto": None, "eager": False}.get(settings["backend"], settings["backend"]),
        progress=True,
        shards=distributed.Shards(n_shards, comm) if n_shards else None,
        **tests,
    )


def _check_shards(settings: Mapping[str, Any], size: int, n_rows: int) -> None:
    """Refuse shards that do not fit the processes or the batch, before anything is written."""
    n_shards, batch = settings.get("shards"), min(settings["batch"], n_rows)
    try:
        if n_shards:
            distributed.check_shards(n_shards, size)
            distributed.check_batch(batch, n_shards)
        elif size > 1:
            raise ValueError(
                "this training was begun without shards, and goes on in one process only"
            )
    except ValueError as error:
        raise UsageError(error) from error


def _start(table: data.Table, rows: Any, settings: Mapping[str, Any]) -> nn.Checkpoint:
    """A network with its first weights, and all that trains it."""
    rng = np.random.default_rng(settings["seed"])
    sizes = [table.X.shape[1], *settings["hidden"], len(table.class_names)]
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out, rng=rng), ACTIVATIONS[settings["activation"]]()]
        if settings["dropout"]:
            layers.append(nn.Dropout(settings["dropout"], rng=rng))
    model = nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1], rng=rng))
    more = {"momentum": 0.9} if settings["optimizer"] == "sgd" else {}
    optimizer = OPTIMIZERS[settings["optimizer"]](
        model.parameters(), lr=settings["lr"], weight_decay=settings["weight_decay"], **more
    )
    steps = settings["epochs"] * -(-len(rows) // settings["batch"])
    scheduler: Any = None
    if settings["schedule"] == "cosine":
        scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, settings["epochs"])
    elif settings["schedule"] == "one-cycle":
        scheduler = optim.lr_scheduler.OneCycleLR(optimizer, settings["lr"], total_steps=steps)
    patience = settings["early_stopping"]
    return nn.Checkpoint(
        model,
        optimizer,
        scheduler,
        train.EarlyStopping(patience) if patience else None,
        rng,
        train.History(),
        table.encoder,
        data.Standardizer().fit(table.X[rows]),
    )


def _loss(settings: Mapping[str, Any]) -> Any:
    smoothing = settings["label_smoothing"]
    if not smoothing:
        return cross_entropy
    return nn.CrossEntropyLoss(
        label_smoothing=smoothing, reduction="none" if settings["class_weight"] else "mean"
    )


class _Writer:
    """Writes what there is after an epoch: the checkpoint, the history and the logs."""

    def __init__(self, run: Run, settings: Mapping[str, Any], checkpoint: nn.Checkpoint) -> None:
        self.run = run
        self.checkpoint = checkpoint
        self.log = settings["log"] and Path(settings["log"])
        folder = settings["tensorboard"]
        self.events = EventFile(Path(folder)) if folder else None
        self.saved = -SAVE_EVERY

    def __call__(self, training: train.Training) -> None:
        if self.events is not None:
            columns = training.history.columns()
            values = {name: column[-1] for name, column in columns.items()}
            self.events.add(training.epoch, values)
        due = time.monotonic() - self.saved >= SAVE_EVERY
        if due or training.stopped or training.epoch == training.epochs:
            self.save(training)

    def save(self, training: train.Training) -> None:
        parts = {"encoder": self.checkpoint.encoder, "standardizer": self.checkpoint.standardizer}
        training.save(self.run.folder / CHECKPOINT, **parts)
        self.write(training.history)
        self.saved = time.monotonic()

    def write(self, history: train.History) -> None:
        self.run.write_history(history)
        if self.log:
            write_files({self.log: log_text(history, self.log.suffix).encode()})


def _result(checkpoint: nn.Checkpoint, history: train.History) -> dict[str, Any]:
    """The measures of the network as it is now: after early stopping, of the best epoch."""
    stopping = checkpoint.early_stopping
    epoch = stopping.best_epoch if stopping is not None else len(history)
    measures = {name: values[epoch - 1] for name, values in history.columns().items()}
    names = {"test_loss": "validation_loss", "test_accuracy": "validation_accuracy"}
    return {
        "epochs": len(history),
        "best_epoch": epoch,
        **{names.get(name, name): value for name, value in measures.items()},
        "stopped": history.stopped,
    }
