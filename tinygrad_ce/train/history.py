"""The history of a training: numbers of each epoch, as a table and as a chart."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

TITLES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy",
    "lr": "learning rate",
}
MAX_ROWS = 20  # of the printed table, the first and the last of them
WIDTH, HEIGHT, MARGIN = 320, 160, 28  # of a chart


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

    def _repr_html_(self) -> str:
        """A chart of the losses and one of the accuracies, as SVG."""
        columns = self.columns()
        charts = [
            _chart(title, {n: v for n, v in columns.items() if n.endswith(title)})
            for title in ("loss", "accuracy")
            if any(name.endswith(title) for name in columns)
        ]
        return f'<div class="tinygrad-ce-history">{"".join(charts)}</div>'


def _format(name: str, value: float) -> str:
    if name == "lr":
        return f"{value:.4g}"
    return f"{value:.3f}" if name.endswith("accuracy") else f"{value:.4f}"


def _chart(title: str, lines: dict[str, list[float]]) -> str:
    """A line chart: the training set gray and dashed, the test set in blue."""
    values = [v for line in lines.values() for v in line if math.isfinite(v)]
    low, high = (0.0, max(values, default=1.0)) if title == "loss" else (min(values), 1.0)
    if high <= low:
        high = low + 1
    n = max(map(len, lines.values()))

    def place(i: int, value: float) -> str:
        x = MARGIN + (WIDTH - 2 * MARGIN) * (i / (n - 1) if n > 1 else 0.5)
        y = MARGIN + (HEIGHT - 2 * MARGIN) * (high - value) / (high - low)
        return f"{x:.1f},{y:.1f}"

    parts = [f'<text x="{MARGIN}" y="16">{title}</text>']
    for name, line in lines.items():
        is_test = name.startswith("test")
        points = " ".join(place(i, v) for i, v in enumerate(line) if math.isfinite(v))
        stroke = "#2563eb" if is_test else "#6b7280"
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="1.5" '
            f'stroke-dasharray="{"none" if is_test else "4 2"}" stroke-linecap="round"/>'
        )
        x, y = (WIDTH - MARGIN, 16) if is_test else (WIDTH - MARGIN - 40, 16)
        label = "test" if is_test else "training"
        parts.append(f'<text x="{x}" y="{y}" text-anchor="end" fill="{stroke}">{label}</text>')
    for value in (low, high):
        at = place(0, value).split(",")[1]
        parts.append(f'<text x="{MARGIN - 3}" y="{at}" text-anchor="end">{value:.2g}</text>')
    for i in sorted({0, n - 1}):
        at = place(i, low).split(",")[0]
        parts.append(f'<text x="{at}" y="{HEIGHT - 12}" text-anchor="middle">{i + 1}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" font-size="10" '
        f'font-family="sans-serif" fill="currentColor"><title>{title} by epoch</title>'
        f"{''.join(parts)}</svg>"
    )
