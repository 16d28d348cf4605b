"""A training: what takes part in it, and what a callback gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from .. import nn
from ..nn import Module
from ..optim import Optimizer
from .history import History
from .stopping import EarlyStopping


class Scheduler(Protocol):
    """What sets learning rates, such as the classes of `optim.lr_scheduler`."""

    step: Callable[..., Any]


@dataclass
class Training:
    """A training at the end of an epoch: what a callback gets.

    Attributes
    ----------
    model, optimizer, scheduler, early_stopping, rng, history
        Those of `fit`; the history has the epoch that has just ended.
    epochs
        The number of epochs in all.
    stopped
        Why the training should end here, or None; see `stop`.
    """

    model: Module
    optimizer: Optimizer
    history: History
    rng: np.random.Generator
    epochs: int
    scheduler: Scheduler | None = None
    early_stopping: EarlyStopping | None = None
    stopped: str | None = None

    @property
    def epoch(self) -> int:
        """The number of epochs that have been done."""
        return len(self.history)

    def stop(self, reason: str = "by a callback") -> None:
        """End the training after this epoch."""
        self.stopped = reason

    def save(self, path: str | Path, **parts: Any) -> None:
        """Save a checkpoint from which the training can go on as if nothing had happened.

        Parameters
        ----------
        path, parts
            As of `nn.save`, such as `encoder` and `standardizer`.
        """
        own = ("optimizer", "scheduler", "early_stopping", "rng", "history")
        nn.save(path, self.model, **{name: getattr(self, name) for name in own}, **parts)
