"""How good a trained network is on some rows, for people and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import closed_form, data, nn
from ..engine.array_types import Array
from ..engine.context import no_grad
from ..train import confusion_matrix
from ..train.metrics import evaluating

BINS = 10


@dataclass(frozen=True)
class Evaluation:
    """What a network says of rows (n, ...): logits and probabilities (n, C), beside labels (n,)."""

    table: data.Table
    logits: Array
    probabilities: Array

    @property
    def predicted(self) -> Array:
        return np.asarray(self.probabilities.argmax(-1))

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.predicted == self.table.y))

    @property
    def cross_entropy(self) -> float:
        return float(closed_form.cross_entropy(self.logits, self.table.y))

    @property
    def confusion(self) -> Array:
        return confusion_matrix(self.table.y, self.predicted, len(self.table.class_names))

    def calibration(self) -> list[dict[str, float]]:
        """Of the rows in each tenth of confidence: how many, how sure, and how often right.

        A network is calibrated if of the rows of which it is 80 % sure, 80 % are right.
        """
        confidence = self.probabilities.max(-1)
        right = self.predicted == self.table.y
        bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
        return [
            {
                "from": k / BINS,
                "to": (k + 1) / BINS,
                "rows": int(mask.sum()),
                "confidence": float(confidence[mask].mean()),
                "accuracy": float(right[mask].mean()),
            }
            for k in range(BINS)
            if (mask := bins == k).any()
        ]

    def calibration_error(self) -> float:
        """The mean difference between confidence and accuracy, weighted by rows."""
        bins = self.calibration()
        gaps = [b["rows"] * abs(b["confidence"] - b["accuracy"]) for b in bins]
        return sum(gaps) / len(self.table.y)

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": len(self.table.y),
            "accuracy": self.accuracy,
            "cross_entropy": self.cross_entropy,
            "classes": list(self.table.class_names),
            "confusion": self.confusion.tolist(),
            "calibration": self.calibration(),
            "calibration_error": self.calibration_error(),
        }

    def as_text(self) -> str:
        names, counts = self.table.class_names, self.confusion
        head = ["true \\ predicted", *names]
        rows = [head, *([n, *map(str, c)] for n, c in zip(names, counts.tolist(), strict=True))]
        bins = [["confidence", "rows", "mean", "right"]]
        for b in self.calibration():
            span = f"{b['from']:.0%} to {b['to']:.0%}"
            bins.append([span, str(b["rows"]), f"{b['confidence']:.1%}", f"{b['accuracy']:.1%}"])
        return (
            f"{len(self.table.y):,} rows: accuracy {self.accuracy:.3f}, cross-entropy "
            f"{self.cross_entropy:.4f} nats\n\n{_table(rows)}\n\n{_table(bins)}\n"
            f"calibration error {self.calibration_error():.3f}"
        )


def evaluate_rows(checkpoint: nn.Checkpoint, table: data.Table) -> Evaluation:
    """Evaluate a network on a table."""
    logits = compute_logits(checkpoint, table.X)
    return Evaluation(table, logits, closed_form.softmax(logits))


def compute_logits(checkpoint: nn.Checkpoint, X: Array) -> Array:
    """The logits (n, C) float64 of rows as an encoder makes them."""
    with evaluating(checkpoint.model), no_grad():
        logits: Array = checkpoint.model(checkpoint.prepare(X)).data
    return logits.astype(np.float64)


def permutation_importance(
    checkpoint: nn.Checkpoint, table: data.Table, rounds: int = 5
) -> list[tuple[str, float]]:
    """How much accuracy is lost if the cells of one column are shuffled among the rows.

    The columns of X that one column of the file has become are shuffled together. The largest
    loss comes first.
    """
    rng = np.random.default_rng(0)
    before = np.mean(compute_logits(checkpoint, table.X).argmax(-1) == table.y)
    found = []
    start = 0
    for column in table.encoder.columns:
        part = slice(start, start + len(column.feature_names))
        start = part.stop
        after = []
        for _ in range(rounds):
            X = table.X.copy()
            X[:, part] = X[rng.permutation(len(X)), part]
            after.append(np.mean(compute_logits(checkpoint, X).argmax(-1) == table.y))
        found.append((column.name, float(before - np.mean(after))))
    return sorted(found, key=lambda pair: -pair[1])


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
