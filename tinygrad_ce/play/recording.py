"""The last steps of a training, as it was: bounded in number and in memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

MAX_STEPS = 1_000
MAX_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """A training after so many steps, with the gradients of which the next step is made.

    The arrays are those of the engine, which never change: to keep them costs no copy.

    Attributes
    ----------
    step
        How many steps there were.
    state
        Parameters and other tensors of the model, by name.
    gradients
        Of the parameters, None where none has arrived.
    batch
        The rows of the training set that the gradients are from.
    loss, test_loss, accuracy, test_accuracy
        Of the batch, and of the test set; None where there is none.
    update_ratios
        For each weight matrix, log₁₀ of the standard deviation of the last update over that of the
        weight; None before the first.
    """

    step: int
    state: dict[str, Array]
    gradients: dict[str, Array | None]
    batch: NDArray[np.int64]
    loss: float
    test_loss: float | None
    accuracy: float
    test_accuracy: float | None
    update_ratios: tuple[float | None, ...]

    @property
    def nbytes(self) -> int:
        """About how much memory it keeps from being freed."""
        arrays = [*self.state.values(), *self.gradients.values(), self.batch]
        return sum(array.nbytes for array in arrays if array is not None)


class Recording:
    """The last snapshots, at most `MAX_STEPS` and about `MAX_BYTES`."""

    def __init__(self, max_steps: int = MAX_STEPS, max_bytes: int = MAX_BYTES) -> None:
        self._snapshots: deque[Snapshot] = deque()
        self._bytes = 0
        self.max_steps, self.max_bytes = max_steps, max_bytes

    def add(self, snapshot: Snapshot) -> None:
        """Append a snapshot, and forget the oldest ones that there is no more space for."""
        self._snapshots.append(snapshot)
        self._bytes += snapshot.nbytes
        while len(self) > self.max_steps + 1 or (len(self) > 2 and self._bytes > self.max_bytes):
            self._bytes -= self._snapshots.popleft().nbytes

    def __len__(self) -> int:
        return len(self._snapshots)

    def since(self, step: int) -> list[Snapshot]:
        """Return the snapshots from a step on."""
        return [*islice(self._snapshots, max(step - self.first, 0), None)]

    @property
    def first(self) -> int:
        """The oldest step that is there."""
        return self._snapshots[0].step

    @property
    def last(self) -> int:
        """The newest step."""
        return self._snapshots[-1].step

    def __getitem__(self, step: int) -> Snapshot:
        """Return the snapshot after so many steps, the nearest one that is there."""
        step = min(max(step, self.first), self.last)
        return self._snapshots[step - self.first]

    def before(self, step: int) -> Snapshot | None:
        """Return the snapshot before that of a step, if it is there."""
        return self[step - 1] if step > self.first else None
