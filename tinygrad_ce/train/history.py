"""The history of a training: numbers of each epoch, as a table and as a chart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .history_chart import charts_of

TITLES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "lr": "learning rate",
}
MAX_ROWS = 20  # of the printed table, the first and the last of them


@dataclass(repr=False)
class History:
    """Losses and accuracies: one number an epoch, measured at its end.

    The losses are means, with the cross-entropy in nats. Without a test set, its lists are empty.
    Printed, a history is a table; in a notebook, it is a chart.

    Attributes
    ----------
    loss, accuracy, test_loss, test_accuracy
        Of the training set, and of the test set or the validation rows.
    lr
        The learning rate of the epoch.
    stopped
        Why the training ended before its last epoch, or None.

    >>> history = History(loss=[0.9, 0.5], accuracy=[0.6, 0.85], lr=[0.1, 0.1])
    >>> history
    <History of 2 epochs: loss 0.5000, accuracy 0.850, learning rate 0.1>
    >>> print(history)
    epoch    loss  accuracy  learning rate
        1  0.9000     0.600            0.1
        2  0.5000     0.850            0.1
    """

    loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    test_accuracy: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    stopped: str | None = field(default=None, compare=False)

    def add(
        self,
        training: tuple[float, float | None],
        test: tuple[float, float | None] | None = None,
        lr: float | None = None,
    ) -> None:
        """Append (loss, accuracy) of the training set, and of the test set if there is one."""
        for prefix, measures in (("", training), ("test_", test)):
            if measures is not None:
                loss, accuracy = measures
                getattr(self, f"{prefix}loss").append(loss)
                if accuracy is not None:
                    getattr(self, f"{prefix}accuracy").append(accuracy)
        if lr is not None:
            self.lr.append(lr)

    def columns(self) -> dict[str, list[float]]:
        """Return the lists that hold something, by name."""
        return {name: values for name in TITLES if (values := getattr(self, name))}

    def __len__(self) -> int:
        """Return the number of epochs."""
        return len(self.loss)

    def __repr__(self) -> str:
        last = ", ".join(
            f"{TITLES[name]} {_format(name, values[-1])}" for name, values in self.columns().items()
        )
        epochs = f"{len(self)} epoch{'' if len(self) == 1 else 's'}"
        return f"<History of {epochs}{': ' if last else ''}{last}>"

    def __str__(self) -> str:
        columns = self.columns()
        table = [["epoch", *(TITLES[name] for name in columns)]]
        shown = [*range(len(self))]
        if len(shown) > MAX_ROWS:
            shown[MAX_ROWS // 2 : -MAX_ROWS // 2] = [-1]
        for i in shown:
            if i < 0:
                table.append(["…"] * len(table[0]))
            else:
                cells = (_format(name, values[i]) for name, values in columns.items())
                table.append([str(i + 1), *cells])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = ["  ".join(map(str.rjust, row, widths)) for row in table]
        return "\n".join([*lines, *([f"stopped: {self.stopped}"] if self.stopped else [])])

    def svg(self) -> str:
        """Return a chart of the losses and one of the accuracies, as an SVG element."""
        return charts_of(self.columns())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        # A notebook that is not trusted shows no SVG, and has the table in its place.
        chart = {"image/svg+xml": self.svg()} if len(self) else {}
        return {**chart, "text/plain": str(self)}


def _format(name: str, value: float) -> str:
    if name == "lr":
        return f"{value:.4g}"
    if name.endswith("accuracy"):
        return f"{value:.3f}"
    return f"{value:.4f}" if abs(value) < 1e6 else f"{value:.4g}"
