"""What is drawn: boxes of tensors, primitives and edges, in passes over the nodes of a graph.

Its numbers (box t7, oval p7, scope s2) count the nodes and scopes of the whole graph, whatever is
folded: they are the same from run to run, and the same however the graph is folded.

**Where a tensor is drawn.** What was computed is in the frame of the scope that computed it. A
leaf is where it is used: a Linear's weight inside the Linear, since nothing else uses it. Two
exceptions keep the inputs of a scope in sight: a named leaf without gradient is an input, and is
outside of all scopes; and where a scope would have no edge coming in, such as a softmax of logits
that are leaves themselves, its leaves are outside of it.

**A folded scope** is one box, with what it computes for others after it, like a large primitive.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from numpy.typing import NDArray

from ..engine.graph import FreedGraphError, before_backward, topological_order
from ..engine.names import printable
from ..engine.primitives import Primitive
from ..engine.tensor import Tensor
from ..engine.transforms import gradients_where_reached
from . import formatting as text
from .names import Names
from .scopes import (
    MAX_NESTING,
    ScopeFrame,
    ScopeFrames,
    enclosing,
    innermost_common,
    legible_depth,
    merge_repeats,
)

# More tensors than this are refused: nobody could read them, and laying them out takes long.
MAX_TENSORS = 2_000

# With this many parts, a layout need not be the best; with the second number, less.
LARGE = 150
VERY_LARGE = 600


class Kind(Enum):
    """What a tensor is to the graph: what that is called, and the line of its box."""

    PARAMETER = ("parameter", "thick")
    INPUT = ("input", "thin")
    CONSTANT = ("constant", "dashed")
    INTERMEDIATE = ("computed", "rounded")
    OUTPUT = ("output", "double")


@dataclass(eq=False, slots=True)
class TensorBox:
    """A tensor, and in which frame it is drawn; `gradient` is None where no gradient reaches it.

    `name` is the tensor's own, numbered where others of the graph have it too.
    """

    id: str
    tensor: Tensor
    kind: Kind
    frame: ScopeFrame | None
    name: str
    gradient: NDArray[Any] | None = None


@dataclass(eq=False, slots=True)
class OpNode:
    """One application of a primitive, with the number of the tensor that it made."""

    id: str
    primitive: Primitive
    params: tuple[Any, ...]
    frame: ScopeFrame | None


@dataclass(unsafe_hash=True, slots=True)
class Edge:
    """From a tensor to what uses it, or from what made a tensor to the tensor.

    `argument` says which argument the tensor is, where that matters and is not plain to see,
    `differentiable` whether a gradient can come back this way, `makes` whether the tensor is the
    result, `enters` whether the edge leads into the frame of a scope. `uses` names the uses that it
    represents: p3.0 is argument 0 of primitive p3, p3.y its result; into a folded scope, there can
    be several.
    """

    source: str
    target: str
    argument: str = ""
    differentiable: bool = True
    makes: bool = False
    enters: bool = False
    uses: str = field(default="", compare=False)


@dataclass(slots=True)
class Diagram:
    """All that is drawn.

    `size` counts the tensors of the graph, the folded ones too; `differentiated` tells whether
    there are gradients of the outputs, `folded_into` in which folded scope a tensor or a primitive
    is, `automatic_depth` the depth at which it was folded unasked, or None, `names` the names of
    tensors by the number of their creation.
    """

    outputs: list[Tensor]
    size: int
    boxes: list[TensorBox]
    ops: list[OpNode]
    frames: list[ScopeFrame]
    edges: list[Edge]
    folded_into: dict[str, str]
    automatic_depth: int | None
    names: Names
    differentiated: bool = False

    @property
    def layout_limits(self) -> dict[str, str]:
        """Limits to the search for the best layout of a large diagram, for Graphviz.

        Without `mclimit`, on the search for fewer crossings, a tensor that a hundred layers use
        takes a minute to place. A lower `nslimit` would tangle what is orderly.
        """
        parts = len(self.boxes) + len(self.ops) + sum(frame.folded for frame in self.frames)
        if parts < LARGE:
            return {}
        return {"nslimit": "1", "nslimit1": "1", "mclimit": "0.1" if parts < VERY_LARGE else "0.03"}


def diagram_of(
    outputs: Sequence[Tensor], depth: int | None, names: Names, *, gradients: bool = True
) -> Diagram:
    """Return the diagram of the graph of some tensors, with gradients if these are wanted.

    Scopes at level `depth` are folded; by default none, unless there are more than
    `scopes.MAX_OPEN` tensors. Where there is more to draw than `MAX_TENSORS`, raise a ValueError.
    """
    nodes = topological_order(*outputs)
    unasked = legible_depth(nodes) if depth is None else None
    depth = depth or unasked
    frames = ScopeFrames(MAX_NESTING if depth is None else min(depth, MAX_NESTING))
    placement = _Placement(nodes, [frames.of(node.scope) for node in nodes], outputs, names)
    boxes = placement.boxes()
    if len(boxes) > MAX_TENSORS:
        which = "" if depth is None else f", {len(boxes):,} of them outside of what {depth=} folds"
        raise ValueError(
            f"the graph of {outputs[0].label()} has {len(nodes):,} tensors{which}; more than "
            f"{MAX_TENSORS:,} cannot be laid out legibly: draw a smaller part (an intermediate "
            "tensor, fewer steps), or fold its scopes with depth=1, which needs parts computed "
            "inside tg.scope(...)"
        )
    drawn_frames = [frame for frame in frames.all if frame.size]
    parts = boxes, placement.ops(), drawn_frames, placement.edges(), placement.folded_into()
    diagram = Diagram(list(outputs), len(nodes), *parts, unasked, names)
    if gradients and differentiable(outputs):
        diagram.differentiated = True
        _add_gradients(outputs, boxes)
    return diagram


def differentiable(outputs: Sequence[Tensor]) -> bool:
    """Whether gradients of these outputs can be drawn: of numbers, one of which requires one."""
    return all(t.size == 1 for t in outputs) and any(t.requires_grad for t in outputs)


def whole(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the outputs with the graph that they had before backward()."""
    try:
        return before_backward(*outputs)
    except FreedGraphError as error:
        remedy = "draw before backward(), or call backward(retain_graph=True)"
        raise FreedGraphError(error.node, remedy) from None


def _add_gradients(outputs: Sequence[Tensor], boxes: Sequence[TensorBox]) -> None:
    """The gradients of the output, or of the sum of several: what backward() of each adds up."""
    wanted = [box for box in boxes if box.tensor.requires_grad]
    for output in filter(lambda output: output.requires_grad, outputs):
        found = gradients_where_reached(output, [box.tensor for box in wanted])
        for box, gradient in zip(wanted, found, strict=True):
            if gradient is not None:
                box.gradient = gradient if box.gradient is None else box.gradient + gradient


class _Placement:
    """The nodes of a graph, each with the frame that it belongs to."""

    def __init__(
        self, nodes: list[Tensor], made_in: list[ScopeFrame | None], outputs: Sequence[Tensor],
        names: Names,
    ) -> None:  # fmt: skip
        self.nodes, self.names = nodes, [names.get(node.index, "") for node in nodes]
        number = {id(node): i for i, node in enumerate(nodes)}
        self.sources = [tuple(number[id(s)] for s in node.inputs or ()) for node in nodes]
        self.outputs = {number[id(output)] for output in outputs}
        self.kind = [
            kind_of(node, i in self.outputs, bool(self.names[i])) for i, node in enumerate(nodes)
        ]
        self.frame = made_in
        self._put_leaves_where_they_are_used()
        self._keep_leaves_in_sight()
        self.frame = merge_repeats(nodes, self.frame)
        for frame in self.frame:
            for around in enclosing(frame):
                around.size += 1
        # The folded frame that a node belongs to, and the open one in which it is drawn.
        self.fold = [frame if frame and frame.folded else None for frame in self.frame]
        pairs = zip(self.frame, self.fold, strict=True)
        self.open = [frame if fold is None else fold.outer for frame, fold in pairs]
        self.hidden = [fold is not None for fold in self.fold]
        for output in self.outputs:
            self.hidden[output] = False
        for source, user in self._uses():
            if self.frame[source] is not self.frame[user]:
                self.hidden[source] = False

    def _uses(self) -> Iterator[tuple[int, int]]:
        """The numbers of an input and of the node it is an input of, in order of arguments."""
        for user, sources in enumerate(self.sources):
            for source in sources:
                yield source, user

    def _movable(self, i: int) -> bool:
        return self.nodes[i].primitive is None and self.kind[i] is not Kind.INPUT

    def _put_leaves_where_they_are_used(self) -> None:
        """Into the innermost frame around all uses; inputs are outside of all."""
        placed: dict[int, ScopeFrame | None] = {
            i: None for i, kind in enumerate(self.kind) if kind is Kind.INPUT
        }
        for source, user in self._uses():
            if self._movable(source):
                frame = self.frame[user]
                placed[source] = innermost_common(placed.get(source, frame), frame)
        for i, frame in placed.items():
            self.frame[i] = frame

    def _keep_leaves_in_sight(self) -> None:
        """Where no edge would come into a frame, its leaves move out of it.

        Not so plain numbers, nor what was computed in the frame without a gradient.
        """
        for source, user in self._uses():
            inside, outside = self.frame[user], self.frame[source]
            if inside is not outside and not self._movable(source):
                for frame in enclosing(inside, innermost_common(inside, outside)):
                    frame.has_input = True
        for i, node in enumerate(self.nodes):
            number = node.ndim == 0 and self.kind[i] is Kind.CONSTANT
            if self._movable(i) and node.scope is None and not number:
                self.frame[i] = next((r for r in enclosing(self.frame[i]) if r.has_input), None)

    def folded_into(self) -> dict[str, str]:
        """In which folded frame each tensor and primitive is that is not drawn itself."""
        folds = {i: fold.id for i, fold in enumerate(self.fold) if fold is not None}
        hidden = {f"t{i}": fold for i, fold in folds.items() if self.hidden[i]}
        return {f"p{i}": fold for i, fold in folds.items()} | hidden

    def boxes(self) -> list[TensorBox]:
        names = text.number_duplicates([printable(name) for name in self.names])
        return [
            TensorBox(f"t{i}", node, self.kind[i], self.open[i], names[i])
            for i, node in enumerate(self.nodes)
            if not self.hidden[i]
        ]

    def ops(self) -> list[OpNode]:
        return [
            OpNode(f"p{i}", node.primitive, node.params, self.frame[i])
            for i, node in enumerate(self.nodes)
            if node.primitive is not None and self.fold[i] is None
        ]

    def edges(self) -> list[Edge]:
        """Edges in order of creation and of arguments; into a folded scope, one from each box."""
        drawn: list[Edge] = []
        into_folds: dict[Edge, Edge] = {}
        for i, node in enumerate(self.nodes):
            if node.primitive is None:
                continue
            fold, sources = self.fold[i], self.sources[i]
            maker = f"p{i}" if fold is None else fold.id
            distinct = fold is None and len(set(sources)) > 1
            for place, source in enumerate(sources):
                letter = _argument(node.primitive, place, len(sources)) if distinct else ""
                back = self.nodes[source].requires_grad
                enters = innermost_common(self.open[source], self.open[i]) is not self.open[i]
                uses = f"p{i}.{place}"
                edge = Edge(f"t{source}", maker, letter, back, enters=enters, uses=uses)
                if fold is None:
                    drawn.append(edge)
                elif edge in into_folds:
                    into_folds[edge].uses += f" {uses}"
                elif self.frame[source] is not fold:
                    drawn.append(edge)
                    into_folds[edge] = edge
            if not self.hidden[i]:
                made = Edge(maker, f"t{i}", "", node.requires_grad, makes=True, uses=f"p{i}.y")
                drawn.append(made)
        return drawn


def kind_of(node: Tensor, is_output: bool, named: bool) -> Kind:
    """What a tensor is to the graph."""
    if is_output:
        return Kind.OUTPUT
    if node.primitive is not None:
        return Kind.INTERMEDIATE
    if node.requires_grad:
        return Kind.PARAMETER
    return Kind.INPUT if named else Kind.CONSTANT


_SYMMETRIC = frozenset(
    ("add", "multiply", "maximum", "minimum", "equal", "not_equal", "logical_and", "logical_or")
)


def _argument(primitive: Primitive, place: int, number: int) -> str:
    """What to write at the edge of an argument, in the letters of the primitive's formula."""
    if primitive.name in _SYMMETRIC:
        return ""
    if "index_template" in primitive.params:
        return "i" if place else ""
    if primitive.name == "where":
        return "cab"[place]
    return "ab"[place] if number == 2 else str(place + 1)
