"""A graph that is laid out once, and whose numbers are then written in their places.

Boxes have space for the widest numbers, so that nothing moves but numbers. The graph is laid out
again where its structure is another one: primitives, shapes, dtypes, names.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any

import numpy as np

from ..draw import formatting as text
from ..draw import heatmap, svg
from ..draw.boxes import BoxContent
from ..draw.diagram import Diagram, diagram_of, differentiable
from ..draw.render import RenderError
from ..engine.graph import topological_order
from ..engine.tensor import Tensor
from ..engine.transforms import gradients_where_reached
from .messages import Message

Array = np.ndarray[Any, Any]

MAX_DRAWINGS = 64  # that are kept, for all pages: a layout takes a process of Graphviz
_drawings: OrderedDict[Hashable, Message] = OrderedDict()

WIDEST = -1.235e-05  # with as many characters as a number has in a box


class LiveGraph:
    """The graph of a computation that is done again and again, on a page."""

    def __init__(self) -> None:
        self._structure: tuple[Hashable, ...] = ()

    def forget(self) -> None:
        """Lay it out again next time: the page is a new one."""
        self._structure = ()

    def replies(self, output: Tensor, direction: str) -> tuple[list[Message], Message]:
        """Return what the page needs to draw a graph of another structure, and all numbers.

        Without Graphviz, that is the reason why there is no graph.

        The numbers are by the id of a tensor, each with "value" and "grad": a list of numbers as
        they are written, or a heat map with the words below it. Where no gradient arrives, "grad"
        is left out.
        """
        nodes = topological_order(output)
        wanted = [node for node in nodes if node.requires_grad]
        gradients: dict[Tensor, Any] = {}
        if differentiable([output]):
            gradients = dict(zip(wanted, gradients_where_reached(output, wanted), strict=True))
        new = []
        structure = (direction, *_structure_of(nodes, gradients))
        if structure != self._structure:
            try:
                new = [_drawing(output, nodes, gradients, structure)]
            except (ImportError, RenderError) as error:  # the rest of the page does without
                new = [{"kind": "graph", "svg": "", "leaves": {}, "reason": str(error)}]
            self._structure = structure
        numbers = {}
        for i, node in enumerate(nodes):
            numbers[f"t{i}"] = shown = {"value": _shown(node.data)}
            if (gradient := gradients.get(node)) is not None:
                shown["grad"] = _shown(np.asarray(gradient))
        return new, numbers


def _structure_of(nodes: list[Tensor], gradients: dict[Tensor, Any]) -> tuple[Hashable, ...]:
    """All of a graph but its numbers."""
    place = {node: i for i, node in enumerate(nodes)}
    return tuple(
        (
            node.primitive and node.primitive.name,
            repr(node.params) if node.primitive else node.name or repr(node.data),
            tuple(place[source] for source in node.inputs or ()),
            (node.shape, str(node.dtype), node.name, node.scope and node.scope.path),
            (node.requires_grad, gradients.get(node) is None),
        )
        for node in nodes
    )


def _drawing(
    output: Tensor,
    nodes: list[Tensor],
    gradients: dict[Tensor, Any],
    structure: tuple[Any, ...],
) -> Message:
    """Return the graph as it is drawn, by its structure."""
    if structure not in _drawings:
        names = {node.index: node.name for node in nodes if node.name}
        diagram = diagram_of([output], None, names, gradients=False)
        _drawings[structure] = _draw(diagram, gradients, structure[0])
        if len(_drawings) > MAX_DRAWINGS:
            _drawings.popitem(last=False)
    return _drawings[structure]


def _draw(diagram: Diagram, gradients: dict[Tensor, Any], direction: str) -> Message:
    contents = {
        box.id: BoxContent(
            box.name,
            _widest(box.tensor.data),
            None if gradients.get(box.tensor) is None else _widest(box.tensor.data),
            expects_gradient=bool(gradients) and box.tensor.requires_grad,
        )
        for box in diagram.boxes
    }
    title = f"computation graph: {text.quantity(diagram.size, 'tensor')}"
    picture = svg.interactive_svg_of(diagram, contents, direction, title)
    # What can be set: these boxes have handles on the page.
    leaves = {box.id: box.name for box in diagram.boxes if not box.tensor.inputs and box.name}
    return {"kind": "graph", "svg": picture, "leaves": leaves}


def _widest(array: Array) -> Array:
    return np.full(array.shape, WIDEST) if array.dtype.kind == "f" else array


def _shown(array: Array) -> Any:
    if text.shown_in_numbers(array.shape):
        return [text.minus(text.number(value)) for value in array.flat]
    if not array.size:
        return []
    return {"image": heatmap.thumbnail(array), "span": text.minus(text.span(array))}
