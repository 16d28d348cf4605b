"""When a training ends: by early stopping, or by a person."""

from __future__ import annotations

import math
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..arguments import check_choice, check_flag, check_integer, check_real
from ..nn import Module
from .history import History


class EarlyStopping:
    """Stop once a measure has not improved for a number of epochs, and go back to the best.

    The measure is that of the test set or the validation rows; without them, of the training set.

    Parameters
    ----------
    patience
        The number of epochs without an improvement after which the training stops.
    min_delta
        What counts as an improvement is more than this above the best so far.
    monitor
        "loss" or "accuracy".
    restore_best
        Whether the model goes back to the state of the best epoch.

    Attributes
    ----------
    best, best_epoch
        The best measure so far, and the number of epochs after which it was reached.
    waited
        The number of epochs since an improvement by more than `min_delta`.
    best_state
        The state of the model then, parameters and running averages.

    Raises
    ------
    ValueError, TypeError
        A patience below 1, a negative min_delta, another monitor.
    """

    def __init__(
        self,
        patience: int = 10,
        min_delta: float = 0.0,
        monitor: str = "loss",
        restore_best: bool = True,
    ) -> None:
        self.patience = check_integer("patience", patience, 1)
        self.min_delta = check_real("min_delta", min_delta, 0)
        self.monitor = check_choice("monitor", monitor, ("loss", "accuracy"))
        self.restore_best = check_flag("restore_best", restore_best)
        self.best = -math.inf
        self.best_epoch = 0
        self.waited = 0
        self.best_state: dict[str, Any] | None = None

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.waited >= self.patience

    def update(self, history: History, model: Module) -> None:
        """Take the measures of the last epoch into account."""
        measures = getattr(history, f"test_{self.monitor}") or getattr(history, self.monitor)
        value = measures[-1] if self.monitor == "accuracy" else -measures[-1]
        self.waited = 0 if value > self.best + self.min_delta else self.waited + 1
        if value > self.best:
            self.best, self.best_epoch = value, len(history)
            if self.restore_best:
                self.best_state = model.state_dict()

    def restore(self, model: Module) -> None:
        """Give the model the best state."""
        if self.best_state is not None:
            model.load_state_dict(self.best_state)

    def __repr__(self) -> str:
        return (
            f"EarlyStopping(patience={self.patience}, min_delta={self.min_delta:g}, "
            f"monitor={self.monitor!r})"
        )


class Interruption:
    """Whether someone has pressed Ctrl-C."""

    requested = False


@contextmanager
def deferred_interrupt() -> Iterator[Interruption]:
    """Let Ctrl-C be noticed instead of raise, the first time; a second time it raises.

    Where it raises no KeyboardInterrupt anyway, or this is not the main thread, nothing changes.
    """
    interruption = Interruption()
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interruption
        return

    def notice(signum: int, frame: Any) -> None:
        if interruption.requested:
            signal.default_int_handler(signum, frame)
        interruption.requested = True
        print("\nfinishing the epoch; Ctrl-C again stops at once", file=sys.stderr)

    signal.signal(signal.SIGINT, notice)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
