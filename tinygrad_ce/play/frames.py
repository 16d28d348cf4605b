"""Frames: what the page shows of a training at one step, computed from what was recorded.

Arrays are sent as base64 of float32, which the page reads without parsing a number.
"""

from __future__ import annotations

import base64
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import functional as F
from ..draw.heatmap import cells
from ..engine.backprop import backpropagate
from ..engine.context import no_grad
from ..engine.graph import topological_order
from ..engine.tensor import Tensor, as_tensor
from .example_graph import ExampleGraph
from .recording import Snapshot
from .statistics import ACTIVATIONS, derivative, histogram, layer_statistics
from .training import Training, compute_logits, rows_at_once

Array = NDArray[Any]

GRID = 40  # cells along each side of a plane of two features
SLICE_GRID = 28  # and of one through more
MAX_CELLS = 64  # of a heat map, along each side
MAX_PROBED = 200  # examples of which activations are shown
MAX_ROWS = 24  # examples in the heat map of an activation
MAX_SEEN = 600  # points of the training set in the plot, and of the test set


class Frames:
    """Makes frames of a training.

    Parameters
    ----------
    training
        Whose recording it is; its model is copied, and the copy gets the recorded weights.

    Attributes
    ----------
    grid
        How many cells the plane has along each side.
    probe
        The examples of which activations are shown.
    example
        The row of the training set whose graph is shown.
    """

    def __init__(self, training: Training) -> None:
        self.training, self.problem = training, training.problem
        self.model = deepcopy(training.model).eval()
        X = self.problem.X
        self.grid = GRID if self.problem.n_features <= 2 else SLICE_GRID
        self._cells = self.problem.plane.grid(self.grid).astype(X.dtype).reshape(-1, *X.shape[1:])
        self.probe = X[: min(MAX_PROBED, rows_at_once(self.model))]
        self.example = 0

    def settle(self, example: int) -> None:
        """Choose the example whose graph is shown: a row of the training set."""
        if example >= len(self.problem.X):
            raise ValueError(f"there is no example {example}: {len(self.problem.X)} are there")
        self.example = example

    # ── What stays the same ───────────────────────────────────────────────────────────────────────

    def description(self) -> dict[str, Any]:
        """Return what all frames of the training have in common."""
        problem, plane = self.problem, self.problem.plane
        self._load(self.training.recording[0])
        found = self._activations(self.probe[:1])
        return {
            "classes": problem.class_names,
            "axes": plane.names,
            "domain": plane.domain,
            "features": problem.n_features,
            "n": len(problem.X),
            "is_plane": problem.n_features <= 2,
            "image": _image_shape(problem.n_features),
            "train": _points(plane.project(problem.X[:MAX_SEEN]), problem.y[:MAX_SEEN]),
            "test": self._test_points(),
            "grid": self.grid,
            "parameters": [
                {
                    "name": name,
                    "shape": parameter.shape,
                    "cells": cells(parameter.data, MAX_CELLS).shape,
                }
                for name, parameter in self.training.parameters.items()
            ],
            "activations": [
                {
                    "name": f"{_name(node)} {i + 1}",
                    "kind": _name(node),
                    "units": int(np.prod(node.shape[1:])),
                    "cells": cells(node.data.reshape(1, -1), MAX_CELLS).shape[1],
                }
                for i, node in enumerate(found)
            ],
            "rows": min(len(self.probe), MAX_ROWS),
        }

    def _test_points(self) -> dict[str, Any] | None:
        if self.problem.test_set is None:
            return None
        X, y = (array[:MAX_SEEN] for array in self.problem.test_set)
        return _points(self.problem.plane.project(X), y)

    # ── What is shown of a step ───────────────────────────────────────────────────────────────────

    @np.errstate(all="ignore")
    def frame(self, step: int) -> dict[str, Any]:
        """Return all that is shown of a step that was recorded."""
        recording = self.training.recording
        snapshot = recording[step]
        self._load(snapshot)
        numbers = self.example_graph().numbers()
        return {
            "kind": "frame",
            "step": snapshot.step,
            "first": recording.first,
            "last": recording.last,
            "loss": _number(snapshot.loss),
            "test_loss": _number(snapshot.test_loss),
            "accuracy": snapshot.accuracy,
            "test_accuracy": snapshot.test_accuracy,
            "batch": snapshot.batch[snapshot.batch < MAX_SEEN].tolist(),
            "parameters": self._parameters(snapshot),
            "activations": self._layers(),
            "region": self._region(),
            "last_step": self._last_step(snapshot),
            "example": {
                "index": self.example,
                "label": int(self.problem.y[self.example]),
                "x": self._shown_example(),
                "p": [_rounded(p) for p in self._probabilities()],
                "values": pack(numbers["values"]),
                "gradients": pack(numbers["gradients"]),
                "largest": numbers["largest"],
                "flows": {use: float(f"{norm:.3g}") for use, norm in numbers["flows"].items()},
            },
        }

    def _load(self, snapshot: Snapshot) -> None:
        self.model.load_state_dict(snapshot.state)

    def example_graph(self) -> ExampleGraph:
        """Return the graph of the example, for the weights that were loaded last."""
        i = self.example
        return ExampleGraph(self.model, self.problem.X[i : i + 1], int(self.problem.y[i]))

    def _shown_example(self) -> list[float | None]:
        """The numbers of the example, where they are few or an image."""
        x = self.problem.X[self.example].ravel()
        return [_rounded(v) for v in x] if x.size <= 4 or _image_shape(x.size) else []

    def _probabilities(self) -> Array:
        i = self.example
        with no_grad():
            p: Array = F.softmax(as_tensor(self.model(self.problem.X[i : i + 1]))).data[0]
        return p

    def _parameters(self, snapshot: Snapshot) -> dict[str, Any]:
        """Weights and gradients as heat maps, and how the gradients are distributed."""
        values = [snapshot.state[name] for name in snapshot.gradients]
        gradients = [
            np.zeros_like(value) if g is None else g
            for value, g in zip(values, snapshot.gradients.values(), strict=True)
        ]
        return {
            "values": pack([cells(value, MAX_CELLS) for value in values]),
            "gradients": pack([cells(g, MAX_CELLS) for g in gradients]),
            "ranges": [[_largest(v), _largest(g)] for v, g in zip(values, gradients, strict=True)],
            "histograms": [histogram(g) for g in gradients],
            "ratios": snapshot.update_ratios,
        }

    def _activations(self, X: Array) -> list[Tensor]:
        """The activations for some examples, in the order in which they are computed."""
        logits = as_tensor(self.model(X))
        return [node for node in topological_order(logits) if _name(node) in ACTIVATIONS]

    def _layers(self) -> dict[str, Any]:
        """Of each activation: its statistics, what reaches it backward, and a few examples."""
        problem = self.problem
        X, y = self.probe, problem.y[: len(self.probe)]
        loss = F.cross_entropy(as_tensor(self.model(X)), y)
        found = [node for node in topological_order(loss) if _name(node) in ACTIVATIONS]
        seed = np.ones((), loss.dtype)
        gradients = backpropagate(loss, seed, wanted=found)
        layers = []
        for node in found:
            g = gradients.get(node)
            statistics = layer_statistics(_name(node), node.data.reshape(len(X), -1))
            statistics["gradients"] = histogram(np.zeros(node.shape) if g is None else g)
            passed = None if g is None else g * derivative(_name(node), node.data)
            statistics["gradient_std"] = None if g is None else _number(np.std(g))
            statistics["passed_std"] = None if passed is None else _number(np.std(passed))
            layers.append(statistics)
        rows = [cells(node.data[:MAX_ROWS].reshape(-1, _units(node)), MAX_CELLS) for node in found]
        return {"layers": layers, "values": pack(rows)}

    def _region(self) -> dict[str, str]:
        """The class that the model says at each cell of the plane, and how sure it is."""
        p = F.softmax(compute_logits(self.model, self._cells)).data
        sure = np.nan_to_num(p.max(axis=1))
        return {
            "classes": _base64(p.argmax(axis=1).astype(np.uint8)),
            "sure": _base64(np.rint(255 * sure).astype(np.uint8)),
        }

    def _last_step(self, snapshot: Snapshot) -> dict[str, Any] | None:
        """What the step that led here changed: predicted by the gradient, and in fact."""
        before = self.training.recording.before(snapshot.step)
        if before is None:
            return None
        X, y = self.problem.X[before.batch], self.problem.y[before.batch]
        with no_grad():
            after = F.cross_entropy(as_tensor(self.model(X)), y).item()
        predicted = 0.0
        for name, g in before.gradients.items():
            if g is not None:
                update = snapshot.state[name].astype(np.float64) - before.state[name]
                predicted += float((g * update).sum())
        name, g = next(((k, g) for k, g in before.gradients.items() if g is not None), ("", None))
        largest = 0 if g is None else int(np.abs(g).argmax())
        return {
            "before": _number(before.loss),
            "after": _number(after),
            "predicted": _number(predicted),
            "weight": {
                "name": name,
                "place": [int(i) for i in np.unravel_index(largest, np.shape(g))],
                "before": _number(before.state[name].flat[largest]),
                "gradient": _number(g.flat[largest]),
                "after": _number(snapshot.state[name].flat[largest]),
            }
            if g is not None
            else None,
        }

    def curves(self, since: int = 0) -> dict[str, list[Any]]:
        """Return what was recorded of each step, from one on."""
        recorded = self.training.recording.since(since)
        return {
            "steps": [s.step for s in recorded],
            "losses": [_number(s.loss) for s in recorded],
            "test_losses": [_number(s.test_loss) for s in recorded],
            "ratios": [[_rounded(r) for r in s.update_ratios] for s in recorded],
        }


def _name(node: Tensor) -> str:
    return node.primitive.name if node.primitive else ""


def _units(node: Tensor) -> int:
    return int(np.prod(node.shape[1:]))


def _image_shape(n_features: int) -> tuple[int, int] | None:
    """The sides of square images, where examples can be such."""
    side = round(n_features**0.5)
    return (side, side) if side >= 5 and side * side == n_features else None


def _points(places: Array, labels: Array) -> dict[str, Any]:
    return {"places": pack([places]), "labels": labels.tolist()}


def _largest(array: Array) -> float | None:
    return _number(np.abs(array).max(initial=0))


def _number(value: Any) -> float | None:
    """A number for JSON, which has no nan."""
    return None if value is None or not np.isfinite(value) else float(value)


def _rounded(value: Any) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 3)


def _base64(array: Array) -> str:
    return base64.b64encode(array.tobytes()).decode()


def pack(arrays: list[Any]) -> str:
    """Write arrays one after the other as base64 of float32, the first byte being the lowest.

    >>> pack([np.array([1.0]), np.array([[0.5, 2.0]])])
    'AACAPwAAAD8AAABA'
    """
    flat = [np.asarray(array, "<f4").ravel() for array in arrays]
    return _base64(np.concatenate(flat)) if flat else ""
