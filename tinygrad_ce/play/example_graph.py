"""The graph of one example: where its tensors are drawn, and the numbers that flow through it.

The layout is made once for a model. Then, for any weights, each tensor gets its value and gradient,
and each edge what comes back along it: the norm of the contribution to a gradient.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import functional as F
from .. import nn
from ..draw import diagram, formulas, svg
from ..draw.boxes import BoxContent
from ..draw.formatting import minus, number, shown_in_numbers
from ..draw.heatmap import cells
from ..draw.interactive.contributions import Contribution, contributions
from ..draw.interactive.steps import Trace
from ..engine.graph import topological_order
from ..engine.tensor import Tensor

Array = NDArray[Any]

MAX_TENSORS = 120  # more are too small to be seen
WIDEST = -0.0088888  # how wide numbers can be that are shown in a box


class ExampleGraph:
    """The loss of one example, with all that it is computed from.

    Parameters
    ----------
    model
        In evaluation mode.
    x, label
        (1, ...) the example, and its class.
    """

    def __init__(self, model: nn.Module, x: Array, label: int) -> None:
        self.loss = F.cross_entropy(model(Tensor(x, name="x")), [label])
        self.loss.name = "loss"
        self.nodes = topological_order(self.loss)

    @cached_property
    def _walk(self) -> list[Contribution]:
        return contributions(self.loss)

    def layout(self) -> dict[str, Any]:
        """Return the graph as SVG, and name and shape of each tensor.

        Raises
        ------
        ValueError
            There are too many tensors.
        RenderError, ImportError
            Graphviz is missing.
        """
        if len(self.nodes) > MAX_TENSORS:
            raise ValueError(
                f"the graph of one example has {len(self.nodes)} tensors: more than {MAX_TENSORS} "
                "are too small to be seen"
            )
        trace = Trace(self.nodes, [self.loss])
        wide = {node: np.full(node.shape, WIDEST) for node in self.nodes}
        contents = {
            trace.id[node]: BoxContent(
                trace.names[node],
                wide[node] if node.primitive or node.name else node.data,
                None,
                node in trace.gradients,
                [wide[node]] if node in trace.gradients else [],
            )
            for node in self.nodes
        }
        names = {node.index: node.name for node in self.nodes if node.name}
        drawn = diagram.diagram_of([self.loss], None, names, gradients=False)
        title = "the loss of one example, with all that it is computed from"
        return {
            "svg": svg.interactive_svg_of(drawn, contents, "LR", title),
            "tensors": [
                {
                    "id": trace.id[node],
                    "name": trace.names[node],
                    "shape": node.shape,
                    "primitive": node.primitive.name if node.primitive else "",
                    "gradient": node in trace.gradients,
                    "cells": np.shape(_shown(node.data)),
                }
                for node in self.nodes
            ],
        }

    def numbers(self) -> dict[str, Any]:
        """Return arrays of values and gradients in the order of the tensors, and the flows.

        `largest` has the largest magnitudes of both, 0 where there is no gradient.
        A flow is the norm of a contribution, by the use that it comes back through: "p3.0" for
        argument 0 of the primitive that made tensor 3, "p3.y" for its result.
        """
        id = {node: i for i, node in enumerate(self.nodes)}
        gradients: dict[Tensor, Any] = {self.loss: np.ones((), self.loss.dtype)}
        flows = {}
        for c in self._walk:
            gradients[c.source] = c.after
            flows[f"p{id[c.node]}.{c.place}"] = _norm(c.added)
            flows[f"p{id[c.node]}.y"] = _norm(c.gradient)
        return {
            "values": [_shown(node.data) for node in self.nodes],
            "gradients": [_shown(gradients[node]) for node in self.nodes if node in gradients],
            "largest": [
                [_largest(node.data), _largest(gradients.get(node, 0))] for node in self.nodes
            ],
            "flows": flows,
        }

    def steps_back(self) -> list[dict[str, Any]]:
        """Return every contribution to a gradient, in the order of backprop, for one to look at."""
        id = {node: i for i, node in enumerate(self.nodes)}
        names = Trace(self.nodes, [self.loss]).names
        left = {source: sum(c.source is source for c in self._walk) for source in self.nodes}
        arrived = dict.fromkeys(self.nodes, 0)
        steps = []
        for c in self._walk:
            arrived[c.source] += 1
            assert c.node.primitive is not None
            call = c.node.primitive, c.place, c.node.params, len(c.node.inputs or ())
            rule = formulas.rule_formula(*call)
            assert rule is not None
            letters = formulas.letters(c.node.primitive, call[-1]).inputs
            inputs = (names[source] for source in c.node.inputs or ())
            steps.append(
                {
                    "use": f"p{id[c.node]}.{c.place}",
                    "maker": f"p{id[c.node]}",
                    "from": f"t{id[c.node]}",
                    "to": f"t{id[c.source]}",
                    "primitive": c.node.primitive.name,
                    "name": names[c.source],
                    "from_name": names[c.node],
                    "rule": formulas.write(rule),
                    "letters": dict(zip(letters, inputs, strict=False)),
                    "added": _in_short(c.added),
                    "number": arrived[c.source],
                    "of": left[c.source],
                }
            )
        return steps


def _shown(array: Any) -> Array:
    """What is in a box: all numbers, or as many as its heat map has cells."""
    array = np.asarray(array)
    return array if shown_in_numbers(array.shape) else cells(array)


def _largest(array: Any) -> float:
    largest = float(np.abs(array).max(initial=0))
    return float(f"{largest:.3g}") if np.isfinite(largest) else 0.0


def _norm(array: Any) -> float:
    norm = float(np.sqrt(np.square(np.asarray(array, np.float64)).sum()))
    return norm if np.isfinite(norm) else 0.0


def _in_short(array: Any) -> str:
    """A few numbers, or the norm of many."""
    numbers = np.asarray(array)
    if numbers.size <= 4:
        return minus(" ".join(number(v) for v in numbers.ravel()))
    return f"{numbers.size} numbers, norm {number(np.float64(_norm(numbers)))}"
